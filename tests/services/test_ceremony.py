"""Making issuers: once, by the ceremony alone, each generation under a name of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509
from msgspec import structs

from ca.algorithms import EC_P256
from ca.errors import (
    AlreadyInitialised,
    CeremonyRefused,
    HomeMissing,
    OutputExists,
    OutputFailed,
    StoreUnwritable,
    TpmBroken,
)
from ca.interfaces.issuing import IssuerState, State
from ca.keys.tpm.link import Link
from ca.keys.tpm.return_codes import CC_SIGN
from ca.names.distinguished import DistinguishedName
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.ceremony.root import init_root
from ca.services.facility import authorities, signing_authority
from tests.keys.tpm.links import Changing, Refusing, lost
from tests.services.rig import PLAN, Rig, Unwritable, cut, issue_one

NEXT = Plan(name="Rig", kind=EC_P256, days=1000)


def loaded(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


# ---------------------------------------------------------------- the root


def test_a_second_root_in_one_home_is_refused(rig: Rig) -> None:
    with rig.facility() as facility, pytest.raises(AlreadyInitialised):
        init_root(PLAN, facility)


@pytest.mark.parametrize(
    ("above", "dn"),
    [
        (None, "O=Rig,CN=Rig Root CA"),
        ("/C=GB/ST=England/O=Alice Ltd", "C=GB,ST=England,O=Alice Ltd,CN=Rig Root CA"),
        ("C=GB", "C=GB,CN=Rig Root CA"),
    ],
)
def test_what_stands_before_the_common_name_is_the_plans(above: str | None, dn: str) -> None:
    wanted = DistinguishedName.parse(above) if above is not None else None
    assert str(structs.replace(PLAN, above=wanted).subject("Root CA")) == dn


def test_constraints_are_critical_on_root_and_intermediate_alike(rig: Rig) -> None:
    for name in ("root", "intermediate-1"):
        certificate = loaded(rig.path / f"certs/{name}.pem")
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert found.critical
        assert found.value.permitted_subtrees == [x509.DNSName("home.arpa")]


def test_a_root_may_have_one_ca_below_it_and_that_none(rig: Rig) -> None:
    limits = []
    for name in ("root", "intermediate-1"):
        certificate = loaded(rig.path / f"certs/{name}.pem")
        limits.append(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value)
    assert [(limit.ca, limit.path_length) for limit in limits] == [(True, 1), (True, 0)]


def test_the_key_blobs_are_for_their_owner_and_the_certificates_for_everybody(rig: Rig) -> None:
    modes = {
        path.relative_to(rig.path).as_posix(): path.stat().st_mode & 0o777
        for directory in ("keys", "certs")
        for path in (rig.path / directory).iterdir()
    }
    assert modes == {
        "keys/root.tss": 0o600,
        "keys/intermediate-1.tss": 0o600,
        "certs/root.pem": 0o644,
        "certs/root.crt": 0o644,
        "certs/root.proof": 0o644,
        "certs/intermediate-1.pem": 0o644,
        "certs/intermediate-1.crt": 0o644,
        "certs/intermediate-1.proof": 0o644,
    }


def refusing_to_sign(link: Link) -> Link:
    return Refusing(link, lambda code, _: 0x101 if code == CC_SIGN else 0)


def test_a_root_whose_signature_is_refused_leaves_no_issuer_no_key_and_may_be_tried_again(
    empty_rig: Rig,
) -> None:
    with (
        empty_rig.facility(create=True, around=refusing_to_sign) as facility,
        pytest.raises(TpmBroken),
    ):
        init_root(PLAN, facility)
    assert list((empty_rig.path / "keys").iterdir()) == []
    with empty_rig.facility() as facility:
        assert facility.store.issuers() == ()
        assert init_root(PLAN, facility).state is IssuerState.ACTIVE


def test_a_root_whose_signature_was_lost_is_uncertain_and_may_be_made_anew(
    empty_rig: Rig,
) -> None:
    with (
        empty_rig.facility(
            create=True, around=lambda link: Changing(link, lost(CC_SIGN))
        ) as facility,
        pytest.raises(Exception, match="answer was lost"),
    ):
        init_root(PLAN, facility)
    with empty_rig.facility() as facility:
        assert init_root(PLAN, facility).state is IssuerState.ACTIVE
        assert facility.store.counts(at=empty_rig.clock()).uncertain == 1


def test_a_root_that_could_not_be_recorded_may_be_made_anew(empty_rig: Rig) -> None:
    with (
        empty_rig.facility(
            create=True, store=lambda store: Unwritable(store, "record_certificates")
        ) as facility,
        pytest.raises(StoreUnwritable),
    ):
        init_root(PLAN, facility)
    with empty_rig.facility() as facility:
        assert init_root(PLAN, facility).state is IssuerState.ACTIVE


def test_a_root_that_was_recorded_but_not_activated_is_completed_by_the_next_command(
    empty_rig: Rig,
) -> None:
    with (
        empty_rig.facility(
            create=True, store=lambda store: Unwritable(store, "activate_issuer")
        ) as facility,
        pytest.raises(StoreUnwritable),
    ):
        init_root(PLAN, facility)
    with empty_rig.facility() as facility:
        (root,) = facility.store.issuers()
        assert root.state is IssuerState.ACTIVE
        assert init_intermediate(NEXT, facility).state is IssuerState.ACTIVE
    assert (empty_rig.path / "certs/root.pem").exists()


def test_an_issuer_whose_file_cannot_be_written_stays_an_issuer(rig: Rig) -> None:
    """Something lies where certs/intermediate-2.pem should appear."""
    (rig.path / "certs/intermediate-2.pem").mkdir()
    with rig.facility() as facility, pytest.raises(OutputFailed):
        init_intermediate(NEXT, facility)
    with rig.facility() as facility:
        assert [i.state for i in facility.store.issuers()] == [IssuerState.ACTIVE] * 3
        assert signing_authority(authorities(facility.store)).issuer.slug == "intermediate-2"
    issue_one(rig)


# ---------------------------------------------------------------- generations


def test_a_new_generation_has_a_new_name_and_signs_from_then_on(rig: Rig) -> None:
    with rig.facility() as facility:
        second = init_intermediate(NEXT, facility)
        first = facility.store.issuers()[1]
        assert second.subject_der != first.subject_der
        assert second.spki != first.spki
        assert signing_authority(authorities(facility.store)).issuer.id == second.id


def test_an_old_generation_keeps_cutting_its_own_crls(rig: Rig) -> None:
    old = issue_one(rig)
    with rig.facility() as facility:
        init_intermediate(NEXT, facility)
        from ca.interfaces.revocation import Reason
        from ca.services.revocation.revoking import revoke

        revoke(old, Reason.KEY_COMPROMISE, facility)
    crl = cut(rig, "intermediate-1")
    assert [entry.serial_number for entry in crl] == [old.serial]
    assert list(cut(rig, "intermediate-2")) == []


def test_the_number_of_a_generation_that_failed_is_not_given_again(rig: Rig) -> None:
    with (
        rig.facility(around=refusing_to_sign) as facility,
        pytest.raises(TpmBroken),
    ):
        init_intermediate(NEXT, facility)
    with rig.facility() as facility:
        assert init_intermediate(NEXT, facility).slug == "intermediate-3"


def test_a_key_the_record_does_not_know_is_never_replaced(rig: Rig) -> None:
    """An older record was put back: the number of the next generation was given already."""
    there = rig.path / "keys/intermediate-2.tss"
    there.write_bytes(b"a key")
    with rig.facility() as facility:
        before = facility.store.open_serials(), facility.store.issuers()
        with pytest.raises(OutputExists, match="which the record does not know"):
            init_intermediate(NEXT, facility)
        assert (facility.store.open_serials(), facility.store.issuers()) == before
    assert there.read_bytes() == b"a key"
    there.rename(rig.path / "keys/intermediate-2.tss.old")
    with rig.facility() as facility:
        assert init_intermediate(NEXT, facility).slug == "intermediate-2"


def test_a_ceremony_that_failed_leaves_neither_its_key_nor_what_the_tpm_said_of_it(
    rig: Rig,
) -> None:
    before = {path for path in rig.path.rglob("*") if path.parent.name in ("keys", "certs")}
    with rig.facility(around=refusing_to_sign) as facility, pytest.raises(TpmBroken):
        init_intermediate(NEXT, facility)
    after = {path for path in rig.path.rglob("*") if path.parent.name in ("keys", "certs")}
    assert after == before


def test_a_ceremony_that_failed_is_ended_only_after_its_key_is_gone(empty_rig: Rig) -> None:
    """Else a crash between the two would leave a key in the way of the next root."""
    with (
        empty_rig.facility(
            create=True,
            around=refusing_to_sign,
            store=lambda store: Unwritable(store, "set_issuer_state"),
        ) as facility,
        pytest.raises(StoreUnwritable),
    ):
        init_root(PLAN, facility)
    assert list((empty_rig.path / "keys").iterdir()) == []
    with empty_rig.facility() as facility:
        assert init_root(PLAN, facility).state is IssuerState.ACTIVE


def test_an_intermediate_that_would_outlive_its_root_is_refused(rig: Rig) -> None:
    rig.clock.move(days=1)
    with rig.facility() as facility:
        with pytest.raises(CeremonyRefused, match="would outlive the root"):
            init_intermediate(structs.replace(NEXT, days=3650), facility)
        issuers = [issuer.slug for issuer in facility.store.issuers()]
        assert issuers == ["root", "intermediate-1"]


def test_an_intermediate_after_the_end_of_its_root_leaves_the_record_as_it_is(rig: Rig) -> None:
    with rig.facility() as facility:
        before = facility.store.last_recorded_act()
        entries = sum(1 for _ in facility.store.ledger())
    rig.clock.move(days=36_500)
    with rig.facility() as facility:
        believing = structs.replace(facility, believe_clock=True)
        with pytest.raises(CeremonyRefused, match="nothing new can stand on it"):
            init_intermediate(NEXT, believing)
        assert facility.store.last_recorded_act() == before
        assert sum(1 for _ in facility.store.ledger()) == entries


def test_an_intermediate_without_a_root_is_refused(empty_rig: Rig) -> None:
    with empty_rig.facility(create=True) as facility, pytest.raises(HomeMissing):
        init_intermediate(NEXT, facility)


def test_reserved_serials_of_ceremonies_end_as_issued(rig: Rig) -> None:
    with rig.facility() as facility:
        states = [
            row.state
            for issuer in facility.store.issuers()
            if issuer.serial is not None
            for row in facility.store.by_serial(issuer.serial)
        ]
    assert states == [State.ISSUED, State.ISSUED]
    assert os.listdir(rig.path / "crl") == []  # noqa: PTH208 - names are enough
