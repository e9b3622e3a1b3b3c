"""NV indices of a TPM as octets: what a ledger's anchor looks like from outside (Part 2 §13).

The Name of an index is the digest of its public area, contents not included. homeca's indices
carry the ledger's own name in their authPolicy, which nothing can satisfy and nothing needs to:
there is no access by policy. So the Name, which every authorization and every attestation covers,
says which ledger an index belongs to, and an index made anew for another one is noticed.
"""

from __future__ import annotations

import hashlib
from enum import Enum

from msgspec import Struct

from ca.encoding.ledger import ORIGIN
from ca.encoding.tpm import ALG_SHA256, Unmarshaller, sized

# TPMA_NV (Part 2 §13.4)
AUTH_WRITE = 1 << 2
OWNER_READ = 1 << 17
AUTH_READ = 1 << 18
NO_DA = 1 << 25
WRITTEN = 1 << 29

#: Read and written with the index's own, empty authValue, so that the owner's password is needed
#: only to make it. NO_DA: no wrong guess may lock the CA out.
_ATTRIBUTES = AUTH_WRITE | OWNER_READ | AUTH_READ | NO_DA


class NvKind(Enum):
    """TPM_NT (Part 2 §13.2) and the size of what it holds."""

    COUNTER = (0x1, 8)
    EXTEND = (0x4, 32)

    @property
    def size(self) -> int:
        return self.value[1]


class NvPublic(Struct, frozen=True, kw_only=True):
    """TPMS_NV_PUBLIC (Part 2 §13.6)."""

    handle: int
    name_alg: int
    attributes: int
    auth_policy: bytes
    size: int

    @classmethod
    def of_anchor(
        cls, handle: int, kind: NvKind, *, ledger: bytes, written: bool = True
    ) -> NvPublic:
        """One of the two indices of a ledger. ledger: the link of its first entry."""
        return cls(
            handle=handle,
            name_alg=ALG_SHA256,
            attributes=_ATTRIBUTES | kind.value[0] << 4 | (WRITTEN if written else 0),
            auth_policy=hashlib.sha256(b"homeca ledger\0" + ledger).digest(),
            size=kind.size,
        )

    @classmethod
    def from_tpm2b(cls, octets: bytes) -> NvPublic:
        """From a TPM2B_NV_PUBLIC. Raises: EncodingError."""
        outer = Unmarshaller(octets, "NV public area")
        r = Unmarshaller(outer.sized(), "NV public area")
        outer.end()
        public = cls(
            handle=r.number(4),
            name_alg=r.number(2),
            attributes=r.number(4),
            auth_policy=r.sized(),
            size=r.number(2),
        )
        r.end()
        return public

    @property
    def octets(self) -> bytes:
        return (
            self.handle.to_bytes(4, "big")
            + self.name_alg.to_bytes(2, "big")
            + self.attributes.to_bytes(4, "big")
            + sized(self.auth_policy)
            + self.size.to_bytes(2, "big")
        )

    @property
    def name(self) -> bytes:
        """nameAlg ‖ SHA-256 of the public area (Part 1 §16)."""
        return ALG_SHA256.to_bytes(2, "big") + hashlib.sha256(self.octets).digest()


def extended(value: bytes, link: bytes) -> bytes:
    """What an extend index holds after TPM2_NV_Extend (Part 3 §31.9)."""
    return hashlib.sha256(value + link).digest()


def first_value(ledger: bytes) -> bytes:
    """What the head index holds once it was made: zeros, extended by the ledger's name."""
    return extended(ORIGIN, ledger)
