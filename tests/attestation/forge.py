"""A software key that signs attestations as a TPM would: for statements no TPM would make.

Everything is written here by hand, field by field, so that each can be made wrong on its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ca.interfaces.ledger import Attested

ENDORSEMENT = bytes.fromhex("4000000b")


def sized(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets


@dataclass(frozen=True)
class Key:
    """TPM2B_PUBLIC of a P-256 key, with whatever attributes and scheme."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    attributes: int = 0x00050472  # sign, restricted, noDA, userWithAuth, the three origins
    scheme: bytes = bytes.fromhex("0018000b")
    name_alg: int = 0x000B
    curve: int = 0x0003

    @property
    def area(self) -> bytes:
        point = self.private.public_key().public_numbers()
        return (
            bytes.fromhex("0023")
            + self.name_alg.to_bytes(2, "big")
            + self.attributes.to_bytes(4, "big")
            + sized(b"")
            + bytes.fromhex("0010")
            + self.scheme
            + self.curve.to_bytes(2, "big")
            + bytes.fromhex("0010")
            + sized(point.x.to_bytes(32, "big"))
            + sized(point.y.to_bytes(32, "big"))
        )

    @property
    def public(self) -> bytes:
        return sized(self.area)

    @property
    def name(self) -> bytes:
        digest = {0x000B: "sha256", 0x000C: "sha384"}[self.name_alg]
        return self.name_alg.to_bytes(2, "big") + hashlib.new(digest, self.area).digest()

    @property
    def qualified_name(self) -> bytes:
        return b"\x00\x0b" + hashlib.sha256(ENDORSEMENT + self.name).digest()

    def having(self, **changes: Any) -> Key:
        return replace(self, **changes)


@dataclass(frozen=True)
class Words:
    """The fields of a TPMS_ATTEST, in order; `rest` is what follows the Name."""

    signer: bytes
    extra: bytes
    type: int
    name: bytes
    rest: bytes
    magic: int = 0xFF544347
    clock: bytes = bytes.fromhex("0000000000000102" + "00000003" + "00000000" + "01")
    firmware: bytes = bytes.fromhex("2019102300163636")
    tail: bytes = b""

    @property
    def octets(self) -> bytes:
        return (
            self.magic.to_bytes(4, "big")
            + self.type.to_bytes(2, "big")
            + sized(self.signer)
            + sized(self.extra)
            + self.clock
            + self.firmware
            + sized(self.name)
            + self.rest
            + self.tail
        )

    def having(self, **changes: Any) -> Words:
        return replace(self, **changes)


def signed(words: Words, key: Key, *, algorithms: bytes = bytes.fromhex("0018000b")) -> Attested:
    """With a signature that is good, whatever the words say."""
    octets = words.octets
    r, s = decode_dss_signature(key.private.sign(octets, ec.ECDSA(hashes.SHA256())))
    signature = algorithms + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))
    return Attested(attest=octets, signature=signature)
