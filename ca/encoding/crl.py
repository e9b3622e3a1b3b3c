"""TBSCertList and its entries, as homeca writes them (RFC 5280 §5).

The entry of a revoked certificate is encoded once, when it is revoked, and kept with its row:
a list of a hundred thousand is then a concatenation.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from asn1crypto import core, crl, x509

from ca.algorithms import SignatureAlgorithm
from ca.encoding.certificate import asn1_time, signature_identifier
from ca.encoding.tlv import tlv
from ca.interfaces.revocation import REASON_CODES, Reason

_ENUMERATED = 0x0A
_SEQUENCE = 0x30
_EXPLICIT_0 = 0xA0


def crl_entry(
    serial: int, revoked_at: datetime, reason: Reason, invalidity: datetime | None = None
) -> bytes:
    """One element of revokedCertificates (RFC 5280 §5.1.2.6, §5.3).

    reasonCode is left out for `unspecified` (§5.3.1), never critical; invalidityDate is always
    GeneralizedTime (§5.3.2).
    """
    extensions: list[dict[str, object]] = []
    if reason is not Reason.UNSPECIFIED:
        code = tlv(_ENUMERATED, bytes([REASON_CODES[reason]]))
        extensions.append(_extension("2.5.29.21", code))
    if invalidity is not None:
        extensions.append(_extension("2.5.29.24", core.GeneralizedTime(invalidity).dump()))
    entry: dict[str, object] = {
        "user_certificate": serial,
        "revocation_date": asn1_time(revoked_at),
    }
    if extensions:
        entry["crl_entry_extensions"] = extensions
    return bytes(crl.RevokedCertificate(entry).dump())


def _extension(oid: str, value: bytes) -> dict[str, object]:
    return {"extn_id": oid, "critical": False, "extn_value": core.ParsableOctetString(value)}


def build_crl_tbs(
    *,
    algorithm: SignatureAlgorithm,
    issuer_der: bytes,
    issuer_ski: bytes,
    number: int,
    this_update: datetime,
    next_update: datetime,
    entries: Iterable[bytes],
) -> bytes:
    """DER TBSCertList, version 2, complete for everything its issuer signed (RFC 5280 §5.1.2).

    There is never an issuingDistributionPoint: with one, OpenSSL refuses every good certificate
    that lacks the very same CDP, the root's own included ("different CRL scope"). Without one
    the list covers certificates with and without a CDP, on Windows too (AD CS writes none).

    entries: from `crl_entry`, in the order they are to stand; none: the field is absent, not
             empty (§5.1.2.6).
    """
    listed = b"".join(entries)
    parts = [
        core.Integer(1).dump(),  # version v2
        signature_identifier(algorithm).dump(),
        issuer_der,
        asn1_time(this_update).dump(),
        asn1_time(next_update).dump(),
    ]
    if listed:
        parts.append(tlv(_SEQUENCE, listed))
    extensions = crl.TBSCertListExtensions(
        [
            _extension(
                "2.5.29.35", x509.AuthorityKeyIdentifier({"key_identifier": issuer_ski}).dump()
            ),
            _extension("2.5.29.20", core.Integer(number).dump()),
        ]
    )
    parts.append(tlv(_EXPLICIT_0, extensions.dump()))
    return tlv(_SEQUENCE, b"".join(parts))
