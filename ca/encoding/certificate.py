"""TBSCertificate and Certificate, as homeca writes them (RFC 5280 §4.1).

A TBS is built from values already decided; nothing is checked here that `ca.lint` checks after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from ca.algorithms import HASHES, Family, Scheme, SignatureAlgorithm
from ca.encoding import tlv
from ca.encoding.extensions import Extension
from ca.errors import EncodingError
from ca.interfaces.values import Serial, Validity

#: First instant that needs GeneralizedTime (RFC 5280 §4.1.2.5).
GENERALIZED_FROM = datetime(2050, 1, 1, tzinfo=UTC)

_MGF1 = "1.2.840.113549.1.1.8"
_VERSION_3 = tlv.tagged(0, tlv.integer(2))


def new_serial(entropy: Callable[[int], bytes]) -> Serial:
    """158 random bits under a fixed top bit: positive, 20 octets in DER (RFC 5280 §4.1.2.2)."""
    return Serial(int.from_bytes(entropy(20), "big") >> 2 | 1 << 158)


def asn1_time(moment: datetime) -> bytes:
    """DER Time: UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5).

    moment: aware, whole seconds; written with Z.
    Raises: EncodingError for a naive time, a fraction of a second, or a year UTCTime cannot say.
    """
    if moment.tzinfo is None or moment.microsecond:
        raise EncodingError(
            f"{moment.isoformat()} is not a whole second in a known zone",
            remedy="report this: homeca's clock must give aware whole seconds",
        )
    moment = moment.astimezone(UTC)
    if moment.year < 1950:
        raise EncodingError(
            f"{moment.isoformat()} is before 1950", remedy="set the clock, then try again"
        )
    if moment < GENERALIZED_FROM:
        return tlv.tlv(tlv.UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv.tlv(tlv.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


@lru_cache(maxsize=16)
def signature_identifier(algorithm: SignatureAlgorithm) -> bytes:
    """DER AlgorithmIdentifier of a signature, the same octets inside and outside the TBS.

    NULL for PKCS#1 (RFC 4055 §5), absent for ECDSA and EdDSA (RFC 5758 §3.2, RFC 8410 §3), hash
    and salt length for PSS (RFC 4055 §3.1).
    """
    parameters = b""
    if algorithm.scheme is Scheme.PSS:
        digest = tlv.sequence(tlv.oid(HASHES[algorithm.hash].oid), tlv.null())  # CA/B BR 7.1.3.2.1
        parameters = tlv.sequence(
            tlv.tagged(0, digest),
            tlv.tagged(1, tlv.sequence(tlv.oid(_MGF1), digest)),
            tlv.tagged(2, tlv.integer(HASHES[algorithm.hash].size)),
        )
    elif algorithm.family is Family.RSA:
        parameters = tlv.null()
    return tlv.sequence(tlv.oid(algorithm.oid), parameters)


def build_tbs(
    *,
    serial: Serial,
    algorithm: SignatureAlgorithm,
    issuer_der: bytes,
    validity: Validity,
    subject_der: bytes,
    spki: bytes,
    extensions: Sequence[Extension],
) -> bytes:
    """DER TBSCertificate, version 3 (RFC 5280 §4.1.2).

    issuer_der:  the issuer's subject, octet for octet: name chaining compares octets.
    extensions:  in the order they are to stand; b"" has no place here, leave them out instead.
    """
    return tlv.sequence(
        _VERSION_3,
        tlv.integer(serial),
        signature_identifier(algorithm),
        issuer_der,
        tlv.sequence(asn1_time(validity.not_before), asn1_time(validity.not_after)),
        subject_der,
        spki,
        tlv.tagged(3, tlv.sequence(*map(extension_der, extensions))),
    )


@lru_cache(maxsize=64)
def extension_der(extension: Extension) -> bytes:
    """DER Extension; FALSE is the default of critical and so not encoded (RFC 5280 §4.1.2.9).

    Remembered: of the extensions of a batch only the names and the subject's key differ.
    """
    critical = tlv.boolean(True) if extension.critical else b""
    return tlv.sequence(tlv.oid(extension.oid), critical, tlv.octet_string(extension.value))


def assemble(tbs: bytes, algorithm: SignatureAlgorithm, signature: bytes) -> bytes:
    """DER Certificate or CertificateList around exactly these TBS octets (RFC 5280 §4.1.1)."""
    return tlv.sequence(
        tbs, signature_identifier(algorithm), tlv.tlv(tlv.BIT_STRING, b"\0" + signature)
    )
