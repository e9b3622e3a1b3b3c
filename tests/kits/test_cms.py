"""Signed profiles, judged by openssl and read back, from a key in a real software TPM."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from ca.encoding.inspect import read_certificate
from tests.house import House
from tests.interop.programs import must, run
from tests.interop.world import der_of

PROFILE = "profile.mobileconfig"


@pytest.fixture(scope="module")
def signed(common_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A copy of the house that has signed a profile."""
    house = common_house.copy(tmp_path_factory.mktemp("signed") / "house")
    house.homeca.must("kit", "--for", "trust", "--out", house.file("kit"))
    (house.file("kit") / "test.mobileconfig").rename(house.file(PROFILE))
    return house


def verify(house: House, profile: Path, root: Path) -> tuple[int, str, bytes]:
    out = profile.with_suffix(".plist")
    done = run(
        "openssl", "cms", "-verify", "-inform", "DER", "-in", profile, "-CAfile", root,
        "-out", out,
    )  # fmt: skip
    return done.returncode, done.stderr, out.read_bytes() if done.returncode == 0 else b""


def test_openssl_verifies_a_profile_up_to_the_root_and_finds_a_property_list(
    signed: House,
) -> None:
    status, said, document = verify(signed, signed.file(PROFILE), signed.home / "certs/root.pem")
    assert status == 0, said
    assert "Verification successful" in said
    payloads = plistlib.loads(document)["PayloadContent"]
    assert payloads[0]["PayloadContent"] == der_of(signed.home / "certs/root.pem")


def test_openssl_refuses_a_profile_in_which_one_octet_was_changed(
    signed: House, tmp_path: Path
) -> None:
    octets = bytearray(signed.file(PROFILE).read_bytes())
    at = octets.index(b"PayloadContent")
    octets[at] ^= 1
    spoilt = tmp_path / PROFILE
    spoilt.write_bytes(octets)
    status, said, _ = verify(signed, spoilt, signed.home / "certs/root.pem")
    assert status != 0
    assert "digest failure" in said or "verification failure" in said.lower()


def test_openssl_refuses_a_profile_whose_signature_was_changed(
    signed: House, tmp_path: Path
) -> None:
    octets = bytearray(signed.file(PROFILE).read_bytes())
    octets[-1] ^= 1  # the last octet of the last SignerInfo
    spoilt = tmp_path / PROFILE
    spoilt.write_bytes(octets)
    assert verify(signed, spoilt, signed.home / "certs/root.pem")[0] != 0


def test_openssl_refuses_a_profile_under_another_root(signed: House, tmp_path: Path) -> None:
    must(
        *("openssl", "req", "-x509", "-noenc", "-newkey", "ec", "-subj", "/CN=Other"),
        *("-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "o.key", "-out", "o.pem"),
        cwd=tmp_path,
    )
    status, said, _ = verify(signed, signed.file(PROFILE), tmp_path / "o.pem")
    assert status != 0
    assert "certificate verify error" in said


def signer(house: House, profile: Path) -> bytes:
    certificates = profile.with_suffix(".pem")
    must(
        "openssl", "cms", "-verify", "-inform", "DER", "-in", profile, "-signer", certificates,
        "-CAfile", house.home / "certs/root.pem", "-out", profile.with_suffix(".out"),
    )  # fmt: skip
    return der_of(certificates)


def test_the_signer_is_a_recorded_certificate_of_a_key_in_the_tpm(signed: House) -> None:
    der = signer(signed, signed.file(PROFILE))
    tbs = read_certificate(der).tbs
    assert tbs.eku == ("1.3.6.1.5.5.7.3.4",)
    assert not tbs.is_ca
    listed = signed.homeca.json("list", "--all")["certificates"]
    (mine,) = (one for one in listed if one["profile"] == "profile-signing")
    assert int(mine["serial"], 16) == tbs.serial
    key = signed.home / "keys/profile-signing.tss"
    assert key.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
    assert key.stat().st_mode & 0o777 == 0o600


def test_the_next_profile_is_signed_by_the_same_certificate(signed: House, tmp_path: Path) -> None:
    signed.homeca.must("kit", "--for", "trust", "--out", tmp_path / "kit")
    again = tmp_path / "kit/test.mobileconfig"
    assert signer(signed, again) == signer(signed, signed.file(PROFILE))


def test_a_revoked_signer_signs_no_more(signed: House, tmp_path: Path) -> None:
    house = signed.copy(tmp_path / "house")
    old = read_certificate(signer(house, house.file(PROFILE))).tbs
    house.homeca.must("revoke", f"{old.serial:x}", "--reason", "keyCompromise")
    house.homeca.must("kit", "--for", "trust", "--out", tmp_path / "kit")
    new = read_certificate(signer(house, tmp_path / "kit/test.mobileconfig")).tbs
    assert new.serial != old.serial
    assert new.spki != old.spki


def test_a_superseded_signer_gets_a_new_certificate_for_its_key(
    signed: House, tmp_path: Path
) -> None:
    house = signed.copy(tmp_path / "house")
    old = read_certificate(signer(house, house.file(PROFILE))).tbs
    house.homeca.must("revoke", f"{old.serial:x}", "--reason", "superseded")
    house.homeca.must("kit", "--for", "trust", "--out", tmp_path / "kit")
    new = read_certificate(signer(house, tmp_path / "kit/test.mobileconfig")).tbs
    assert new.serial != old.serial
    assert new.spki == old.spki


def test_an_unsigned_profile_asks_no_tpm(common_house: House, tmp_path: Path) -> None:
    house = common_house.copy(tmp_path / "house")
    before = {path.name for path in (house.home / "keys").iterdir()}
    house.homeca.must("kit", "--for", "trust", "--unsigned", "--out", tmp_path / "kit")
    profile = tmp_path / "kit/test.mobileconfig"
    assert plistlib.loads(profile.read_bytes())["PayloadType"] == "Configuration"
    assert {path.name for path in (house.home / "keys").iterdir()} == before
    assert verify(house, profile, house.home / "certs/root.pem")[0] != 0
