"""What certreq and PowerShell get: the INF as homeca's own parser reads it, and the scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ca.encoding.inf_request import parse_inf
from ca.errors import KitRefused
from ca.kits.facts import WINDOWS_TEMPLATE, KitFacts, read_template
from ca.profiles.library import Library
from ca.profiles.parse import parse_profile
from ca.profiles.render import RenderContext, render
from tests.kits.kitfacts import DEVICE, facts, file, made
from tests.lint.lintvectors import der

KINDS = ["openvpn-windows-tpm", "windows-ikev2"]


def script(kit: Any, name: str) -> str:
    octets = file(kit, name)
    assert octets.startswith(b"\xef\xbb\xbf")
    assert octets.count(b"\n") == octets.count(b"\r\n")
    return octets.decode("utf-8-sig").replace("\r\n", "\n")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["ec-p256", "ec-p384"])
def test_the_inf_asks_for_a_key_in_the_tpm_that_cannot_leave(kind: str, key: str) -> None:
    inf = parse_inf(file(made(kind, key=key), "request.inf"), source="request.inf")
    assert str(inf.subject) == f"CN={DEVICE}"
    assert [str(name) for name in inf.names] == [f"DNS:{DEVICE}"]
    assert inf.kind.name == key
    assert inf.machine is True
    assert inf.friendly_name == DEVICE
    assert not inf.ignored
    assert b'ProviderName = "Microsoft Platform Crypto Provider"' in file(made(kind), "request.inf")


@pytest.mark.parametrize(
    ("name", "san"),
    [
        ("laptop.home.arpa", ["DNS:laptop.home.arpa"]),
        ("alice@home.arpa", ["email:alice@home.arpa"]),
        ("Alice Laptop", []),
    ],
)
def test_the_inf_repeats_a_name_where_it_can_be_an_alternative_one(
    name: str, san: list[str]
) -> None:
    inf = parse_inf(file(made(KINDS[0], name=name), "request.inf"), source="x")
    assert [str(one) for one in inf.names] == san
    assert str(inf.subject) == f"CN={name}"


@pytest.mark.parametrize("key", ["rsa-2048", "ec-p521", "ed25519", "x"])
def test_a_key_that_tpm_or_client_may_not_take_is_refused(key: str) -> None:
    with pytest.raises(KitRefused, match="is not for a TPM"):
        made(KINDS[0], key=key)


@pytest.mark.parametrize(
    ("machine", "store", "flag"),
    [(True, "LocalMachine", "-machine"), (False, "CurrentUser", "-user")],
)
def test_the_certificate_goes_to_the_store_its_key_is_in(
    machine: bool, store: str, flag: str
) -> None:
    kit = made("openvpn-windows-tpm", machine=machine)
    accept = script(kit, "2-accept.ps1")
    assert f"$place = '{store}'" in accept
    assert f"certreq.exe -accept '{flag}' " in accept
    inf = parse_inf(file(kit, "request.inf"), source="x")
    assert inf.machine is machine
    assert ("#Requires -RunAsAdministrator" in accept) is machine


def test_the_root_is_removed_again_for_openvpn_and_stays_for_ikev2() -> None:
    openvpn = script(made("openvpn-windows-tpm"), "2-accept.ps1")
    assert "$keep = $KeepRoot -or $false" in openvpn
    assert "$keep = $KeepRoot -or $true" in script(made("windows-ikev2"), "2-accept.ps1")
    # in `finally`: also when certreq fails
    assert re.search(r"finally \{.*\$store\.Remove\(\$one\[1\]\)", openvpn, re.DOTALL)


@pytest.mark.parametrize("kind", KINDS)
def test_no_root_is_imported_but_the_one_the_kit_was_made_with(kind: str) -> None:
    accept = script(made(kind), "2-accept.ps1")
    expected = facts(kind).fingerprint.replace(":", "")
    assert f"-ne '{expected}') {{ throw " in accept
    assert accept.index(expected) < accept.index(".Add(")


def test_the_tpm_is_asked_what_it_can_before_certreq_is() -> None:
    request = script(made("openvpn-windows-tpm", key="ec-p384"), "1-request.ps1")
    assert "$algorithm = 'ECDSA_P384'" in request
    assert request.index("-csptest") < request.index("certreq.exe -new")
    assert "-split 'BCryptEnumAlgorithms'" in request


def test_the_check_finds_an_algorithm_of_the_tpm_and_none_of_software() -> None:
    """The script's own expression over the shape of certutil's listing."""
    request = script(made("openvpn-windows-tpm"), "1-request.ps1")
    pattern = re.search(r"Matches\(\$able, '(.+?)'\)", request)
    assert pattern is not None
    listing = (
        "Provider Name: Microsoft Platform Crypto Provider\r\n  Asymmetric Encryption Algorithms:"
        "\r\n   RSA\r\n    BCRYPT_ASYMMETRIC_ENCRYPTION_INTERFACE -- 3\r\n\r\n   ECDSA_P256\r\n"
        "    NCRYPT_SIGNATURE_OPERATION -- 10 (16)\r\n  Pass\r\n\r\nBCryptEnumAlgorithms:\r\n"
        "  Signature Algorithms:\r\n    ECDSA_P256\r\n    ECDSA_P384\r\n"
    )
    able = listing.split("BCryptEnumAlgorithms")[0]
    assert re.findall(pattern[1], able) == ["RSA", "ECDSA_P256"]
    assert "ECDSA_P384" in re.findall(pattern[1], listing)


@pytest.mark.parametrize("kind", [*KINDS, "trust"])
def test_a_script_stops_at_the_first_error_and_its_brackets_match(kind: str) -> None:
    kit = made(kind)
    scripts = [one.name for one in kit.files if one.name.endswith(".ps1")]
    assert scripts
    for name in scripts:
        source = script(kit, name)
        assert "$ErrorActionPreference = 'Stop'" in source
        code = re.sub(r"#.*|'(?:[^']|'')*'", "", source)
        for opening, closing in ("()", "{}", "[]"):
            assert code.count(opening) == code.count(closing), name


def test_a_users_ikev2_connection_is_refused() -> None:
    with pytest.raises(KitRefused, match="machine certificates only"):
        made("windows-ikev2", machine=False)


def test_a_windows_connection_uses_strong_groups_and_this_root() -> None:
    connect = script(made("windows-ikev2"), "3-connect.ps1")
    assert "-AuthenticationMethod MachineCertificate" in connect
    assert "-MachineCertificateIssuerFilter $root" in connect
    assert "-DHGroup ECP384" in connect


# ---------------------------------------------------------------- cryptoapicert


def ovpn(**more: Any) -> str:
    return file(made("openvpn-windows-tpm", **more), f"{DEVICE}.ovpn").decode()


def test_a_renewed_certificate_is_found_by_the_template_of_the_profile() -> None:
    template = Library().template("vpn-client-windows")
    profile = parse_profile(
        render(template, RenderContext()), name=template.name, source=template.source
    )
    (extension,) = (d for d in profile.extensions if d.oid == "1.3.6.1.4.1.311.21.7")
    assert isinstance(extension.value, bytes)

    assert read_template(extension.value) == WINDOWS_TEMPLATE
    assert f'cryptoapicert "TMPL:{WINDOWS_TEMPLATE}"' in ovpn()


def test_every_arc_of_the_template_is_one_that_windows_is_known_to_read() -> None:
    assert all(int(arc) < 1 << 24 for arc in WINDOWS_TEMPLATE.split("."))


def test_the_template_is_the_one_in_the_certificate() -> None:
    found = facts("openvpn-windows-tpm", certificate=der("clean-vpn-client-windows")).template
    assert found == "1.3.6.1.4.1.311.21.8.1"
    assert f'"TMPL:{found}"' in ovpn(certificate=der("clean-vpn-client-windows"))


def test_without_a_template_the_certificate_is_found_by_its_thumbprint() -> None:
    import hashlib

    certificate = der("clean-vpn-client")
    thumb = hashlib.sha1(certificate, usedforsecurity=False).hexdigest()
    assert f'cryptoapicert "THUMB:{thumb}"' in ovpn(certificate=certificate)
    assert "TMPL:" not in ovpn(certificate=certificate)


@pytest.mark.parametrize("value", [b"", b"\x30\x00", b"\x30\x03\x02\x01\x01", b"\x04\x00", b"\x30"])
def test_a_template_that_is_none_is_no_template(value: bytes) -> None:

    assert read_template(value) is None


def test_facts_need_no_certificate() -> None:
    assert KitFacts(kind="trust", name="", root=der("clean-root")).tbs is None
