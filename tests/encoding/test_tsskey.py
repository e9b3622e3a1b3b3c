"""TSS2 PRIVATE KEY files: written as tpm2-openssl wants them, read strictly."""

from __future__ import annotations

import base64
import contextlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.encoding.tpm import sized
from ca.encoding.tsskey import PARENT_OWNER, PARENT_SRK, TssKey
from ca.errors import KeyFileMalformed

KEY = TssKey(public=sized(b"public"), private=sized(b"private"), empty_auth=True)
LOADABLE = bytes.fromhex("06066781050a0103")


def sequence(*parts: bytes) -> bytes:
    body = b"".join(parts)
    assert len(body) < 128
    return b"\x30" + bytes([len(body)]) + body


EMPTY_AUTH = bytes.fromhex("a0030101ff")
PARENT = bytes.fromhex("02050081000001")
PUBLIC, PRIVATE = b"\x04\x08" + sized(b"public"), b"\x04\x09" + sized(b"private")


def test_the_der_is_exactly_five_fields() -> None:
    assert KEY.to_der() == sequence(LOADABLE, EMPTY_AUTH, PARENT, PUBLIC, PRIVATE)


def test_openssl_reads_the_same_structure() -> None:
    shown = subprocess.run(
        ["openssl", "asn1parse", "-inform", "PEM"],
        input=KEY.to_pem(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "2.23.133.10.1.3" in shown
    assert shown.count("OCTET STRING") == 2


@pytest.mark.parametrize("empty_auth", [True, False])
@pytest.mark.parametrize("parent", [PARENT_SRK, PARENT_OWNER])
def test_what_was_written_is_read_back(empty_auth: bool, parent: int) -> None:
    key = TssKey(public=KEY.public, private=KEY.private, empty_auth=empty_auth, parent=parent)
    assert TssKey.from_pem(key.to_pem()) == key


def test_true_as_one_is_read_for_tpm2_openssl_writes_it_so() -> None:
    der = sequence(LOADABLE, bytes.fromhex("a003010101"), PARENT, PUBLIC, PRIVATE)
    assert TssKey.from_der(der) == KEY


def test_an_absent_empty_auth_means_there_is_a_pin() -> None:
    assert not TssKey.from_der(sequence(LOADABLE, PARENT, PUBLIC, PRIVATE)).empty_auth


@pytest.mark.parametrize(
    ("der", "reason"),
    [
        (sequence(LOADABLE[:-1] + b"\x04", EMPTY_AUTH, PARENT, PUBLIC, PRIVATE), "importable"),
        (sequence(LOADABLE[:-1] + b"\x05", EMPTY_AUTH, PARENT, PUBLIC, PRIVATE), "sealed"),
        (sequence(LOADABLE[:-1] + b"\x06", EMPTY_AUTH, PARENT, PUBLIC, PRIVATE), "its type is"),
        (
            sequence(
                LOADABLE,
                EMPTY_AUTH,
                bytes.fromhex("a10f300d300ba0040202016ba103040100"),
                PARENT,
                PUBLIC,
                PRIVATE,
            ),
            "'policy'",
        ),
        (
            sequence(LOADABLE, EMPTY_AUTH, b"\xa2\x04\x04\x02ab", PARENT, PUBLIC, PRIVATE),
            "'secret'",
        ),
        (
            sequence(LOADABLE, EMPTY_AUTH, bytes.fromhex("a5030101ff"), PARENT, PUBLIC, PRIVATE),
            "'rsa_parent'",
        ),
        (
            sequence(LOADABLE, EMPTY_AUTH, b"\xa4\x04\x0c\x02ab", PARENT, PUBLIC, PRIVATE),
            "fields homeca does not know",
        ),
        (
            sequence(LOADABLE, EMPTY_AUTH, bytes.fromhex("02050081000002"), PUBLIC, PRIVATE),
            "its parent is 0x81000002",
        ),
        (
            sequence(LOADABLE, EMPTY_AUTH, PARENT, b"\x04\x08\x00\x07public", PRIVATE),
            "a length in it does not fit",
        ),
        (sequence(LOADABLE, EMPTY_AUTH, PARENT, PUBLIC, PRIVATE) + b"\0", "ASN.1"),
        (sequence(LOADABLE, EMPTY_AUTH, PARENT, PUBLIC), "ASN.1"),
        (
            sequence(LOADABLE, bytes.fromhex("a003010102"), PARENT, PUBLIC, PRIVATE),
            "not in DER",
        ),
        (
            sequence(LOADABLE, EMPTY_AUTH, bytes.fromhex("0206000081000001"), PUBLIC, PRIVATE),
            "not in DER",
        ),
        (b"", "ASN.1"),
        (b"\x30\x80" * 4000, "ASN.1"),
        (b"\x30" * 20000, "far too many"),
    ],
    ids=[
        *("importable", "sealed", "unknown", "policy", "secret", "rsa-parent", "description"),
        *("parent", "length", "more", "less", "boolean-2", "integer", "empty", "deep", "huge"),
    ],
)
def test_what_is_not_a_loadable_key_without_policy_is_refused(der: bytes, reason: str) -> None:
    with pytest.raises(KeyFileMalformed, match=reason) as caught:
        TssKey.from_der(der)
    assert caught.value.remedy


@given(st.integers(0, 60), st.integers(0, 255))
def test_one_changed_octet_never_fails_in_another_way(at: int, value: int) -> None:
    der = bytearray(KEY.to_der())
    der[at % len(der)] = value
    with contextlib.suppress(KeyFileMalformed):
        assert TssKey.from_der(bytes(der))


@given(st.binary(max_size=120))
def test_no_octets_fail_in_another_way(octets: bytes) -> None:
    for candidate in (octets, sequence(LOADABLE, octets[:100])):
        with pytest.raises(KeyFileMalformed):
            TssKey.from_der(candidate)


def armored(label: str, body: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + body + f"\n-----END {label}-----\n".encode()


GOOD = base64.b64encode(KEY.to_der())


def test_line_ends_of_windows_and_space_around_are_no_error() -> None:
    assert TssKey.from_pem(b"\n" + KEY.to_pem().replace(b"\n", b"\r\n") + b"\n") == KEY


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (armored("EC PRIVATE KEY", GOOD), "'EC PRIVATE KEY', not a 'TSS2 PRIVATE KEY'"),
        (armored("TSS2 PRIVATE KEY", GOOD[:-5] + b"="), "base64|ASN.1"),
        (armored("TSS2 PRIVATE KEY", b"!" + GOOD), "not one PEM block"),
        (KEY.to_pem() * 2, "not one PEM block"),
        (b"text before\n" + KEY.to_pem(), "not one PEM block"),
        (KEY.to_pem()[:-10], "not one PEM block"),
        (KEY.to_der(), "not one PEM block"),
        (b" " * 40000, "far too many"),
    ],
    ids=["plain", "base64", "character", "two", "text", "cut", "der", "huge"],
)
def test_what_is_not_one_pem_block_of_a_tpm_key_is_refused(pem: bytes, reason: str) -> None:
    with pytest.raises(KeyFileMalformed, match=reason):
        TssKey.from_pem(pem)
