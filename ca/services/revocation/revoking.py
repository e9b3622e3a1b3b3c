"""Revoking a certificate, and taking a hold back (RFC 5280 §5.3.1)."""

from __future__ import annotations

from datetime import UTC, datetime

from ca.encoding.crl import crl_entry
from ca.errors import RevocationRefused
from ca.failpoints import failpoint
from ca.interfaces.issuing import CertificateRecord, Role
from ca.interfaces.revocation import Reason, Revocation
from ca.policy.revoking import check_revoking, worsens
from ca.services.facility import Facility, authorities

#: A key is not said to be lost before this: the year would be a slip of the finger.
FIRST_LOSS = datetime(1990, 1, 1, tzinfo=UTC)


def revoke(
    record: CertificateRecord,
    reason: Reason,
    facility: Facility,
    *,
    invalidity: datetime | None = None,
) -> Revocation:
    """Record it durably; the next CRL carries it. A revoked intermediate retires with it.

    What was revoked for another reason can come to be compromised; its date stays.
    invalidity: since when the key is suspected lost (§5.3.2); never in the future.
    Raises: RevocationRefused for a root, for a second revocation, for a date to come.
    """
    now = facility.check_clock()
    check_revocable(record, reason, facility, invalidity=invalidity, now=now)
    before = record.revocation if worsens(record.revocation, reason) else None
    moment = before.revoked_at if before is not None else now
    if invalidity is None and before is not None:
        invalidity = before.invalidity
    revocation = Revocation(reason=reason, revoked_at=moment, invalidity=invalidity)
    entry = crl_entry(record.serial, moment, reason, invalidity)
    failpoint("revocation.decided")
    which = record.issuer_id, record.serial
    with facility.changing(although_unreachable=True):
        if before is None:
            facility.store.revoke(*which, revocation, entry=entry)
        else:
            facility.store.compromise(*which, revocation, entry=entry, at=now)
    return revocation


def check_revocable(
    record: CertificateRecord,
    reason: Reason,
    facility: Facility,
    *,
    invalidity: datetime | None,
    now: datetime,
) -> None:
    """Raises: RevocationRefused for a root, a date to come, what is revoked for good."""
    check_invalidity(invalidity, now=now)
    check_revoking(record.serial, record.revocation, reason)
    issuer = next(
        (a.issuer for a in authorities(facility.store) if a.issuer.certificate == record.der), None
    )
    if issuer is not None and issuer.role is Role.ROOT:
        raise RevocationRefused(
            "a root cannot be revoked: nobody would ask it about itself",
            remedy="remove it from the devices that trust it, and start a new --home",
        )


def check_invalidity(invalidity: datetime | None, *, now: datetime) -> None:
    """Raises: RevocationRefused for a date to come, or from before there were such keys."""
    if invalidity is not None and invalidity < FIRST_LOSS:
        raise RevocationRefused(
            f"the invalidity date {invalidity.date()} lies before any key of today was made",
            remedy="see whether the year is what you meant: write it like 2026-11-20",
        )
    if invalidity is not None and invalidity > now:
        raise RevocationRefused(
            f"the invalidity date {invalidity:%Y-%m-%d %H:%M} UTC lies in the future",
            remedy="give --when a moment that has passed; the revocation itself is dated now",
        )


def release(record: CertificateRecord, facility: Facility) -> None:
    """Take a certificateHold back: the next CRL leaves it out. Raises: RevocationRefused."""
    now = facility.check_clock()
    with facility.changing():
        facility.store.release(record.issuer_id, record.serial, at=now)


def still_live(
    record: CertificateRecord, facility: Facility, *, now: datetime
) -> tuple[CertificateRecord, ...]:
    """Other unrevoked, unexpired certificates for the same key: the renewals of this one.

    Revoking one of them does not stop the device; `revoke` says so (demand 8).
    """
    return tuple(
        other
        for other in facility.store.by_spki(record.spki_sha256)
        if other.serial != record.serial
        and other.der is not None
        and not other.is_revoked
        and other.not_after > now
    )
