"""Drafts, intents and certificates to record. The store reads no DER, so octets stand for it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from ca.interfaces.issuing import Intent, IssuerDraft, Role
from ca.interfaces.revocation import CrlRecord, Reason, Revocation
from ca.interfaces.values import Serial, Validity
from ca.store.repository import SqlStore

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LIFE = Validity.of_days(NOW, 90)


def draft(slug: str = "root", *, role: Role = Role.ROOT, subject: str | None = None) -> IssuerDraft:
    return IssuerDraft(
        role=role,
        slug=slug,
        subject=subject or f"CN=Home {slug}",
        subject_der=slug.encode(),
        parent_id=None,
    )


def active_issuer(store: SqlStore, made: IssuerDraft | None = None) -> int:
    """An issuer that has been through its ceremony; its id."""
    issuer = store.begin_issuer(made or draft(), at=NOW)
    store.record_issuer_key(
        issuer.id, spki=b"spki of " + issuer.slug.encode(), key_kind="ec-p256", key_file="k.tss"
    )
    store.activate_issuer(
        issuer.id, parent_id=None, certificate=b"der", serial=Serial(1), validity=LIFE
    )
    return issuer.id


def intent(
    issuer_id: int,
    serial: int,
    *,
    validity: Validity = LIFE,
    subject: str = "CN=nas.home.arpa",
    names: tuple[str, ...] = ("DNS:nas.home.arpa",),
    profile: str = "web",
    spki: bytes | None = None,
) -> Intent:
    return Intent(
        issuer_id=issuer_id,
        serial=Serial(serial),
        tbs=tbs_of(serial),
        profile=profile,
        profile_text="[ ca ]\ndefault_days = 90\n",
        subject=subject,
        names=names,
        spki=spki or f"key {serial}".encode(),
        validity=validity,
        request_sha256=hashlib.sha256(str(serial).encode()).digest(),
    )


def tbs_of(serial: int) -> bytes:
    return hashlib.shake_256(str(serial).encode()).digest(300)


def der_of(serial: int) -> bytes:
    """An outer header, the TBS, and what would be the signature."""
    return b"\x30\x82\x01\x70" + tbs_of(serial) + b"signature" * 8


def issue(store: SqlStore, issuer_id: int, *serials: int, validity: Validity = LIFE) -> None:
    store.record_intents([intent(issuer_id, n, validity=validity) for n in serials], at=NOW)
    store.record_certificates([(issuer_id, Serial(n), der_of(n)) for n in serials], at=NOW)


def revocation(reason: Reason = Reason.SUPERSEDED, at: datetime = NOW) -> Revocation:
    return Revocation(reason=reason, revoked_at=at)


def entry_of(serial: int) -> bytes:
    return b"line of " + str(serial).encode()


def revoke(
    store: SqlStore,
    issuer_id: int,
    serial: int,
    reason: Reason = Reason.SUPERSEDED,
    at: datetime = NOW,
) -> None:
    store.revoke(issuer_id, Serial(serial), revocation(reason, at), entry=entry_of(serial))


def listed(store: SqlStore, issuer_id: int, expired_since: datetime | None = None) -> list[int]:
    """The serials the next CRL would hold."""
    return [line.serial for line in store.revoked(issuer_id, expired_since=expired_since)]


def crl(issuer_id: int, number: int, at: datetime = NOW) -> CrlRecord:
    return CrlRecord(
        issuer_id=issuer_id,
        number=number,
        this_update=at,
        next_update=at + 7 * DAY,
        entries=0,
        der=b"crl %d" % number,
    )
