"""Around every command that changes the record: the anchor read before, written once after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from ca.encoding import ledger as details
from ca.encoding.nv import first_value
from ca.encoding.tpm import PublicArea
from ca.errors import (
    CustodyError,
    LedgerMismatch,
    LedgerUnanchored,
    TpmAnchorMissing,
)
from ca.failpoints import failpoint
from ca.interfaces.custody import KeyCustody
from ca.interfaces.ledger import Anchor, AnchorPlace, AnchorReading, LedgerEntry, LedgerEvent
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Clock
from ca.ledger.anchoring import Found, Known, anchored_details, known_anchor, reconcile


class Keeper:
    """A `ca.interfaces.Ledger` over one store and one TPM, for the length of one command.

    custody:    gives the TPM; called when a command begins to change something.
    settings:   those that matter, as the ledger keeps them; None: they are not watched.
    on_warning: told what was recorded and could not be anchored.
    """

    def __init__(
        self,
        store: CertificateStore,
        custody: Callable[[], KeyCustody],
        *,
        clock: Clock,
        settings: Mapping[str, object] | None = None,
        on_warning: Callable[[str], None],
    ) -> None:
        self._store = store
        self._custody = custody
        self._clock = clock
        self._settings = settings
        self._on_warning = on_warning
        self._inside = False

    def catch_up(self) -> None:
        """Anchor the entries that wait for a command to do it, if there are any."""
        with self._custody().hold():
            anchor, known, reading = self.read(self._custody())
            found = self._compared(anchor, known, reading)
            if not found.waiting:
                return
            if found.is_news:
                said = anchored_details(known, found, reading)
                self._store.note(LedgerEvent.ANCHORED, said, at=self._clock())
            self._write(anchor, found)

    @contextmanager
    def changing(
        self, *, ceremony: bool = False, although_unreachable: bool = False
    ) -> Iterator[None]:
        """Hold the TPM; compare the ledger with its anchor; at the end, anchor what is new.

        A command that fails writes no anchor: the next one will find later entries waiting.
        """
        if self._inside:
            yield
            return
        with ExitStack() as held:
            anchor = self._opened(held, ceremony, although_unreachable)
            self._inside = True
            try:
                yield
            finally:
                self._inside = False
            if anchor is not None:
                self._write(*anchor)

    def _opened(
        self, held: ExitStack, ceremony: bool, although_unreachable: bool
    ) -> tuple[Anchor, Found] | None:
        """The anchor, found in order; None when there is none to ask and that may be."""
        attempt = ExitStack()
        try:
            custody = self._custody()
            attempt.enter_context(custody.hold())
            anchor, known, reading = self.read(custody, may_place=ceremony)
            found = self._compared(anchor, known, reading)
        except (CustodyError, LedgerUnanchored) as error:
            attempt.close()
            if not although_unreachable:
                raise
            self._on_warning(
                f"{error.problem}; the record is changed without asking the TPM whether it is the "
                "newest, and anchored by the next command that can"
            )
            return None
        except BaseException:
            attempt.close()
            raise
        held.enter_context(attempt.pop_all())
        if found.is_news:
            said = anchored_details(known, found, reading)
            self._store.note_with_next(LedgerEvent.ANCHORED, said, at=self._clock())
        self._note_settings()
        failpoint("anchor.compared")
        return anchor, found

    def _compared(self, anchor: Anchor, known: Known, reading: AnchorReading) -> Found:
        """Ledger and TPM agree; what a crash left half done is done. Raises: LedgerMismatch."""
        found = reconcile(known, reading, self._store.ledger(after=max(known.seq - 1, 0)))
        if found.is_half:
            anchor.increment()
        return found

    def read(
        self, custody: KeyCustody, *, may_place: bool = False
    ) -> tuple[Anchor, Known, AnchorReading]:
        """The anchor, what the ledger knows of it and what it holds. Within `hold`.

        Raises: LedgerUnanchored; LedgerMismatch when the TPM no longer holds it.
        """
        tpm = custody.tpm_name()
        ledger = self.name()
        known = known_anchor(self._store, tpm, ledger)
        if known is None:
            if not may_place:
                raise LedgerUnanchored(
                    "the ledger has no anchor in this TPM: it was never placed there, or the "
                    "entry about it is gone",
                    remedy="run `homeca audit verify`, and `homeca audit accept` to place it",
                )
            return self._placed(custody, ledger)
        anchor = custody.anchor(known.place)
        try:
            return anchor, known, anchor.read()
        except TpmAnchorMissing as error:
            raise LedgerMismatch(error.problem, remedy=error.remedy) from error

    def name(self) -> bytes:
        """The link of the first entry: which ledger this is. Raises: LedgerMismatch."""
        first = next(iter(self._store.ledger(until=1)), None)
        if first is None or first.seq != 1:
            raise LedgerMismatch(
                "the first entry of the ledger is missing",
                remedy="put the newest copy of the database back",
            )
        return first.link

    def _placed(self, custody: KeyCustody, ledger: bytes) -> tuple[Anchor, Known, AnchorReading]:
        place = custody.place_anchor(ledger)
        anchor = custody.anchor(place)
        reading = anchor.read()
        if reading.value != first_value(ledger):
            raise LedgerMismatch(
                "the TPM holds an anchor of this ledger that the ledger does not know of: an old "
                "copy of the database was put back",
                remedy="put the newest copy of the database back; if there is none, "
                "`homeca audit accept` takes this one for true",
            )
        said = self._about(place, reading) | {"attestation_key": _attestation_key(custody)}
        self._store.note_with_next(LedgerEvent.ANCHOR_PLACED, said, at=self._clock())
        return anchor, _known(place, reading), reading

    @staticmethod
    def _about(place: AnchorPlace, reading: AnchorReading, *, seq: int = 0) -> dict[str, object]:
        return details.anchored(
            tpm=place.tpm,
            head=place.head,
            counter=place.counter,
            seq=seq,
            value=reading.value,
            count=reading.count,
        )

    def _note_settings(self) -> None:
        """What homeca.toml says, when it is not what the ledger says it said."""
        if self._settings is None:
            return
        mine = self._settings.get("node")  # each node has a homeca.toml of its own
        notes = self._store.ledger_notes(LedgerEvent.SETTINGS)
        last = next((one for one in notes if _node_of(one) == mine), None)
        if last is None or last.details != details.details_text(self._settings):
            self._store.note_with_next(LedgerEvent.SETTINGS, self._settings, at=self._clock())

    def _write(self, anchor: Anchor, found: Found) -> None:
        """One NV_Extend and one NV_Increment for all that the command did.

        Not when it did nothing: what was noted for its first act then stands nowhere, and the
        TPM must not get two steps ahead of the ledger.
        """
        if self._store.ledger_waiting():
            return
        end = self._store.ledger_end()
        if end.seq <= found.seq:
            return
        try:
            anchor.extend(end.link)
            failpoint("anchor.extended")
            anchor.increment(last=True)
            failpoint("anchor.written")
        except CustodyError as error:
            self._on_warning(
                f"what was done is recorded, but not yet anchored in the TPM: {error.problem}; the "
                "next command that reaches the TPM does that"
            )

    def accept(self, reason: str) -> tuple[AnchorReading, bool]:
        """Take this record for true whatever its anchor says, and anchor it; that is recorded.

        Returns: what the TPM held, and whether it agreed anyway.
        Raises:  CustodyError, StoreError; LedgerBroken is no hindrance.
        """
        custody = self._custody()
        with custody.hold():
            tpm, ledger = custody.tpm_name(), self.name()
            place = custody.place_anchor(ledger)
            anchor = custody.anchor(place)
            reading = anchor.read()
            agreed = self._agrees(tpm, ledger, place, reading)
            seq = self._store.ledger_end().seq
            said = self._about(place, reading, seq=seq) | {
                "reason": reason,
                "attestation_key": _attestation_key(custody),
            }
            entry = self._store.note(LedgerEvent.ACCEPTED, said, at=self._clock())
            anchor.extend(entry.link)
            anchor.increment(last=True)
            return reading, agreed

    def _agrees(
        self, tpm: bytes, ledger: bytes, place: AnchorPlace, reading: AnchorReading
    ) -> bool:
        try:
            known = known_anchor(self._store, tpm, ledger)
            if known is None or known.place != place:
                return False
            reconcile(known, reading, self._store.ledger(after=max(known.seq - 1, 0)))
        except LedgerMismatch:
            return False
        return True


def _node_of(entry: LedgerEntry) -> object:
    """Which node's settings an entry tells; None where the record is one home's alone."""
    said = details.read_details(entry.details)
    return None if said is None else said.get("node")


def _known(place: AnchorPlace, reading: AnchorReading) -> Known:
    return Known(place=place, seq=0, value=reading.value, count=reading.count)


def _attestation_key(custody: KeyCustody) -> str | None:
    """The Name of the key whose checkpoints will be believed; None when the TPM makes none."""
    public = custody.attestation_key()
    return None if public is None else PublicArea.from_tpm2b(public).name.hex()
