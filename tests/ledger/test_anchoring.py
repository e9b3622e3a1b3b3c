"""A crash leaves the TPM one command behind; an old database leaves it ahead. Each is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ca.encoding.nv import extended, first_value
from ca.errors import LedgerBroken, LedgerMismatch
from ca.interfaces.ledger import AnchorPlace, AnchorReading, LedgerEntry
from ca.ledger.anchoring import Found, Known, reconcile
from tests.ledger.test_chain import ledger

PLACE = AnchorPlace(tpm=b"tpm", ledger=b"L" * 32, head=0x01800200, counter=0x01800201)
KNOWN = Known(place=PLACE, seq=4, value=first_value(PLACE.ledger), count=7)


def compare(reading: AnchorReading, entries: list[LedgerEntry], known: Known = KNOWN) -> Found:
    return reconcile(known, reading, entries[max(known.seq, 1) - 1 :])


def after(known: Known, entry: LedgerEntry, count: int) -> AnchorReading:
    return AnchorReading(value=extended(known.value, entry.link), count=count)


AS_KNOWN = AnchorReading(value=KNOWN.value, count=KNOWN.count)


def test_an_anchor_as_it_was_last_noted_is_in_order() -> None:
    assert compare(AS_KNOWN, ledger(4)) == Found(seq=4, waiting=0, is_news=False, is_half=False)


def test_entries_after_a_crash_wait_for_their_anchor() -> None:
    assert compare(AS_KNOWN, ledger(9)) == Found(seq=4, waiting=5, is_news=False, is_half=False)


def test_the_entry_where_the_last_command_ended_is_found() -> None:
    entries = ledger(9)
    assert compare(after(KNOWN, entries[8], 8), entries) == Found(
        seq=9, waiting=0, is_news=True, is_half=False
    )


def test_entries_after_the_anchored_one_wait() -> None:
    entries = ledger(9)
    assert compare(after(KNOWN, entries[6], 8), entries) == Found(
        seq=7, waiting=2, is_news=True, is_half=False
    )


def test_a_crash_between_extend_and_increment_is_half_an_anchor() -> None:
    entries = ledger(9)
    assert compare(after(KNOWN, entries[8], 7), entries).is_half


def test_an_anchor_that_was_never_extended_by_an_entry_is_compared_from_the_first() -> None:
    entries = ledger(3)
    new = replace(KNOWN, seq=0)
    assert compare(after(new, entries[2], 8), entries, new).seq == 3


@pytest.mark.parametrize(
    ("reading", "says"),
    [
        (AnchorReading(value=b"v" * 32, count=8), "has counted 1 command after"),
        (AnchorReading(value=b"v" * 32, count=10), "has counted 3 commands after"),
        (AnchorReading(value=KNOWN.value, count=9), "deleted from the TPM and made anew"),
        (AnchorReading(value=b"v" * 32, count=7), "different stories of equal length"),
        (AnchorReading(value=b"v" * 32, count=5), "2 commands fewer than the record"),
        (AnchorReading(value=b"v" * 32, count=6), "1 command fewer than the record"),
    ],
)
def test_who_was_set_back_is_told(reading: AnchorReading, says: str) -> None:
    with pytest.raises(LedgerMismatch, match=says):
        compare(reading, ledger(9))


def test_a_ledger_shorter_than_its_anchor_was_set_back() -> None:
    with pytest.raises(LedgerMismatch, match="ends at entry 3, and its anchor held entry 4"):
        reconcile(KNOWN, AS_KNOWN, ledger(3)[3:3] or ledger(3)[2:])


def test_an_entry_changed_since_the_anchor_is_noticed_without_a_whole_audit() -> None:
    entries = ledger(9)
    entries[6] = replace(entries[6], details="{}")
    with pytest.raises(LedgerBroken, match="entry 7"):
        compare(AS_KNOWN, entries)


def test_two_commands_that_the_ledger_does_not_name_are_not_explained() -> None:
    entries = ledger(9)
    once = extended(KNOWN.value, entries[6].link)
    twice = AnchorReading(value=extended(once, entries[8].link), count=9)
    with pytest.raises(LedgerMismatch, match="2 commands after"):
        compare(twice, entries)


@pytest.mark.parametrize("ahead", [2, 3, 1000])
def test_a_head_that_the_ledger_explains_is_not_believed_beside_a_counter_that_went_on(
    ahead: int,
) -> None:
    """Whoever deletes the head index can play any story into a new one; the counter stays."""
    entries = ledger(9)
    with pytest.raises(LedgerMismatch, match=f"has counted {ahead} commands after"):
        compare(after(KNOWN, entries[8], KNOWN.count + ahead), entries)


@given(
    history=st.lists(st.integers(1, 3), min_size=1, max_size=8),
    old=st.integers(0, 7),
    crash=st.sampled_from(["none", "before extend", "between"]),
)
def test_a_copy_of_the_database_from_before_the_last_anchor_is_never_taken(
    history: list[int], old: int, crash: str
) -> None:
    """Commands of 1 to 3 entries each; the database is the one after command `old`."""
    entries = ledger(sum(history) + 1)
    known = replace(KNOWN, seq=1)
    copies = []
    end, value, count = 1, known.value, known.count
    for number, size in enumerate(history):
        end += size
        copies.append((known, end))
        last = number == len(history) - 1
        if not (last and crash == "before extend"):
            value = extended(value, entries[end - 1].link)
        if not (last and crash != "none"):
            count += 1
        if not last:
            known = Known(place=PLACE, seq=end, value=value, count=count)
    reading = AnchorReading(value=value, count=count)
    newest, whole = copies[-1]
    assert compare(reading, entries[:whole], newest).waiting == (
        history[-1] if crash == "before extend" else 0
    )
    if old < len(copies) - 1:
        earlier, end = copies[old]
        if crash == "before extend" and old == len(copies) - 2:
            return  # nothing was anchored after that copy: it is as new as the TPM knows
        with pytest.raises(LedgerMismatch):
            compare(reading, entries[:end], earlier)
