"""Revoking, releasing, and the lists that tell the world (RFC 5280 §5).

thisUpdate strictly increases: among valid CRLs a client takes the later one, so a list cut in the
same second as its predecessor could un-revoke. The whole cut, from number to file, is one at a
time, so a newer list is never overwritten by an older one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ca.encoding.certificate import assemble
from ca.encoding.containers import pem
from ca.encoding.crl import build_crl_tbs, crl_entry
from ca.encoding.inspect import read_crl
from ca.encoding.spki import verify
from ca.errors import ClockSuspect, RevocationRefused
from ca.files import PUBLIC_FILE, locked, write_whole
from ca.interfaces import (
    ONE_SECOND,
    CertificateRecord,
    CrlRecord,
    IssuerState,
    Reason,
    Revocation,
    Role,
    Serial,
)
from ca.lint.gate import lint_crl_tbs
from ca.lint.rule import LintContext
from ca.services.facility import (
    CLOCK_MAY_LAG,
    PATIENCE,
    Authority,
    Facility,
    algorithm_of,
    authorities,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A CRL as published, and the files it was written to, PEM first."""

    authority: Authority
    crl: CrlRecord
    paths: tuple[Path, ...]


def revoke(
    record: CertificateRecord,
    reason: Reason,
    facility: Facility,
    *,
    invalidity: datetime | None = None,
) -> Revocation:
    """Record it durably; the next CRL carries it.

    invalidity: since when the key is suspected lost (§5.3.2); never in the future.
    Raises: RevocationRefused for a root, for a second revocation, for a date to come.
    """
    now = facility.check_clock()
    if invalidity is not None and invalidity > now:
        raise RevocationRefused(
            f"the invalidity date {invalidity:%Y-%m-%d %H:%M} UTC lies in the future",
            remedy="give --when a moment that has passed; the revocation itself is dated now",
        )
    issuer = next(
        (a.issuer for a in authorities(facility.store) if a.issuer.certificate == record.der), None
    )
    if issuer is not None and issuer.role is Role.ROOT:
        raise RevocationRefused(
            "a root cannot be revoked: nobody would ask it about itself",
            remedy="remove it from the devices that trust it, and start a new --home",
        )
    revocation = Revocation(reason=reason, revoked_at=now, invalidity=invalidity)
    facility.store.revoke(
        record.issuer_id,
        record.serial,
        revocation,
        entry=crl_entry(record.serial, now, reason, invalidity),
    )
    if issuer is not None and issuer.state is IssuerState.ACTIVE:
        # a revoked intermediate signs nothing more but its own CRLs
        facility.store.set_issuer_state(issuer.id, IssuerState.RETIRED)
    return revocation


def release(record: CertificateRecord, facility: Facility) -> None:
    """Take a certificateHold back: the next CRL leaves it out. Raises: RevocationRefused."""
    facility.store.release(record.issuer_id, record.serial, at=facility.check_clock())


def cut_crls(
    facility: Facility,
    *,
    days: dict[Role, int],
    directory: Path | None = None,
) -> Iterator[Cut]:
    """A new CRL of every issuer whose key is here, published in the home's crl/.

    days:      nextUpdate after thisUpdate, by role. Yields as each is on disk.
    directory: publish there instead.
    Raises: ClockSuspect, CustodyError, LintRefused, StoreError, OutputFailed.
    """
    facility.check_clock()
    with locked(
        facility.home.crl_lock,
        what="cuts the CRLs",
        on_wait=facility.on_wait,
        patience=PATIENCE,
    ):
        for authority in authorities(facility.store):
            # an issuer that has ended needs no list: nothing below it is valid any more
            if authority.issuer.has_key and authority.not_after > facility.clock():
                crl = _cut(authority, days[authority.issuer.role], facility)
                paths = write_crl(authority.issuer.slug, crl.der, directory or facility.home.crl)
                yield Cut(authority=authority, crl=crl, paths=paths)


def _cut(authority: Authority, days: int, facility: Facility) -> CrlRecord:
    issuer = authority.issuer
    now = facility.clock()
    last = facility.store.last_crl(issuer.id)
    number = facility.store.reserve_crl_number(issuer.id, at=now)
    entries, this_update = [], now
    if last is not None:
        this_update = max(now, last.this_update + ONE_SECOND)
    for line in facility.store.revoked(
        issuer.id, expired_since=last.this_update if last is not None else None
    ):
        entries.append(line.entry)
        # a clock set back by a little must not date the list before what it lists
        this_update = max(this_update, line.revoked_at)
    if this_update > now + CLOCK_MAY_LAG:
        raise ClockSuspect(
            f"the last CRL or revocation of {issuer.subject} is dated "
            f"{this_update:%Y-%m-%d %H:%M} UTC, which has not come yet",
            remedy="set the clock, then cut again",
        )
    next_update = min(this_update + timedelta(days=days), authority.not_after)
    tbs = build_crl_tbs(
        algorithm=algorithm_of(issuer),
        issuer_der=issuer.subject_der,
        issuer_ski=authority.ski,
        number=number,
        this_update=this_update,
        next_update=next_update,
        entries=entries,
    )
    previous = read_crl(last.der).tbs if last is not None else None
    linted = lint_crl_tbs(
        tbs,
        context=LintContext(
            now=this_update,
            issuer=authority.certificate,
            crl_urls=(issuer.crl_url,) if issuer.crl_url else (),
            previous=previous,
            expired=_MayLeave(issuer.id, last, facility),
        ),
    )
    with facility.key_of(issuer) as signer:
        signature = signer.sign(linted.der)
        verify(issuer.spki, signer.algorithm, signature, linted.der)
        der = assemble(linted.der, signer.algorithm, signature)
    crl = CrlRecord(
        issuer_id=issuer.id,
        number=number,
        this_update=this_update,
        next_update=next_update,
        entries=len(entries),
        der=der,
    )
    facility.store.record_crl(crl)
    return crl


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


def write_crl(slug: str, der: bytes, directory: Path) -> tuple[Path, ...]:
    """<slug>.crl (DER, what the CDP promises) and <slug>.crl.pem (what OpenVPN reads), whole."""
    pem_path = directory / f"{slug}.crl.pem"
    der_path = directory / f"{slug}.crl"
    write_whole(pem_path, pem("X509 CRL", der), mode=PUBLIC_FILE, replace=True)
    write_whole(der_path, der, mode=PUBLIC_FILE, replace=True)
    return pem_path, der_path


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
