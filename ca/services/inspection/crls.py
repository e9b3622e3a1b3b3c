"""The auditor's look at CRLs: the newest against its columns, the record and the history."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct, field

from ca.encoding.crl import crl_entry
from ca.encoding.facts import CertificateFacts, CrlFacts
from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import EncodingError
from ca.interfaces.issuing import CertificateRecord, IssuerRecord
from ca.interfaces.revocation import REASON_CODES, CrlRecord, CrlTrace, Reason
from ca.interfaces.store import RESTORE_RECORD
from ca.interfaces.values import serial_text
from ca.lint.gate import lint_crl
from ca.lint.rule import LintContext, Severity
from ca.names.showing import visible
from ca.services.crl.ladder import is_outranked
from ca.services.crl.publication import LISTED_AS
from ca.services.facility import Facility
from ca.services.finding import Finding, error, warning
from ca.services.trust import check_signature

_CUT = "run `homeca crl`, and bring the files to your servers"
_HOLD = REASON_CODES[Reason.CERTIFICATE_HOLD]


class PublishedList(Struct):
    """The newest CRL of an issuer, and the open lines of the record, as sets.

    listed:   serial → reason code on the CRL. unseen: of those, the ones no row has claimed yet.
    due:      serials whose line the next CRL would carry.
    behind:   rows revoked, or for another reason, after the CRL was cut: counted.
    """

    crl: CrlRecord | None = None
    facts: CrlFacts | None = None
    fault: str = ""
    listed: dict[int, int | None] = field(default_factory=dict)
    unseen: set[int] = field(default_factory=set)
    due: set[int] = field(default_factory=set)
    behind: int = 0

    @classmethod
    def of(cls, issuer: IssuerRecord, facility: Facility) -> PublishedList:
        found = cls(crl=facility.store.last_crl(issuer.id))
        since = None
        if found.crl is not None:
            since = found.crl.this_update
            try:
                found.facts = read_crl(found.crl.der)
                found.listed = {e.serial: e.reason for e in found.facts.tbs.entries}
            except EncodingError as fault:
                found.fault = fault.problem
        found.unseen = set(found.listed)
        found.due = {line.serial for line in facility.store.revoked(issuer.id, expired_since=since)}
        return found

    @property
    def this_update(self) -> datetime | None:
        return self.crl.this_update if self.crl is not None else None


def facts_of(issuer: IssuerRecord) -> CertificateFacts | None:
    """An issuer's certificate, None where it has none that can be read."""
    try:
        return read_certificate(issuer.certificate, tolerant=True) if issuer.certificate else None
    except EncodingError:
        return None  # said where the issuer is looked at


def inspect_revocation(
    record: CertificateRecord, published: PublishedList, where: str
) -> Iterator[Finding]:
    """One row beside the newest CRL of its issuer."""
    published.unseen.discard(record.serial)
    since = published.this_update
    is_listed = record.serial in published.listed
    if record.revocation is None:
        if is_listed and published.listed[record.serial] != _HOLD:
            yield error(
                "check.revocation.undone",
                where,
                "the newest CRL says it is revoked for good; the record says it is not revoked",
                RESTORE_RECORD,
            )
        elif is_listed:
            yield warning(
                "check.crl.released", where, "it was released and is still on the CRL", _CUT
            )
        return
    if since is not None and record.not_after < since:
        return  # it may have left the list
    if record.serial not in published.due:
        yield error(
            "check.revocation.leaves-early",
            where,
            "its line would leave the CRL before the certificate has expired",
            RESTORE_RECORD,
        )
    if since is None or published.fault:
        return
    if is_listed:
        if published.listed[record.serial] != LISTED_AS[record.revocation.reason]:
            published.behind += 1
        return
    if record.revocation.revoked_at < since:
        yield error(
            "check.crl.missing",
            where,
            f"it was revoked on {record.revocation.revoked_at:%Y-%m-%d %H:%M} UTC and is not on "
            "the CRL that was cut after that",
            _CUT,
        )
    else:
        published.behind += 1


def leftovers(issuer: IssuerRecord, published: PublishedList) -> Iterator[Finding]:
    """What the rows have left over."""
    where = f"CRL of {visible(issuer.slug)}"
    for serial in sorted(published.unseen)[:100]:
        yield error(
            "check.crl.unknown-serial",
            where,
            f"it lists {serial_text(abs(serial))}, which the record does not know",
            RESTORE_RECORD,
        )
    if published.behind:
        yield warning(
            "check.crl.behind",
            where,
            f"{published.behind} serials were revoked, or for another reason, after it was cut",
            _CUT,
        )


def inspect_crls(
    issuer: IssuerRecord, published: PublishedList, facility: Facility
) -> Iterator[Finding]:
    """The newest CRL against columns, signature, lint; the history; the lines to come."""
    where = f"CRL of {visible(issuer.slug)}"
    yield from _inspect_history(issuer, published, facility, where)
    yield from _inspect_lines(issuer, facility)
    if published.fault:
        yield error("check.crl.malformed", where, published.fault, RESTORE_RECORD)
    if published.crl is None or published.facts is None:
        return
    crl, tbs = published.crl, published.facts.tbs
    end = tbs.next_update
    columns = (
        ("number", crl.number, tbs.number),
        ("this_update", crl.this_update, tbs.this_update.moment),
        ("next_update", crl.next_update, end.moment if end is not None else None),
        ("entries", crl.entries, len(published.listed)),
    )
    for column, recorded, true in columns:
        if recorded != true:
            yield error(
                f"check.crl.{column.replace('_', '-')}",
                where,
                f"its {column} is recorded as {recorded}; the CRL says {true}",
                RESTORE_RECORD,
            )
    if tbs.issuer.der != issuer.subject_der:
        yield error(
            "check.crl.issuer", where, f"it names {tbs.issuer} as its issuer", RESTORE_RECORD
        )
    if tbs.idp is not None and tbs.idp.urls != (issuer.crl_url,):
        yield error(
            "check.crl.location",
            where,
            f"it says that it is at {visible(', '.join(tbs.idp.urls)) or 'no place'}, which no "
            "certificate says: clients take it for another list",
            _CUT,
        )
    try:
        check_signature(published.facts, issuer.spki)
    except EncodingError as fault:
        yield error("check.crl.signature", where, fault.problem, RESTORE_RECORD)
    context = LintContext(
        now=crl.this_update,
        issuer=facts_of(issuer),
        crl_urls=(issuer.crl_url,) if issuer.crl_url is not None else (),
    )
    for found in lint_crl(crl.der, context=context):
        if found.severity is Severity.ERROR:
            yield error("check.crl.lint", where, f"{found.text} [{found.rule}]", _CUT)


def _inspect_history(
    issuer: IssuerRecord, published: PublishedList, facility: Facility, where: str
) -> Iterator[Finding]:
    """Each cut is dated after all lists that had begun, the newest one outranks those to come,
    and the list that is kept is whole."""
    traces = [one for one in facility.store.crl_history(issuer.id) if one.this_update is not None]
    for trace, begun in _dated_back(traces):
        yield error(
            "check.crl.history",
            where,
            f"CRL {trace.number} is not dated after CRL {begun.number}: clients may prefer "
            "the older one",
            _CUT,
        )
    crl = published.crl
    if not traces:
        return
    if crl is None:
        yield error(
            "check.crl.lost", where, f"CRL {traces[-1].number}, the newest, is not kept", _CUT
        )
        return
    kept = [one.sha256 for one in traces if one.number == crl.number]
    if kept != [hashlib.sha256(crl.der).digest()]:
        yield error(
            "check.crl.sha256", where, "its octets are not those that were recorded", RESTORE_RECORD
        )
    newest = [one.this_update for one in traces if one.number >= crl.number and one.this_update]
    coming = [
        one.this_update
        for one in traces
        if one.number < crl.number and one.this_update and one.this_update > max(newest[:1])
    ]
    if newest and not is_outranked(coming, newest):
        yield error(
            "check.crl.stale-rung",
            where,
            "a list of an earlier ladder will be later than all newer ones once it begins",
            _CUT,
        )


def _dated_back(traces: Sequence[CrlTrace]) -> Iterator[tuple[CrlTrace, CrlTrace]]:
    """(the first list of a cut, a list that had begun before it and is not dated before it)."""
    begun: list[tuple[datetime, CrlTrace]] = []
    coming: list[tuple[datetime, CrlTrace]] = []
    first: datetime | None = None  # thisUpdate of the first list of the cut before
    for before, trace in zip([None, *traces], traces, strict=False):
        moment = trace.this_update
        if moment is None:
            continue
        if before is None or not _was_cut_with(before, trace):
            limit = max(trace.reserved_at, first or trace.reserved_at)
            past = [one for one in coming if one[0] <= limit]
            begun = sorted((*begun, *past), key=_moment)[-1:]  # the latest is enough
            coming = [one for one in coming if one[0] > limit]
            yield from ((trace, other) for start, other in begun if moment <= start)
            first = moment
        coming.append((moment, trace))


def _moment(dated: tuple[datetime, CrlTrace]) -> datetime:
    return dated[0]


def _was_cut_with(before: CrlTrace, trace: CrlTrace) -> bool:
    """Rungs of one ladder: reserved at one moment, each dated after the one before."""
    return (
        before.reserved_at == trace.reserved_at
        and before.this_update is not None
        and trace.this_update is not None
        and before.this_update < trace.this_update
    )


def _inspect_lines(issuer: IssuerRecord, facility: Facility) -> Iterator[Finding]:
    """The encoded lines the next CRL will carry, against their columns."""
    for line in facility.store.revoked(issuer.id, expired_since=None):
        expected = crl_entry(line.serial, line.revoked_at, line.reason, line.invalidity)
        if expected != line.entry:
            yield error(
                "check.revocation.entry",
                f"serial {serial_text(line.serial)}",
                "the line kept for the CRL is not what its date and reason encode to",
                RESTORE_RECORD,
            )
