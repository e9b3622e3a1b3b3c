"""Looking: by serial, by key, in pages, in totals. Nothing here takes a write lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    func,
    or_,
    select,
    type_coerce,
)

from ca.interfaces.issuing import CertificateCounts, CertificateQuery, CertificateRecord, State
from ca.interfaces.values import Serial
from ca.store.engine import Database
from ca.store.records import certificate_record, certificate_rows, open_line
from ca.store.tables import ISSUED, NOT_ISSUED, certificates, crls, issuers, profiles, revocations
from ca.store.types import SERIAL_OCTETS, escaped, is_storable

#: Certificates read at a time, each page a short transaction of its own: a listing that is
#: being read slowly, in a pager, keeps no snapshot and so no WAL from being merged.
_PAGE = 500

#: Ids beyond it cannot be bound; an `after_id` from a URL may be any number.
_LAST_ID = 2**63 - 1


class CertificateRows:
    """The part of the store that answers questions about certificates."""

    _database: Database

    def by_serial(self, serial: Serial) -> tuple[CertificateRecord, ...]:
        """At most one per issuer."""
        if not is_storable(serial):
            return ()
        return self._all(certificates.c.serial == serial)

    def by_spki(self, spki_sha256: bytes) -> tuple[CertificateRecord, ...]:
        """Every certificate this key ever had, oldest first."""
        return self._all(certificates.c.spki_sha256 == spki_sha256)

    def by_serial_prefix(self, digits: str, *, limit: int) -> tuple[CertificateRecord, ...]:
        """A range of the serials' own index: octets sort as the digits do."""
        lowest = Serial(max(1, int(digits.ljust(2 * SERIAL_OCTETS, "0"), 16)))
        highest = Serial(int(digits.ljust(2 * SERIAL_OCTETS, "f"), 16))
        query = certificate_rows().where(certificates.c.serial.between(lowest, highest))
        return self._page(query.order_by(certificates.c.serial).limit(limit))

    def replacements(self, serial: Serial) -> tuple[CertificateRecord, ...]:
        """The certificates that say they renew this one, oldest first."""
        return self._all(certificates.c.replaces == serial) if is_storable(serial) else ()

    def certificates(self, query: CertificateQuery) -> Iterator[CertificateRecord]:
        """By id, in pages: what is issued meanwhile comes at the end, nothing comes twice."""
        wanted = certificate_rows().where(*_conditions(query)).order_by(certificates.c.id)
        after, left = query.after_id, query.limit
        while after < _LAST_ID and (left is None or left > 0):
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._page(wanted.where(certificates.c.id > after).limit(size))
            yield from page
            if len(page) < size:
                return
            after = page[-1].id
            left = None if left is None else left - len(page)

    def counts(self, *, at: datetime) -> CertificateCounts:
        """Totals from five ranges of partial indices; no row is read.

        An uncertain serial always has an open line and counts as uncertain, not as revoked.
        """
        issued, other = select(func.count()).where(ISSUED), select(func.count()).where(NOT_ISSUED)
        lines = select(func.count()).where(revocations.c.ended_at.is_(None))
        uncertain = other.where(certificates.c.state == State.UNCERTAIN)
        live = certificates.c.not_after >= at
        totals = select(
            issued.select_from(certificates).where(live).scalar_subquery().label("live"),
            issued.select_from(certificates)
            .where(certificates.c.not_after < at)
            .scalar_subquery()
            .label("ended"),
            lines.where(revocations.c.not_after >= at).scalar_subquery().label("live_lines"),
            lines.where(revocations.c.not_after < at).scalar_subquery().label("ended_lines"),
            uncertain.where(live).scalar_subquery().label("live_uncertain"),
            uncertain.where(certificates.c.not_after < at)
            .scalar_subquery()
            .label("ended_uncertain"),
            other.where(certificates.c.state == State.FAILED).scalar_subquery().label("failed"),
        )
        with self._database.read() as connection:
            row = connection.execute(totals).one()
        live_revoked = row.live_lines - row.live_uncertain
        ended_revoked = row.ended_lines - row.ended_uncertain
        return CertificateCounts(
            valid=row.live - live_revoked,
            expired=row.ended - ended_revoked,
            revoked=live_revoked + ended_revoked,
            uncertain=row.live_uncertain + row.ended_uncertain,
            failed=row.failed,
        )

    def profile_text(self, profile_sha256: bytes) -> str | None:
        """The rendered profile that decided a certificate."""
        query = select(profiles.c.text).where(profiles.c.sha256 == profile_sha256)
        with self._database.read() as connection:
            return connection.scalars(query).one_or_none()

    def profile_texts(self) -> Iterator[tuple[bytes, str]]:
        """Each with the SHA-256 it is kept under; that it is that one's, nobody has looked."""
        query = select(profiles.c.sha256, profiles.c.text).order_by(profiles.c.sha256)
        with self._database.read() as connection:
            paged = connection.execution_options(yield_per=_PAGE)
            with closing(paged.execute(query)) as rows:
                for row in rows:
                    yield row.sha256, row.text

    def last_recorded_act(self) -> datetime | None:
        """The newest time in the record, each from the end of its own index."""
        newest = (
            select(func.max(issuers.c.created_at)),
            select(func.max(certificates.c.changed_at)),
            select(func.max(revocations.c.revoked_at)),
            select(func.max(revocations.c.ended_at)).where(revocations.c.ended_at.is_not(None)),
            select(func.max(crls.c.reserved_at)),
        )
        with self._database.read() as connection:
            row = connection.execute(select(*(query.scalar_subquery() for query in newest))).one()
        return max((time for time in row if time is not None), default=None)

    def _all(self, condition: ColumnElement[bool]) -> tuple[CertificateRecord, ...]:
        return self._page(certificate_rows().where(condition).order_by(certificates.c.id))

    def _page(self, query: Select[*tuple[Any, ...]]) -> tuple[CertificateRecord, ...]:
        with self._database.read() as connection:
            return tuple(certificate_record(row) for row in connection.execute(query))


def _conditions(query: CertificateQuery) -> Iterator[ColumnElement[bool]]:
    if query.states:
        yield certificates.c.state.in_(query.states)
    if query.issuer_id is not None:
        yield certificates.c.issuer_id == query.issuer_id
    if query.profile is not None:
        yield certificates.c.profile == query.profile
    if query.subjects:
        yield certificates.c.subject.in_(query.subjects)
    if query.revoked is not None:
        # EXISTS keeps the order of ids as the way through the table, page after page
        line = select(revocations.c.id).where(open_line).correlate(certificates).exists()
        yield line if query.revoked else ~line
    if query.begins_before is not None:
        yield certificates.c.not_before < query.begins_before
    if query.expires_before is not None:
        yield certificates.c.not_after < query.expires_before
    if query.expires_after is not None:
        yield certificates.c.not_after > query.expires_after
    if query.text is not None:
        part = query.text
        yield or_(
            certificates.c.subject.icontains(part, autoescape=True),
            type_coerce(certificates.c.names, Text).icontains(escaped(part), autoescape=True),
        )
