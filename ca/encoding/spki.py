"""Public keys from outside: read once, re-encoded, checked, and used to verify (RFC 5280 §4.1.2.7).

What goes into a certificate is the canonical re-encoding, never the octets that came in.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from msgspec import Struct

from ca.algorithms import CURVES, Family, Scheme, SignatureAlgorithm
from ca.encoding import tlv
from ca.encoding.der import check_der
from ca.errors import EncodingError, SignatureInvalid

RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
RSASSA_PSS = "1.2.840.113549.1.1.10"
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
ED25519_KEY = "1.3.101.112"

#: Nothing is computed with a number longer than this; above it a modulus is not even a key.
MAX_MODULUS_BITS = 16384

#: Key algorithms and curves that people meet and homeca does not certify, by name.
_OTHER_ALGORITHMS = {
    RSASSA_PSS: "an RSA key restricted to PSS (id-RSASSA-PSS)",
    "1.2.840.10040.4.1": "a DSA key",
    "1.2.840.10046.2.1": "a Diffie-Hellman key",
    "1.2.840.113549.1.3.1": "a Diffie-Hellman key",
    "1.2.643.2.2.19": "a GOST R 34.10-2001 key",
    "1.2.643.7.1.1.1.1": "a GOST R 34.10-2012 key",
    "1.2.643.7.1.1.1.2": "a GOST R 34.10-2012 key",
    "1.2.156.10197.1.301": "an SM2 key",
    "1.3.101.110": "an X25519 key, which cannot sign",
    "1.3.101.111": "an X448 key, which cannot sign",
    "1.3.101.113": "an Ed448 key",
    "1.3.132.1.12": "an ECDH-only key (id-ecDH)",
    "1.3.132.1.13": "an ECMQV key",
    "2.16.840.1.101.3.4.3.17": "an ML-DSA-44 key",
    "2.16.840.1.101.3.4.3.18": "an ML-DSA-65 key",
    "2.16.840.1.101.3.4.3.19": "an ML-DSA-87 key",
}
_OTHER_CURVES = {
    "1.2.156.10197.1.301": "SM2",
    "1.2.840.10045.3.1.1": "P-192",
    "1.3.132.0.33": "P-224",
    "1.3.132.0.10": "secp256k1",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}
_MAKE_ANOTHER = "make an ec-p256, ec-p384 or rsa-3072 key"


class PublicKey(Struct, frozen=True, kw_only=True):
    """A public key whose encoding is canonical. That it is strong, `ca.encoding.weakness` says.

    der:       SubjectPublicKeyInfo, re-encoded.
    kind_name: "ec-p256", "rsa-2048", "rsa-2304", "ed25519".
    modulus, exponent: RSA only.
    """

    der: bytes
    kind_name: str
    family: Family
    bits: int
    curve_oid: str | None = None
    modulus: int | None = None
    exponent: int | None = None


def parse_spki(der: bytes) -> PublicKey:
    """The key in a DER SubjectPublicKeyInfo, in the one encoding this key has.

    Raises: EncodingError for other algorithms and curves (by name), explicit parameters,
            compressed, hybrid and off-curve points, missing or superfluous parameters.
    """
    check_der(der, max_size=8192)
    algorithm_tag, algorithm, parameters, key = _split(der)
    if algorithm_tag != tlv.OID:
        raise _malformed("its algorithm is not an object identifier")
    oid = tlv.read_oid(algorithm)
    match oid:
        case "1.2.840.113549.1.1.1":
            return _rsa(der, parameters, key)
        case "1.2.840.10045.2.1":
            return _ec(der, parameters, key)
        case "1.3.101.112":
            return _ed25519(der, parameters, key)
    raise EncodingError(
        f"the key is {_OTHER_ALGORITHMS.get(oid, f'of the unknown algorithm {oid}')}",
        remedy=_MAKE_ANOTHER,
    )


def _split(der: bytes) -> tuple[int, bytes, tuple[int, bytes] | None, bytes]:
    """algorithm's tag and content, its parameters if any, the octets of the BIT STRING."""
    parts = list(tlv.elements(tlv.read_only(der, tlv.SEQUENCE)))
    if [tag for tag, _ in parts] != [tlv.SEQUENCE, tlv.BIT_STRING]:
        raise _malformed("it is not a SEQUENCE of algorithm and BIT STRING")
    fields = list(tlv.elements(parts[0][1]))
    if not 1 <= len(fields) <= 2:
        raise _malformed("its algorithm is not a SEQUENCE of one or two fields")
    if parts[1][1][0]:
        raise _malformed("its BIT STRING does not end on an octet")
    parameters = fields[1] if len(fields) == 2 else None
    return fields[0][0], fields[0][1], parameters, parts[1][1][1:]


def _rsa(der: bytes, parameters: tuple[int, bytes] | None, key: bytes) -> PublicKey:
    if parameters != (tlv.NULL, b""):
        raise _malformed("rsaEncryption goes with NULL parameters (RFC 3279 §2.3.1)")
    check_der(key, max_size=8192)
    numbers = list(tlv.elements(tlv.read_only(key, tlv.SEQUENCE)))
    if [tag for tag, _ in numbers] != [tlv.INTEGER, tlv.INTEGER]:
        raise _malformed("an RSA key is a SEQUENCE of modulus and exponent (RFC 8017 §A.1.1)")
    if max(len(octets) for _, octets in numbers) > MAX_MODULUS_BITS // 8 + 1:
        raise _malformed(f"its numbers are longer than {MAX_MODULUS_BITS} bits")
    modulus, exponent = (int.from_bytes(octets, "big", signed=True) for _, octets in numbers)
    if modulus <= 0 or exponent <= 0:
        raise _malformed("its modulus or exponent is not positive")
    return PublicKey(
        der=_canonical_rsa(der, modulus, exponent),
        kind_name=f"rsa-{modulus.bit_length()}",
        family=Family.RSA,
        bits=modulus.bit_length(),
        modulus=modulus,
        exponent=exponent,
    )


def _canonical_rsa(der: bytes, modulus: int, exponent: int) -> bytes:
    """Our own writing must give the octets that came in; then there is only one reading."""
    again = tlv.sequence(
        tlv.sequence(tlv.oid(RSA_ENCRYPTION), tlv.null()),
        tlv.tlv(tlv.BIT_STRING, b"\0" + tlv.sequence(tlv.integer(modulus), tlv.integer(exponent))),
    )
    if again != der:
        raise _malformed("it is not the canonical encoding of its own numbers")
    return again


def _ec(der: bytes, parameters: tuple[int, bytes] | None, key: bytes) -> PublicKey:
    tag, content = parameters or (0, b"")
    if tag == tlv.SEQUENCE:
        raise EncodingError(
            "the EC key spells its curve out in explicit parameters (RFC 5480 §2.1.1 forbids it)",
            remedy="make the key on a named curve: `openssl ecparam -name prime256v1 -genkey`",
        )
    if tag != tlv.OID:
        raise _malformed("an EC key names its curve (RFC 5480 §2.1.1)")
    oid = tlv.read_oid(content)
    kind = CURVES.get(oid)
    if kind is None:
        raise EncodingError(
            f"the key is on the curve {_OTHER_CURVES.get(oid, oid)}", remedy=_MAKE_ANOTHER
        )
    form = key[:1].hex() or "none"
    if key[:1] != b"\x04":
        named = {"02": "compressed", "03": "compressed", "06": "hybrid", "07": "hybrid"}
        raise EncodingError(
            f"the EC point is {named.get(form, 'of form ' + form)}, not uncompressed",
            remedy="write the key with `-conv_form uncompressed`, and make the request again",
        )
    if _reencoded(der) != der:
        raise _malformed("the point is not on its curve, or not encoded canonically")
    return PublicKey(der=der, kind_name=kind.name, family=Family.EC, bits=kind.bits, curve_oid=oid)


def _ed25519(der: bytes, parameters: tuple[int, bytes] | None, key: bytes) -> PublicKey:
    if parameters is not None:
        raise _malformed("Ed25519 takes no parameters (RFC 8410 §3)")
    if len(key) != 32 or _reencoded(der) != der:
        raise _malformed("an Ed25519 key has 32 octets (RFC 8032 §5.1.5)")
    return PublicKey(der=der, kind_name="ed25519", family=Family.ED25519, bits=256)


def _reencoded(der: bytes) -> bytes | None:
    """The key as cryptography writes it, None when it cannot read it."""
    try:
        key = load_der_public_key(der)
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _malformed(what: str) -> EncodingError:
    return EncodingError(f"the public key is malformed: {what}", remedy=_MAKE_ANOTHER)


# ---------------------------------------------------------------- identifiers


def ski(spki_der: bytes) -> bytes:
    """SHA-1 of the BIT STRING's content, 20 octets (RFC 5280 §4.2.1.2, method 1)."""
    return hashlib.sha1(_split(spki_der)[3], usedforsecurity=False).digest()


def spki_sha256(spki_der: bytes) -> bytes:
    """SHA-256 of the whole SubjectPublicKeyInfo: what the record knows a key by."""
    return hashlib.sha256(spki_der).digest()


# ---------------------------------------------------------------- verification

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def verify(
    spki_der: bytes,
    algorithm: SignatureAlgorithm,
    signature: bytes,
    octets: bytes,
    *,
    salt: int | None = None,
) -> None:
    """The signature is by this key over these octets.

    signature: content of signatureValue. salt: octets of the PSS salt; None: the digest's length.
    Raises:    SignatureInvalid, whatever the reason.
    """
    try:
        _verify(_loaded(spki_der), algorithm, signature, octets, salt)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureInvalid(
            f"the {algorithm} signature does not verify under its key",
            remedy="make it again; if it recurs, the key or the octets were changed on the way",
        ) from error


@lru_cache(maxsize=8)  # a CA verifies every certificate under the same few keys
def _loaded(spki_der: bytes) -> object:
    return load_der_public_key(spki_der)


def _verify(
    key: object, algorithm: SignatureAlgorithm, signature: bytes, octets: bytes, salt: int | None
) -> None:
    match key, algorithm.scheme:
        case ec.EllipticCurvePublicKey(), Scheme.ECDSA:
            key.verify(signature, octets, ec.ECDSA(_HASHES[algorithm.hash]))
        case rsa.RSAPublicKey(), Scheme.PKCS1:
            key.verify(signature, octets, padding.PKCS1v15(), _HASHES[algorithm.hash])
        case rsa.RSAPublicKey(), Scheme.PSS:
            digest = _HASHES[algorithm.hash]
            length = digest.digest_size if salt is None else salt
            key.verify(signature, octets, padding.PSS(padding.MGF1(digest), length), digest)
        case ed25519.Ed25519PublicKey(), Scheme.EDDSA:
            key.verify(signature, octets)
        case _:
            raise ValueError("the key is of another family than the algorithm")
