"""The ledger's anchor in a TPM: an extend index for its head, and a counter beside it.

The head index takes in the ledger's newest link at the end of a command that changed it, so what
it holds follows from all links it was ever given, in their order. Nothing takes one out again,
but whoever has the owner's authority can delete the index and play another story into a new one;
the counter, which never goes back even then (Part 3 §31.7), has its number to tell. Both are
written once per command, not once per certificate: NV memory wears.

What signing costs with it, on a TPM that is ours (TPM2_Shutdown is sent to no other) or behind
the kernel's resource manager, where objects and sessions need not be flushed:

    StartAuthSession                     the session, salted to the storage key
    NV_Read, NV_Read                     what the anchor holds
    Load, Sign …                         one TPM2_Sign per certificate
    NV_Extend, NV_Increment              the new head; the session ends with the last of them
    Shutdown                             embedded only

Eight commands for one certificate, seven on hardware, and one for each further: six that sign,
write or keep house, and two that read back. Without the anchor it would be four. There is no way
to read two indices with one command.

Both indices have an empty authValue: whoever may use the TPM may disturb the anchor, which
homeca then says, and cannot make it say what he wants. Each access goes through the session that
is salted to the storage key, so an answer of another TPM, or of another index under the same
handle, does not pass. The state of a software TPM is a file: set back as a whole, together with
the database, it has no memory of what came after. Only a checkpoint kept elsewhere has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ca.encoding.nv import WRITTEN, NvKind, NvPublic
from ca.encoding.tpm import capability_items, sized
from ca.errors import EncodingError, TpmAnchorMissing, TpmOutOfMemory, TpmSwapped
from ca.interfaces.ledger import AnchorPlace, AnchorReading, Attested
from ca.keys.tpm import attesting
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import ESAPI, ESYS_TR, TPM2_CAP, TPM2B_NV_PUBLIC

#: Owner-defined indices (TCG Registry of Reserved TPM 2.0 Handles §2.2.2); every homeca on this
#: machine looks for free ones from here.
FIRST_HANDLE = 0x01800200
LAST_HANDLE = 0x018002FF

#: IESYS_RESOURCE type of an NV index in what Esys_TR_Deserialize reads.
_NV_RESOURCE = 2


class NvAnchor:
    """A `ca.interfaces.Anchor` inside a Transaction."""

    def __init__(self, tpm: Transaction, place: AnchorPlace) -> None:
        self._tpm = tpm
        self._place = place
        self._handles: dict[NvKind, ESYS_TR] = {}

    @property
    def place(self) -> AnchorPlace:
        return self._place

    def read(self) -> AnchorReading:
        """Two commands. Raises: TpmAnchorMissing, TpmSwapped, CustodyError."""
        value = self._read(NvKind.EXTEND)
        return AnchorReading(value=value, count=int.from_bytes(self._read(NvKind.COUNTER), "big"))

    def extend(self, link: bytes) -> None:
        """TPM2_NV_Extend: the head index becomes SHA-256(what it holds ‖ link)."""
        with self._access(NvKind.EXTEND) as (esapi, index):
            esapi.nv_extend(index, link, session1=self._tpm.session)

    def increment(self, *, last: bool = False) -> None:
        """TPM2_NV_Increment. last: nothing else is asked of the TPM in this transaction."""
        ending = self._tpm.last_command() if last else contextlib.nullcontext()
        with ending, self._access(NvKind.COUNTER) as (esapi, index):
            esapi.nv_increment(index, session1=self._tpm.session)

    def certify(self, qualifying: bytes) -> tuple[bytes, Attested, Attested]:
        """TPM2B_PUBLIC of the attestation key, and what it signs of head and counter."""
        head, counter = self._index(NvKind.EXTEND), self._index(NvKind.COUNTER)
        with attesting.attestation_key(self._tpm) as (key, public):
            return (
                public,
                attesting.of_index(self._tpm, key, head, NvKind.EXTEND, qualifying),
                attesting.of_index(self._tpm, key, counter, NvKind.COUNTER, qualifying),
            )

    def _read(self, kind: NvKind) -> bytes:
        with self._access(kind) as (esapi, index):
            return bytes(esapi.nv_read(index, kind.size, session1=self._tpm.session))

    @contextlib.contextmanager
    def _access(self, kind: NvKind) -> Iterator[tuple[ESAPI, ESYS_TR]]:
        """An index for one command. Whatever is wrong with it, is it this TPM at all?"""
        index = self._index(kind)
        try:
            with self._tpm.esapi() as esapi:
                yield esapi, index
        except (TpmAnchorMissing, TpmSwapped) as error:
            # an index with another Name makes the session's HMAC as wrong as another TPM does
            self._tpm.prove_storage_key()
            raise _missing(self._place) from error

    def _index(self, kind: NvKind) -> ESYS_TR:
        """The index by the Name it must have; the TPM is not asked."""
        if kind not in self._handles:
            handle = self._place.head if kind is NvKind.EXTEND else self._place.counter
            public = NvPublic.of_anchor(handle, kind, ledger=self._place.ledger)
            with self._tpm.esapi() as esapi:
                self._handles[kind] = esapi.tr_deserialize(_resource(public))
        return self._handles[kind]


def _resource(public: NvPublic) -> bytes:
    """IESYS_RESOURCE as libtss2 serializes it: handle, Name, type, public area."""
    return (
        public.handle.to_bytes(4, "big")
        + sized(public.name)
        + _NV_RESOURCE.to_bytes(4, "big")
        + sized(public.octets)
    )


def _missing(place: AnchorPlace) -> TpmAnchorMissing:
    return TpmAnchorMissing(
        f"the TPM does not hold this ledger's anchor at 0x{place.head:08x} and "
        f"0x{place.counter:08x}: it was deleted, or others lie there",
        remedy="run `homeca audit verify` to see what is known, then `homeca audit accept` if "
        "it is in order",
    )


# ---------------------------------------------------------------- making it


def place_anchor(tpm: Transaction, ledger: bytes, *, tpm_name: bytes) -> AnchorPlace:
    """The two indices of this ledger, found by its name or made, and written once.

    What an interrupted run left is found again: nothing is made twice.
    Raises: TpmOwnerAuthNeeded, TpmOutOfMemory, CustodyError.
    """
    taken = _taken(tpm)
    handles = {}
    for kind in (NvKind.EXTEND, NvKind.COUNTER):
        handle = _found(taken, kind, ledger)
        if handle is None:
            handle = next((h for h in range(FIRST_HANDLE, LAST_HANDLE + 1) if h not in taken), None)
            if handle is None:
                raise TpmOutOfMemory(
                    f"all handles from 0x{FIRST_HANDLE:08x} to 0x{LAST_HANDLE:08x} are taken",
                    remedy="remove with `tpm2_nvundefine` those of CAs that are no more",
                )
            taken[handle] = _define(tpm, handle, kind, ledger)
        public = taken[handle]
        if public is not None and not public.attributes & WRITTEN:
            _write_first(tpm, handle, kind, ledger)
        handles[kind] = handle
    return AnchorPlace(
        tpm=tpm_name, ledger=ledger, head=handles[NvKind.EXTEND], counter=handles[NvKind.COUNTER]
    )


def _taken(tpm: Transaction) -> dict[int, NvPublic | None]:
    """Handles in use and their public areas; None for one that is not ours to understand."""
    with tpm.esapi() as esapi:
        _, page = esapi.get_capability(TPM2_CAP.HANDLES, FIRST_HANDLE, 254)
        octets = bytes(page.marshal())
    found: dict[int, NvPublic | None] = {}
    for handle in capability_items(octets):
        if FIRST_HANDLE <= handle <= LAST_HANDLE:
            with tpm.esapi() as esapi:
                index = esapi.tr_from_tpmpublic(handle)
                public, _ = esapi.nv_read_public(index)
                octets = bytes(public.marshal())
                esapi.tr_close(index)
            try:
                found[handle] = NvPublic.from_tpm2b(octets)
            except EncodingError:
                found[handle] = None
    return found


def _found(taken: dict[int, NvPublic | None], kind: NvKind, ledger: bytes) -> int | None:
    for handle, public in taken.items():
        if public in (
            NvPublic.of_anchor(handle, kind, ledger=ledger),
            NvPublic.of_anchor(handle, kind, ledger=ledger, written=False),
        ):
            return handle
    return None


def _define(tpm: Transaction, handle: int, kind: NvKind, ledger: bytes) -> NvPublic:
    public = NvPublic.of_anchor(handle, kind, ledger=ledger, written=False)
    area, _ = TPM2B_NV_PUBLIC.unmarshal(sized(public.octets))
    with tpm.esapi() as esapi:
        esapi.tr_set_auth(ESYS_TR.OWNER, tpm.owner_auth)
        esapi.tr_close(esapi.nv_define_space(b"", area, session1=tpm.session))
    return public


def _write_first(tpm: Transaction, handle: int, kind: NvKind, ledger: bytes) -> None:
    """An index that was never written has another Name, and cannot be read."""
    unwritten = NvPublic.of_anchor(handle, kind, ledger=ledger, written=False)
    with tpm.esapi() as esapi:
        index = esapi.tr_deserialize(_resource(unwritten))
        if kind is NvKind.EXTEND:
            esapi.nv_extend(index, ledger, session1=tpm.session)
        else:
            esapi.nv_increment(index, session1=tpm.session)
        esapi.tr_close(index)
