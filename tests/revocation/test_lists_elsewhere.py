"""Lists of a root in another home: clients here fetch the one that is valid now."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from ca.home import Home
from ca.interfaces.issuing import Role
from ca.services.ceremony.foreign_root import accept_intermediate
from ca.services.crl.cutting import cut_crls
from ca.services.crl.elsewhere import take_in
from ca.services.crl.ladder import Shape
from tests.interop.world import blocks
from tests.revocation.test_ladder import lists
from tests.services.rig import CRL_DAYS, Rig, cut
from tests.services.test_foreign_root import asked, certified, root_of

STEP = timedelta(days=60)


@pytest.fixture
def away(rig: Rig, tmp_path: Path) -> Rig:
    """A home with an intermediate under the root of `rig`, which has cut a ladder of three."""
    away = Rig(tmp_path / "away", rig.clock)
    answer = certified(rig, asked(away))
    with away.facility() as facility:
        accept_intermediate([root_of(rig), answer], facility)
    with rig.facility() as facility:
        ladder = dict.fromkeys(Role, Shape.of_steps(3, STEP))
        list(cut_crls(facility, days=CRL_DAYS, ladder=ladder))
    return away


def include(away: Rig, *texts: str) -> None:
    """As `homeca crl --include`, before it cuts."""
    with away.facility() as facility:
        octets = "".join(texts).encode()
        take_in(octets, Home(away.path), facility.store, at=away.clock.now, on_wait=lambda _: None)


def fetched(away: Rig) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl((away.path / "crl/root.crl").read_bytes())


@pytest.mark.parametrize(("days", "rung"), [(1, 0), (59, 0), (61, 1), (121, 2), (200, 2)])
def test_of_a_ladder_that_was_brought_in_any_order_clients_fetch_the_rung_of_today(
    rig: Rig, away: Rig, days: int, rung: int
) -> None:
    rungs = lists(rig.path / "crl/root.crl.pem")
    assert [one.last_update_utc - rungs[0].last_update_utc for one in rungs] == [
        n * STEP for n in range(3)
    ]
    brought = blocks(rig.path / "crl/root.crl.pem")
    rig.clock.move(days=days)
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]):
        include(away, *(brought[n] for n in order))
        assert fetched(away) == rungs[rung], order
        assert lists(away.path / "crl/root.crl.pem") == rungs, order


def test_a_cut_of_our_own_lists_leaves_the_roots_as_they_were_brought(rig: Rig, away: Rig) -> None:
    """The first rung is not over when the second has taken its place."""
    rig.clock.move(days=61)
    include(away, *blocks(rig.path / "crl/root.crl.pem"))
    first, second, _ = lists(rig.path / "crl/root.crl.pem")
    assert first.next_update_utc is not None
    assert first.next_update_utc > rig.clock.now
    before = {path: path.read_bytes() for path in (away.path / "crl").glob("root.crl*")}
    assert len(before) == 2
    cut(away)
    assert fetched(away) == second
    assert {path: path.read_bytes() for path in before} == before
