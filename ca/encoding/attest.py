"""TPMS_ATTEST and its companions: what a TPM signs about itself (TPM 2.0 Part 2 §10.12)."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from ca.encoding.tpm import Unmarshaller, malformed

#: TPM_GENERATED: a restricted key signs nothing from outside that begins so.
MAGIC = 0xFF544347

# TPM_ST (Part 2 §6.9)
ST_NV = 0x8014
ST_CERTIFY = 0x8017
ST_CREATION = 0x801A

_WHAT = "TPM attestation"


class Attest(Struct, frozen=True, kw_only=True):
    """TPMS_ATTEST of one of the three kinds homeca asks for.

    type:             TPM_ST. signer: qualified Name of the key that signed.
    extra:            what the asker wanted to have signed with it (qualifyingData).
    clock:            milliseconds the TPM has run since it was cleared. is_safe: False when the
                      clock may have gone back a little at a power cut.
    reset_count, restart_count, firmware: as the TPM counts them.
    name:             of the key or NV index it is about.
    qualified_name:   ST_CERTIFY: of that key. creation_hash: ST_CREATION.
    offset, contents: ST_NV: what the index held.
    """

    type: int
    signer: bytes
    extra: bytes
    clock: int
    reset_count: int
    restart_count: int
    is_safe: bool
    firmware: int
    name: bytes
    qualified_name: bytes = b""
    creation_hash: bytes = b""
    offset: int = 0
    contents: bytes = b""


def read_attest(octets: bytes) -> Attest:
    """From TPMS_ATTEST. Raises: EncodingError."""
    r = Unmarshaller(octets, _WHAT)
    if r.number(4) != MAGIC:
        raise malformed(_WHAT, "it was not made inside a TPM")
    kind, signer, extra = r.number(2), r.sized(), r.sized()
    clock, resets, restarts, safe = r.number(8), r.number(4), r.number(4), r.number(1)
    firmware = r.number(8)
    if safe > 1:
        raise malformed(_WHAT, "TPMI_YES_NO is neither")
    name = r.sized()
    rest: dict[str, bytes] = {}
    offset = 0
    if kind == ST_CERTIFY:
        rest["qualified_name"] = r.sized()
    elif kind == ST_CREATION:
        rest["creation_hash"] = r.sized()
    elif kind == ST_NV:
        offset = r.number(2)
        rest["contents"] = r.sized()
    else:
        raise malformed(_WHAT, f"type 0x{kind:04x} is not one homeca asks for")
    r.end()
    return Attest(
        type=kind,
        signer=signer,
        extra=extra,
        clock=clock,
        reset_count=resets,
        restart_count=restarts,
        is_safe=bool(safe),
        firmware=firmware,
        name=name,
        offset=offset,
        **rest,
    )


class Creation(Struct, frozen=True, kw_only=True):
    """TPMS_CREATION_DATA (Part 2 §15.1): where a key was made.

    octets:      the structure itself, over which the creation hash is computed.
    parent_name: of the storage key it was made under.
    """

    octets: bytes
    parent_name: bytes
    parent_qualified_name: bytes
    outside: bytes


def read_creation(octets: bytes) -> Creation:
    """From TPM2B_CREATION_DATA. Raises: EncodingError."""
    what = "TPM creation data"
    outer = Unmarshaller(octets, what)
    area = outer.sized()
    outer.end()
    r = Unmarshaller(area, what)
    for _ in range(min(r.number(4), 16)):  # TPML_PCR_SELECTION
        r.number(2)
        r.take(r.number(1))
    r.sized()  # the digest of those PCRs
    r.number(1)  # locality
    r.number(2)  # parentNameAlg
    found = Creation(
        octets=area,
        parent_name=r.sized(),
        parent_qualified_name=r.sized(),
        outside=r.sized(),
    )
    r.end()
    return found


#: The endorsement hierarchy: its handle is its Name (Part 1 §16).
RH_ENDORSEMENT = (0x4000000B).to_bytes(4, "big")


def qualified(parent: bytes, name: bytes) -> bytes:
    """Qualified Name of a SHA-256 object below the qualified Name `parent` (Part 1 §26.5)."""
    return name[:2] + hashlib.sha256(parent + name).digest()


def qualifying(purpose: bytes, octets: bytes) -> bytes:
    """qualifyingData that no other purpose of homeca's can have made."""
    return hashlib.sha256(b"homeca " + purpose + b"\0" + octets).digest()


def about_key(nonce: bytes) -> bytes:
    """qualifyingData of a statement about a key. nonce: b"" for the one it was born with."""
    return qualifying(b"key statement 1", nonce)
