"""TBSCertList and its entries, as homeca writes them (RFC 5280 §5).

The entry of a revoked certificate is encoded once, when it is revoked, and kept with its row:
a list of a hundred thousand is then a concatenation.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ca.algorithms import SignatureAlgorithm
from ca.encoding import tlv
from ca.encoding.certificate import asn1_time, extension_der, signature_identifier
from ca.encoding.extensions import (
    AUTHORITY_KEY_IDENTIFIER,
    Extension,
    authority_key_identifier,
)
from ca.interfaces.revocation import REASON_CODES, Reason

_REASON_CODE = "2.5.29.21"
_INVALIDITY_DATE = "2.5.29.24"
_CRL_NUMBER = "2.5.29.20"
_VERSION_2 = tlv.integer(1)


def crl_entry(
    serial: int, revoked_at: datetime, reason: Reason, invalidity: datetime | None = None
) -> bytes:
    """One element of revokedCertificates (RFC 5280 §5.1.2.6, §5.3).

    reasonCode is left out for `unspecified` (§5.3.1), never critical; invalidityDate is always
    GeneralizedTime (§5.3.2).
    """
    extensions: list[bytes] = []
    if reason is not Reason.UNSPECIFIED:
        code = tlv.tlv(tlv.ENUMERATED, bytes([REASON_CODES[reason]]))
        extensions.append(extension_der(Extension(_REASON_CODE, False, code)))
    if invalidity is not None:
        moment = invalidity.astimezone(UTC)  # %Y would write the year 226 with three digits
        text = f"{moment.year:04}{moment:%m%d%H%M%SZ}"
        date = tlv.tlv(tlv.GENERALIZED_TIME, text.encode())
        extensions.append(extension_der(Extension(_INVALIDITY_DATE, False, date)))
    return tlv.sequence(
        tlv.integer(serial),
        asn1_time(revoked_at),
        tlv.sequence(*extensions) if extensions else b"",
    )


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

    entries: from `crl_entry`, in the order they are to stand, one or many in each piece; none:
             the field is absent, not empty (§5.1.2.6).
    """
    listed = tuple(entries)
    size = sum(map(len, listed))
    aki = authority_key_identifier(issuer_ski)
    extensions = tlv.sequence(
        extension_der(Extension(AUTHORITY_KEY_IDENTIFIER, False, aki)),
        extension_der(Extension(_CRL_NUMBER, False, tlv.integer(number))),
    )
    return tlv.sequence(
        _VERSION_2,
        signature_identifier(algorithm),
        issuer_der,
        asn1_time(this_update),
        asn1_time(next_update),
        tlv.header(tlv.SEQUENCE, size) if size else b"",
        *listed,
        tlv.tagged(0, extensions),
    )
