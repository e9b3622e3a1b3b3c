"""A device without a certificate for its kit: why, and the way to one.

A new certificate for the same key would undo a hold, and is refused after a compromise: neither
is sent to `homeca sign` with the request it has.
"""

from __future__ import annotations

from datetime import datetime

from ca.errors import HomecaError, KitRefused, NotFound
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.revocation import Reason, Revocation
from ca.interfaces.values import serial_text
from ca.kits.kinds import KINDS
from ca.names.showing import visible
from ca.policy.revoking import NEW_KEY, after_hold
from ca.services.facility import Facility
from ca.services.kits.device import find_named


def absence(name: str, kind: str, facility: Facility, *, now: datetime) -> HomecaError:
    """Why the device called so has no good certificate. Raises: NotFound as `find_named`."""
    record = find_named(name, kind, facility, now=now, revoked=True)
    if record is not None and record.revocation is not None:
        return withdrawal(record, record.revocation, name, kind)
    return NotFound(
        f"no valid certificate for {visible(name)!r} fits a kit for {kind}",
        remedy=_sign_first(kind),
    )


def absence_noted(name: str, kind: str, facility: Facility, *, now: datetime) -> str:
    """The same in a kit that helps to make a key and a request. Raises: as `absence`."""
    record = find_named(name, kind, facility, now=now, revoked=True)
    if record is None or record.revocation is None:
        return "no certificate has been issued yet: the kit helps to ask for one"
    refusal = withdrawal(record, record.revocation, name, kind)
    if record.revocation.reason is Reason.CERTIFICATE_HOLD:
        return f"{refusal.problem}: {refusal.remedy}"
    return f"{refusal.problem}: the kit helps to ask for another one, for a new key"


def withdrawal(record: CertificateRecord, line: Revocation, name: str, kind: str) -> KitRefused:
    """What became of this certificate of the device, and what to do."""
    whose = f"the certificate of {visible(name)!r}, serial {serial_text(record.serial)},"
    if line.reason is Reason.CERTIFICATE_HOLD:
        return KitRefused(f"{whose} is on hold", remedy=after_hold(record.serial))
    return KitRefused(
        f"{whose} was revoked ({line.reason.value})",
        remedy=f"{NEW_KEY}, and sign that with --profile {KINDS[kind].profile}"
        if line.reason.is_compromise
        else _sign_first(kind),
    )


def _sign_first(kind: str) -> str:
    return f"sign its request with --profile {KINDS[kind].profile} first"
