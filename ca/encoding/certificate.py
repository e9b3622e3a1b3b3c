"""TBSCertificate and Certificate, as homeca writes them (RFC 5280 §4.1).

A TBS is built from values already decided; nothing is checked here that `ca.lint` checks after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from asn1crypto import algos, core, x509

from ca.algorithms import HASHES, Family, Scheme, SignatureAlgorithm
from ca.encoding import tlv
from ca.encoding.extensions import Extension
from ca.errors import EncodingError
from ca.interfaces.values import Serial, Validity

#: First instant that needs GeneralizedTime (RFC 5280 §4.1.2.5).
GENERALIZED_FROM = datetime(2050, 1, 1, tzinfo=UTC)


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
    form = "utc_time" if moment < GENERALIZED_FROM else "general_time"
    return bytes(x509.Time({form: moment}).dump())


@lru_cache(maxsize=16)
def signature_identifier(algorithm: SignatureAlgorithm) -> bytes:
    """DER AlgorithmIdentifier of a signature, the same octets inside and outside the TBS.

    NULL for PKCS#1 (RFC 4055 §5), absent for ECDSA and EdDSA (RFC 5758 §3.2, RFC 8410 §3), hash
    and salt length for PSS (RFC 4055 §3.1).
    """
    fields: dict[str, object] = {"algorithm": algorithm.oid}
    if algorithm.scheme is Scheme.PSS:
        digest = {"algorithm": algorithm.hash}
        fields["parameters"] = algos.RSASSAPSSParams(
            {
                "hash_algorithm": digest,
                "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": digest},
                "salt_length": HASHES[algorithm.hash].size,
            }
        )
    elif algorithm.family is Family.RSA:
        fields["parameters"] = core.Null()
    return bytes(algos.SignedDigestAlgorithm(fields).dump())


class _Extension(core.Sequence):  # type: ignore[misc]  # asn1crypto is untyped
    """Its value as the octets that they are: whether they make sense, `ca.lint` says."""

    _fields = [  # noqa: RUF012 - asn1crypto's own way of declaring fields
        ("extn_id", core.ObjectIdentifier),
        ("critical", core.Boolean, {"default": False}),
        ("extn_value", core.OctetString),
    ]


class _Extensions(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Extension


class _Tbs(core.Sequence):  # type: ignore[misc]
    """TBSCertificate, its parts as they are encoded already: x509.TbsCertificate takes each apart,
    only to put it together again, at six times the cost."""

    _fields = [  # noqa: RUF012
        ("version", x509.Version, {"explicit": 0}),
        ("serial_number", core.Integer),
        ("signature", core.Any),
        ("issuer", core.Any),
        ("validity", core.Any),
        ("subject", core.Any),
        ("subject_public_key_info", core.Any),
        ("extensions", _Extensions, {"explicit": 3}),
    ]


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
    tbs = _Tbs(
        {
            "version": "v3",
            "serial_number": int(serial),
            "signature": core.Any.load(signature_identifier(algorithm)),
            "issuer": core.Any.load(issuer_der),
            "validity": core.Any.load(_validity_der(validity)),
            "subject": core.Any.load(subject_der),
            "subject_public_key_info": core.Any.load(spki),
            "extensions": _Extensions(contents=b"".join(map(extension_der, extensions))),
        }
    )
    return bytes(tbs.dump())


@lru_cache(maxsize=4)
def _validity_der(validity: Validity) -> bytes:
    """Both ends as `Time` (RFC 5280 §4.1.2.5). Remembered: a batch has mostly one."""
    octets = asn1_time(validity.not_before) + asn1_time(validity.not_after)
    return bytes(x509.Validity(contents=octets).dump())


@lru_cache(maxsize=64)
def extension_der(extension: Extension) -> bytes:
    """DER Extension; FALSE is the default of critical and so not encoded (RFC 5280 §4.1.2.9).

    Remembered: of the extensions of a batch only the names and the subject's key differ.
    """
    fields = {
        "extn_id": extension.oid,
        "critical": extension.critical,
        "extn_value": extension.value,
    }
    return bytes(_Extension(fields).dump())


def assemble(tbs: bytes, algorithm: SignatureAlgorithm, signature: bytes) -> bytes:
    """DER Certificate or CertificateList around exactly these TBS octets (RFC 5280 §4.1.1).

    Joined by hand, once: those of a CRL may be megabytes.
    """
    return tlv.sequence(
        tbs, signature_identifier(algorithm), tlv.tlv(tlv.BIT_STRING, b"\0" + signature)
    )
