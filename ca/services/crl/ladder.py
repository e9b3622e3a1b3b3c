"""A ladder: CRLs cut together, each taking over on the day the one before grows old.

OpenVPN reads all of them from one file and uses the one that is valid now, so a server stays
armed with the CA switched off. Among valid lists the later thisUpdate wins, not the higher number
(client-rules d.7, CRL 1 and 2). Hence the two rules of a plan:

- no gap: every rung begins while the one before is still good for half of its life;
- no stale rung wins: for each rung of the ladder before that is still to come, the new ladder has
  one that begins ONE_SECOND later and lasts as long. An old file that somebody kept beside the new
  one then speaks for that second at most, and never again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from ca.interfaces.issuing import Role
from ca.interfaces.revocation import CrlRecord, CrlTrace
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import ONE_SECOND

#: No list is good for longer than a year and a day (CA/B BR §4.9.7), and a rung lives two steps.
LONGEST_STEP = timedelta(days=183)
SHORTEST_STEP = timedelta(hours=1)
MOST_RUNGS = 120

#: A root revokes once in years.
ROOT_STEP = timedelta(days=180)

#: Rungs closer than this are one: each re-cut moves a rung by a second, and none may tie.
CLOSE = timedelta(minutes=30)


class Shape(Struct, frozen=True, kw_only=True):
    """What a cut is to look like. life: nextUpdate after thisUpdate of each rung.

    step: from one rung to the next. span: from the first thisUpdate to the last nextUpdate.
    """

    step: timedelta
    life: timedelta
    span: timedelta

    @classmethod
    def of_steps(cls, count: int, step: timedelta) -> Shape:
        """`count` rungs; each lives two steps, so that the next takes over at its half."""
        return cls(step=step, life=2 * step, span=(count + 1) * step)

    @classmethod
    def single(cls, days: int) -> Shape:
        """One list and nothing after it."""
        life = timedelta(days=days)
        return cls(step=life / 2, life=life, span=life)

    def as_long_as(self, other: Shape) -> Shape:
        """As many of its own rungs as it takes to last as long as `other`."""
        return replace(self, span=max(self.span, other.span))


def shapes(count: int, step: timedelta) -> Mapping[Role, Shape]:
    """`count` rungs for intermediates, and for the root as few as last as long."""
    daily = Shape.of_steps(count, step)
    return {
        Role.INTERMEDIATE: daily,
        Role.ROOT: Shape.of_steps(1, ROOT_STEP).as_long_as(daily),
    }


class Rung(Struct, frozen=True, kw_only=True):
    """When one list is valid."""

    this_update: datetime
    next_update: datetime


def plan(
    shape: Shape, *, first: datetime, earlier: Sequence[Rung] = (), not_after: datetime
) -> tuple[Rung, ...]:
    """The rungs of a ladder that begins at `first`, in order.

    earlier:   the rungs of the ladder it replaces, in order; `first` is after all that have begun.
    not_after: the issuer's end; no rung goes beyond it.
    Returns:   at least one rung; one beyond the shape's span is there to outrank an earlier one,
               and ends with it. Each begins before the one before ends, and whichever of the
               earlier ones is good at some moment, one that began later than it is good as well.
    """
    outranking = iter([one.this_update + ONE_SECOND for one in earlier if one.this_update >= first])
    horizon = min(first + shape.span, not_after)
    starts, due = [(first, shape.life)], next(outranking, None)
    while True:
        last, _ = starts[-1]
        is_wanted = last + shape.life < horizon
        following = last + shape.step if is_wanted else not_after
        if due is not None and due <= following + CLOSE:
            following, due = due, next(outranking, None)
        if following >= not_after:
            break
        starts.append((following, shape.life if is_wanted else timedelta()))
    return tuple(
        Rung(
            this_update=start,
            next_update=min(
                max(
                    start + life,
                    *(one.next_update for one in earlier if one.this_update < start),
                    start + ONE_SECOND,
                ),
                not_after,
            ),
        )
        for start, life in starts
    )


class Ladder(Struct, frozen=True):
    """The lists of an issuer that were cut last, lowest number first; often only one."""

    traces: tuple[CrlTrace, ...]

    @property
    def rungs(self) -> tuple[Rung, ...]:
        return tuple(
            Rung(this_update=trace.this_update, next_update=trace.next_update)
            for trace in self.traces
            if trace.this_update is not None and trace.next_update is not None
        )

    @property
    def starts(self) -> tuple[datetime, ...]:
        return tuple(rung.this_update for rung in self.rungs)

    @property
    def cut_at(self) -> datetime:
        """thisUpdate of the first rung: what was revoked later is on none of them."""
        return self.starts[0]

    @property
    def armed_until(self) -> datetime:
        """nextUpdate of the last rung: then servers that have this ladder refuse everybody."""
        return max(rung.next_update for rung in self.rungs)

    @property
    def due(self) -> datetime:
        """Half of its life: when the next should be cut, so that a failure can be mended."""
        return self.cut_at + (self.armed_until - self.cut_at) / 2

    def lasts_to(self, end: datetime | None) -> bool:
        """Does it arm servers to the end of its issuer? Then no later cut could last longer."""
        return end is not None and self.armed_until >= end

    @property
    def is_single(self) -> bool:
        return len(self.traces) == 1

    def coming(self, at: datetime) -> tuple[datetime, ...]:
        """thisUpdate of the rungs that have not begun."""
        return tuple(start for start in self.starts if start > at)

    def current(self, at: datetime) -> CrlTrace:
        """The rung a client uses: the latest that has begun; the first, before any has."""
        begun = sum(start <= at for start in self.starts)
        return self.traces[max(0, begun - 1)]

    @property
    def is_left(self) -> bool:
        """Does its end only outrank an earlier ladder? Then its last rung ends with that one's,
        seconds short of the whole hours that a rung lives otherwise; or it ends with its issuer.
        """
        last = self.rungs[-1]
        return not self.is_single and bool((last.next_update - last.this_update) % SHORTEST_STEP)

    def shape(self, first: datetime) -> Shape:
        """For a cut at `first`: the same end; once half of its time is gone, the same length anew.

        A ladder that was left has none: what is to come of it is outranked, and no more.
        """
        life = max(rung.next_update - rung.this_update for rung in self.rungs)
        end = self.armed_until if first < self.due else first + (self.armed_until - self.cut_at)
        return Shape(step=life / 2, life=life, span=max(life, end - first))


def standing_ladder(store: CertificateStore, issuer_id: int) -> Ladder | None:
    """The newest cut of an issuer, a ladder or a single list; None before the first."""
    traces = store.last_cut(issuer_id)
    return Ladder(traces) if traces else None


def armed_until(crl: CrlRecord, store: CertificateStore) -> datetime:
    """When the newest CRL of an issuer and what was cut with it are over."""
    ladder = standing_ladder(store, crl.issuer_id)
    return ladder.armed_until if ladder is not None else crl.next_update


def is_outranked(coming: Iterable[datetime], ladder: Sequence[datetime]) -> bool:
    """Is each rung of an earlier cut that is still `coming` followed closely by one of `ladder`?

    Closely: each cut in between moved it by ONE_SECOND.
    """
    return all(any(moment < start <= moment + CLOSE for start in ladder) for moment in coming)


def has_gap(rungs: Sequence[Rung]) -> bool:
    """Is there a moment between the first and the last rung at which none is valid?"""
    return any(after.this_update > before.next_update for before, after in pairwise(rungs))
