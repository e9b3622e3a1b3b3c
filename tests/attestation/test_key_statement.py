"""A statement that a key is bound to its TPM: a good one passes, each mutant of it fails (T16)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from ca.algorithms import EC_P256, EC_P384, KEY_KINDS
from ca.attestation.document import pack, unpack, verify_document, write_document
from ca.attestation.key_statement import verify_key_statement
from ca.encoding.attest import about_key
from ca.errors import PinWrong, StatementRefused
from ca.interfaces.custody import SealedKey
from ca.interfaces.ledger import Attested, KeyAttestation
from ca.interfaces.values import Secret
from ca.keys.tpm.custody import TpmCustody
from tests.attestation.certificate import self_signed
from tests.attestation.forge import Key, Words, signed, sized
from tests.interop.programs import require
from tests.keys.tpm.lab import Lab

PIN = Secret(b"correct horse")
KEY_ATTRIBUTES = 0x00040472  # sign, noDA, userWithAuth, the three origins


# ---------------------------------------------------------------- what a real TPM says


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> TpmCustody:
    require("swtpm")
    place = tmp_path_factory.mktemp("attestation")
    return Lab(place / "tpm", place / "lock").custody()


@pytest.fixture(scope="module")
def sealed(tpm: TpmCustody) -> SealedKey:
    return tpm.create(EC_P384, pin=PIN, attest=True)


def birth(sealed: SealedKey) -> KeyAttestation:
    assert sealed.attestation is not None
    return sealed.attestation


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p521", "rsa-2048"])
def test_a_key_of_any_kind_is_proven_at_birth(tpm: TpmCustody, kind: str) -> None:
    sealed = tpm.create(KEY_KINDS[kind], pin=None, attest=True)
    proven = verify_key_statement(birth(sealed), spki=sealed.spki)
    assert proven.at_birth
    assert proven.firmware == 0x2019102300163636


def test_a_key_is_proven_later_for_a_nonce(tpm: TpmCustody, sealed: SealedKey) -> None:
    said = tpm.certify(sealed.pem, spki=sealed.spki, pin=PIN, qualifying=about_key(b"fresh nonce"))
    proven = verify_key_statement(said, spki=sealed.spki, nonce=b"fresh nonce")
    assert not proven.at_birth
    at_birth = verify_key_statement(birth(sealed), spki=sealed.spki)
    assert proven.attestation_key == at_birth.attestation_key
    assert proven.reset_count > at_birth.reset_count


def test_a_statement_for_another_nonce_proves_nothing(tpm: TpmCustody, sealed: SealedKey) -> None:
    said = tpm.certify(sealed.pem, spki=sealed.spki, pin=PIN, qualifying=about_key(b"one"))
    with pytest.raises(StatementRefused, match="another nonce"):
        verify_key_statement(said, spki=sealed.spki, nonce=b"two")


def test_asking_about_a_key_needs_its_pin(tpm: TpmCustody, sealed: SealedKey) -> None:
    with pytest.raises(PinWrong):
        tpm.certify(sealed.pem, spki=sealed.spki, pin=Secret(b"wrong"), qualifying=b"")


def test_a_statement_about_another_key_proves_nothing(tpm: TpmCustody, sealed: SealedKey) -> None:
    other = tpm.create(EC_P256, pin=None, attest=True)
    with pytest.raises(StatementRefused, match="another key than the certificate names"):
        verify_key_statement(birth(sealed), spki=other.spki)


def test_two_tpms_have_attestation_keys_of_their_own(
    tpm: TpmCustody, sealed: SealedKey, tmp_path: Path
) -> None:
    other = Lab(tmp_path / "tpm", tmp_path / "lock").custody()
    key = other.create(EC_P256, pin=None, attest=True)
    assert birth(key).attestation_key != birth(sealed).attestation_key


def test_no_bit_of_a_real_statement_can_be_changed(sealed: SealedKey) -> None:
    said = birth(sealed)
    mutants = []
    for name in ("attestation_key", "public", "creation"):
        octets = getattr(said, name)
        mutants += [with_part(said, name, flipped(octets, at)) for at in range(len(octets))]
    for name in ("attest", "signature"):
        octets = getattr(said.attested, name)
        mutants += [
            replace(said, attested=replace(said.attested, **{name: flipped(octets, at)}))
            for at in range(len(octets))
        ]
    assert len(mutants) > 500
    for mutant in mutants:
        with pytest.raises(StatementRefused):
            verify_key_statement(mutant, spki=sealed.spki)
    assert verify_key_statement(said, spki=sealed.spki)


def test_no_part_of_a_real_statement_can_be_cut_short_or_go_on(sealed: SealedKey) -> None:
    said = birth(sealed)
    for name in ("attestation_key", "public", "creation"):
        for octets in (getattr(said, name)[:-1], getattr(said, name) + b"\0"):
            with pytest.raises(StatementRefused):
                verify_key_statement(with_part(said, name, octets), spki=sealed.spki)


def with_part(said: KeyAttestation, name: str, octets: bytes) -> KeyAttestation:
    changes: dict[str, Any] = {name: octets}
    return replace(said, **changes)


def flipped(octets: bytes, at: int) -> bytes:
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)


# ---------------------------------------------------------------- what no TPM would say

SIGNER = Key()
SUBJECT = Key(attributes=KEY_ATTRIBUTES)
CREATION = (
    (0).to_bytes(4, "big")
    + sized(hashlib.sha256().digest())
    + b"\x01"
    + b"\x00\x0b"
    + sized(b"\x00\x0b" + b"p" * 32)
    + sized(b"\x00\x0b" + b"q" * 32)
    + sized(b"")
)
NONCE = b"nonce"


def spki_of(key: Key) -> bytes:
    return key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def at_birth(signer: Key = SIGNER, subject: Key = SUBJECT) -> Words:
    return Words(
        signer=signer.qualified_name,
        extra=about_key(NONCE),
        type=0x801A,
        name=subject.name,
        rest=sized(hashlib.sha256(CREATION).digest()),
    )


def later() -> Words:
    return at_birth().having(type=0x8017, rest=sized(b"\x00\x0b" + b"q" * 32))


def statement(
    words: Words,
    *,
    signer: Key = SIGNER,
    subject: Key = SUBJECT,
    creation: bytes = sized(CREATION),
    shown: Key | None = None,
) -> KeyAttestation:
    """All signed with a good signature of `signer`. shown: another attestation key."""
    return KeyAttestation(
        attestation_key=(shown or signer).public,
        public=subject.public,
        attested=signed(words, signer),
        creation=creation,
    )


def judge(said: KeyAttestation, subject: Key = SUBJECT) -> list[str]:
    """The rules that are broken; none when it is good."""
    try:
        verify_key_statement(said, spki=spki_of(subject), nonce=NONCE)
    except StatementRefused as error:
        return [violation.rule.removeprefix("statement.") for violation in error.violations]
    return []


def test_the_forger_can_make_a_statement_that_passes() -> None:
    """So that each mutant below fails for its one fault alone."""
    assert judge(statement(at_birth())) == []
    assert judge(statement(later(), creation=b"")) == []


Mutation = Callable[[Words], Words]


@pytest.mark.parametrize(
    ("mutate", "rule"),
    [
        (lambda w: w.having(magic=0xFF544348), "attest"),
        (lambda w: w.having(magic=0), "attest"),
        (lambda w: w.having(type=0x8014), "attest"),
        (lambda w: w.having(type=0x8018), "attest"),
        (lambda w: w.having(type=0x8017), "type creation"),
        (lambda w: w.having(signer=b""), "signer"),
        (lambda w: w.having(signer=SIGNER.name), "signer"),
        (lambda w: w.having(signer=SUBJECT.qualified_name), "signer"),
        (lambda w: w.having(extra=b""), "qualifying"),
        (lambda w: w.having(extra=NONCE), "qualifying"),
        (lambda w: w.having(extra=about_key(b"other")), "qualifying"),
        (lambda w: w.having(name=SIGNER.name), "name"),
        (lambda w: w.having(name=b""), "name"),
        (lambda w: w.having(rest=sized(b"\0" * 32)), "creation"),
        (lambda w: w.having(rest=sized(b"")), "creation"),
        (lambda w: w.having(clock=w.clock[:-1] + b"\x02"), "attest"),
        (lambda w: w.having(tail=b"\0"), "attest"),
        (lambda w: w.having(rest=w.rest[:-1]), "attest"),
    ],
)
def test_each_field_of_the_signed_words_must_be_right(mutate: Mutation, rule: str) -> None:
    assert judge(statement(mutate(at_birth()))) == rule.split()


def test_a_later_statement_does_not_pass_for_one_at_birth() -> None:
    assert judge(statement(later())) == ["type", "creation"]


def test_a_statement_at_birth_needs_its_creation_data() -> None:
    assert judge(statement(at_birth(), creation=b"")) == ["type"]
    assert judge(statement(at_birth(), creation=b"\0")) == ["malformed"]
    other = sized(CREATION[:-2] + sized(b"x"))
    assert judge(statement(at_birth(), creation=other)) == ["creation"]


@pytest.mark.parametrize(
    ("attributes", "rules"),
    [
        (KEY_ATTRIBUTES & ~0x02, ["key-origin"]),
        (KEY_ATTRIBUTES & ~0x10, ["key-origin"]),
        (KEY_ATTRIBUTES & ~0x20, ["key-origin"]),
        (KEY_ATTRIBUTES & ~0x32, ["key-origin"] * 3),
        (KEY_ATTRIBUTES & ~0x40000, ["key-usage"]),
        (KEY_ATTRIBUTES | 0x20000, ["key-usage"]),
        (KEY_ATTRIBUTES | 0x10000, ["key-restricted"]),
    ],
)
def test_each_attribute_of_the_key_must_be_right(attributes: int, rules: list[str]) -> None:
    """An imported software key may claim sensitiveDataOrigin: all three origins are asked for."""
    subject = SUBJECT.having(attributes=attributes)
    words = at_birth(subject=subject)
    assert judge(statement(words, subject=subject), subject) == rules


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"attributes": SIGNER.attributes & ~0x02}, ["ak-origin"]),
        ({"attributes": SIGNER.attributes & ~0x10}, ["ak-origin"]),
        ({"attributes": SIGNER.attributes & ~0x20}, ["ak-origin"]),
        ({"attributes": SIGNER.attributes & ~0x10000}, ["ak-restricted"]),
        ({"attributes": SIGNER.attributes & ~0x40000}, ["ak-usage"]),
        ({"attributes": SIGNER.attributes | 0x20000}, ["ak-usage"]),
        ({"scheme": bytes.fromhex("0010")}, ["ak-algorithm"]),
        ({"scheme": bytes.fromhex("0018000c")}, ["ak-algorithm"]),
    ],
)
def test_each_property_of_the_attestation_key_must_be_right(
    changes: dict[str, object], rules: list[str]
) -> None:
    signer = SIGNER.having(**changes)
    assert judge(statement(at_birth(signer), signer=signer)) == rules


def test_a_signature_by_another_key_proves_nothing() -> None:
    assert judge(statement(at_birth(), shown=Key())) == ["signature", "signer"]


def test_a_signature_of_another_scheme_or_form_proves_nothing() -> None:
    words = at_birth()
    good = signed(words, SIGNER)
    for signature in (
        signed(words, SIGNER, algorithms=bytes.fromhex("0018000c")).signature,
        signed(words, SIGNER, algorithms=bytes.fromhex("0014000b")).signature,
        good.signature + b"\0",
        good.signature[:-1],
        bytes.fromhex("0018000b") + sized(b"\0" * 32) + sized(b"\0" * 32),
        b"",
    ):
        said = replace(statement(words), attested=Attested(attest=good.attest, signature=signature))
        assert judge(said) == ["signature"]


def test_a_key_whose_name_is_not_the_attested_one_is_refused() -> None:
    other = SUBJECT.having(private=ec.generate_private_key(ec.SECP256R1()))
    said = statement(at_birth(), subject=other)
    assert judge(said, other) == ["name"]
    assert judge(said) == ["key", "name"]


# ---------------------------------------------------------------- as a file


@pytest.fixture(scope="module")
def document(tpm: TpmCustody) -> tuple[str, str]:
    """A statement about a key with a certificate of its own, and the attestation key's name."""
    sealed = tpm.create(EC_P256, pin=None, attest=True)
    der = self_signed(sealed, tpm)
    said = birth(sealed)
    text = write_document([(der, said)])
    proven = verify_document(text)
    return text, proven[0].key.attestation_key.hex()


def test_a_document_says_whose_key_is_proven_and_by_whom(document: tuple[str, str]) -> None:
    text, name = document
    (one,) = verify_document(text, nonce=b"", attestation_key=bytes.fromhex(name))
    assert str(one.certificate.tbs.subject) == "CN=attested"


def test_a_document_signed_by_another_tpm_is_refused_when_one_is_named(
    document: tuple[str, str],
) -> None:
    with pytest.raises(StatementRefused, match="another attestation key"):
        verify_document(document[0], attestation_key=b"\x00\x0b" + b"x" * 32)


def test_a_document_for_no_nonce_is_refused_when_one_was_asked_for(
    document: tuple[str, str],
) -> None:
    with pytest.raises(StatementRefused, match="another nonce"):
        verify_document(document[0], nonce=b"mine")


def test_a_nonce_written_into_a_document_is_not_believed(document: tuple[str, str]) -> None:
    table = json.loads(document[0]) | {"nonce": b"mine".hex()}
    with pytest.raises(StatementRefused, match="signed with another nonce"):
        verify_document(json.dumps(table), nonce=b"mine")


@pytest.mark.parametrize(
    "change",
    [
        {"homeca": "key statement 2"},
        {"keys": []},
        {"keys": {}},
        {"keys": [1]},
        {"keys": [{}]},
        {"keys": [[]] * 65},
        {"nonce": 5},
        {"nonce": "xx"},
    ],
)
def test_a_document_of_another_form_is_refused(
    document: tuple[str, str], change: dict[str, object]
) -> None:
    with pytest.raises(StatementRefused):
        verify_document(json.dumps(json.loads(document[0]) | change))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100000, "x" * (1 << 19)])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(StatementRefused):
        verify_document(text)


@pytest.mark.parametrize(
    "field", ["certificate", "attestation_key", "public", "attest", "signature", "creation"]
)
def test_each_field_of_a_document_is_needed_and_must_be_base64(
    document: tuple[str, str], field: str
) -> None:
    table = json.loads(document[0])
    for value in (None, 5, "!", "AAAA", table["keys"][0][field] + "A"):
        row = table["keys"][0] | {field: value}
        with pytest.raises(StatementRefused):
            verify_document(json.dumps(table | {"keys": [row]}))


def test_a_statement_survives_being_kept(sealed: SealedKey) -> None:
    said = birth(sealed)
    assert unpack(json.loads(json.dumps(pack(said)))) == said
