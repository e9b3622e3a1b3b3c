"""Where the rungs of a ladder stand: no gap, and no stale rung that wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ca.interfaces.revocation import CrlTrace
from ca.interfaces.values import ONE_SECOND
from ca.services.crl.ladder import Ladder, Rung, Shape, has_gap, is_outranked, plan

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FOREVER = NOW + 9000 * DAY
YEAR = Shape.of_steps(12, 30 * DAY)


def planned(
    shape: Shape = YEAR,
    *,
    first: datetime = NOW,
    earlier: tuple[Rung, ...] = (),
    not_after: datetime = FOREVER,
) -> tuple[Rung, ...]:
    return plan(shape, first=first, earlier=earlier, not_after=not_after)


def starts(rungs: tuple[Rung, ...]) -> list[datetime]:
    return [rung.this_update for rung in rungs]


def winner(rungs: list[Rung], at: datetime) -> Rung | None:
    """As OpenSSL chooses: of those valid now the latest, of equals the first in the file."""
    valid = [rung for rung in rungs if rung.this_update <= at <= rung.next_update]
    return max(valid, key=lambda rung: rung.this_update, default=None)


def test_twelve_steps_of_thirty_days_are_twelve_rungs_for_more_than_a_year() -> None:
    rungs = planned()
    assert starts(rungs) == [NOW + 30 * n * DAY for n in range(12)]
    assert rungs[-1].next_update == NOW + 390 * DAY


def test_a_rung_takes_over_when_half_of_the_one_before_is_left() -> None:
    for rung, following in pairwise(planned()):
        assert following.this_update == rung.this_update + (rung.next_update - rung.this_update) / 2


def test_one_list_is_a_ladder_of_one() -> None:
    assert planned(Shape.single(30)) == (Rung(this_update=NOW, next_update=NOW + 30 * DAY),)


def test_a_root_gets_as_few_rungs_as_last_as_long() -> None:
    root = Shape.of_steps(1, 180 * DAY).as_long_as(YEAR)
    assert starts(planned(root)) == [NOW, NOW + 180 * DAY]
    assert planned(root)[-1].next_update >= planned()[-1].next_update


def test_no_rung_goes_beyond_the_issuer() -> None:
    rungs = planned(not_after=NOW + 100 * DAY)
    assert rungs[-1].next_update == NOW + 100 * DAY
    assert len(rungs) == 3


def test_a_recut_has_a_rung_one_second_after_each_old_one_that_is_still_to_come() -> None:
    old = planned()
    recut = starts(planned(first=NOW + 40 * DAY, earlier=old))
    assert recut[0] == NOW + 40 * DAY
    assert set(recut) >= {moment + ONE_SECOND for moment in starts(old)[2:]}


def test_a_ladder_that_is_left_is_outranked_rung_by_rung_and_grows_no_longer() -> None:
    old = planned()
    left = planned(Shape.single(7), first=NOW + DAY, earlier=old)
    assert is_outranked(starts(old)[1:], starts(left))
    assert len(left) == len(old)
    assert left[-1].next_update == old[-1].next_update
    assert not has_gap(left)


def ladder(rungs: tuple[Rung, ...]) -> Ladder:
    return Ladder(
        tuple(
            CrlTrace(
                number=number,
                reserved_at=NOW,
                this_update=rung.this_update,
                next_update=rung.next_update,
                entries=0,
                sha256=bytes(32),
            )
            for number, rung in enumerate(rungs, 1)
        )
    )


def test_a_recut_keeps_the_end_until_half_of_the_time_is_gone_and_then_the_length() -> None:
    whole = ladder(planned())
    early, late = NOW + 10 * DAY, NOW + 200 * DAY
    for first, end in ((early, NOW + 390 * DAY), (late, late + 390 * DAY)):
        recut = planned(whole.shape(first), first=first, earlier=whole.rungs)
        assert end <= recut[-1].next_update <= end + 30 * DAY
        assert not ladder(recut).is_left


def test_a_ladder_that_was_left_is_known_from_one_that_is_kept() -> None:
    assert ladder(planned(Shape.single(30), first=NOW + DAY, earlier=planned())).is_left
    assert ladder(planned(Shape.of_steps(1, 30 * DAY), first=NOW + DAY, earlier=planned())).is_left
    assert not ladder(planned()).is_left
    assert not ladder(planned(first=NOW + DAY, earlier=planned())).is_left
    assert not ladder(planned(Shape.single(30))).is_left


def test_that_an_old_rung_is_not_outranked_is_noticed() -> None:
    old = starts(planned())
    assert not is_outranked(old[1:], starts(planned(first=NOW + DAY)))


def test_that_a_gap_is_there_is_noticed() -> None:
    later = Rung(this_update=NOW + 3 * DAY, next_update=NOW + 4 * DAY)
    assert has_gap([Rung(this_update=NOW, next_update=NOW + 2 * DAY), later])


shapes = st.builds(
    Shape.of_steps,
    st.integers(1, 14),
    st.integers(3600, 183 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
)
waits = st.integers(1, 400 * 86400).map(lambda seconds: timedelta(seconds=seconds))


@settings(max_examples=100, deadline=None)
@given(shapes, st.lists(st.tuples(waits, shapes), max_size=4), st.integers(1, 3000))
def test_whatever_was_cut_before_no_moment_is_without_a_list_and_no_stale_one_wins(
    first_shape: Shape, recuts: list[tuple[timedelta, Shape]], days: int
) -> None:
    """Every earlier rung is thought to lie beside the newest ladder in one file, as it may.

    Asked of each moment at which another list begins or ends to count, when the seconds by which
    the re-cuts moved their rungs are over.
    """
    not_after = NOW + days * DAY
    moment, stale = NOW, list[Rung]()
    newest = planned(first_shape, not_after=not_after)
    for wait, shape in recuts:
        moment += wait
        begun = [start for start in starts(newest) if start <= moment]
        first = max([moment, *(start + ONE_SECOND for start in begun)])
        if first >= not_after:
            break
        stale += newest
        newest = planned(shape, first=first, earlier=newest, not_after=not_after)
    assert not has_gap(newest)
    assert all(a.this_update < b.this_update for a, b in pairwise(newest))
    assert newest[-1].next_update <= not_after
    late = len(recuts) * ONE_SECOND
    edges = {rung.this_update for rung in (*stale, *newest)} | {one.next_update for one in stale}
    for at in (edge + late for edge in edges):
        chosen = winner([*stale, *newest], at) if at >= newest[0].this_update else None
        assert chosen is None or chosen in newest, (at, chosen)
