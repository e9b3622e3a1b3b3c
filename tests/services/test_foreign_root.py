"""An intermediate under another home's root: both homes' steps, and what is not taken back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca.algorithms import EC_P256
from ca.encoding.requests import parse_request
from ca.errors import CeremonyRefused, HomeMissing, NotFound, OutputFailed
from ca.interfaces.issuing import IssuerState, Role
from ca.interfaces.revocation import Reason
from ca.services.ceremony.foreign_root import (
    accept_intermediate,
    give_up_intermediate,
    request_intermediate,
)
from ca.services.ceremony.intermediate import certify_foreign_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.facility import authorities, signing_authority
from ca.services.revocation import revoke
from tests.interop.programs import run
from tests.services.rig import Rig, cut, issue, issue_one, key, order, request_der


@pytest.fixture
def away(tmp_path: Path, rig: Rig) -> Rig:
    """A second home, on another machine: another TPM, no root."""
    return Rig(tmp_path / "away", rig.clock)


def asked(away: Rig, name: str = "Away") -> bytes:
    """The DER request of `--csr-out`."""
    with away.facility(create=True) as facility:
        _, request = request_intermediate(Plan(name=name, kind=EC_P256, days=1), facility)
    return request


def certified(rig: Rig, request: bytes) -> bytes:
    """What the root's home makes of it, DER."""
    with rig.facility() as facility:
        plan = Plan(name="Rig", kind=EC_P256, days=700)
        issuer = certify_foreign_intermediate(parse_request(request), plan, facility)
    assert issuer.certificate is not None
    assert not issuer.has_key
    return issuer.certificate


def root_of(rig: Rig) -> bytes:
    return (rig.path / "certs/root.crt").read_bytes()


def test_an_intermediate_certified_by_another_homes_root_signs_what_openssl_takes(
    rig: Rig, away: Rig, tmp_path: Path
) -> None:
    answer = certified(rig, asked(away))
    with away.facility() as facility:
        issuer = accept_intermediate([root_of(rig), answer], facility)
        assert (issuer.state, issuer.role) == (IssuerState.ACTIVE, Role.INTERMEDIATE)
    row = issue_one(away)
    (tmp_path / "leaf.der").write_bytes(row.der or b"")
    leaf = tmp_path / "leaf.pem"
    run("openssl", "x509", "-inform", "DER", "-in", tmp_path / "leaf.der", "-out", leaf)
    done = run(
        *("openssl", "verify", "-x509_strict", "-CAfile", rig.path / "certs/root.pem"),
        *("-untrusted", away.path / "certs/intermediate-1.pem", leaf),
    )
    assert done.stdout == f"{leaf}: OK\n", done.stderr
    without = run("openssl", "verify", "-x509_strict", "-CAfile", rig.path / "certs/root.pem", leaf)
    assert without.returncode != 0


def test_the_constraints_of_a_root_hold_below_an_intermediate_without_any(away: Rig) -> None:
    """As another CA's root may have signed it: homeca's own writes its constraints into both."""
    request = x509.load_der_x509_csr(asked(away))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Elsewhere")])
    permitted = x509.NameConstraints([x509.DNSName("home.arpa")], None)
    now = away.clock.now

    def made(subject: x509.Name, public: Any, *extensions: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(
            name, subject, public, x509.random_serial_number(), now, now + timedelta(days=900)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(key("elsewhere"), hashes.SHA256()).public_bytes(Encoding.DER)

    is_ca = x509.BasicConstraints(ca=True, path_length=None)
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    root = made(name, key("elsewhere").public_key(), is_ca, usage, permitted)
    answer = made(request.subject, request.public_key(), is_ca, usage)
    with away.facility() as facility:
        accept_intermediate([root, answer], facility)
        authority = signing_authority(authorities(facility.store))
    assert [one.permitted_dns for one in authority.above] == [("home.arpa",)]


def test_the_waiting_intermediate_survives_other_commands(rig: Rig, away: Rig) -> None:
    request = asked(away)
    with away.facility() as facility:
        assert [issuer.state for issuer in facility.store.issuers()] == [IssuerState.PENDING]
    with away.facility() as facility:
        accept_intermediate([root_of(rig), certified(rig, request)], facility)


def test_a_waiting_intermediate_signs_nothing(away: Rig) -> None:
    asked(away)
    with away.facility() as facility, pytest.raises(HomeMissing):
        issue(facility, order())


def test_a_certificate_for_another_key_is_not_accepted(rig: Rig, away: Rig, tmp_path: Path) -> None:
    asked(away)
    other = Rig(tmp_path / "other", rig.clock)
    answer = certified(rig, asked(other))
    with away.facility() as facility:
        with pytest.raises(CeremonyRefused, match="none of these certificates"):
            accept_intermediate([root_of(rig), answer], facility)
        assert [issuer.state for issuer in facility.store.issuers()] == [IssuerState.PENDING]


def test_a_certificate_without_its_root_is_not_accepted(rig: Rig, away: Rig) -> None:
    answer = certified(rig, asked(away))
    with away.facility() as facility, pytest.raises(CeremonyRefused, match="root's own"):
        accept_intermediate([answer], facility)


def test_a_certificate_with_a_forged_signature_is_not_accepted(rig: Rig, away: Rig) -> None:
    answer = certified(rig, asked(away))
    forged = answer[:-1] + bytes([answer[-1] ^ 1])
    with away.facility() as facility, pytest.raises(CeremonyRefused) as refusal:
        accept_intermediate([root_of(rig), forged], facility)
    assert {v.rule for v in refusal.value.violations} == {"ceremony.signature"}


def test_a_certificate_of_a_device_does_not_make_an_intermediate(rig: Rig, away: Rig) -> None:
    """The request of --csr-out, signed as a device's: no CA bit, another subject."""
    asked(away)
    with away.facility() as facility:
        (pending,) = facility.store.issuers()
    row = issue_one(rig)
    leaf = row.der or b""
    with away.facility() as facility, pytest.raises(CeremonyRefused):
        accept_intermediate([root_of(rig), leaf], facility)
    assert pending.state is IssuerState.PENDING


def test_the_root_certifies_no_devices_request_as_an_intermediate(rig: Rig) -> None:
    """A request that asks for no CA, slipped in among the others, does not come back as one."""
    with pytest.raises(CeremonyRefused) as refused:
        certified(rig, request_der("phone"))
    assert [v.rule for v in refused.value.violations] == ["ceremony.no-ca-asked"]


def asking_for_a_ca(name: str) -> bytes:
    """A request by the key of `request_der`, for an intermediate."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} CA")])
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
            *("key_agreement", "encipher_only", "decipher_only"),
        ),
        False,
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    signing = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage)
    signed = builder.add_extension(signing, critical=True).sign(key(name), hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def test_the_root_certifies_no_intermediate_for_a_key_that_was_compromised(rig: Rig) -> None:
    row = issue_one(rig, "phone")
    with rig.facility() as facility:
        revoke(row, Reason.KEY_COMPROMISE, facility)
    with pytest.raises(CeremonyRefused) as refused:
        certified(rig, asking_for_a_ca("phone"))
    assert [v.rule for v in refused.value.violations] == ["key.blocked"]
    certified(rig, asking_for_a_ca("laptop"))


def test_the_root_certifies_no_second_intermediate_for_the_same_key(rig: Rig) -> None:
    certified(rig, asking_for_a_ca("laptop"))
    with pytest.raises(CeremonyRefused) as refused:
        certified(rig, asking_for_a_ca("laptop"))
    assert [v.rule for v in refused.value.violations] == ["key.of-an-issuer"]


def test_a_waiting_intermediate_can_be_given_up_and_its_key_goes(away: Rig) -> None:
    asked(away)
    with away.facility() as facility:
        (waiting,) = (i for i in facility.store.issuers() if i.state is IssuerState.PENDING)
        give_up_intermediate(waiting.slug, facility)
        assert waiting.slug not in {issuer.slug for issuer in facility.store.issuers()}
        with pytest.raises(NotFound):
            give_up_intermediate(waiting.slug, facility)
    assert not (away.path / waiting.key_file).exists()
    assert not list((away.path / "certs").iterdir())


def test_an_intermediate_whose_request_cannot_be_kept_waits_for_no_answer(away: Rig) -> None:
    def full(_: bytes) -> None:
        raise OutputFailed("the disk is full", remedy="make room")

    plan = Plan(name="Away", kind=EC_P256, days=1)
    with away.facility(create=True) as facility:
        with pytest.raises(OutputFailed):
            request_intermediate(plan, facility, hand_over=full)
        assert facility.store.issuers() == ()
    assert not list((away.path / "keys").iterdir())


def test_a_foreign_intermediate_can_be_revoked_where_its_root_lives(rig: Rig, away: Rig) -> None:
    from ca.interfaces.values import Serial

    answer = x509.load_der_x509_certificate(certified(rig, asked(away)))
    with rig.facility() as facility:
        (row,) = facility.store.by_serial(Serial(answer.serial_number))
        revoke(row, Reason.CA_COMPROMISE, facility)
    assert [entry.serial_number for entry in cut(rig, "root")] == [answer.serial_number]
