"""What comes back: taken when it is ours and leads to our root, refused otherwise."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from msgspec import structs

from ca.encoding.containers import read_certificates
from ca.errors import CertificateMalformed, DeviceRefused, UsageError, VerificationFailed
from ca.services.device.accepting import accept, parse_fingerprint
from ca.services.device.home import CERTIFICATE, CHAIN, KEY, ROOT, DeviceRequest, Standing
from ca.services.device.requesting import Device, forget_replaced, new, renew
from tests.device.answers import DAY, NOW, ca, intermediate, stranger
from tests.device.test_requesting import plan

FP = ca().root.fingerprint


@pytest.fixture
def asked(device: Device) -> DeviceRequest:
    return new(plan("laptop"), device)


def leaf(request: DeviceRequest) -> x509.Certificate:
    return ca().issuing.issue("laptop", request.spki)


def taken(device: Device, request: DeviceRequest) -> DeviceRequest:
    return accept(ca().answer(leaf(request)), device, trusted=FP).request


def rules(caught: pytest.ExceptionInfo[VerificationFailed]) -> list[str]:
    return [violation.rule for violation in caught.value.violations]


def nothing_changed(device: Device, request: DeviceRequest) -> None:
    assert device.home.all() == (request,)
    assert not request.path(CERTIFICATE).exists()
    assert device.home.roots() == b""


# ---------------------------------------------------------------- taken


def test_an_answer_is_put_beside_its_key_with_public_modes(
    device: Device, asked: DeviceRequest
) -> None:
    done = accept(ca().answer(leaf(asked)), device, trusted=FP)
    assert done.request.standing is Standing.ACTIVE
    found = {
        f: stat.S_IMODE(done.request.path(f).stat().st_mode) for f in (CERTIFICATE, CHAIN, KEY)
    }
    assert found == {CERTIFICATE: 0o644, CHAIN: 0o644, KEY: 0o600}
    chain = read_certificates(done.request.path(CHAIN).read_bytes())
    assert [x509.load_der_x509_certificate(der).subject.rfc4514_string() for der in chain] == [
        "CN=laptop",
        "CN=Home Issuing",
    ]
    assert done.request.path(ROOT).read_bytes() == ca().root.pem


@pytest.mark.parametrize("form", ["pem", "pkcs7-pem", "pkcs7-der", "root-apart", "shuffled"])
def test_an_answer_is_taken_in_every_form_cas_send(
    device: Device, asked: DeviceRequest, form: str
) -> None:
    one = leaf(asked)
    everything = [one, ca().issuing.certificate, ca().root.certificate]
    octets, root = ca().answer(one), b""
    if form.startswith("pkcs7"):
        encoding = Encoding.PEM if form == "pkcs7-pem" else Encoding.DER
        octets = pkcs7.serialize_certificates(everything, encoding)
    elif form == "root-apart":
        octets, root = ca().answer(one, with_root=False), ca().root.pem
    elif form == "shuffled":
        octets = b"".join(c.public_bytes(Encoding.PEM) for c in reversed(everything))
    assert accept(octets, device, trusted=FP, root=root).request.standing is Standing.ACTIVE


def test_a_fingerprint_told_once_is_remembered(device: Device, asked: DeviceRequest) -> None:
    taken(device, asked)
    second = new(plan("phone"), device)
    answer = ca().answer(ca().issuing.issue("phone", second.spki), with_root=False)
    done = accept(answer, device)
    assert (done.request.standing, done.new_root) == (Standing.ACTIVE, False)


def test_an_answer_given_twice_is_taken_once(device: Device, asked: DeviceRequest) -> None:
    answer = ca().answer(leaf(asked))
    accept(answer, device, trusted=FP)
    again = accept(answer, device)
    assert again.again
    assert len(device.home.all()) == 1


# ---------------------------------------------------------------- refused


def test_without_a_fingerprint_no_root_is_believed(device: Device, asked: DeviceRequest) -> None:
    with pytest.raises(UsageError, match="does not know its root"):
        accept(ca().answer(leaf(asked)), device)
    nothing_changed(device, asked)


def test_a_certificate_for_another_key_is_refused(device: Device, asked: DeviceRequest) -> None:
    other = ca().issuing.issue("laptop", read_spki(stranger().root.certificate))
    with pytest.raises(DeviceRefused, match="another key") as caught:
        accept(ca().answer(other), device, trusted=FP)
    assert "laptop" in caught.value.remedy
    nothing_changed(device, asked)


def read_spki(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import PublicFormat

    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("begin", "end", "rule"),
    [
        (NOW - 20 * DAY, NOW - timedelta(seconds=1), "dates.expired"),
        (NOW + timedelta(seconds=1), NOW + DAY, "dates.not-yet"),
    ],
)
def test_an_expired_or_future_certificate_is_refused(
    device: Device, asked: DeviceRequest, begin: object, end: object, rule: str
) -> None:
    assert isinstance(begin, type(NOW))
    assert isinstance(end, type(NOW))
    one = ca().issuing.issue("laptop", asked.spki, begin=begin, end=end)
    with pytest.raises(VerificationFailed) as caught:
        accept(ca().answer(one), device, trusted=FP)
    assert rules(caught) == [rule]
    nothing_changed(device, asked)


def test_the_last_second_of_a_certificate_still_counts(
    device: Device, asked: DeviceRequest
) -> None:
    one = ca().issuing.issue("laptop", asked.spki, end=NOW)
    assert accept(ca().answer(one), device, trusted=FP).request.standing is Standing.ACTIVE


def test_every_changed_octet_of_the_certificate_is_noticed(
    device: Device, asked: DeviceRequest
) -> None:
    """All bits of the name, the dates, the key, the signature: a sample over the whole length."""
    der = leaf(asked).public_bytes(Encoding.DER)
    rest = pkcs7_of(ca().issuing.certificate, ca().root.certificate)
    accepted = []
    for place in range(0, len(der), 7):
        broken = bytearray(der)
        broken[place] ^= 1
        try:
            accept(as_pem(bytes(broken)) + rest, device, trusted=FP)
            accepted.append(place)
        except (VerificationFailed, DeviceRefused, CertificateMalformed):
            pass
    assert accepted == []
    nothing_changed(device, asked)


def pkcs7_of(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def as_pem(der: bytes) -> bytes:
    from ca.encoding.containers import pem

    return pem("CERTIFICATE", der)


def test_a_chain_to_another_root_of_the_same_name_is_refused(
    device: Device, asked: DeviceRequest
) -> None:
    one = stranger().issuing.issue("laptop", asked.spki)
    with pytest.raises(VerificationFailed) as caught:
        accept(stranger().answer(one), device, trusted=FP)
    assert rules(caught) == ["chain.other-root"]
    nothing_changed(device, asked)


def test_a_remembered_root_does_not_vouch_for_another(device: Device, asked: DeviceRequest) -> None:
    taken(device, asked)
    again = renew("laptop", device, new_key=True)
    one = stranger().issuing.issue("laptop", again.spki)
    with pytest.raises(VerificationFailed, match="not the root this device trusts"):
        accept(stranger().answer(one), device)


def test_a_fingerprint_of_another_root_overrules_the_remembered_one(
    device: Device, asked: DeviceRequest
) -> None:
    taken(device, asked)
    with pytest.raises(VerificationFailed):
        accept(ca().answer(leaf(asked)), device, trusted=stranger().root.fingerprint)


def test_a_leaf_signed_by_another_key_of_the_same_name_is_refused(
    device: Device, asked: DeviceRequest
) -> None:
    one = stranger().issuing.issue("laptop", asked.spki)
    with pytest.raises(VerificationFailed) as caught:
        accept(ca().answer(one), device, trusted=FP)
    assert rules(caught) == ["chain.signature"]


def test_a_chain_with_a_gap_is_refused_and_says_what_is_missing(
    device: Device, asked: DeviceRequest
) -> None:
    with pytest.raises(VerificationFailed, match="Home Root") as caught:
        accept(ca().answer(leaf(asked), with_root=False), device, trusted=FP)
    assert "--root" in caught.value.remedy


def test_an_issuer_that_is_no_ca_is_refused(device: Device, asked: DeviceRequest) -> None:
    fake = intermediate(ca().root, "A device", ca=False)
    answer = pkcs7_of(fake.issue("laptop", asked.spki), fake.certificate, ca().root.certificate)
    with pytest.raises(VerificationFailed) as caught:
        accept(answer, device, trusted=FP)
    assert rules(caught) == ["ca.not-a-ca"]


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"ca": True}, "leaf.is-ca"), ({"critical": "1.2.3.4"}, "extension.unknown-critical")],
)
def test_a_certificate_no_device_should_have_is_refused(
    device: Device, asked: DeviceRequest, options: dict[str, object], rule: str
) -> None:
    one = ca().issuing.issue("laptop", asked.spki, **options)  # type: ignore[arg-type]
    with pytest.raises(VerificationFailed) as caught:
        accept(ca().answer(one), device, trusted=FP)
    assert rules(caught) == [rule]


def test_the_other_side_of_the_machine_is_refused(device: Device, asked: DeviceRequest) -> None:
    with pytest.raises(DeviceRefused, match="made for the user, and --machine"):
        accept(ca().answer(leaf(asked)), device, trusted=FP, machine=True)
    nothing_changed(device, asked)
    done = accept(ca().answer(leaf(asked)), device, trusted=FP, machine=False)
    assert done.request.standing is Standing.ACTIVE


@pytest.mark.parametrize(
    ("text", "words"),
    [("aa" * 20, "SHA-1"), ("aa:" * 16, "MD5"), ("xx" * 32, "not a SHA-256"), ("", "not a SHA")],
)
def test_a_fingerprint_of_another_digest_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_fingerprint(text)


@pytest.mark.parametrize("form", ["{}", "SHA256 Fingerprint={}", "sha256:{}", " {} "])
def test_a_fingerprint_is_read_as_programs_print_it(form: str) -> None:
    expected = bytes(range(32))
    text = form.format(expected.hex(":").upper())
    assert parse_fingerprint(text) == expected


# ---------------------------------------------------------------- renewals


def test_the_old_pair_stays_in_use_until_the_new_one_is_accepted(
    device: Device, asked: DeviceRequest
) -> None:
    old = taken(device, asked)
    again = renew("laptop", device, new_key=True)
    key = device.home.stable(old, KEY)
    assert key.read_bytes() == old.path(KEY).read_bytes()
    accept(ca().answer(leaf(again)), device)
    assert key.read_bytes() == again.path(KEY).read_bytes()
    assert [one.standing for one in device.home.all()] == [Standing.REPLACED, Standing.ACTIVE]


def test_key_and_certificate_in_use_belong_together_at_every_step_of_an_accept(
    device: Device, asked: DeviceRequest
) -> None:
    """The steps of `install` one by one: until the link moves, the old pair is whole."""
    taken(device, asked)
    again = renew("laptop", device, new_key=True)
    current = device.home.path / "laptop/current"
    for file in (CERTIFICATE, CHAIN, ROOT):
        again.path(file).write_bytes(as_pem(leaf(again).public_bytes(Encoding.DER)))
        [der] = read_certificates((current / CERTIFICATE).read_bytes())
        assert read_spki(x509.load_der_x509_certificate(der)) == asked.spki
    assert device.home.all()[1].standing is Standing.PENDING
    accept(ca().answer(leaf(again)), device)
    assert os.readlink(current) == "2"  # noqa: PTH115  # the text of the link


def test_a_refused_renewal_leaves_the_pair_in_use(device: Device, asked: DeviceRequest) -> None:
    old = taken(device, asked)
    before = device.home.stable(old, CHAIN).read_bytes()
    again = renew("laptop", device, new_key=False)
    late = ca().issuing.issue("laptop", again.spki, begin=NOW - 2 * DAY, end=NOW - DAY)
    with pytest.raises(VerificationFailed):
        accept(ca().answer(late), device)
    assert device.home.stable(old, CHAIN).read_bytes() == before


def test_a_certificate_that_the_ca_renewed_by_itself_finds_its_key(
    device: Device, asked: DeviceRequest
) -> None:
    taken(device, asked)
    done = accept(ca().answer(leaf(asked)), device)
    assert (done.request.generation, done.request.standing) == (2, Standing.ACTIVE)
    assert done.request.path(KEY).read_bytes() == asked.path(KEY).read_bytes()


def test_forgetting_removes_only_what_was_replaced(device: Device, asked: DeviceRequest) -> None:
    taken(device, asked)
    accept(ca().answer(leaf(asked)), device)
    waiting = renew("laptop", device, new_key=True)
    assert forget_replaced("laptop", device) == 1
    assert [one.generation for one in device.home.all()] == [2, waiting.generation]


def test_a_clock_that_moves_on_refuses_what_it_would_have_taken(
    device: Device, asked: DeviceRequest, home: Path
) -> None:
    later = structs.replace(device, clock=lambda: NOW + 101 * DAY)
    with pytest.raises(VerificationFailed) as caught:
        accept(ca().answer(leaf(asked)), later, trusted=FP)
    assert rules(caught) == ["dates.expired"]
