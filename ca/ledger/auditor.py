"""Looking at the ledger without changing it, and having the TPM sign where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from ca.attestation.checkpoint import Checkpoint, Position, read_checkpoint, write_checkpoint
from ca.errors import LedgerUnanchored, StoreError, Violation
from ca.interfaces.custody import KeyCustody
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Clock
from ca.ledger.anchoring import reconcile
from ca.ledger.audit import Audit
from ca.ledger.keeper import Keeper


class Auditor(Struct, frozen=True, kw_only=True):
    """A store, a TPM, and the keeper of the ledger between them."""

    store: CertificateStore
    custody: Callable[[], KeyCustody]
    clock: Clock
    keeper: Keeper

    def audit(
        self,
        *,
        ask_tpm: bool,
        checkpoints: tuple[Checkpoint, ...] = (),
        published: Mapping[str, bytes] | None = None,
        certificates: tuple[bytes, ...] = (),
    ) -> Audit:
        """Ready to walk. Raises: CustodyError when the TPM is asked and cannot answer."""
        audit = Audit(
            store=self.store,
            checkpoints=checkpoints,
            published=published or {},
            certificates=certificates,
        )
        if ask_tpm:
            custody = self.custody()
            with custody.hold():
                try:
                    _, known, reading = self.keeper.read(custody)
                except StoreError as error:
                    audit.refused = Violation("ledger.anchor", error.problem, error.remedy)
                else:
                    audit.anchor = known, reading
        return audit

    def changed_rules(self) -> Iterator[Violation]:
        """What no longer keeps the record as it was told to; `check` says that by itself."""
        for fault in self.store.changed_rules():
            yield Violation("record.rules", f"in the database {fault.text}", fault.remedy)

    def checkpoint(self) -> str:
        """The text of a checkpoint of the newest entry, which is anchored first if it waits.

        Raises: LedgerMismatch, CustodyError, StoreError.
        """
        self.keeper.catch_up()
        custody = self.custody()
        with custody.hold():
            anchor, known, reading = self.keeper.read(custody)
            found = reconcile(known, reading, self.store.ledger(after=max(known.seq - 1, 0)))
            entry = next(iter(self.store.ledger(after=found.seq - 1, until=found.seq)), None)
            if entry is None:
                raise LedgerUnanchored(
                    "the TPM has taken in no entry of this ledger yet",
                    remedy="sign something, or run `homeca audit accept`, and try again",
                )
            position = Position(
                ledger=known.place.ledger,
                entries=entry.seq,
                link=entry.link,
                reading=reading,
                made=self.clock(),
            )
            text = write_checkpoint(position, known.place, anchor.certify(position.qualifying))
        read_checkpoint(text)  # what is handed out is good
        return text
