"""Cutting the lists that tell the world what is revoked (RFC 5280 §5).

thisUpdate strictly increases: among valid CRLs a client takes the later one, so a list cut in the
same second as its predecessor could un-revoke. The whole cut, from number to file, is one at a
time, so a newer list is never overwritten by an older one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path

from msgspec import Struct

from ca.encoding.certificate import assemble
from ca.encoding.crl import build_crl_tbs
from ca.encoding.inspect import read_crl
from ca.encoding.spki import verify
from ca.errors import ClockSuspect
from ca.failpoints import failpoint
from ca.home import Home
from ca.interfaces.custody import Signer
from ca.interfaces.issuing import IssuerRecord, Role
from ca.interfaces.revocation import CrlRecord
from ca.interfaces.values import ONE_SECOND, Serial
from ca.lint.gate import LintedCrlTbs, lint_crl_tbs
from ca.lint.rule import LintContext
from ca.names.showing import shell_word
from ca.services.crl.files import (
    JOINED,
    Elsewhere,
    lists_at_hand,
    predecessor,
    publishing,
    valid_now,
    write_crls,
    write_joined,
)
from ca.services.crl.ladder import Ladder, Rung, Shape, plan, standing_ladder
from ca.services.facility import (
    CLOCK_MAY_LAG,
    Authority,
    Facility,
    algorithm_of,
    authorities,
)


class Cut(Struct, frozen=True, kw_only=True):
    """What was cut for an issuer. crl: the list that is valid from now; rungs: it and the others.

    paths: the files they were written to, PEM first.
    """

    authority: Authority
    crl: CrlRecord
    rungs: tuple[CrlRecord, ...]
    paths: tuple[Path, ...]

    @property
    def armed_until(self) -> datetime:
        """When a server that has all rungs refuses everybody."""
        return self.rungs[-1].next_update


def cut_crls(
    facility: Facility,
    *,
    days: Mapping[Role, int],
    ladder: Mapping[Role, Shape] | None = None,
    only: Callable[[IssuerRecord], bool] = lambda _: True,
    directory: Path | None = None,
) -> Iterator[Cut]:
    """New CRLs of every issuer whose key is here, published in the home's crl/.

    An issuer that has a ladder gets a ladder again, to the same end or, once half of its time is
    gone, of the same length; the first lists of an issuer are a ladder where its elder has one.
    Whatever is asked for outranks every rung that is still to come: a single list would be stale
    once they begin.

    days:      nextUpdate after thisUpdate, by role, where there is no ladder.
    ladder:    what ladders to cut, by role. Yields as each issuer's lists are on disk; the last
               step, openvpn.pem, is done when all have been taken.
    only:      which issuers' lists are cut; those of the others stay as they are.
    directory: publish there as well. Where that cannot be written, everything in the home is
               done before it is told.
    Raises:    ClockSuspect where something is to be cut, CustodyError, LintRefused, StoreError,
               OutputFailed.
    """
    also = Elsewhere(directory)
    wanted = [issuer for issuer in facility.store.issuers() if issuer.has_key and only(issuer)]
    # where a ladder lasts for years, a year without an act is no reason for a timer to fail: with
    # nothing due it needs no clock, and where that cannot be believed it changes no file either
    if wanted:
        facility.check_clock()
    elif not facility.is_clock_plausible():
        return
    keys = [issuer for issuer in wanted if not issuer.has_ended(facility.clock())]
    # a timer that finds nothing due leaves the TPM alone
    with (
        facility.changing(*keys) if keys else nullcontext(),
        publishing(facility.home, facility.on_wait),
    ):
        joined: list[bytes] = []
        for authority in authorities(facility.store):
            # an issuer that has ended needs no list: nothing below it is valid any more
            if authority.not_after <= facility.clock():
                continue
            issuer = authority.issuer
            if not issuer.has_key or not only(issuer):
                at_hand = lists_at_hand(issuer, facility.home, facility.store, at=facility.clock())
                joined += at_hand
                if issuer.is_elsewhere and at_hand:
                    # whichever node a client asks, it finds the lists of all
                    write_crls(issuer.slug, at_hand, facility.home.crl)
                if at_hand:  # there an earlier cut may not have come
                    now = valid_now(issuer, at_hand, facility.store, at=facility.clock())
                    also.write(partial(write_crls, issuer.slug, at_hand, current=now))
                continue
            shape = ladder[issuer.role] if ladder is not None else None
            last = facility.store.last_crl(issuer.id)
            before = predecessor(
                issuer, facility.home, facility.store, last=last, at=facility.clock()
            )
            rungs = _cut(authority, shape, days[issuer.role], last, facility)
            ders = [rung.der for rung in rungs]
            joined += [before, *ders] if before is not None else ders
            paths = write_crls(issuer.slug, ders, facility.home.crl)
            copies = also.write(partial(write_crls, issuer.slug, ders))
            yield Cut(authority=authority, crl=rungs[0], rungs=rungs, paths=(*paths, *copies))
        if joined:
            write_joined(joined, facility.home.crl)
            also.write(lambda place: (write_joined(joined, place),))
    also.tell(facility.home)


def _cut(
    authority: Authority, shape: Shape | None, days: int, last: CrlRecord | None, facility: Facility
) -> tuple[CrlRecord, ...]:
    """Plan, reserve, lint all, sign all in one transaction with the key, record all."""
    rungs = _signed_all(authority, _linted_all(authority, shape, days, last, facility), facility)
    if len(rungs) == 1:
        facility.store.record_crl(rungs[0])
    else:
        facility.store.record_ladder(rungs)
    return rungs


class _Ready(Struct, frozen=True, kw_only=True):
    """A list that may be signed. Its octets may be megabytes: nobody else holds them."""

    number: int
    rung: Rung
    tbs: LintedCrlTbs


def _linted_all(
    authority: Authority, shape: Shape | None, days: int, last: CrlRecord | None, facility: Facility
) -> list[_Ready]:
    issuer = authority.issuer
    now = facility.clock()
    standing = standing_ladder(facility.store, issuer.id)
    entries = tuple(
        facility.store.revoked_entries(
            issuer.id, expired_since=last.this_update if last is not None else None
        )
    )
    # asked after the entries, so that it is at least as late as each of them; where there are none,
    # the index of dates would be searched through the lines of all other issuers
    newest_line = (facility.store.newest_revocation(issuer.id) if entries else None) or now
    first = _first_this_update(issuer, last, standing, newest_line, facility.home, now=now)
    before = standing if standing is not None and not standing.is_single else None
    if shape is None:
        is_kept = before is not None and not before.is_left
        kept = before if is_kept else None
        if standing is None:
            kept = _ladder_beside(issuer, facility, at=now)
        shape = kept.shape(first) if kept is not None else Shape.single(days)
    planned = plan(
        shape,
        first=first,
        earlier=before.rungs if before is not None else (),
        not_after=authority.not_after,
    )
    expired = _MayLeave(issuer.id, last, facility)
    previous = read_crl(last.der).tbs if last is not None else None
    ready = []
    for rung in planned:
        number = facility.store.reserve_crl_number(issuer.id, at=now)
        tbs = build_crl_tbs(
            algorithm=algorithm_of(issuer),
            issuer_der=issuer.subject_der,
            issuer_ski=authority.ski,
            number=number,
            this_update=rung.this_update,
            next_update=rung.next_update,
            entries=entries,
        )
        context = LintContext(
            now=rung.this_update,
            issuer=authority.certificate,
            crl_urls=(issuer.crl_url,) if issuer.crl_url else (),
            previous=previous,
            expired=expired,
        )
        linted = lint_crl_tbs(tbs, context=context)
        failpoint("tbs.linted")
        previous = linted.facts
        ready.append(_Ready(number=number, rung=rung, tbs=linted))
    return ready


def _ladder_beside(issuer: IssuerRecord, facility: Facility, *, at: datetime) -> Ladder | None:
    """What the first lists of a new generation are to be like: the ladder of the one before it.

    With a single list they would end in a month, and servers that were armed for a year refuse
    whoever has a certificate of the new one. `issuer` itself has no list yet.
    """
    others = [one for one in facility.store.issuers() if one.has_key and one.role is issuer.role]
    for other in reversed(others):
        standing = standing_ladder(facility.store, other.id)
        if standing is not None and not standing.is_single:
            # one that its issuer's end has cut short looks as if it was left, and was not
            stands = standing.lasts_to(other.not_after) or not standing.is_left
            return standing if stands and standing.armed_until > at else None
    return None


def _signed_all(
    authority: Authority, ready: list[_Ready], facility: Facility
) -> tuple[CrlRecord, ...]:
    issuer = authority.issuer
    with facility.key_of(issuer) as signer:
        return tuple(
            CrlRecord(
                issuer_id=issuer.id,
                number=one.number,
                this_update=one.rung.this_update,
                next_update=one.rung.next_update,
                entries=one.tbs.entries,
                der=_signed(one.tbs.der, issuer, signer),
            )
            for one in ready
        )


def _signed(tbs: bytes, issuer: IssuerRecord, signer: Signer) -> bytes:
    signature = signer.sign(tbs)
    verify(issuer.spki, signer.algorithm, signature, tbs)
    failpoint("signature.verified")
    return assemble(tbs, signer.algorithm, signature)


def _first_this_update(
    issuer: IssuerRecord,
    last: CrlRecord | None,
    standing: Ladder | None,
    newest_line: datetime,
    home: Home,
    *,
    now: datetime,
) -> datetime:
    """Now, but after every list that has begun, and not before what it lists.

    The clock may have been set back by a little. Raises: ClockSuspect when it was by much.
    """
    begun = [start for start in standing.starts if start <= now] if standing is not None else []
    begun += [last.this_update] if last is not None else []
    first = max([now, newest_line, *(start + ONE_SECOND for start in begun)])
    if first > now + CLOCK_MAY_LAG:
        raise ClockSuspect(
            f"the last CRL or revocation of {issuer.subject} is dated "
            f"{first:%Y-%m-%d %H:%M} UTC, which has not come yet",
            # the lists tell the restored record of what was revoked since that backup
            remedy="set the clock, then cut again; if the clock is right, `homeca crl --dir DIR` "
            "tells OpenVPN what is revoked, and a backup from before the wrong clock is the way "
            "back: `homeca restore BACKUP --home DIRECTORY --crl "
            f"{shell_word(home.crl / JOINED)} --accept-older`",
        )
    return first


class _MayLeave(Container[int]):
    """Serials whose absence from the next CRL is right: they had expired, or were released.

    Asked of the record only for serials that did leave, which are few.
    """

    def __init__(self, issuer_id: int, last: CrlRecord | None, facility: Facility) -> None:
        self._issuer_id = issuer_id
        self._last = last
        self._facility = facility

    def __contains__(self, serial: object) -> bool:
        if not isinstance(serial, int) or self._last is None:
            return False
        return any(
            not record.is_revoked or record.not_after < self._last.this_update
            for record in self._facility.store.by_serial(Serial(serial))
            if record.issuer_id == self._issuer_id
        )
