"""TPM 2.0 structures as octets: public areas, signatures, capabilities (TPM 2.0 Part 2).

Everything here is read in pure Python and strictly: no length that does not fit, nothing
left over. What the TPM library of the platform thinks of the same octets does not matter.
"""

from __future__ import annotations

import hashlib
from enum import IntFlag

from asn1crypto import algos, core, keys
from msgspec import Struct

from ca.algorithms import (
    HASHES,
    KEY_KINDS,
    SIGNATURE_ALGORITHMS,
    TPM_SCHEMES,
    Family,
    KeyKind,
    SignatureAlgorithm,
    signature_algorithm,
)
from ca.errors import EncodingError

ALG_RSA = 0x0001
ALG_NULL = 0x0010
ALG_RSAES = 0x0015
ALG_ECDAA = 0x001A
ALG_ECC = 0x0023
ALG_SHA256 = 0x000B

#: TPM_ALG_ID to hashlib, for Names; SHA-1 may still name a foreign object.
NAME_HASHES: dict[int, str] = {0x0004: "sha1"} | {h.tpm: h.name for h in HASHES.values()}


class Attributes(IntFlag):
    """TPMA_OBJECT (Part 2 §8.3): what a key may do and whether it may leave."""

    FIXED_TPM = 1 << 1
    ST_CLEAR = 1 << 2
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    USER_WITH_AUTH = 1 << 6
    ADMIN_WITH_POLICY = 1 << 7
    NO_DA = 1 << 10
    ENCRYPTED_DUPLICATION = 1 << 11
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18


#: Made inside this TPM and never able to leave it: all three, for an imported software key
#: may claim the last one alone and the TPM lets it.
BORN_AND_BOUND = Attributes.FIXED_TPM | Attributes.FIXED_PARENT | Attributes.SENSITIVE_DATA_ORIGIN


class Unmarshaller:
    """Big-endian TPM octets, consumed from the front. Never reads past the end."""

    def __init__(self, octets: bytes, what: str) -> None:
        self._octets = octets
        self._at = 0
        self._what = what

    def take(self, count: int) -> bytes:
        """The next `count` octets. Raises: EncodingError when there are fewer."""
        end = self._at + count
        if end > len(self._octets):
            raise malformed(self._what, "it ends too early")
        octets, self._at = self._octets[self._at : end], end
        return octets

    def number(self, width: int) -> int:
        """An unsigned integer of `width` octets."""
        return int.from_bytes(self.take(width), "big")

    def sized(self) -> bytes:
        """A TPM2B: two octets of length, then that many."""
        return self.take(self.number(2))

    def end(self) -> None:
        """Raises: EncodingError when something is left over."""
        if self._at != len(self._octets):
            raise malformed(self._what, f"{len(self._octets) - self._at} octets are left over")


def malformed(what: str, why: str) -> EncodingError:
    return EncodingError(
        f"the {what} cannot be read: {why}",
        remedy="restore the file from a backup; if a TPM sent this, take it out of service",
    )


def sized(octets: bytes) -> bytes:
    """A TPM2B around `octets`."""
    return len(octets).to_bytes(2, "big") + octets


class PublicArea(Struct, frozen=True, kw_only=True):
    """TPMT_PUBLIC of an RSA or ECC key (Part 2 §12.2.4).

    octets:      the TPMT_PUBLIC itself, over which the Name is computed.
    type:        TPM_ALG_RSA or TPM_ALG_ECC. name_alg: TPM_ALG_ID of the Name's hash.
    auth_policy: digest, b"" when the key has none.
    symmetric:   (TPM_ALG_ID, key bits, mode) of a storage key, None otherwise.
    scheme:      (TPM_ALG_ID, hash or None) fixed in the key, None when the caller chooses.
    bits, curve: modulus size, or TPM_ECC_CURVE; the other one is 0.
    exponent:    RSA, 65537 when the area says 0.
    unique:      (modulus,) or (x, y), as the TPM wrote them.
    """

    octets: bytes
    type: int
    name_alg: int
    attributes: Attributes
    auth_policy: bytes
    symmetric: tuple[int, int, int] | None
    scheme: tuple[int, int | None] | None
    bits: int
    curve: int
    exponent: int
    unique: tuple[bytes, ...]

    @classmethod
    def from_tpm2b(cls, octets: bytes) -> PublicArea:
        """From a TPM2B_PUBLIC. Raises: EncodingError."""
        outer = Unmarshaller(octets, "TPM public area")
        area = outer.sized()
        outer.end()
        r = Unmarshaller(area, "TPM public area")
        alg, name_alg, attributes, policy = r.number(2), r.number(2), r.number(4), r.sized()
        if alg not in (ALG_RSA, ALG_ECC):
            raise malformed("TPM public area", f"type 0x{alg:04x} is neither RSA nor ECC")
        symmetric = _symmetric(r)
        scheme = _scheme(r)
        bits = curve = exponent = 0
        if alg == ALG_RSA:
            bits, exponent = r.number(2), r.number(4) or 65537
            unique: tuple[bytes, ...] = (r.sized(),)
        else:
            curve = r.number(2)
            _scheme(r)  # kdf: reserved, NULL on every TPM
            unique = (r.sized(), r.sized())
        r.end()
        return cls(
            octets=area,
            type=alg,
            name_alg=name_alg,
            attributes=Attributes(attributes),
            auth_policy=policy,
            symmetric=symmetric,
            scheme=scheme,
            bits=bits,
            curve=curve,
            exponent=exponent,
            unique=unique,
        )

    @property
    def name(self) -> bytes:
        """nameAlg ‖ H(TPMT_PUBLIC): what the TPM itself calls this key (Part 1 §16)."""
        if self.name_alg not in NAME_HASHES:
            raise malformed("TPM public area", f"name algorithm 0x{self.name_alg:04x} is unknown")
        digest = hashlib.new(NAME_HASHES[self.name_alg], self.octets).digest()
        return self.name_alg.to_bytes(2, "big") + digest

    @property
    def kind(self) -> KeyKind:
        """Raises: EncodingError for a size or curve that homeca has no name for."""
        for kind in KEY_KINDS.values():
            if self.type == ALG_RSA and kind.family is Family.RSA and kind.bits == self.bits:
                return kind
            if self.type == ALG_ECC and kind.tpm_curve and kind.tpm_curve == self.curve:
                return kind
        what = f"RSA-{self.bits}" if self.type == ALG_RSA else f"curve 0x{self.curve:04x}"
        raise malformed("TPM public area", f"{what} is not a kind of key homeca uses")

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo (RFC 3279 §2.3.1, RFC 5480 §2). Raises: EncodingError."""
        kind = self.kind
        width = (kind.bits + 7) // 8
        if kind.family is Family.RSA:
            (modulus,) = self.unique
            if len(modulus) != width or not modulus[0] & 0x80:
                raise malformed("TPM public area", "the modulus is not as long as it says")
            public = keys.RSAPublicKey(
                {
                    "modulus": int.from_bytes(modulus, "big"),
                    "public_exponent": self.exponent,
                }
            )
            algorithm = {"algorithm": "rsa", "parameters": core.Null()}
            return bytes(keys.PublicKeyInfo({"algorithm": algorithm, "public_key": public}).dump())
        if any(len(half) > width for half in self.unique) or not any(map(any, self.unique)):
            raise malformed("TPM public area", "the point does not fit its curve")
        point = b"\x04" + b"".join(half.rjust(width, b"\0") for half in self.unique)
        curve = keys.ECDomainParameters(name="named", value=kind.curve_oid)
        return bytes(
            keys.PublicKeyInfo(
                {
                    "algorithm": {"algorithm": "ec", "parameters": curve},
                    "public_key": keys.ECPointBitString(point),
                }
            ).dump()
        )

    @property
    def signature_algorithm(self) -> SignatureAlgorithm:
        """What a signature by this key is: its fixed scheme, else the kind's own.

        Raises: EncodingError when the fixed scheme is not one a certificate may carry.
        """
        if self.scheme is None:
            return signature_algorithm(self.kind)
        for algorithm in SIGNATURE_ALGORITHMS.values():
            if algorithm.hash and self.scheme == (
                TPM_SCHEMES[algorithm.scheme],
                HASHES[algorithm.hash].tpm,
            ):
                return algorithm
        number, digest = self.scheme
        raise malformed(
            "TPM public area",
            f"scheme 0x{number:04x} with hash 0x{digest or 0:04x} cannot sign certificates",
        )


def _symmetric(r: Unmarshaller) -> tuple[int, int, int] | None:
    """TPMT_SYM_DEF_OBJECT (Part 2 §11.1.7)."""
    alg = r.number(2)
    return None if alg == ALG_NULL else (alg, r.number(2), r.number(2))


def _scheme(r: Unmarshaller) -> tuple[int, int | None] | None:
    """TPMT_RSA_SCHEME, TPMT_ECC_SCHEME or TPMT_KDF_SCHEME (Part 2 §11.2)."""
    alg = r.number(2)
    if alg == ALG_NULL:
        return None
    digest = None if alg == ALG_RSAES else r.number(2)
    if alg == ALG_ECDAA:
        r.number(2)  # count
    return alg, digest


def signature_value(octets: bytes, *, algorithm: SignatureAlgorithm, kind: KeyKind) -> bytes:
    """The content of signatureValue from a TPMT_SIGNATURE (Part 2 §11.3.4).

    octets:    as TPM2_Sign returns them: sigAlg, hash, then r and s or the RSA signature.
    algorithm: what was asked for; any other scheme or hash in the answer is refused.
    kind:      of the key: sets the width of r, s and the RSA signature.
    Returns:   DER Ecdsa-Sig-Value (RFC 3279 §2.2.3), or the RSA signature as it is.
    Raises:    EncodingError.
    """
    what = "TPM signature"
    r = Unmarshaller(octets, what)
    found = r.number(2), r.number(2)
    if found != (TPM_SCHEMES[algorithm.scheme], HASHES[algorithm.hash].tpm):
        raise malformed(what, f"it is 0x{found[0]:04x}/0x{found[1]:04x}, not {algorithm}")
    width = (kind.bits + 7) // 8
    if kind.family is Family.RSA:
        signature = r.sized()
        r.end()
        if len(signature) != width:
            raise malformed(what, f"{len(signature)} octets under a {kind} key")
        return signature
    halves = r.sized(), r.sized()
    r.end()
    numbers = [int.from_bytes(half, "big") for half in halves]
    if any(len(half) > width for half in halves) or 0 in numbers:
        raise malformed(what, f"r or s is zero or longer than {kind} allows")
    return bytes(algos.DSASignature({"r": numbers[0], "s": numbers[1]}).dump())


#: Width in octets of one item, by TPM_CAP, and of the part of it that counts as its key.
_CAPABILITY_ITEMS: dict[int, tuple[int, int]] = {
    0x0000: (6, 2),  # ALGS: TPM_ALG_ID, TPMA_ALGORITHM
    0x0001: (4, 4),  # HANDLES
    0x0002: (4, 4),  # COMMANDS: TPMA_CC
    0x0006: (8, 4),  # TPM_PROPERTIES: TPM_PT, value
    0x0008: (2, 2),  # ECC_CURVES
}


def capability_items(octets: bytes) -> dict[int, int]:
    """A TPMS_CAPABILITY_DATA as {key: value} (Part 2 §10.10.2).

    Algorithms give their TPMA_ALGORITHM, properties their value; handles, commands and curves 0.
    Raises: EncodingError.
    """
    r = Unmarshaller(octets, "TPM capability list")
    capability, count = r.number(4), r.number(4)
    if capability not in _CAPABILITY_ITEMS:
        raise malformed("TPM capability list", f"capability {capability} was not asked for")
    width, key = _CAPABILITY_ITEMS[capability]
    items = {}
    for _ in range(min(count, 1024)):
        number = r.number(key)
        items[number] = r.number(width - key) if width > key else 0
    r.end()
    return items
