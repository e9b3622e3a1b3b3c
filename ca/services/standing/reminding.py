"""What ends when, and what should be done before: for `homeca status` and for a calendar.

Demand 1 and 10: nobody is warned, the list expires, and everybody is locked out. So each thing
that ends has a moment by which to act, early enough for a failure to be mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from ca.encoding.inspect import read_crl
from ca.home import Home
from ca.interfaces.issuing import (
    CertificateQuery,
    IssuerRecord,
    IssuerState,
    State,
)
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import ONE_SECOND, serial_text
from ca.names.showing import many, visible
from ca.services.backup.making import recall
from ca.services.crl.files import JOINED, lists_at_hand, lists_in, published_hash
from ca.services.crl.ladder import Ladder, standing_ladder
from ca.services.premises import Concern
from ca.services.standing.issuers import has_successor, succeed_by, succession
from ca.services.standing.renewals import is_renewed, is_to_be_renewed, renewal_lead

#: A backup that was never tried out is a hope.
DRILL_EVERY = timedelta(days=90)


# ---------------------------------------------------------------- deadlines


class Deadline(Struct, frozen=True, kw_only=True):
    """Something that ends. key: the same for the same thing in every calendar, whatever its date.

    what, remedy: harmless to show. act_by: when to act; not after `ends`.
    """

    key: str
    what: str
    remedy: str
    act_by: datetime
    ends: datetime


def deadlines(store: CertificateStore, home: Home, *, at: datetime) -> tuple[Deadline, ...]:
    """Everything of this CA that has not ended yet, soonest first. Raises: StoreError."""
    issuers = store.issuers()
    found = [
        *(one for issuer in issuers for one in _of_issuer(issuer, issuers, store, home, at=at)),
        *_of_certificates(store, at=at),
        *_of_drill(store, home),
    ]
    return tuple(sorted(found, key=lambda one: (one.act_by, one.key)))


def _of_issuer(
    issuer: IssuerRecord,
    issuers: Sequence[IssuerRecord],
    store: CertificateStore,
    home: Home,
    *,
    at: datetime,
) -> Iterator[Deadline]:
    if issuer.not_after is None or issuer.not_after <= at:
        return
    name = visible(issuer.subject)
    if issuer.state is IssuerState.ACTIVE and not has_successor(issuer, issuers):
        act_by = succeed_by(issuer, issuer.not_after)
        yield Deadline(
            key=f"issuer-{issuer.serial or 0:x}",
            what=f"{name} ends",
            remedy=succession(issuer, issuers, at=max(at, act_by)),
            act_by=act_by,
            ends=issuer.not_after,
        )
    ladder = _ladder_of(issuer, store, home, at=at)
    if ladder is None:
        return
    begins, ends = ladder
    if ends < issuer.not_after:  # else nothing below it is valid any more
        yield Deadline(
            key=f"crl-{issuer.slug}",
            what=f"the CRLs of {name} end: servers that have no newer ones refuse everybody",
            remedy="run `homeca crl`, and bring crl/openvpn.pem to your servers",
            act_by=begins + (ends - begins) / 2,
            ends=ends,
        )
    standing = standing_ladder(store, issuer.id) if issuer.has_key else None
    if standing is not None and not standing.is_single and issuer.crl_url is not None:
        yield from _of_rungs(issuer, standing, at=at)


def _of_rungs(issuer: IssuerRecord, ladder: Ladder, *, at: datetime) -> Iterator[Deadline]:
    """Those who fetch a list get one at a time: each rung must be put in the place of the last."""
    for trace, rung, following in zip(ladder.traces, ladder.rungs, ladder.rungs[1:], strict=False):
        if following.this_update > at:
            yield Deadline(
                key=f"rung-{issuer.slug}-{trace.number}",
                what=f"CRL {trace.number} of {visible(issuer.subject)} makes way for the next "
                f"at {visible(issuer.crl_url or '')}",
                remedy="run `homeca crl --advance`",
                act_by=following.this_update,
                ends=rung.next_update,
            )


def _ladder_of(
    issuer: IssuerRecord, store: CertificateStore, home: Home, *, at: datetime
) -> tuple[datetime, datetime] | None:
    """First thisUpdate and last nextUpdate of its lists, wherever they were cut."""
    if issuer.has_key:
        ladder = standing_ladder(store, issuer.id)
        return None if ladder is None else (ladder.cut_at, ladder.armed_until)
    lists = [read_crl(der).tbs for der in lists_at_hand(issuer, home, store, at=at)]
    if not lists:
        return None
    ends = [tbs.next_update.moment for tbs in lists if tbs.next_update is not None]
    return min(tbs.this_update.moment for tbs in lists), max(ends)


def _of_certificates(store: CertificateStore, *, at: datetime) -> Iterator[Deadline]:
    own = {issuer.serial for issuer in store.issuers()}
    query = CertificateQuery(states=(State.ISSUED,), revoked=False, expires_after=at - ONE_SECOND)
    for record in store.certificates(query):
        if not is_to_be_renewed(record, own) or is_renewed(record, store):
            continue
        serial = serial_text(record.serial)
        yield Deadline(
            key=f"certificate-{serial}",
            what=f"the certificate of {visible(record.subject)} ends",
            remedy=f"renew it: `homeca renew {serial}`",
            act_by=max(record.not_before, record.not_after - renewal_lead(record)),
            ends=record.not_after,
        )


def _of_drill(store: CertificateStore, home: Home) -> Iterator[Deadline]:
    since = _last_drill(store, home)
    if since is not None:
        due = since + DRILL_EVERY
        yield Deadline(
            key="drill",
            what="a backup of this CA should be tried out",
            remedy="run `homeca backup FILE` and `homeca drill FILE`",
            act_by=due,
            ends=due,
        )


def _last_drill(store: CertificateStore, home: Home) -> datetime | None:
    """Of when the newest backup is that was tried out; before the first, the day the CA was made;
    None without a CA.

    Not the day of the drill: an old backup that opens holds no more than it did.
    """
    memory = recall(home)
    if memory.drilled is not None and memory.newest is not None:
        return min(memory.drilled, memory.newest)
    return min((issuer.created_at for issuer in store.issuers()), default=None)


# ---------------------------------------------------------------- concerns


def concerns_to_remind_of(
    store: CertificateStore, home: Home, *, at: datetime
) -> Iterator[Concern]:
    """What `status` says of backups, of openvpn.pem, of rungs, and of lists cut elsewhere."""
    issuers = [one for one in store.issuers() if one.not_after is not None and one.not_after > at]
    for issuer in issuers:
        if issuer.has_key:
            yield from _of_published_rung(issuer, store, home, at=at)
        elif not issuer.is_elsewhere:
            yield from _of_foreign_lists(issuer, store, home, at=at)
    yield from _of_joined(issuers, store, home, at=at)
    yield from _of_other_nodes(issuers, store, home, at=at)
    yield from _of_backup(store, home, at=at)


def _of_published_rung(
    issuer: IssuerRecord, store: CertificateStore, home: Home, *, at: datetime
) -> Iterator[Concern]:
    ladder = standing_ladder(store, issuer.id)
    if ladder is None or ladder.is_single:
        return
    fetched = published_hash(issuer, home)
    there = next((one for one in ladder.traces if one.sha256 == fetched), None)
    current = ladder.current(at)
    if there is None or there.number >= current.number or there.next_update is None:
        return  # another file altogether: said where files are looked at
    ended = "has ended" if there.next_update <= at else "has passed half of its life"
    yield Concern(
        "crl.rung-due",
        f"those who fetch the CRL of {visible(issuer.subject)} get number {there.number}, which "
        f"{ended}; number {current.number} is to take over",
        "run `homeca crl --advance`: it needs no key",
        needs_attention=issuer.crl_url is not None,
    )


def _of_foreign_lists(
    issuer: IssuerRecord, store: CertificateStore, home: Home, *, at: datetime
) -> Iterator[Concern]:
    name = visible(issuer.subject)
    bring = "bring the newest from where its key is: `homeca crl --include FILE`"
    life = _ladder_of(issuer, store, home, at=at)
    if life is None:
        is_over = bool(lists_in(home.crl / f"{issuer.slug}.crl.pem"))
        yield Concern(
            "crl.elsewhere-over" if is_over else "crl.elsewhere-missing",
            f"the CRLs of {name} in openvpn.pem have ended"
            if is_over
            else f"openvpn.pem has no CRL of {name}, whose key is elsewhere: servers would not "
            "notice a revoked intermediate",
            bring,
            needs_attention=is_over,
        )
        return
    begins, ends = life
    if begins + (ends - begins) / 2 <= at:
        yield Concern(
            "crl.elsewhere-due",
            f"the CRLs of {name}, whose key is elsewhere, have passed half of their life; they "
            f"end on {ends:%Y-%m-%d %H:%M} UTC",
            bring,
        )


def _of_joined(
    issuers: list[IssuerRecord], store: CertificateStore, home: Home, *, at: datetime
) -> Iterator[Concern]:
    ladders = [
        ladder
        for issuer in issuers
        if issuer.has_key and (ladder := standing_ladder(store, issuer.id)) is not None
    ]
    if not ladders:
        return
    there = lists_in(home.crl / JOINED)
    lacking = sum(
        trace.sha256 not in there
        for ladder in ladders
        for trace, rung in zip(ladder.traces, ladder.rungs, strict=True)
        if rung.next_update > at
    )
    if lacking:
        yield Concern(
            "crl.joined",
            f"{str(home.crl / JOINED)!r} lacks {lacking} of the lists that are recorded",
            "run `homeca crl`, and bring the file to your servers",
        )


def _of_other_nodes(
    issuers: list[IssuerRecord], store: CertificateStore, home: Home, *, at: datetime
) -> Iterator[Concern]:
    """Whether openvpn.pem, where this node writes one, has what the other nodes have cut.

    The record keeps the first list of a ladder: of the others it knows the hashes alone.
    """
    joined = home.crl / JOINED
    elsewhere = [issuer for issuer in issuers if issuer.is_elsewhere]
    if not elsewhere or not joined.exists():
        return
    there = lists_in(joined)
    for issuer in elsewhere:
        ladder, kept = standing_ladder(store, issuer.id), store.last_crl(issuer.id)
        if ladder is None or kept is None or ladder.armed_until <= at:
            continue  # there is none to bring, which is said of the issuer
        name, node = visible(issuer.subject), visible(issuer.node)
        held = [
            rung
            for trace, rung in zip(ladder.traces, ladder.rungs, strict=True)
            if trace.sha256 in there and rung.next_update > at
        ]
        if not held and kept.next_update > at:
            yield Concern(
                "crl.node-behind",
                f"{str(joined)!r} lacks CRL {kept.number} of {name}, which node {node} cut: who "
                "reads it does not know what is revoked there",
                "run `homeca crl --if-due`, which takes it from the record, and bring the file to "
                "your servers",
            )
            continue
        begins = min((rung.this_update for rung in held), default=at)
        ends = max((rung.next_update for rung in held), default=at)
        if ends < ladder.armed_until and begins + (ends - begins) / 2 <= at:
            yield Concern(
                "crl.node-due",
                f"the CRLs of {name} in {str(joined)!r} end on {ends:%Y-%m-%d %H:%M} UTC, and node "
                f"{node} has cut others until {ladder.armed_until:%Y-%m-%d %H:%M} UTC"
                if held
                else f"{str(joined)!r} has no valid CRL of {name}, and node {node} has cut some",
                f"bring crl/{issuer.slug}.crl.pem from that node: `homeca crl --include FILE`",
            )


def _of_backup(store: CertificateStore, home: Home, *, at: datetime) -> Iterator[Concern]:
    since = _last_drill(store, home)
    if since is None or at <= since + DRILL_EVERY:
        return
    memory = recall(home)
    days = (at - since).days
    text = (
        f"the newest backup that was tried out is {many(days, 'day')} old"
        if memory.drilled is not None
        else f"this CA is {many(days, 'day')} old and no backup of it was ever tried out"
    )
    yield Concern("backup.no-drill", text, "run `homeca backup FILE`, then `homeca drill FILE`")
