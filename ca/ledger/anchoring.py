"""The ledger beside its anchor: has either been set back, or rewritten?

The anchor is written once per command, after its last commit: first NV_Extend with the newest
link, then NV_Increment. What the ledger knows of it stands in its own entries: where it was placed,
and where the next command found it (`anchored`, in the commit of that command's first act, so it
costs none). So between two entries about the anchor there is at most one that the TPM has taken in
and the ledger does not name; which one follows from the value:

    value and count as last noted            nothing happened since, or a crash came before the
                                             anchor was written: later entries wait for it
    value extended by the link of a later    that entry is where the command ended; with the count
    entry, count one more                    not yet raised, the crash came between the two, and
                                             the count is raised now
    count higher, value not explained        the database is older than its anchor: set back
    count lower                              the TPM is older than the database: set back
    anything else                            the ledger was rewritten, or the index made anew

A crash can only leave the TPM behind the database, by one command; only an older database, or a
rewritten one, can be behind the TPM. That is how the two are told apart. A software TPM whose state
was set back by no more than one command looks like a crash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from ca.encoding.ledger import anchored, read_details
from ca.encoding.nv import extended, first_value
from ca.errors import LedgerBroken, LedgerMismatch
from ca.interfaces.ledger import AnchorPlace, AnchorReading, LedgerEntry, LedgerEvent
from ca.interfaces.store import CertificateStore
from ca.ledger.chain import link_of

_VERIFY = (
    "put the newest copy of the database back; `homeca audit verify` says what is wrong, and "
    "`homeca audit accept` takes this record for true when there is no other"
)


class Known(Struct, frozen=True, kw_only=True):
    """What the ledger says of its anchor in one TPM.

    seq: the entry the TPM had taken in last; value, count: what it held then.
    """

    place: AnchorPlace
    seq: int
    value: bytes
    count: int


class Found(Struct, frozen=True, kw_only=True):
    """Ledger and TPM agree.

    seq:    the newest entry the TPM has taken in.
    waiting: entries after it. is_news: the ledger does not name that entry yet.
    is_half: the head was extended and the counter not raised: raise it now.
    """

    seq: int
    waiting: int
    is_news: bool
    is_half: bool


def known_anchor(store: CertificateStore, tpm: bytes, ledger: bytes) -> Known | None:
    """The newest entry about the anchor in this TPM; None when none was ever placed in it.

    Raises: LedgerBroken when such an entry cannot be read.
    """
    newest = newest_note(store, tpm)
    return None if newest is None else known_from(newest, tpm, ledger)


def newest_note(store: CertificateStore, tpm: bytes) -> LedgerEntry | None:
    """The newest entry about the anchor in this TPM. Raises: LedgerBroken."""
    notes = (
        next((e for e in store.ledger_notes(event) if _details(e).get("tpm") == tpm.hex()), None)
        for event in (LedgerEvent.ANCHORED, LedgerEvent.ACCEPTED, LedgerEvent.ANCHOR_PLACED)
    )
    return max((one for one in notes if one is not None), key=lambda e: e.seq, default=None)


def known_from(note: LedgerEntry, tpm: bytes, ledger: bytes) -> Known:
    """What such an entry says. Raises: LedgerBroken."""
    said = _details(note)
    try:
        return Known(
            place=AnchorPlace(
                tpm=tpm, ledger=ledger, head=int(said["head"]), counter=int(said["counter"])
            ),
            seq=int(said["seq"]),
            value=bytes.fromhex(said["value"]),
            count=int(said["count"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(note) from error


def _details(entry: LedgerEntry) -> dict[str, Any]:
    said = read_details(entry.details)
    if said is None:
        raise _unreadable(entry)
    return said


def _unreadable(entry: LedgerEntry) -> LedgerBroken:
    return LedgerBroken(
        f"entry {entry.seq} of the ledger, about its anchor, was changed: it cannot be read",
        remedy=_VERIFY,
    )


def reconcile(known: Known, reading: AnchorReading, tail: Iterable[LedgerEntry]) -> Found:
    """Whether ledger and TPM agree, and what a crash has left to be done.

    tail:   the entries from number `known.seq` on, that one included (from 1 when it is 0).
    Raises: LedgerMismatch saying which of the two is older, or that the ledger was rewritten;
            LedgerBroken when the tail itself does not hold together.
    """
    moved = reading.value != known.value
    found: int | None = None
    waiting = 0
    previous: LedgerEntry | None = None
    for entry in tail:
        if previous is not None and (
            entry.seq != previous.seq + 1 or link_of(entry, previous.link) != entry.link
        ):
            raise LedgerBroken(
                f"entry {entry.seq} of the ledger was changed, or one before it is missing",
                remedy=_VERIFY,
            )
        previous = entry
        if entry.seq > known.seq:
            waiting += 1
            if moved and extended(known.value, entry.link) == reading.value:
                found, waiting = entry.seq, 0
    end = previous.seq if previous is not None else 0
    if end < known.seq:
        raise _set_back(f"the ledger ends at entry {end}, and its anchor held entry {known.seq}")
    if not moved and reading.count == known.count:
        return Found(seq=known.seq, waiting=waiting, is_news=False, is_half=False)
    if found is not None and reading.count - known.count in (0, 1):
        is_half = reading.count == known.count
        return Found(seq=found, waiting=waiting, is_news=True, is_half=is_half)
    raise _mismatch(known, reading)


def _mismatch(known: Known, reading: AnchorReading) -> LedgerMismatch:
    ahead = reading.count - known.count
    if reading.value == first_value(known.place.ledger):
        return LedgerMismatch(
            "the anchor of the ledger was deleted from the TPM and made anew: it remembers nothing",
            remedy=_VERIFY,
        )
    if ahead > 0:
        return _set_back(
            f"the TPM has counted {_commands(ahead)} after the last one that this record knows of"
        )
    if ahead < 0:
        return LedgerMismatch(
            f"the TPM's anchor is older than the database: it has counted {_commands(-ahead)} "
            "fewer than the record knows of. The state of a software TPM was set back, or the TPM "
            "is another one",
            remedy="put the newest copy of the TPM's state back; `homeca audit verify` says "
            "more, `homeca audit accept` goes on from here",
        )
    return LedgerMismatch(
        "the ledger and the TPM's anchor tell different stories of equal length: the ledger was "
        "rewritten, or the anchor was made anew",
        remedy=_VERIFY,
    )


def _commands(count: int) -> str:
    return "1 command" if count == 1 else f"{count} commands"


def _set_back(why: str) -> LedgerMismatch:
    return LedgerMismatch(
        f"the database is older than its anchor: {why}. An old copy of it was put back, or its "
        "newest entries were rewritten: what was revoked and issued since would be forgotten",
        remedy=_VERIFY,
    )


def anchored_details(known: Known, found: Found, reading: AnchorReading) -> dict[str, object]:
    """Of the entry `anchored`, for the commit of the next act."""
    return anchored(
        tpm=known.place.tpm,
        head=known.place.head,
        counter=known.place.counter,
        seq=found.seq,
        value=reading.value,
        count=reading.count + found.is_half,
    )
