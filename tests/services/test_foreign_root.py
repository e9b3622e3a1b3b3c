"""An intermediate under another home's root: both homes' steps, and what is not taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca.algorithms import EC_P256
from ca.encoding.facts import CertificateFacts
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
from ca.services.revocation.revoking import revoke
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


def usage(*, signs: bool) -> x509.KeyUsage:
    """keyCertSign and cRLSign, or the latter alone."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


IS_CA = x509.BasicConstraints(ca=True, path_length=None)
IS_NO_CA = x509.BasicConstraints(ca=False, path_length=None)
IS_LAST_CA = x509.BasicConstraints(ca=True, path_length=0)
SIGNS, SIGNS_LISTS = usage(signs=True), usage(signs=False)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


def of_another_ca(
    away: Rig,
    request_octets: bytes,
    extensions: Sequence[x509.ExtensionType],
    *,
    days: tuple[int, int] = (0, 900),
    signed_by: str = "elsewhere",
    below: Sequence[x509.ExtensionType] | None = None,
    called: str | None = None,
    issued_by: str = "Elsewhere",
) -> list[bytes]:
    """A root that another program made, and what it made of the request, DER.

    extensions, days, signed_by: of the root; days from now to its beginning and its end.
    below, called, issued_by: of what it made, where these are not a CA's, or not as was asked.
    """
    request = x509.load_der_x509_csr(request_octets)
    name = named("Elsewhere")

    def made(
        builder: x509.CertificateBuilder,
        days: tuple[int, int],
        extensions: Sequence[x509.ExtensionType],
        signer: str,
        issuer: x509.Name,
    ) -> bytes:
        builder = builder.issuer_name(issuer).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(away.clock.now + timedelta(days=days[0]))
        builder = builder.not_valid_after(away.clock.now + timedelta(days=days[1]))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(key(signer), hashes.SHA256()).public_bytes(Encoding.DER)

    root = x509.CertificateBuilder().subject_name(name).public_key(key("elsewhere").public_key())
    answer = x509.CertificateBuilder().subject_name(named(called) if called else request.subject)
    answer = answer.public_key(request.public_key())
    below = [IS_CA, SIGNS] if below is None else below
    return [
        made(root, days, extensions, signed_by, name),
        made(answer, (0, 900), below, "elsewhere", named(issued_by)),
    ]


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@pytest.mark.parametrize(
    ("extensions", "days", "signed_by", "rules"),
    [
        ([IS_NO_CA, SIGNS], (0, 900), "elsewhere", {"ca.not-a-ca"}),
        ([], (0, 900), "elsewhere", {"ca.not-a-ca"}),
        ([IS_LAST_CA, SIGNS], (0, 900), "elsewhere", {"ceremony.path-length"}),
        ([IS_CA, SIGNS_LISTS], (0, 900), "elsewhere", {"ca.key-usage"}),
        ([IS_CA, SIGNS], (-9, -1), "elsewhere", {"dates.expired"}),
        ([IS_CA, SIGNS], (1, 900), "elsewhere", {"dates.not-yet"}),
        ([IS_CA, SIGNS, STRANGE], (0, 900), "elsewhere", {"extension.unknown-critical"}),
        ([IS_CA, SIGNS], (0, 900), "another", {"ceremony.signature"}),
        (
            *([IS_NO_CA, SIGNS_LISTS], (-9, -1), "another"),
            {"ca.not-a-ca", "ca.key-usage", "dates.expired", "ceremony.signature"},
        ),
    ],
)
def test_what_may_not_be_a_root_is_refused_and_leaves_its_place_to_one_that_may(
    away: Rig,
    extensions: list[x509.ExtensionType],
    days: tuple[int, int],
    signed_by: str,
    rules: set[str],
) -> None:
    request = asked(away)
    bad = of_another_ca(away, request, extensions, days=days, signed_by=signed_by)
    shown: list[CertificateFacts] = []
    with away.facility() as facility:
        with pytest.raises(CeremonyRefused) as refused:
            accept_intermediate(bad, facility, believe=shown.append)
        assert {one.rule for one in refused.value.violations} == rules
        assert not shown, "nobody is asked about a root that cannot be"
        assert [issuer.role for issuer in facility.store.issuers()] == [Role.INTERMEDIATE]
    assert not list((away.path / "certs").glob("root.*"))
    with away.facility() as facility:
        good = of_another_ca(away, request, [IS_CA, SIGNS])
        assert accept_intermediate(good, facility).state is IssuerState.ACTIVE


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ({"below": [IS_NO_CA, SIGNS]}, "ceremony.ca"),
        ({"below": [SIGNS]}, "ceremony.ca"),
        ({"below": [IS_CA, SIGNS_LISTS]}, "ceremony.key-usage"),
        ({"below": [IS_CA]}, "ceremony.key-usage"),
        ({"called": "Somebody else"}, "ceremony.subject"),
        ({"issued_by": "Another root"}, "ceremony.chain"),
    ],
)
def test_an_answer_that_makes_no_intermediate_of_the_request_is_refused(
    away: Rig, answer: dict[str, Any], rule: str
) -> None:
    request = asked(away)
    bad = of_another_ca(away, request, [IS_CA, SIGNS], **answer)
    with away.facility() as facility:
        with pytest.raises(CeremonyRefused) as refused:
            accept_intermediate(bad, facility)
        assert rule in {one.rule for one in refused.value.violations}
        assert [issuer.state for issuer in facility.store.issuers()] == [IssuerState.PENDING]


def test_a_root_may_leave_its_key_usage_out(away: Rig) -> None:
    answer = of_another_ca(away, asked(away), [IS_CA])
    with away.facility() as facility:
        assert accept_intermediate(answer, facility).state is IssuerState.ACTIVE


def test_a_root_that_is_not_believed_is_not_recorded(away: Rig) -> None:
    answer = of_another_ca(away, asked(away), [IS_CA, SIGNS])

    def refuse(root: CertificateFacts) -> None:
        assert root.der == answer[0]
        raise KeyboardInterrupt

    with away.facility() as facility:
        with pytest.raises(KeyboardInterrupt):
            accept_intermediate(answer, facility, believe=refuse)
        assert [one.state for one in facility.store.issuers()] == [IssuerState.PENDING]
    assert not list((away.path / "certs").glob("root.*"))


def test_a_root_is_believed_once_and_one_whose_fingerprint_was_given_is_not_asked_about(
    away: Rig, rig: Rig
) -> None:
    shown: list[CertificateFacts] = []
    first, digest = asked(away), sha256(root_of(rig)).digest()
    with away.facility() as facility:
        answer = [certified(rig, first), root_of(rig)]
        with pytest.raises(CeremonyRefused) as refused:
            accept_intermediate(answer, facility, trusted=bytes(32), believe=shown.append)
        assert [one.rule for one in refused.value.violations] == ["ceremony.other-root"]
        assert [one.state for one in facility.store.issuers()] == [IssuerState.PENDING]
        accept_intermediate(answer, facility, trusted=digest, believe=shown.append)
        _, second = request_intermediate(Plan(name="Away", kind=EC_P256, days=1), facility)
        answer = [certified(rig, second), root_of(rig)]
        accept_intermediate(answer, facility, believe=shown.append)
    assert not shown


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
    permitted = x509.NameConstraints([x509.DNSName("home.arpa")], None)
    answer = of_another_ca(away, asked(away), [IS_CA, SIGNS, permitted])
    with away.facility() as facility:
        accept_intermediate(answer, facility)
        authority = signing_authority(authorities(facility.store))
    assert [one.permitted_dns for one in authority.above] == [("home.arpa",)]


def test_a_home_has_one_root_for_ever(rig: Rig, away: Rig) -> None:
    first = of_another_ca(away, asked(away), [IS_CA, SIGNS])
    with away.facility() as facility:
        accept_intermediate(first, facility)
    with away.facility() as facility:
        _, request = request_intermediate(Plan(name="Away", kind=EC_P256, days=1), facility)
    answer = [root_of(rig), certified(rig, request)]
    with away.facility() as facility:
        with pytest.raises(CeremonyRefused, match="belongs to another root"):
            accept_intermediate(answer, facility)
        roots = [issuer for issuer in facility.store.issuers() if issuer.role is Role.ROOT]
    assert [one.certificate for one in roots] == first[:1]


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
