"""The strongSwan app's profile against the keys its documentation lists."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from tests.kits.kitfacts import DEVICE, HOST, file, made, text
from tests.lint.lintvectors import der

#: strongswan-docs, os/androidVpnClientProfiles.adoc (2025): every key, sub-objects with dots.
DOCUMENTED = {
    *("uuid", "name", "type", "apps", "excluded-apps", "ike-proposal", "esp-proposal", "mtu"),
    *("nat-keepalive", "dns-servers", "ipv6-transport"),
    *("remote.addr", "remote.port", "remote.id", "remote.cert", "remote.certreq"),
    *("remote.revocation.crl", "remote.revocation.ocsp", "remote.revocation.strict"),
    *("local.eap_id", "local.id", "local.shared_secret", "local.p12", "local.rsa-pss"),
    *("split-tunneling.subnets", "split-tunneling.excluded"),
    *("split-tunneling.block-ipv4", "split-tunneling.block-ipv6"),
}
REQUIRED = {"uuid", "name", "type", "remote.addr"}


def flat(found: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key, value in found.items():
        keys |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return keys


def profile(**more: Any) -> dict[str, Any]:
    return flat(json.loads(text(made("android-strongswan", **more), f"{DEVICE}.sswan")))


@pytest.mark.parametrize("pkcs12", [None, b"<PKCS#12>"])
def test_a_profile_has_only_documented_keys_and_all_required_ones(pkcs12: bytes | None) -> None:
    keys = set(profile(pkcs12=pkcs12))
    assert keys <= DOCUMENTED
    assert keys >= REQUIRED
    assert ("local.p12" in keys) is (pkcs12 is not None)


def test_a_profile_is_for_certificates_and_carries_the_root_for_the_app_alone() -> None:
    found = profile(pkcs12=b"<PKCS#12>")
    assert found["type"] == "ikev2-cert"
    assert (found["remote.addr"], found["remote.id"]) == (HOST, HOST)
    assert base64.b64decode(found["remote.cert"]) == der("clean-root")
    assert base64.b64decode(found["local.p12"]) == b"<PKCS#12>"
    assert found["local.id"] == DEVICE
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found["uuid"])


def test_importing_a_newer_profile_replaces_the_older() -> None:
    assert profile()["uuid"] == profile(certificate=der("windows-p521"))["uuid"]


def test_the_pkcs12_lies_beside_the_profile_too() -> None:
    kit = made("android-strongswan", pkcs12=b"<PKCS#12>")
    assert file(kit, f"{DEVICE}.p12") == b"<PKCS#12>"
