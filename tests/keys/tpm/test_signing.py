"""Keys made in a real TPM, signatures judged by another implementation."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from ca.algorithms import (
    EC_P256,
    EC_P384,
    EC_P521,
    ED25519,
    RSA_2048,
    RSA_3072,
    RSA_4096,
    KeyKind,
    signature_algorithm,
)
from ca.encoding.tpm import Attributes, PublicArea
from ca.encoding.tsskey import TssKey
from ca.errors import KeyKindUnsupported, PinNeeded, PinUnusable, PinWrong
from ca.interfaces.custody import CustodyKind
from ca.interfaces.values import Secret
from tests.keys.tpm.lab import PIN, Lab, verify
from tests.keys.tpm.links import Recorder, is_running

# StartAuthSession, Load; Shutdown: objects and sessions end with a TPM of our own
BEFORE, AFTER = [0x176, 0x157], [0x145]
SIGN = 0x15D


@pytest.mark.parametrize("kind", [EC_P256, EC_P384, EC_P521, RSA_2048, RSA_3072], ids=str)
def test_a_signature_verifies_in_another_implementation(lab: Lab, kind: KeyKind) -> None:
    key = lab.pin().create(kind, pin=PIN)
    with lab.custody().open(key.pem, spki=key.spki, pin=PIN) as signer:
        signature = signer.sign(b"to be signed")
        assert (signer.algorithm, signer.spki) == (signature_algorithm(kind), key.spki)
    verify(key.spki, signature, b"to be signed", signature_algorithm(kind))
    with pytest.raises(InvalidSignature):
        verify(key.spki, signature, b"never signed", signature_algorithm(kind))


@pytest.mark.parametrize("kind", [EC_P256, EC_P521, RSA_2048], ids=str)
def test_the_spki_is_the_one_another_implementation_encodes(lab: Lab, kind: KeyKind) -> None:
    key = lab.custody().create(kind, pin=None)
    public = load_der_public_key(key.spki)
    again = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert again == key.spki


def test_a_new_key_is_bound_to_its_tpm_and_can_only_sign(lab: Lab) -> None:
    key = lab.custody().create(EC_P256, pin=None)
    area = PublicArea.from_tpm2b(TssKey.from_pem(key.pem).public)
    assert area.attributes == (
        Attributes.FIXED_TPM
        | Attributes.FIXED_PARENT
        | Attributes.SENSITIVE_DATA_ORIGIN
        | Attributes.USER_WITH_AUTH
        | Attributes.NO_DA
        | Attributes.SIGN
    )
    assert area.scheme == (0x0018, 0x000B)


@pytest.mark.parametrize("kind", [RSA_4096, ED25519], ids=str)
def test_a_kind_this_tpm_cannot_make_is_refused_with_those_it_can(lab: Lab, kind: KeyKind) -> None:
    with pytest.raises(KeyKindUnsupported) as caught:
        lab.custody().create(kind, pin=None)
    assert caught.value.problem.startswith(f"{kind} is not possible here")
    assert "ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072" in caught.value.remedy


@pytest.mark.parametrize("count", [1, 5])
def test_a_transaction_sends_three_commands_and_one_per_signature(lab: Lab, count: int) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    record = Recorder()
    with lab.custody(around=record.around).open(key.pem, spki=key.spki, pin=PIN) as signer:
        for number in range(count):
            signer.sign(b"%d" % number)
    assert record.codes == BEFORE + [SIGN] * count + AFTER


def test_neither_pin_nor_digest_crosses_the_wire_in_clear(lab: Lab) -> None:
    record = Recorder()
    custody = lab.custody(around=record.around)
    key = custody.create(EC_P256, pin=PIN)
    with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
        signer.sign(b"octets")
    wire = b"|".join(record.sent + record.received)
    assert PIN.reveal() not in wire
    assert hashlib.sha256(b"octets").digest() not in wire
    public = PublicArea.from_tpm2b(TssKey.from_pem(key.pem).public)
    assert public.unique[0] in wire  # the recorder does see what is not encrypted


def test_a_wrong_pin_is_told_and_does_not_lock_the_right_one_out(lab: Lab) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    for _ in range(5):
        with (
            lab.custody().open(key.pem, spki=key.spki, pin=Secret(b"wrong")) as signer,
            pytest.raises(PinWrong),
        ):
            signer.sign(b"x")
    with lab.custody().open(key.pem, spki=key.spki, pin=PIN) as signer:
        verify(key.spki, signer.sign(b"x"), b"x", signer.algorithm)


@pytest.mark.parametrize("pin", [None, Secret(b"")])
def test_a_missing_pin_is_asked_for_before_the_tpm_is_opened(lab: Lab, pin: Secret | None) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    record = Recorder()
    custody = lab.custody(around=record.around)
    with pytest.raises(PinNeeded), custody.open(key.pem, spki=key.spki, pin=pin):
        pass
    assert record.pids == []


@pytest.mark.parametrize("given", [None, Secret(b"not needed")])
def test_a_key_made_with_an_empty_pin_signs_without_one(lab: Lab, given: Secret | None) -> None:
    key = lab.custody().create(EC_P256, pin=Secret(b""))
    assert TssKey.from_pem(key.pem).empty_auth
    with lab.custody().open(key.pem, spki=key.spki, pin=given) as signer:
        verify(key.spki, signer.sign(b"x"), b"x", signer.algorithm)


def test_the_longest_pin_works_and_a_longer_one_is_refused(lab: Lab) -> None:
    longest = Secret(b"a" * 32)
    key = lab.custody().create(EC_P256, pin=longest)
    with lab.custody().open(key.pem, spki=key.spki, pin=longest) as signer:
        signer.sign(b"x")
    with pytest.raises(PinUnusable, match="33"):
        lab.custody().create(EC_P256, pin=Secret(b"a" * 33))


def test_a_pin_whose_end_the_tpm_would_drop_is_refused(lab: Lab) -> None:
    with pytest.raises(PinUnusable, match="NUL"):
        lab.custody().create(EC_P256, pin=Secret(b"1234\0"))


def test_a_software_tpm_says_that_it_is_one(lab: Lab) -> None:
    custody = lab.custody().describe()
    assert (custody.kind, custody.tcti) == (CustodyKind.SOFTWARE_TPM, "embedded")
    assert (custody.manufacturer, custody.model) == ("IBM", "SW   TPM")


def test_the_storage_key_stays_the_same(lab: Lab) -> None:
    first = lab.custody().describe().srk_public
    assert lab.custody().describe().srk_public == first
    assert lab.pin().describe().srk_public == first


def test_nothing_is_left_running_after_a_transaction(lab: Lab) -> None:
    record = Recorder()
    custody = lab.custody(around=record.around)
    custody.describe()
    key = custody.create(EC_P256, pin=PIN)
    with custody.open(key.pem, spki=key.spki, pin=Secret(b"wrong")) as signer:
        assert is_running(record.pids[-1])
        with pytest.raises(PinWrong):
            signer.sign(b"x")
    assert len(record.pids) == 3
    assert not any(map(is_running, record.pids))


def test_five_runs_with_wrong_pins_leave_the_lockout_counter_at_zero(lab: Lab) -> None:
    key = lab.pin().create(EC_P256, pin=PIN)
    for _ in range(5):
        with (
            lab.custody().open(key.pem, spki=key.spki, pin=Secret(b"wrong")) as signer,
            pytest.raises(PinWrong),
        ):
            signer.sign(b"x")
    report = lab.custody().report()
    assert (report.lockout_counter, report.in_lockout) == (0, False)


def test_the_report_shows_what_this_tpm_can_do(lab: Lab) -> None:
    report = lab.custody().report()
    assert (report.custody, report.spec) == (CustodyKind.SOFTWARE_TPM, "2.0 rev 1.64")
    assert {"RSA", "ECC", "ECDSA", "SHA256"} <= set(report.algorithms)
    assert {"NIST_P256", "NIST_P384", "NIST_P521"} <= set(report.curves)
    assert report.rsa_sizes == (1024, 2048, 3072)
    assert report.hashes == ("SHA1", "SHA256", "SHA384", "SHA512")
    assert (report.transient_free, report.session_free) == (3, 3)
    assert (report.persistent, report.owner_auth_set) == ((), False)
    kinds = {str(each.kind): each for each in report.key_kinds}
    assert [name for name, each in kinds.items() if not each.supported] == ["rsa-4096", "ed25519"]
    assert kinds["rsa-4096"].reason == "this TPM does not offer 4096-bit RSA keys with SHA256"


def test_the_report_names_the_storage_key_once_it_is_there(lab: Lab) -> None:
    lab.pin()
    assert lab.custody().report().persistent == (0x81000001,)
