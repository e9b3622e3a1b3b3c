"""Keys of the request vectors: PUBLISHED TEST KEYS. Whoever has this file has them; never use one.

Everything follows from fixed seeds, so that `make.py` writes the same octets on every machine.
Finding RSA primes takes its time and gmpy2, so they are kept in `rsa-test-keys.json`.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from math import gcd, lcm, prod
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RSA_FILE = Path(__file__).with_name("rsa-test-keys.json")


@dataclass(frozen=True)
class RsaKey:
    """n and e make the public half; d is 0 where e has no inverse."""

    n: int
    e: int
    d: int


# ---------------------------------------------------------------- RSA


def _next_prime(start: int) -> int:
    import gmpy2  # type: ignore[import-untyped]  # only to find keys, not to write vectors

    return int(gmpy2.next_prime(start - 1))


def _primes(bits: int, seed: str) -> tuple[int, int]:
    """Two primes with their two top bits set, so that the modulus has exactly `bits`."""
    dice = random.Random(seed)
    half = bits // 2
    p = _next_prime(dice.getrandbits(half) | 3 << half - 2)
    q = _next_prime(dice.getrandbits(bits - half) | 3 << bits - half - 2)
    return p, q


def _roca_prime(bits: int, seed: str) -> int:
    """k·M + (65537^a mod M), the shape of CVE-2017-15361."""
    odd = [n for n in range(3, 168) if all(n % d for d in range(2, n))]
    modulus = 2 * prod(odd)
    dice = random.Random(seed)
    while True:
        k = (3 << bits - 2) // modulus + dice.getrandbits(bits // 2)
        candidate = k * modulus + pow(65537, dice.getrandbits(60), modulus)
        if candidate.bit_length() == bits and _next_prime(candidate) == candidate:
            return candidate


def find_rsa_primes() -> dict[str, tuple[int, int]]:
    """Every pair of primes the vectors need. Slow; run `make.py --keys` only to add one."""
    pairs = {f"rsa-{bits}": _primes(bits, f"rsa-{bits}") for bits in RSA_SIZES}
    dice = random.Random("close")
    p = _next_prime(dice.getrandbits(1024) | 3 << 1022)
    pairs["rsa-close"] = p, _next_prime(p + 2)
    pairs["rsa-closer-than-100"] = p, _next_prime(p + (1 << 515))
    pairs["rsa-square"] = p, p
    pairs["rsa-roca"] = _roca_prime(1024, "roca-p"), _roca_prime(1024, "roca-q")
    for factor in (3, 17, 751):
        dice = random.Random(f"factor-{factor}")
        other = _next_prime((1 << 2047) // factor + dice.getrandbits(2000))
        pairs[f"rsa-factor-{factor}"] = factor, other
    return pairs


RSA_SIZES = (512, 1024, 1536, 2040, 2047, 2048, 2049, 2056, 2304, 3072, 4096, 4104, 8192)


def _rsa(p: int, q: int, e: int = 65537) -> RsaKey:
    phi = lcm(p - 1, q - 1)
    return RsaKey(p * q, e, pow(e, -1, phi) if gcd(e, phi) == 1 else 0)


def rsa_keys() -> dict[str, RsaKey]:
    """By name, from the file of primes."""
    stored = json.loads(RSA_FILE.read_text())["primes"]
    primes = {name: (int(p, 16), int(q, 16)) for name, (p, q) in stored.items()}
    keys = {name: _rsa(p, q) for name, (p, q) in primes.items()}
    p, q = primes["rsa-2048"]
    for e in (1, 2, 3, 17, 65535, 65536, 65539, (1 << 32) + 15, (1 << 257) + 1):
        keys[f"rsa-2048-e{e if e < 1 << 40 else 'huge'}"] = _rsa(p, q, e)
    keys["rsa-even-modulus"] = RsaKey(keys["rsa-2048"].n - 1, 65537, 0)
    dice = random.Random("no primes behind it")
    keys["rsa-8200"] = RsaKey(dice.getrandbits(8200) | 1 << 8199 | 1, 65537, 0)
    keys["rsa-16392"] = RsaKey(dice.getrandbits(16392) | 1 << 16391 | 1, 65537, 0)
    return keys


def write_rsa_file() -> None:
    RSA_FILE.write_text(
        json.dumps(
            {
                "warning": "PUBLISHED TEST KEYS: never use one of them for anything",
                "primes": {n: [f"{p:x}", f"{q:x}"] for n, (p, q) in find_rsa_primes().items()},
            },
            indent=1,
        )
        + "\n"
    )


def pkcs1_signature(key: RsaKey, octets: bytes, digest: str = "sha256") -> bytes:
    """RSASSA-PKCS1-v1_5 by hand (RFC 8017 §8.2.1): the libraries refuse some of these keys."""
    size = (key.n.bit_length() + 7) // 8
    info = bytes.fromhex(_DIGEST_INFO[digest]) + hashlib.new(digest, octets).digest()
    padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    return pow(int.from_bytes(padded, "big"), key.d or 1, key.n).to_bytes(size, "big")


_DIGEST_INFO = {
    "md5": "3020300c06082a864886f70d020505000410",
    "sha1": "3021300906052b0e03021a05000414",
    "sha224": "302d300d06096086480165030402040500041c",
    "sha256": "3031300d060960864801650304020105000420",
    "sha384": "3041300d060960864801650304020205000430",
    "sha512": "3051300d060960864801650304020305000440",
}


def pss_signature(key: RsaKey, octets: bytes, digest: str, salt: int) -> bytes:
    """RSASSA-PSS with a fixed salt (RFC 8017 §9.1.1)."""
    size = (key.n.bit_length() + 7) // 8
    bits = key.n.bit_length() - 1
    length = (bits + 7) // 8
    grain = (b"salt" * 256)[:salt]
    hashed = hashlib.new(digest, octets).digest()
    h = hashlib.new(digest, bytes(8) + hashed + grain).digest()
    block = bytes(length - salt - len(h) - 2) + b"\1" + grain
    mask = b"".join(
        hashlib.new(digest, h + i.to_bytes(4, "big")).digest()
        for i in range(-(-len(block) // len(h)))
    )
    masked = bytearray(x ^ y for x, y in zip(block, mask, strict=False))
    masked[0] &= 0xFF >> 8 * length - bits
    number = int.from_bytes(bytes(masked) + h + b"\xbc", "big")
    return pow(number, key.d, key.n).to_bytes(size, "big")


# ---------------------------------------------------------------- EC and Ed25519

CURVES: dict[str, ec.EllipticCurve] = {
    "ec-p224": ec.SECP224R1(),
    "ec-p256": ec.SECP256R1(),
    "ec-p384": ec.SECP384R1(),
    "ec-p521": ec.SECP521R1(),
    "ec-secp256k1": ec.SECP256K1(),
    "ec-brainpool": ec.BrainpoolP256R1(),
}


def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    seed = hashlib.sha512(f"homeca test key {name}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(seed[:27], "big"), CURVES[name])


_EC_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - the vectors that must be refused
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def ecdsa_signature(name: str, octets: bytes, digest: str) -> bytes:
    """Deterministic (RFC 6979), so that the file is the same each time."""
    scheme = ec.ECDSA(_EC_HASHES[digest], deterministic_signing=True)
    return ec_key(name).sign(octets, scheme)


def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"homeca test ed").digest())


def ed448_spki() -> bytes:
    key = ed448.Ed448PrivateKey.from_private_bytes((b"homeca test ed448 " * 4)[:57])
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def ec_point(name: str, *, compressed: bool = False) -> bytes:
    form = PublicFormat.CompressedPoint if compressed else PublicFormat.UncompressedPoint
    return ec_key(name).public_key().public_bytes(Encoding.X962, form)
