"""Configuration profiles against the keys Apple publishes (client-rules AP1 to AP8)."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ca.encoding.inspect import read_certificate
from ca.errors import KitRefused
from ca.kits import apple
from ca.kits.facts import Server
from tests.kits.kitfacts import DEVICE, HOST, facts, file, made
from tests.lint.lintvectors import der

TEXT, NUMBER, FLAG, OCTETS, LIST, MAP = str, int, bool, bytes, list, dict

#: apple/device-management, mdm/profiles, commit 0a4527c (2026): key -> type, of what we write.
COMMON: dict[str, type] = {
    "PayloadType": TEXT,
    "PayloadVersion": NUMBER,
    "PayloadIdentifier": TEXT,
    "PayloadUUID": TEXT,
    "PayloadDisplayName": TEXT,
}
TOP: dict[str, type] = {
    **COMMON,
    "PayloadContent": LIST,
    "PayloadDescription": TEXT,
    "PayloadOrganization": TEXT,
    "TargetDeviceType": NUMBER,
}
CERTIFICATE: dict[str, type] = {"PayloadCertificateFileName": TEXT, "PayloadContent": OCTETS}
PAYLOADS: dict[str, dict[str, type]] = {
    "com.apple.security.root": CERTIFICATE,
    "com.apple.security.pkcs1": CERTIFICATE,
    "com.apple.security.pkcs12": CERTIFICATE,
    "com.apple.vpn.managed": {"UserDefinedName": TEXT, "VPNType": TEXT, "IKEv2": MAP},
    "com.apple.wifi.managed": {
        "SSID_STR": TEXT,
        "AutoJoin": FLAG,
        "HIDDEN_NETWORK": FLAG,
        "EncryptionType": TEXT,
        "PayloadCertificateUUID": TEXT,
        "EAPClientConfiguration": MAP,
    },
}
IKEV2: dict[str, type] = {
    "RemoteAddress": TEXT,
    "LocalIdentifier": TEXT,
    "RemoteIdentifier": TEXT,
    "AuthenticationMethod": TEXT,
    "CertificateType": TEXT,
    "PayloadCertificateUUID": TEXT,
    "ServerCertificateIssuerCommonName": TEXT,
    "ServerCertificateCommonName": TEXT,
    "EnablePFS": NUMBER,
    "IKESecurityAssociationParameters": MAP,
    "ChildSecurityAssociationParameters": MAP,
}
IKEV2_REQUIRED = {"RemoteAddress", "LocalIdentifier", "RemoteIdentifier", "AuthenticationMethod"}
ASSOCIATION: dict[str, set[Any]] = {
    "EncryptionAlgorithm": {"AES-128", "AES-256", "AES-128-GCM", "AES-256-GCM", "ChaCha20Poly1305"},
    "IntegrityAlgorithm": {"SHA2-256", "SHA2-384", "SHA2-512"},
    "DiffieHellmanGroup": {14, 15, 16, 17, 18, 19, 20, 21, 31, 32},
}
EAP: dict[str, type] = {
    "AcceptEAPTypes": LIST,
    "PayloadCertificateAnchorUUID": LIST,
    "TLSTrustedServerNames": LIST,
    "TLSMinimumVersion": TEXT,
}
UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")

KITS = [("iphone", {}), ("mac", {}), ("trust", {}), ("wifi", {"pkcs12": b"<PKCS#12>"})]


def profile(kind: str, **more: Any) -> dict[str, Any]:
    kit = made(kind, **more)
    name = next(one.name for one in kit.files if one.name.endswith(".mobileconfig"))
    loaded: dict[str, Any] = plistlib.loads(file(kit, name))
    return loaded


def payload(document: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = (p for p in document["PayloadContent"] if p["PayloadType"] == kind)
    return dict(found)


def check(found: dict[str, Any], allowed: Mapping[str, type], required: set[str]) -> None:
    for key, value in found.items():
        assert type(value) is allowed[key], key
    assert required <= set(found)


@pytest.mark.parametrize(("kind", "more"), KITS)
def test_a_profile_has_keys_and_types_that_apple_knows(kind: str, more: dict[str, Any]) -> None:
    document = profile(kind, **more)
    check(document, TOP, {*COMMON, "PayloadContent"} - {"PayloadDisplayName"})
    assert document["PayloadType"] == "Configuration"
    for one in document["PayloadContent"]:
        check(one, COMMON | PAYLOADS[one["PayloadType"]], set(COMMON))
        assert one["PayloadVersion"] == 1
        assert one["PayloadIdentifier"].startswith(document["PayloadIdentifier"] + ".")
    uuids = [document["PayloadUUID"], *(p["PayloadUUID"] for p in document["PayloadContent"])]
    assert all(UUID.fullmatch(one) for one in uuids)
    assert len(set(uuids)) == len(uuids)


@pytest.mark.parametrize("kind", ["iphone", "mac"])
def test_a_vpn_has_every_required_key_and_values_of_apples_lists(kind: str) -> None:
    document = profile(kind)
    vpn = payload(document, "com.apple.vpn.managed")
    assert vpn["VPNType"] == "IKEv2"
    check(vpn["IKEv2"], IKEV2, IKEV2_REQUIRED)
    assert vpn["IKEv2"]["AuthenticationMethod"] == "Certificate"
    for part in ("IKESecurityAssociationParameters", "ChildSecurityAssociationParameters"):
        assert {k: v in ASSOCIATION[k] for k, v in vpn["IKEv2"][part].items()} == dict.fromkeys(
            ASSOCIATION, True
        )
    identity = payload(document, "com.apple.security.pkcs12")
    assert vpn["IKEv2"]["PayloadCertificateUUID"] == identity["PayloadUUID"]


@pytest.mark.parametrize(("kind", "device"), [("iphone", 1), ("mac", 5)])
def test_a_profile_says_which_device_it_is_for(kind: str, device: int) -> None:
    assert profile(kind)["TargetDeviceType"] == device


def test_the_phone_asks_for_the_root_and_names_host_and_itself_as_their_certificates_do() -> None:
    ikev2 = payload(profile("iphone"), "com.apple.vpn.managed")["IKEv2"]
    assert ikev2["ServerCertificateIssuerCommonName"] == "Home Root"
    assert ikev2["RemoteIdentifier"] == ikev2["RemoteAddress"] == HOST
    names = {str(n) for n in read_certificate(der("clean-vpn-client")).tbs.names}
    assert f"DNS:{ikev2['LocalIdentifier']}" in names


@pytest.mark.parametrize(
    ("vector", "kind"),
    [
        ("clean-vpn-client", "ECDSA256"),
        ("clean-tls-server-p384", "ECDSA384"),
        ("windows-p521", "ECDSA521"),
        ("clean-tls-server-rsa", "RSA"),
    ],
)
def test_the_certificate_type_is_that_of_the_key(vector: str, kind: str) -> None:
    assert apple.certificate_type(read_certificate(der(vector)).tbs.key) == kind


def test_a_key_that_apple_does_not_take_is_refused() -> None:
    with pytest.raises(KitRefused, match="none of them"):
        apple.certificate_type(read_certificate(der("clean-tls-server-ed25519")).tbs.key)


@pytest.mark.parametrize(("kind", "more"), KITS)
def test_a_profile_carries_the_root_and_no_password(kind: str, more: dict[str, Any]) -> None:
    document = profile(kind, **more)
    assert payload(document, "com.apple.security.root")["PayloadContent"] == der("clean-root")
    assert "Password" not in {key for one in document["PayloadContent"] for key in one}


def test_an_intermediate_is_no_root_in_a_profile() -> None:
    document = profile("iphone")
    found = payload(document, "com.apple.security.pkcs1")
    assert found["PayloadContent"] == der("clean-intermediate")


def test_a_wifi_trusts_the_root_and_the_server_by_name_only() -> None:
    document = profile("wifi", pkcs12=b"<PKCS#12>")
    wifi = payload(document, "com.apple.wifi.managed")
    eap = wifi["EAPClientConfiguration"]
    check(eap, EAP, {"AcceptEAPTypes"})
    assert eap["AcceptEAPTypes"] == [13]
    root = payload(document, "com.apple.security.root")["PayloadUUID"]
    assert eap["PayloadCertificateAnchorUUID"] == [root]
    assert eap["TLSTrustedServerNames"] == [HOST]
    identity = payload(document, "com.apple.security.pkcs12")["PayloadUUID"]
    assert wifi["PayloadCertificateUUID"] == identity


def test_a_newer_profile_replaces_the_older_and_no_other() -> None:
    renewed = profile("iphone", certificate=der("windows-p521"), name=DEVICE)
    first, other = profile("iphone"), profile("iphone", name="bob-phone.home.arpa")
    assert renewed["PayloadIdentifier"] == first["PayloadIdentifier"] != other["PayloadIdentifier"]
    assert renewed["PayloadUUID"] == first["PayloadUUID"] != other["PayloadUUID"]
    assert profile("mac")["PayloadIdentifier"] != first["PayloadIdentifier"]


def test_a_name_cannot_break_out_of_the_xml() -> None:
    hostile = "</string><key>Evil</key><string>&x;"
    document = profile("iphone", name=hostile)
    identity = payload(document, "com.apple.security.pkcs12")
    assert identity["PayloadDisplayName"] == hostile
    assert "Evil" not in str(document["PayloadContent"][0].keys())


def test_a_name_with_control_characters_is_shown_and_not_refused() -> None:
    document = profile("iphone", name="a\x00b\x1b[2J")
    identity = payload(document, "com.apple.security.pkcs12")
    assert identity["PayloadDisplayName"] == "a\\x00b\\x1b[2J"


def test_without_a_name_in_san_there_is_no_identity_for_ikev2() -> None:
    with pytest.raises(KitRefused, match="no name in subjectAltName"):
        made("iphone", certificate=der("client-without-san"))


def test_a_radius_server_by_address_is_refused() -> None:
    with pytest.raises(KitRefused, match="known by a host name"):
        made("wifi", servers=(Server("192.168.1.1", "x", is_address=True),))


@pytest.mark.parametrize("ssid", ["", "x" * 33, "ü" * 17, "a\nb"])
def test_a_wifi_without_a_possible_name_is_refused(ssid: str) -> None:
    with pytest.raises(KitRefused, match="1 to 32 octets"):
        made("wifi", ssid=ssid)


def test_what_is_signed_is_the_profile_that_is_shipped() -> None:
    from ca.kits.building import build

    asked: list[bytes] = []

    def sign(octets: bytes) -> bytes:
        asked.append(octets)
        return b"signed:" + octets

    kit = build(facts("trust"), sign)
    (document,) = asked
    assert file(kit, "home.mobileconfig") == b"signed:" + document
