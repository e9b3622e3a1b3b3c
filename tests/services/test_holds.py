"""A certificate on hold: nothing that is signed meanwhile undoes it."""

from __future__ import annotations

import pytest

from ca.errors import RequestRefused
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.revocation import Reason
from ca.interfaces.values import serial_text
from ca.policy.terms import Wishes
from ca.services.facility import Facility, authorities, signing_authority
from ca.services.issuance.issuing import Issuance, Issued
from ca.services.issuance.preparation import Preparation
from ca.services.issuance.renewal import renewal_of
from ca.services.revocation.revoking import release, revoke
from tests.services.rig import Rig, issue, issue_one, order


def on_hold(rig: Rig) -> CertificateRecord:
    row = issue_one(rig)
    with rig.facility() as facility:
        revoke(row, Reason.CERTIFICATE_HOLD, facility)
        (held,) = facility.store.by_serial(row.serial)
    return held


def refused_to_sign(facility: Facility) -> RequestRefused:
    with pytest.raises(RequestRefused) as refused:
        issue(facility, order())
    return refused.value


def test_a_key_on_hold_gets_no_other_certificate_and_the_way_out_is_named(rig: Rig) -> None:
    held = on_hold(rig)
    with rig.facility() as facility:
        refusal = refused_to_sign(facility)
        issue(facility, order("another-key"))
    assert [one.rule for one in refusal.violations] == ["key.on-hold"]
    release_it = f"`homeca revoke {serial_text(held.serial)} --reason removeFromCRL`"
    assert release_it in refusal.remedy


def test_a_key_that_was_released_is_certified_again(rig: Rig) -> None:
    held = on_hold(rig)
    with rig.facility() as facility:
        release(held, facility)
        (outcome,) = issue(facility, order())
    assert isinstance(outcome, Issued)


@pytest.mark.parametrize(
    ("reason", "rules"), [(Reason.SUPERSEDED, []), (Reason.KEY_COMPROMISE, ["key.blocked"])]
)
def test_a_hold_that_became_final_bars_its_key_as_its_reason_does(
    rig: Rig, reason: Reason, rules: list[str]
) -> None:
    held = on_hold(rig)
    with rig.facility() as facility:
        revoke(held, reason, facility)
        if rules:
            assert [one.rule for one in refused_to_sign(facility).violations] == rules
        else:
            issue(facility, order())


def test_a_key_that_is_put_on_hold_while_the_pin_is_typed_is_not_certified(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        authority = signing_authority(authorities(facility.store))
        prepared = Preparation(facility).prepare(order(), authority, now=rig.clock.now)
        with rig.facility() as another:
            revoke(row, Reason.CERTIFICATE_HOLD, another)
        with pytest.raises(RequestRefused, match="put on hold just now") as refused:
            list(Issuance(facility).issue([prepared]))
        assert [one.rule for one in refused.value.violations] == ["key.on-hold"]
    assert [one.serial for one in rig.rows()] == [row.serial]


def test_a_certificate_on_hold_is_released_before_it_is_renewed(rig: Rig) -> None:
    held = on_hold(rig)
    with pytest.raises(RequestRefused, match="on hold") as refused:
        renewal_of(held, profile=None, wishes=Wishes())
    assert f"homeca revoke {serial_text(held.serial)} --reason removeFromCRL" in (
        refused.value.remedy
    )
    assert "new key" not in refused.value.remedy


def test_what_is_revoked_for_good_is_not_renewed(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility)
        (revoked,) = facility.store.by_serial(row.serial)
    with pytest.raises(RequestRefused, match="is revoked \\(superseded\\)") as refused:
        renewal_of(revoked, profile=None, wishes=Wishes())
    assert "new key" in refused.value.remedy
