"""`homeca check` takes ladders for what they are, and stale lists for what they are."""

from __future__ import annotations

from datetime import datetime, timedelta

from ca.services.finding import Finding
from ca.services.inspection.inspecting import inspect
from tests.house import House
from tests.revocation.test_ladder import LADDER, cut, revoked
from tests.services.rig import Rig


def found(rig: Rig) -> list[Finding]:
    """What the auditor says of the lists."""
    with rig.facility() as facility:
        return [one for one in inspect(facility) if one.rule.startswith("check.crl")]


def test_ladders_cut_over_and_over_are_in_order(rig: Rig) -> None:
    for n in range(3):
        cut(rig, LADDER)
        cut(rig)
        rig.clock.move(days=17)
        revoked(rig, f"phone-{n}")
        cut(rig)
    assert found(rig) == []


def change(rig: Rig, number: int, moment: datetime) -> None:
    """Date a CRL of the intermediate otherwise, as somebody does who keeps to no rule."""
    with House(rig.path.parent).database() as connection:
        connection.execute(
            "UPDATE crls SET this_update = ? WHERE issuer_id = 2 AND number = ?",
            (int(moment.timestamp()), number),
        )


def test_a_list_dated_before_one_that_had_begun_is_found(rig: Rig) -> None:
    cut(rig, LADDER)
    rig.clock.move(days=40)
    cut(rig)
    assert found(rig) == []
    with rig.facility() as facility:
        (second,) = [t for t in facility.store.crl_history(2) if t.number == 2]
    assert second.this_update is not None
    change(rig, 13, second.this_update)
    assert "check.crl.history" in {one.rule for one in found(rig)}


def test_an_old_rung_that_nothing_outranks_is_found(rig: Rig) -> None:
    cut(rig, LADDER)
    rig.clock.move(days=1)
    cut(rig)
    with rig.facility() as facility:
        last = list(facility.store.crl_history(2))[-1]
    assert last.this_update is not None
    change(rig, 12, last.this_update + timedelta(hours=12))
    assert "check.crl.stale-rung" in {one.rule for one in found(rig)}
