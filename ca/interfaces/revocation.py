"""Reasons, revocations, and the lists that carry them (RFC 5280 §5)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from ca.interfaces.values import Serial


class Reason(StrEnum):
    """CRLReason (RFC 5280 §5.3.1), spelled as OpenSSL and the RFC spell it."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"

    @property
    def is_compromise(self) -> bool:
        """Is the key itself, an end entity's or a CA's, in other hands?"""
        return self in COMPROMISES


#: Of a certificate; aACompromise is of attribute certificates (X.509 9.5.3.1).
COMPROMISES = (Reason.KEY_COMPROMISE, Reason.CA_COMPROMISE)

#: ENUMERATED values of CRLReason; 7 is unused, 8 (removeFromCRL) is for delta CRLs only.
REASON_CODES: dict[Reason, int] = {
    Reason.UNSPECIFIED: 0,
    Reason.KEY_COMPROMISE: 1,
    Reason.CA_COMPROMISE: 2,
    Reason.AFFILIATION_CHANGED: 3,
    Reason.SUPERSEDED: 4,
    Reason.CESSATION_OF_OPERATION: 5,
    Reason.CERTIFICATE_HOLD: 6,
    Reason.PRIVILEGE_WITHDRAWN: 9,
    Reason.AA_COMPROMISE: 10,
}


class Revocation(Struct, frozen=True, kw_only=True):
    """Why and since when. invalidity: when the key is suspected to have been lost (§5.3.2)."""

    reason: Reason
    revoked_at: datetime
    invalidity: datetime | None = None


class KeyBar(Struct, frozen=True, kw_only=True):
    """Why a key gets no certificate: a compromise, for ever, or a hold, until it is released.

    serial: of the certificate that was revoked so.
    """

    reason: Reason
    serial: Serial


class RevokedEntry(Struct, frozen=True, kw_only=True):
    """A line of a CRL. entry: its DER as encoded when it was revoked, kept with the row."""

    serial: Serial
    revoked_at: datetime
    reason: Reason
    invalidity: datetime | None
    entry: bytes


class CrlRecord(Struct, frozen=True, kw_only=True):
    """A CRL as cut. number: CRLNumber (RFC 5280 §5.2.3). entries: how many serials it lists."""

    issuer_id: int
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    der: bytes


class CrlTrace(Struct, frozen=True, kw_only=True):
    """What stays of every CRL number. None: reserved, and no CRL came of it.

    sha256: of the CRL's DER, which is kept of the newest only.
    """

    number: int
    reserved_at: datetime
    this_update: datetime | None
    next_update: datetime | None
    entries: int | None
    sha256: bytes | None
