"""TPM structures read in pure Python: what a TPM wrote, and what no TPM writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.algorithms import EC_P256, EC_P521, RSA_2048, SIGNATURE_ALGORITHMS, KeyKind
from ca.encoding.tpm import (
    BORN_AND_BOUND,
    Attributes,
    PublicArea,
    capability_items,
    signature_value,
    sized,
)
from ca.errors import EncodingError

# Made by swtpm 0.7.1: a P-256 key with ECDSA-SHA256 fixed, its Name as the TPM told it, and the
# SubjectPublicKeyInfo another implementation encoded; a P-256 storage key.
PUBLIC = bytes.fromhex(
    "00580023000b00040472000000100018000b000300100020f05014743506f3a7e5a0f389a08b0c6b0cbf0c6a"
    "fd640aedf51c6574159e0628002027c4923b72a6a906264878dc0108102b2723c5c4157f391fad0f07fabe27"
    "c811"
)
NAME = bytes.fromhex("000b8082ce2ff5a79656ee539481d7a056fec7285055bea4078c68afa01908c1c30d")
SPKI = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004f05014743506f3a7e5a0f389a08b0c6b0c"
    "bf0c6afd640aedf51c6574159e062827c4923b72a6a906264878dc0108102b2723c5c4157f391fad0f07fabe"
    "27c811"
)
STORAGE_KEY = bytes.fromhex(
    "005a0023000b0003047200000006008000430010000300100020d83cd3c50fe4de4627b04663d99c68a994b1"
    "cc216b5bf45364548fa4e31836b0002085b691192e9a4751aab90b6db9d6a5ffca76a3a580bc1c7b3823c111"
    "15aff645"
)

ECDSA = SIGNATURE_ALGORITHMS["sha256_ecdsa"]
RSA = SIGNATURE_ALGORITHMS["sha256_rsa"]


def ec_area(x: bytes, y: bytes, *, curve: int = 3, scheme: bytes = b"\0\x10") -> bytes:
    head = bytes.fromhex("0023000b00040472") + sized(b"") + b"\0\x10" + scheme
    return sized(head + curve.to_bytes(2, "big") + b"\0\x10" + sized(x) + sized(y))


def rsa_area(modulus: bytes, *, bits: int = 2048, exponent: int = 0) -> bytes:
    head = bytes.fromhex("0001000b00040472") + sized(b"") + b"\0\x10" + b"\0\x10"
    return sized(head + bits.to_bytes(2, "big") + exponent.to_bytes(4, "big") + sized(modulus))


def test_a_public_area_has_the_name_and_spki_its_tpm_and_another_implementation_give_it() -> None:
    area = PublicArea.from_tpm2b(PUBLIC)
    assert (area.name, area.spki, area.kind) == (NAME, SPKI, EC_P256)
    assert area.signature_algorithm == ECDSA
    assert area.attributes & BORN_AND_BOUND == BORN_AND_BOUND
    assert Attributes.SIGN in area.attributes
    assert Attributes.DECRYPT not in area.attributes


def test_a_storage_key_is_read_with_its_cipher() -> None:
    area = PublicArea.from_tpm2b(STORAGE_KEY)
    assert area.symmetric == (0x0006, 128, 0x0043)
    assert area.scheme is None
    assert Attributes.RESTRICTED | Attributes.DECRYPT in area.attributes


@pytest.mark.parametrize("cut", [0, 1, 2, 10, len(PUBLIC) - 1])
def test_a_truncated_public_area_is_refused(cut: int) -> None:
    with pytest.raises(EncodingError):
        PublicArea.from_tpm2b(PUBLIC[:cut])


def test_octets_after_a_public_area_are_refused() -> None:
    with pytest.raises(EncodingError, match="1 octets are left over"):
        PublicArea.from_tpm2b(PUBLIC + b"\0")
    with pytest.raises(EncodingError, match="1 octets are left over"):
        PublicArea.from_tpm2b(sized(PUBLIC[2:] + b"\0"))


@given(st.binary(max_size=200))
def test_no_octets_make_a_public_area_fail_in_another_way(octets: bytes) -> None:
    for candidate in (octets, sized(octets), sized(PUBLIC[2:12] + octets)):
        try:
            area = PublicArea.from_tpm2b(candidate)
            assert area.spki
            assert area.signature_algorithm
        except EncodingError:
            pass


def test_a_point_with_leading_zeros_cut_off_is_padded_to_the_curve() -> None:
    short = PublicArea.from_tpm2b(ec_area(b"\x01" * 31, b"\x02" * 32)).spki
    whole = PublicArea.from_tpm2b(ec_area(b"\0" + b"\x01" * 31, b"\x02" * 32)).spki
    assert short == whole


@pytest.mark.parametrize(
    "area",
    [
        ec_area(b"\x01" * 33, b"\x02" * 32),
        ec_area(b"", b""),
        ec_area(b"\x01" * 28, b"\x02" * 28, curve=2),
        rsa_area(b"\x01" * 256),
        rsa_area(b"\xff" * 255),
        rsa_area(b"\xff" * 128, bits=1024),
    ],
    ids=["long-x", "infinity", "p224", "top-bit-clear", "short-modulus", "rsa-1024"],
)
def test_a_key_of_a_shape_or_kind_we_do_not_use_has_no_spki(area: bytes) -> None:
    parsed = PublicArea.from_tpm2b(area)
    with pytest.raises(EncodingError):
        _ = parsed.spki


def test_an_rsa_exponent_of_zero_means_65537() -> None:
    implied = PublicArea.from_tpm2b(rsa_area(b"\xff" * 256))
    assert implied.spki == PublicArea.from_tpm2b(rsa_area(b"\xff" * 256, exponent=65537)).spki
    assert implied.signature_algorithm == RSA


def test_a_scheme_no_certificate_carries_is_refused() -> None:
    schnorr = bytes.fromhex("001c000b")
    with pytest.raises(EncodingError, match="cannot sign certificates"):
        _ = PublicArea.from_tpm2b(
            ec_area(b"\x01" * 32, b"\x02" * 32, scheme=schnorr)
        ).signature_algorithm


# ---------------------------------------------------------------- signatures


def ecdsa(r: bytes, s: bytes, *, head: str = "0018000b") -> bytes:
    return bytes.fromhex(head) + sized(r) + sized(s)


def test_an_ecdsa_signature_becomes_der_with_minimal_integers() -> None:
    octets = ecdsa(b"\0" * 31 + b"\x80", b"\x01" * 32)
    der = signature_value(octets, algorithm=ECDSA, kind=EC_P256)
    assert der == bytes.fromhex("302602020080" + "0220" + "01" * 32)


def test_an_rsa_signature_keeps_its_leading_zeros() -> None:
    signature = b"\0" + b"\x01" * 255
    octets = bytes.fromhex("0014000b") + sized(signature)
    assert signature_value(octets, algorithm=RSA, kind=RSA_2048) == signature


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (ecdsa(b"\0" * 32, b"\x01" * 32), EC_P256),
        (ecdsa(b"\x01" * 32, b""), EC_P256),
        (ecdsa(b"\x01" * 33, b"\x01" * 32), EC_P256),
        (ecdsa(b"\x01" * 67, b"\x01" * 32), EC_P521),
        (ecdsa(b"\x01" * 32, b"\x01" * 32) + b"\0", EC_P256),
        (ecdsa(b"\x01" * 32, b"\x01" * 32)[:-1], EC_P256),
        (ecdsa(b"\x01" * 32, b"\x01" * 32, head="0018000c"), EC_P256),
        (ecdsa(b"\x01" * 32, b"\x01" * 32, head="001c000b"), EC_P256),
        (b"", EC_P256),
    ],
    ids=["r=0", "s=0", "long", "long-p521", "more", "less", "hash", "scheme", "nothing"],
)
def test_a_signature_that_is_not_what_was_asked_for_is_refused(
    octets: bytes, kind: KeyKind
) -> None:
    with pytest.raises(EncodingError):
        signature_value(octets, algorithm=ECDSA, kind=kind)


def test_an_rsa_signature_of_another_length_is_refused() -> None:
    octets = bytes.fromhex("0014000b") + sized(b"\x01" * 255)
    with pytest.raises(EncodingError, match="255 octets under a rsa-2048 key"):
        signature_value(octets, algorithm=RSA, kind=RSA_2048)


# ---------------------------------------------------------------- capabilities


def test_properties_are_read_as_numbers() -> None:
    octets = bytes.fromhex("00000006" + "00000002" + "0000010549424d00" + "00000106" + "53572020")
    assert capability_items(octets) == {0x105: 0x49424D00, 0x106: 0x53572020}


@pytest.mark.parametrize(
    "octets",
    [
        "00000006" + "00000002" + "0000010549424d00",
        "00000006" + "00000001" + "0000010549424d00" + "00",
        "00000005" + "00000000",
        "00000006" + "ffffffff",
    ],
    ids=["too-few", "more", "not-asked", "huge-count"],
)
def test_a_capability_list_that_does_not_add_up_is_refused(octets: str) -> None:
    with pytest.raises(EncodingError):
        capability_items(bytes.fromhex(octets))
