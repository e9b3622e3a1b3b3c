"""A PKCS#10 request from parts, each of which may be wrong (RFC 2986 §4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tests.vectors.requests import testkeys
from tests.vectors.requests.octets import (
    NULL,
    TRUE,
    bit_string,
    context,
    integer,
    octet_string,
    oid,
    seq,
    set_,
    utf8,
)

DN = {
    "CN": "2.5.4.3",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "street": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "serialNumber": "2.5.4.5",
    "email": "1.2.840.113549.1.9.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "UID": "0.9.2342.19200300.100.1.1",
}
CURVE_OIDS = {
    "ec-p224": "1.3.132.0.33",
    "ec-p256": "1.2.840.10045.3.1.7",
    "ec-p384": "1.3.132.0.34",
    "ec-p521": "1.3.132.0.35",
    "ec-secp256k1": "1.3.132.0.10",
    "ec-brainpool": "1.3.36.3.3.2.8.1.1.7",
}
ECDSA = {
    "sha1": "1.2.840.10045.4.1",
    "sha224": "1.2.840.10045.4.3.1",
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
RSA = {
    "md5": "1.2.840.113549.1.1.4",
    "sha1": "1.2.840.113549.1.1.5",
    "sha224": "1.2.840.113549.1.1.14",
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
}
HASH = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}

rsa_keys = cache(testkeys.rsa_keys)


# ---------------------------------------------------------------- names


def attribute(kind: str, value: bytes) -> bytes:
    return seq(oid(DN.get(kind, kind)), value)


def rdn(*pairs: tuple[str, str | bytes]) -> bytes:
    return set_(*(attribute(kind, v if isinstance(v, bytes) else utf8(v)) for kind, v in pairs))


def name(*pairs: tuple[str, str | bytes]) -> bytes:
    return seq(*(rdn(pair) for pair in pairs))


def dns(value: str) -> bytes:
    return context(2, value.encode("utf-8"), constructed=False)


def mail(value: str) -> bytes:
    return context(1, value.encode("utf-8"), constructed=False)


def uri(value: str) -> bytes:
    return context(6, value.encode("utf-8"), constructed=False)


def ip(octets: str) -> bytes:
    return context(7, bytes.fromhex(octets), constructed=False)


def other(kind: str, value: bytes) -> bytes:
    return context(0, oid(kind) + context(0, value))


def upn(value: str) -> bytes:
    return other("1.3.6.1.4.1.311.20.2.3", utf8(value))


# ---------------------------------------------------------------- extensions and attributes


def extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    return seq(oid(kind), *([TRUE] if critical else []), octet_string(value))


def san(*names: bytes, critical: bool = False) -> bytes:
    return extension("2.5.29.17", seq(*names), critical=critical)


def asked(*extensions: bytes, kind: str = "1.2.840.113549.1.9.14") -> bytes:
    """An extensionRequest attribute."""
    return seq(oid(kind), set_(seq(*extensions)))


def attributes(*parts: bytes, ordered: bool = True) -> bytes:
    return context(0, b"".join(sorted(parts) if ordered else parts))


# ---------------------------------------------------------------- keys


def spki(key: str) -> bytes:
    if key == "ed25519":
        raw = testkeys.ed25519_key().public_key().public_bytes_raw()
        return seq(seq(oid("1.3.101.112")), bit_string(raw))
    if key.startswith("ec-"):
        return ec_spki(oid(CURVE_OIDS[key]), testkeys.ec_point(key))
    numbers = rsa_keys()[key]
    return rsa_spki(seq(integer(numbers.n), integer(numbers.e)))


def ec_spki(parameters: bytes, point: bytes, *, kind: str = "1.2.840.10045.2.1") -> bytes:
    return seq(seq(oid(kind), parameters), bit_string(point))


def rsa_spki(key: bytes, *, parameters: bytes = NULL, kind: str = "1.2.840.113549.1.1.1") -> bytes:
    return seq(seq(oid(kind), parameters), bit_string(key))


# ---------------------------------------------------------------- signatures


def pss_algorithm(
    digest: str, salt: int | None, *, mask: str | None = None, null: bool = True, rest: bytes = b""
) -> bytes:
    def hash_id(which: str) -> bytes:
        return seq(oid(HASH[which]), *([NULL] if null else []))

    fields = context(0, hash_id(digest))
    fields += context(1, seq(oid("1.2.840.113549.1.1.8"), hash_id(mask or digest)))
    if salt is not None:
        fields += context(2, integer(salt))
    return seq(oid("1.2.840.113549.1.1.10"), seq(fields + rest))


def sign(key: str, info: bytes, digest: str) -> tuple[bytes, bytes]:
    """AlgorithmIdentifier and the content of the BIT STRING, in the usual scheme of the key."""
    if key == "ed25519":
        return seq(oid("1.3.101.112")), testkeys.ed25519_key().sign(info)
    if key.startswith("ec-"):
        return seq(oid(ECDSA[digest])), testkeys.ecdsa_signature(key, info, digest)
    return seq(oid(RSA[digest]), NULL), testkeys.pkcs1_signature(rsa_keys()[key], info, digest)


def _bits(octets: bytes, unused: int) -> bytes:
    if not unused:
        return bit_string(octets)
    return bit_string(octets[:-1] + bytes([octets[-1] >> unused << unused]), unused)


def request(
    subject: bytes | None = None,
    parts: Sequence[bytes] = (),
    *,
    key: str = "ec-p256",
    signer: str | None = None,
    digest: str = "sha256",
    public: bytes | None = None,
    version: bytes = b"\x02\x01\x00",
    attribute_field: bytes | None = None,
    algorithm: bytes | None = None,
    signature: bytes | None = None,
    unused: int = 0,
    tail: bytes = b"",
) -> bytes:
    """DER CertificationRequest, correctly signed unless told otherwise.

    parts:  attributes. signer: another key than `key`. attribute_field: in place of [0].
    unused: bits of the signature said not to count. tail: more fields after it.
    """
    info = seq(
        version,
        name(("CN", "nas.home.arpa")) if subject is None else subject,
        spki(key) if public is None else public,
        attributes(*parts) if attribute_field is None else attribute_field,
    )
    own_algorithm, own_signature = sign(signer or key, info, digest)
    return seq(
        info,
        algorithm or own_algorithm,
        _bits(own_signature if signature is None else signature, unused),
        tail,
    )


def pss_request(key: str, digest: str, salt: int, *, algorithm: bytes | None = None) -> bytes:
    info = seq(integer(0), name(("CN", "nas.home.arpa")), spki(key), attributes(asked(san(HOST))))
    signature = testkeys.pss_signature(rsa_keys()[key], info, digest, salt)
    return seq(info, algorithm or pss_algorithm(digest, salt), bit_string(signature))


HOST = dns("nas.home.arpa")
#: What most vectors carry beside their one oddity.
GOOD = asked(san(HOST))
