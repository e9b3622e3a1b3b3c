"""Does every entry follow from the one before it, and if not, what was done to them?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from ca.encoding.ledger import ORIGIN, link
from ca.errors import Violation
from ca.interfaces.ledger import LedgerEntry

#: What helps against every change of the record: a copy from before it.
RESTORE = (
    "put the newest copy of the database back in which `homeca audit verify` finds nothing: by "
    "`homeca restore FILE`, on PostgreSQL by `pg_restore` of a dump"
)

#: Entries that do not fit are kept to see whether two have changed places; more than this are
#: not explained one by one.
_MOST = 200


def wrong(rule: str, text: str) -> Violation:
    """What a copy from before the change would mend."""
    return Violation(f"ledger.{rule}", text, RESTORE)


def link_of(entry: LedgerEntry, previous: bytes, *, seq: int | None = None) -> bytes:
    """The link an entry must have after `previous`; as number `seq`, or its own."""
    try:
        return link(
            previous,
            seq=entry.seq if seq is None else seq,
            at=entry.at,
            event=entry.event,
            issuer_id=entry.issuer_id,
            serial=entry.serial,
            details=entry.details,
        )
    except (OverflowError, ValueError):  # numbers that no entry of homeca's can have
        return b""


class Chain(Struct):
    """A walk along the ledger. `walk` first, then ask.

    count: entries seen. last: the number of the newest. end: its link as it is stored.
    """

    count: int = 0
    first: bytes = b""
    end: bytes = ORIGIN
    last: int = 0
    _missing: list[tuple[int, int]] = field(default_factory=list)
    _unfit: list[tuple[LedgerEntry, bytes]] = field(default_factory=list)
    _unexplained: int = 0

    def walk(self, entries: Iterable[LedgerEntry]) -> Iterator[LedgerEntry]:
        """Pass every entry on, and remember those that do not follow from the one before.

        After one that does not, its stored link is taken: what comes next may still be right.
        """
        for entry in entries:
            if entry.seq != self.last + 1:
                self._missing.append((self.last + 1, entry.seq - 1))
            elif link_of(entry, self.end) != entry.link:
                self._remember(entry)
            if not self.count:
                self.first = entry.link
            self.count += 1
            self.last, self.end = entry.seq, entry.link
            yield entry

    def _remember(self, entry: LedgerEntry) -> None:
        if len(self._unfit) < _MOST:
            self._unfit.append((entry, self.end))
        else:
            self._unexplained += 1

    def violations(self) -> Iterator[Violation]:
        """Each missing, changed or misplaced entry; none for a ledger that is whole."""
        for first, last in self._missing:
            which = f"entry {first} is" if first == last else f"entries {first} to {last} are"
            yield wrong("missing", f"{which} missing")
        explained: set[int] = set()
        for index, (entry, previous) in enumerate(self._unfit):
            for other, _ in self._unfit[index + 1 :]:
                # the other one's content, in this place, gives a link that is one of the two
                if link_of(other, previous, seq=entry.seq) in (entry.link, other.link):
                    explained |= {entry.seq, other.seq}
                    yield wrong(
                        "swapped", f"entries {entry.seq} and {other.seq} have changed places"
                    )
        yield from self._changed(explained)

    def _changed(self, explained: set[int]) -> Iterator[Violation]:
        # a whole row put elsewhere leaves its follower without what it followed from
        followers = {seq + 1 for seq in explained}
        runs: list[list[LedgerEntry]] = []
        for entry, _ in self._unfit:
            if entry.seq in explained | followers:
                continue
            if runs and runs[-1][-1].seq == entry.seq - 1:
                runs[-1].append(entry)
            else:
                runs.append([entry])
        for run in runs:
            first, last = run[0], run[-1]
            if first is last:
                text = f"entry {first.seq} ({first.event!r}) was changed"
            else:
                text = (
                    f"entries {first.seq} to {last.seq} do not follow from those before them: "
                    "they were changed, or one was taken out and the others renumbered"
                )
            yield wrong("changed", text)
        if self._unexplained:
            yield wrong(
                "changed", f"{self._unexplained} more entries do not follow from those before them"
            )
