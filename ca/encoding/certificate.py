"""TBSCertificate and Certificate, as homeca writes them (RFC 5280 §4.1).

A TBS is built from values already decided; nothing is checked here that `ca.lint` checks after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from asn1crypto import algos, core, keys, x509

from ca.algorithms import Family, Scheme, SignatureAlgorithm
from ca.encoding.extensions import Extension
from ca.errors import EncodingError
from ca.interfaces.values import Serial, Validity

#: First instant that needs GeneralizedTime (RFC 5280 §4.1.2.5).
GENERALIZED_FROM = datetime(2050, 1, 1, tzinfo=UTC)


def new_serial(entropy: Callable[[int], bytes]) -> Serial:
    """158 random bits under a fixed top bit: positive, 20 octets in DER (RFC 5280 §4.1.2.2)."""
    return Serial(int.from_bytes(entropy(20), "big") >> 2 | 1 << 158)


def asn1_time(moment: datetime) -> x509.Time:
    """UTCTime through 2049, GeneralizedTime from 2050, whole seconds, Z (RFC 5280 §4.1.2.5).

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
    return x509.Time({form: moment})


@lru_cache(maxsize=16)
def _algorithm_octets(algorithm: SignatureAlgorithm) -> bytes:
    """AlgorithmIdentifier: NULL for PKCS#1 (RFC 4055 §5), absent for ECDSA and EdDSA
    (RFC 5758 §3.2, RFC 8410 §3), hash and salt length for PSS (RFC 4055 §3.1)."""
    fields: dict[str, object] = {"algorithm": algorithm.oid}
    if algorithm.scheme is Scheme.PSS:
        digest = {"algorithm": algorithm.hash}
        sizes = {"sha256": 32, "sha384": 48, "sha512": 64}
        fields["parameters"] = algos.RSASSAPSSParams(
            {
                "hash_algorithm": digest,
                "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": digest},
                "salt_length": sizes[algorithm.hash],
            }
        )
    elif algorithm.family is Family.RSA:
        fields["parameters"] = core.Null()
    return bytes(algos.SignedDigestAlgorithm(fields).dump())


def signature_identifier(algorithm: SignatureAlgorithm) -> algos.SignedDigestAlgorithm:
    """The AlgorithmIdentifier of a signature, the same octets inside and outside the TBS."""
    return algos.SignedDigestAlgorithm.load(_algorithm_octets(algorithm))


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
    tbs = x509.TbsCertificate(
        {
            "version": "v3",
            "serial_number": int(serial),
            "signature": signature_identifier(algorithm),
            "issuer": x509.Name.load(issuer_der),
            "validity": {
                "not_before": asn1_time(validity.not_before),
                "not_after": asn1_time(validity.not_after),
            },
            "subject": x509.Name.load(subject_der),
            "subject_public_key_info": keys.PublicKeyInfo.load(spki),
            "extensions": [
                {
                    "extn_id": extension.oid,
                    "critical": extension.critical,
                    "extn_value": core.ParsableOctetString(extension.value),
                }
                for extension in extensions
            ],
        }
    )
    return bytes(tbs.dump())


class _Signed(core.Sequence):  # type: ignore[misc]  # asn1crypto is untyped
    """SEQUENCE { toBeSigned, AlgorithmIdentifier, BIT STRING }: certificates and CRLs alike."""

    _fields = [  # noqa: RUF012 - asn1crypto's own way of declaring fields
        ("tbs", core.Any),
        ("signature_algorithm", algos.SignedDigestAlgorithm),
        ("signature", core.OctetBitString),
    ]


def assemble(tbs: bytes, algorithm: SignatureAlgorithm, signature: bytes) -> bytes:
    """DER Certificate or CertificateList around exactly these TBS octets (RFC 5280 §4.1.1)."""
    signed = _Signed(
        {
            "tbs": core.Any.load(tbs),
            "signature_algorithm": signature_identifier(algorithm),
            "signature": signature,
        }
    )
    return bytes(signed.dump())
