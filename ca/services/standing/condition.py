"""What a certificate of the record is at a moment: the word that every listing shows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from ca.interfaces.issuing import CertificateRecord, State
from ca.interfaces.revocation import Reason


class Condition(StrEnum):
    """What a certificate is at a moment, in one word."""

    VALID = "valid"
    NOT_YET = "not yet valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    HOLD = "on hold"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    OPEN = "open"


def condition_of(record: CertificateRecord, *, at: datetime) -> Condition:
    """Revocation counts before expiry: an expired certificate that was revoked is revoked."""
    match record.state:
        case State.RESERVED | State.INTENDED:
            return Condition.OPEN
        case State.FAILED:
            return Condition.FAILED
        case State.UNCERTAIN:
            return Condition.UNCERTAIN
    if record.revocation is not None:
        held = record.revocation.reason is Reason.CERTIFICATE_HOLD
        return Condition.HOLD if held else Condition.REVOKED
    if at > record.not_after:
        return Condition.EXPIRED
    return Condition.NOT_YET if at < record.not_before else Condition.VALID
