"""What the ledger says of itself and its anchor without anybody asking the TPM."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from ca.encoding.tpm import PublicArea
from ca.interfaces.store import CertificateStore
from ca.ledger.anchoring import known_from, newest_note


class LedgerStanding(Struct, frozen=True, kw_only=True):
    """How far the ledger has come, and when a command last found it agreeing with the TPM.

    entries:  its length. anchored: the newest entry the TPM held then, 0 when it was placed.
    compared: when that was noted, with the first act of the command that compared them. Both are
              None when it was never anchored in this TPM.
    """

    entries: int
    anchored: int | None = None
    compared: datetime | None = None


def ledger_standing(store: CertificateStore) -> LedgerStanding:
    """From the entries about the anchor in this home's TPM: a handful of rows, no chain.

    Raises: LedgerBroken when one cannot be read, or the ledger is empty; StoreError.
    """
    end = store.ledger_end()
    custody = store.custody()
    if custody is None:
        return LedgerStanding(entries=end.seq)
    tpm = PublicArea.from_tpm2b(custody.srk_public).name
    note = newest_note(store, tpm)
    if note is None:
        return LedgerStanding(entries=end.seq)
    known = known_from(note, tpm, b"")
    return LedgerStanding(entries=end.seq, anchored=known.seq, compared=note.moment)
