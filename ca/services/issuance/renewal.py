"""Renewing: the same device, key and names, a new serial and new dates.

The old certificate stays valid until it ends or is revoked: a device that is switched off when
its renewal is signed must not be locked out.
"""

from __future__ import annotations

from ca.encoding.inspect import read_certificate
from ca.encoding.requests import Request
from ca.encoding.spki import parse_spki
from ca.errors import RequestRefused
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.revocation import Reason
from ca.interfaces.values import serial_text
from ca.policy.revoking import after_hold
from ca.policy.terms import Wishes
from ca.services.issuance.preparation import Order


def renewal_of(record: CertificateRecord, *, profile: str | None, wishes: Wishes) -> Order:
    """An order for what `record` already certifies, decided anew by its profile.

    The key proved possession when it was first certified; policy, lint and the blocked-key list
    are asked again. Raises: RequestRefused for a revoked or CA certificate.
    """
    if record.der is None:
        raise RequestRefused(
            f"serial {serial_text(record.serial)} has no certificate to renew",
            remedy="sign a request instead",
        )
    if record.revocation is not None and record.revocation.reason is Reason.CERTIFICATE_HOLD:
        raise RequestRefused(
            f"serial {serial_text(record.serial)} is on hold",
            remedy=after_hold(record.serial),
        )
    if record.revocation is not None:
        raise RequestRefused(
            f"serial {serial_text(record.serial)} is revoked ({record.revocation.reason.value})",
            remedy="make a new key on the device and sign its request",
        )
    tbs = read_certificate(record.der).tbs
    if tbs.is_ca:
        raise RequestRefused(
            "an issuer is not renewed like a device",
            remedy="run `homeca init-intermediate` for the next generation",
        )
    request = Request(
        der=b"",
        sha256=record.request_sha256,
        subject=tbs.subject.distinguished_name(),
        spki=parse_spki(tbs.spki),
        names=tbs.names,
    )
    return Order(
        source=serial_text(record.serial),
        request=request,
        profile=profile or record.profile,
        wishes=wishes,
        replaces=record.serial,
    )
