"""Revoking, releasing and the lists: what is revoked stays on them as long as it must."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from ca.errors import ClockSuspect, RequestRefused, RevocationRefused, StoreUnwritable
from ca.failpoints import arm
from ca.interfaces.issuing import IssuerState
from ca.interfaces.revocation import Reason, Revocation
from ca.interfaces.values import Serial
from ca.services.crl.cutting import cut_crls
from ca.services.facility import authorities, signing_authority
from ca.services.issuance.issuing import Issuance
from ca.services.issuance.preparation import Preparation
from ca.services.revocation.revoking import release, revoke, still_live
from tests.services.rig import (
    CRL_DAYS,
    Rig,
    Unwritable,
    cut,
    issue,
    issue_one,
    number,
    order,
    serials,
)


def revoked(rig: Rig, reason: Reason = Reason.SUPERSEDED, **wishes: Any) -> int:
    """Issue and revoke one; its serial."""
    row = issue_one(rig, **wishes)
    with rig.facility() as facility:
        revoke(row, reason, facility)
    return row.serial


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_reaches_the_crl_as_the_rfc_spells_it(rig: Rig, reason: Reason) -> None:
    serial = revoked(rig, reason)
    entry = cut(rig).get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.revocation_date_utc == rig.clock.now
    if reason is Reason.UNSPECIFIED:
        assert list(entry.extensions) == []  # RFC 5280 §5.3.1: leave it out
    else:
        found = entry.extensions.get_extension_for_class(x509.CRLReason)
        assert (found.value.reason.value, found.critical) == (reason.value, False)


def test_the_date_a_key_was_lost_stands_beside_the_date_of_revocation(rig: Rig) -> None:
    row = issue_one(rig)
    rig.clock.move(days=3)
    lost_at = rig.clock.now - timedelta(days=2)
    with rig.facility() as facility:
        revoke(row, Reason.KEY_COMPROMISE, facility, invalidity=lost_at)
    entry = cut(rig).get_revoked_certificate_by_serial_number(row.serial)
    assert entry is not None
    found = entry.extensions.get_extension_for_class(x509.InvalidityDate)
    assert found.value.invalidity_date_utc == lost_at
    assert entry.revocation_date_utc == rig.clock.now


def test_a_date_of_loss_to_come_is_refused(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility, pytest.raises(RevocationRefused):
        revoke(
            row,
            Reason.KEY_COMPROMISE,
            facility,
            invalidity=rig.clock.now + timedelta(seconds=1),
        )


@pytest.mark.parametrize("year", [1, 226, 999, 1989])
def test_a_date_of_loss_from_before_there_were_keys_is_refused(rig: Rig, year: int) -> None:
    row = issue_one(rig)
    lost_at = datetime(year, 12, 31, tzinfo=UTC)
    with rig.facility() as facility, pytest.raises(RevocationRefused, match="before any key"):
        revoke(row, Reason.KEY_COMPROMISE, facility, invalidity=lost_at)
    assert serials(cut(rig)) == set()


def test_the_first_date_of_loss_that_is_taken_reaches_the_crl(rig: Rig) -> None:
    row = issue_one(rig)
    lost_at = datetime(1990, 1, 1, tzinfo=UTC)
    with rig.facility() as facility:
        revoke(row, Reason.KEY_COMPROMISE, facility, invalidity=lost_at)
    entry = cut(rig).get_revoked_certificate_by_serial_number(row.serial)
    assert entry is not None
    found = entry.extensions.get_extension_for_class(x509.InvalidityDate)
    assert found.value.invalidity_date_utc == lost_at


def test_a_worse_reason_keeps_the_date_of_loss_that_was_known(rig: Rig) -> None:
    row = issue_one(rig)
    lost_at = rig.clock.now - timedelta(days=2)
    with rig.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility, invalidity=lost_at)
        (superseded,) = facility.store.by_serial(row.serial)
        done = revoke(superseded, Reason.KEY_COMPROMISE, facility)
    assert done.invalidity == lost_at


def test_a_second_revocation_is_refused_and_the_first_stands(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility)
        with pytest.raises(RevocationRefused):
            revoke(row, Reason.CESSATION_OF_OPERATION, facility)
        (now,) = facility.store.by_serial(row.serial)
        with pytest.raises(RevocationRefused):
            revoke(now, Reason.CESSATION_OF_OPERATION, facility)
        (now,) = facility.store.by_serial(row.serial)
    assert now.revocation == Revocation(reason=Reason.SUPERSEDED, revoked_at=rig.clock.now)


def test_a_key_that_was_lost_after_its_certificate_was_revoked_is_blocked(rig: Rig) -> None:
    serial = revoked(rig)
    revoked_at = rig.clock.now
    cut(rig)
    rig.clock.move(days=3)
    with rig.facility() as facility:
        (row,) = facility.store.by_serial(Serial(serial))
        lost_at = rig.clock.now - timedelta(days=1)
        done = revoke(row, Reason.KEY_COMPROMISE, facility, invalidity=lost_at)
        with pytest.raises(RequestRefused) as refusal:
            issue(facility, order())
    assert [one.rule for one in refusal.value.violations] == ["key.blocked"]
    assert done.revoked_at == revoked_at
    entry = cut(rig).get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.revocation_date_utc == revoked_at
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    invalid = entry.extensions.get_extension_for_class(x509.InvalidityDate).value
    assert invalid.invalidity_date_utc == lost_at


def test_of_two_who_revoke_at_once_the_second_is_told(rig: Rig) -> None:
    """Each has read the row before the other wrote."""
    row = issue_one(rig)
    with rig.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility)
        with pytest.raises(RevocationRefused, match="for good"):
            revoke(row, Reason.KEY_COMPROMISE, facility)
        (superseded,) = facility.store.by_serial(row.serial)
        revoke(superseded, Reason.KEY_COMPROMISE, facility)
        with pytest.raises(RevocationRefused, match="not revoked as it was"):
            revoke(superseded, Reason.KEY_COMPROMISE, facility)


def test_a_hold_leaves_the_list_when_it_is_released(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        revoke(row, Reason.CERTIFICATE_HOLD, facility)
    assert serials(cut(rig)) == {row.serial}
    with rig.facility() as facility:
        release(row, facility)
    assert serials(cut(rig)) == set()


def test_a_hold_may_become_final_and_nothing_final_is_released(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        revoke(row, Reason.CERTIFICATE_HOLD, facility)
        revoke(row, Reason.KEY_COMPROMISE, facility)
        with pytest.raises(RevocationRefused):
            release(row, facility)
    assert serials(cut(rig)) == {row.serial}


def test_a_key_that_was_compromised_is_never_certified_again(rig: Rig) -> None:
    revoked(rig, Reason.KEY_COMPROMISE)
    with rig.facility() as facility:
        with pytest.raises(RequestRefused) as refusal:
            issue(facility, order())
        issue(facility, order("another-key"))
    assert any(v.rule.startswith("key.") for v in refusal.value.violations)


def test_a_key_that_is_compromised_while_the_pin_is_typed_is_not_certified(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        authority = signing_authority(authorities(facility.store))
        prepared = Preparation(facility).prepare(order(), authority, now=rig.clock.now)
        with rig.facility() as another:
            revoke(row, Reason.KEY_COMPROMISE, another)
        with pytest.raises(RequestRefused) as refused:
            list(Issuance(facility).issue([prepared]))
        assert [one.rule for one in refused.value.violations] == ["key.blocked"]
    assert [one.serial for one in rig.rows()] == [row.serial]


def test_revoking_one_of_two_certificates_for_a_key_names_the_other(rig: Rig) -> None:
    first, second = issue_one(rig), issue_one(rig)
    with rig.facility() as facility:
        revoke(first, Reason.SUPERSEDED, facility)
        live = still_live(first, facility, now=rig.clock.now)
    assert [row.serial for row in live] == [second.serial]


def test_a_root_cannot_be_revoked(rig: Rig) -> None:
    with rig.facility() as facility:
        root = facility.store.issuers()[0]
        assert root.serial is not None
        (row,) = facility.store.by_serial(root.serial)
        with pytest.raises(RevocationRefused):
            revoke(row, Reason.CA_COMPROMISE, facility)


def test_a_revoked_intermediate_signs_only_its_own_crls(rig: Rig) -> None:
    leaf = revoked(rig)
    with rig.facility() as facility:
        intermediate = facility.store.issuers()[1]
        assert intermediate.serial is not None
        (row,) = facility.store.by_serial(intermediate.serial)
        revoke(row, Reason.CA_COMPROMISE, facility)
        assert facility.store.issuers()[1].state is IssuerState.RETIRED
        assert signing_authority(authorities(facility.store)).issuer.slug == "root"
    assert serials(cut(rig, "root")) == {intermediate.serial}
    assert serials(cut(rig)) == {leaf}


class _Death(BaseException):
    """The process ends here."""


def test_a_revocation_that_is_cut_off_leaves_no_revoked_intermediate_that_signs(rig: Rig) -> None:
    def die(name: str) -> None:
        if name == "store.committed":
            raise _Death

    with rig.facility() as facility:
        intermediate = facility.store.issuers()[1]
        (row,) = facility.store.by_serial(Serial(intermediate.serial or 0))
        arm(die)
        try:
            with pytest.raises(_Death):
                revoke(row, Reason.CA_COMPROMISE, facility)
        finally:
            arm(None)
    with rig.facility() as facility:
        (row,) = facility.store.by_serial(row.serial)
        assert row.is_revoked
        assert facility.store.issuers()[1].state is IssuerState.RETIRED


# ---------------------------------------------------------------- the lists


def test_two_crls_of_one_second_have_increasing_numbers_and_dates(rig: Rig) -> None:
    crls = [cut(rig) for _ in range(3)]
    assert [number(crl) for crl in crls] == [1, 2, 3]
    dates = [crl.last_update_utc for crl in crls]
    assert dates == [rig.clock.now + timedelta(seconds=n) for n in range(3)]


def test_the_file_a_server_reads_is_the_newest_crl(rig: Rig) -> None:
    cut(rig)
    newest = cut(rig)
    on_disk = x509.load_pem_x509_crl((rig.path / "crl/intermediate-1.crl.pem").read_bytes())
    assert on_disk == newest
    assert (rig.path / "crl/intermediate-1.crl").read_bytes() == _der(newest)
    assert sorted(path.name for path in (rig.path / "crl").iterdir()) == [
        "intermediate-1.crl",
        "intermediate-1.crl.pem",
        "openvpn.pem",
        "root.crl",
        "root.crl.pem",
    ]


def _der(crl: x509.CertificateRevocationList) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return crl.public_bytes(Encoding.DER)


def test_an_entry_leaves_only_after_one_crl_past_its_expiry(rig: Rig) -> None:
    serial = revoked(rig, days=10)
    rig.clock.move(days=9)
    assert serials(cut(rig)) == {serial}
    rig.clock.move(days=2)
    assert serials(cut(rig)) == {serial}, "the first list after its end must still have it"
    rig.clock.move(seconds=1)
    assert serials(cut(rig)) == set()


def test_an_uncertain_serial_that_expired_leaves_like_any_other(rig: Rig) -> None:
    with (
        rig.facility(store=lambda store: Unwritable(store, "record_certificates")) as facility,
        pytest.raises(StoreUnwritable),
    ):
        issue(facility, order(days=10))
    (row,) = rig.rows()
    assert serials(cut(rig)) == {row.serial}
    rig.clock.move(days=11)
    assert serials(cut(rig)) == {row.serial}
    assert serials(cut(rig)) == set()


def test_a_crl_that_could_not_be_recorded_is_not_published_and_its_number_is_spent(
    rig: Rig,
) -> None:
    first = cut(rig)
    with (
        rig.facility(store=lambda store: Unwritable(store, "record_crl")) as facility,
        pytest.raises(StoreUnwritable),
    ):
        list(cut_crls(facility, days=CRL_DAYS))
    root_pem = x509.load_pem_x509_crl((rig.path / "crl/root.crl.pem").read_bytes())
    assert number(root_pem) == number(first)
    assert number(cut(rig, "root")) == number(root_pem) + 2


def test_a_crl_never_outlives_its_issuer(rig: Rig) -> None:
    for _ in range(5):
        rig.clock.move(days=363)
        crl = cut(rig)
    issuer = x509.load_pem_x509_certificate((rig.path / "certs/intermediate-1.pem").read_bytes())
    assert crl.next_update_utc is not None
    assert issuer.not_valid_after_utc - rig.clock.now < timedelta(days=30)
    assert crl.next_update_utc == issuer.not_valid_after_utc


def test_no_crl_is_cut_by_a_clock_before_the_last_one(rig: Rig) -> None:
    cut(rig)
    rig.clock.move(minutes=-6)
    with pytest.raises(ClockSuspect):
        cut(rig)
    with (
        rig.facility(believe_clock=True) as facility,
        pytest.raises(ClockSuspect, match="has not come yet"),
    ):
        list(cut_crls(facility, days=CRL_DAYS))


def test_a_clock_set_back_a_little_dates_no_crl_before_what_it_lists(rig: Rig) -> None:
    serial = revoked(rig)
    revoked_at = rig.clock.now
    rig.clock.move(minutes=-2)
    crl = cut(rig)
    assert serials(crl) == {serial}
    assert crl.last_update_utc == revoked_at


def test_times_in_a_crl_are_those_of_the_clock(rig: Rig) -> None:
    rig.clock.now = rig.clock.now.astimezone(UTC)
    crl = cut(rig)
    assert crl.last_update_utc == rig.clock.now
    assert crl.next_update_utc == rig.clock.now + timedelta(days=30)
    assert isinstance(crl.last_update_utc, datetime)
