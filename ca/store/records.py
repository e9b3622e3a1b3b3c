"""Rows of `certificates`, each with its open revocation line, as CertificateRecords."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, and_, select

from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.revocation import Revocation
from ca.store.tables import certificates, revocations

#: The one open line of a certificate, if any.
open_line = and_(
    revocations.c.issuer_id == certificates.c.issuer_id,
    revocations.c.serial == certificates.c.serial,
    revocations.c.ended_at.is_(None),
)


def certificate_rows() -> Select[*tuple[Any, ...]]:
    """Every certificate with what its line says; add `where` and an order."""
    return select(
        certificates,
        revocations.c.reason,
        revocations.c.revoked_at,
        revocations.c.invalidity,
    ).select_from(certificates.outerjoin(revocations, open_line))


def certificate_record(row: Row[*tuple[Any, ...]]) -> CertificateRecord:
    """One row of `certificate_rows`.

    A serial without a TBS has no dates: both are then the time it was reserved.
    """
    revocation = None
    if row.reason is not None:
        revocation = Revocation(
            reason=row.reason, revoked_at=row.revoked_at, invalidity=row.invalidity
        )
    return CertificateRecord(
        id=row.id,
        issuer_id=row.issuer_id,
        serial=row.serial,
        state=row.state,
        profile=row.profile,
        profile_sha256=row.profile_sha256 or b"",
        subject=row.subject,
        names=row.names,
        spki_sha256=row.spki_sha256 or b"",
        not_before=row.not_before or row.created_at,
        not_after=row.not_after or row.created_at,
        created_at=row.created_at,
        issued_at=row.issued_at,
        tbs=row.tbs or b"",
        der=row.der,
        request_sha256=row.request_sha256,
        replaces=row.replaces,
        note=row.note,
        revocation=revocation,
    )
