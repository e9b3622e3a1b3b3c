"""One table: key and signature algorithms, their OIDs, hashes, curves and TPM schemes.

Facts only. Which of these a CA may use is for profiles and policy to say.
Sources: RFC 3279, RFC 4055, RFC 5480, RFC 5758, RFC 8410; TCG Algorithm Registry.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Family(StrEnum):
    """What a key is made of."""

    RSA = "rsa"
    EC = "ec"
    ED25519 = "ed25519"


class KeyKind(Struct, frozen=True):
    """A kind of key: `ec-p384`, `rsa-2048`.

    bits:      modulus or field size.
    curve_oid: namedCurve (RFC 5480 §2.1.1.1), None for RSA and Ed25519.
    tpm_curve: TPM_ECC_CURVE, 0 where it has none.
    hash:      the digest a CA key of this kind signs with: at least the key's own strength.
    """

    name: str
    family: Family
    bits: int
    curve_oid: str | None = None
    tpm_curve: int = 0
    hash: str = "sha256"

    def __str__(self) -> str:
        return self.name


EC_P256 = KeyKind("ec-p256", Family.EC, 256, "1.2.840.10045.3.1.7", 0x0003, "sha256")
EC_P384 = KeyKind("ec-p384", Family.EC, 384, "1.3.132.0.34", 0x0004, "sha384")
EC_P521 = KeyKind("ec-p521", Family.EC, 521, "1.3.132.0.35", 0x0005, "sha512")
RSA_2048 = KeyKind("rsa-2048", Family.RSA, 2048)
RSA_3072 = KeyKind("rsa-3072", Family.RSA, 3072)
RSA_4096 = KeyKind("rsa-4096", Family.RSA, 4096)
ED25519 = KeyKind("ed25519", Family.ED25519, 256, hash="")

KEY_KINDS: dict[str, KeyKind] = {
    kind.name: kind for kind in (EC_P256, EC_P384, EC_P521, RSA_2048, RSA_3072, RSA_4096, ED25519)
}
CURVES: dict[str, KeyKind] = {k.curve_oid: k for k in KEY_KINDS.values() if k.curve_oid}


class HashAlgorithm(Struct, frozen=True):
    """oid: RFC 8017 appendix B.1. tpm: TPM_ALG_ID. size: octets."""

    name: str
    oid: str
    tpm: int
    size: int


HASHES: dict[str, HashAlgorithm] = {
    h.name: h
    for h in (
        HashAlgorithm("sha256", "2.16.840.1.101.3.4.2.1", 0x000B, 32),
        HashAlgorithm("sha384", "2.16.840.1.101.3.4.2.2", 0x000C, 48),
        HashAlgorithm("sha512", "2.16.840.1.101.3.4.2.3", 0x000D, 64),
    )
}


class Scheme(StrEnum):
    """How a digest becomes a signature."""

    ECDSA = "ecdsa"
    PKCS1 = "rsassa"  # RSASSA-PKCS1-v1_5
    PSS = "rsapss"  # salt as long as the digest
    EDDSA = "eddsa"


TPM_SCHEMES: dict[Scheme, int] = {
    Scheme.PKCS1: 0x0014,
    Scheme.PSS: 0x0016,
    Scheme.ECDSA: 0x0018,
}


class SignatureAlgorithm(Struct, frozen=True):
    """An AlgorithmIdentifier a certificate may carry, and what makes it.

    name:   asn1crypto's and OpenSSL's way of saying it: "sha256_ecdsa".
    hash:   key of HASHES; "" for EdDSA, which hashes by itself.
    """

    name: str
    oid: str
    family: Family
    scheme: Scheme
    hash: str

    def __str__(self) -> str:
        return self.name


SIGNATURE_ALGORITHMS: dict[str, SignatureAlgorithm] = {
    a.name: a
    for a in (
        SignatureAlgorithm(
            "sha256_ecdsa", "1.2.840.10045.4.3.2", Family.EC, Scheme.ECDSA, "sha256"
        ),
        SignatureAlgorithm(
            "sha384_ecdsa", "1.2.840.10045.4.3.3", Family.EC, Scheme.ECDSA, "sha384"
        ),
        SignatureAlgorithm(
            "sha512_ecdsa", "1.2.840.10045.4.3.4", Family.EC, Scheme.ECDSA, "sha512"
        ),
        SignatureAlgorithm(
            "sha256_rsa", "1.2.840.113549.1.1.11", Family.RSA, Scheme.PKCS1, "sha256"
        ),
        SignatureAlgorithm(
            "sha384_rsa", "1.2.840.113549.1.1.12", Family.RSA, Scheme.PKCS1, "sha384"
        ),
        SignatureAlgorithm(
            "sha512_rsa", "1.2.840.113549.1.1.13", Family.RSA, Scheme.PKCS1, "sha512"
        ),
        SignatureAlgorithm("sha256_pss", "1.2.840.113549.1.1.10", Family.RSA, Scheme.PSS, "sha256"),
        SignatureAlgorithm("sha384_pss", "1.2.840.113549.1.1.10", Family.RSA, Scheme.PSS, "sha384"),
        SignatureAlgorithm("sha512_pss", "1.2.840.113549.1.1.10", Family.RSA, Scheme.PSS, "sha512"),
        SignatureAlgorithm("ed25519", "1.3.101.112", Family.ED25519, Scheme.EDDSA, ""),
    )
}


def signature_algorithm(kind: KeyKind) -> SignatureAlgorithm:
    """The one algorithm a CA key of this kind signs with: fixed in the TPM key's own scheme."""
    if kind.family is Family.ED25519:
        return SIGNATURE_ALGORITHMS["ed25519"]
    suffix = "ecdsa" if kind.family is Family.EC else "rsa"
    return SIGNATURE_ALGORITHMS[f"{kind.hash}_{suffix}"]


#: Algorithms that still turn up in requests and are refused by name (RFC 6194, RFC 6151).
BROKEN_SIGNATURE_OIDS: dict[str, str] = {
    "1.2.840.113549.1.1.2": "MD2 with RSA",
    "1.2.840.113549.1.1.4": "MD5 with RSA",
    "1.2.840.113549.1.1.5": "SHA-1 with RSA",
    "1.3.14.3.2.29": "SHA-1 with RSA",
    "1.2.840.10045.4.1": "SHA-1 with ECDSA",
    "1.2.840.10040.4.3": "SHA-1 with DSA",
    "2.16.840.1.101.3.4.3.2": "SHA-256 with DSA",
}
