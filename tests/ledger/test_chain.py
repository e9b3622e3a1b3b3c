"""What was done to the entries of a ledger is named: changed, taken out, moved, renumbered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ca.encoding.ledger import ORIGIN, link
from ca.interfaces.ledger import LedgerEntry
from ca.interfaces.values import Serial
from ca.ledger.chain import Chain, link_of

Change = Callable[[list[LedgerEntry]], list[LedgerEntry]]


def ledger(count: int) -> list[LedgerEntry]:
    """A whole one."""
    entries = []
    last = ORIGIN
    for seq in range(1, count + 1):
        fields = {
            "seq": seq,
            "at": 1_800_000_000 + seq,
            "event": "issued",
            "issuer_id": 1,
            "serial": Serial(1000 + seq),
            "details": f'{{"n":{seq}}}',
        }
        last = link(last, **fields)  # type: ignore[arg-type]
        entries.append(LedgerEntry(**fields, link=last))  # type: ignore[arg-type]
    return entries


def judged(entries: list[LedgerEntry]) -> list[str]:
    chain = Chain()
    for _ in chain.walk(entries):
        pass
    return [violation.text for violation in chain.violations()]


def edited(number: int, **fields: object) -> Change:
    def change(entries: list[LedgerEntry]) -> list[LedgerEntry]:
        entries[number - 1] = replace(entries[number - 1], **fields)
        return entries

    return change


def without(*numbers: int) -> Change:
    return lambda entries: [entry for entry in entries if entry.seq not in numbers]


def exchanged(one: int, other: int, *, with_links: bool) -> Change:
    """Two rows with their numbers exchanged, as two UPDATEs would."""

    def change(entries: list[LedgerEntry]) -> list[LedgerEntry]:
        first, second = entries[one - 1], entries[other - 1]
        entries[one - 1] = replace(second, seq=one)
        entries[other - 1] = replace(first, seq=other)
        if not with_links:
            entries[one - 1] = replace(entries[one - 1], link=first.link)
            entries[other - 1] = replace(entries[other - 1], link=second.link)
        return entries

    return change


def renumbered_without(number: int) -> Change:
    def change(entries: list[LedgerEntry]) -> list[LedgerEntry]:
        kept = without(number)(entries)
        return [replace(entry, seq=seq) for seq, entry in enumerate(kept, 1)]

    return change


def test_a_whole_ledger_is_whole() -> None:
    assert judged(ledger(50)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edited(7, details="{}"), ["entry 7 ('issued') was changed"]),
        (edited(7, at=0), ["entry 7 ('issued') was changed"]),
        (edited(7, event="revoked"), ["entry 7 ('revoked') was changed"]),
        (edited(7, serial=None), ["entry 7 ('issued') was changed"]),
        (edited(7, issuer_id=2), ["entry 7 ('issued') was changed"]),
        (edited(7, at=1 << 70), ["entry 7 ('issued') was changed"]),
        (edited(7, issuer_id=-1), ["entry 7 ('issued') was changed"]),
        (without(7), ["entry 7 is missing"]),
        (without(1), ["entry 1 is missing"]),
        (without(7, 8, 9), ["entries 7 to 9 are missing"]),
        (exchanged(5, 9, with_links=True), ["entries 5 and 9 have changed places"]),
        (exchanged(5, 9, with_links=False), ["entries 5 and 9 have changed places"]),
        (exchanged(5, 6, with_links=True), ["entries 5 and 6 have changed places"]),
        (exchanged(5, 6, with_links=False), ["entries 5 and 6 have changed places"]),
        (
            renumbered_without(7),
            [
                "entries 7 to 19 do not follow from those before them: they were changed, or one "
                "was taken out and the others renumbered"
            ],
        ),
    ],
)
def test_each_kind_of_tampering_is_named(change: Change, expected: list[str]) -> None:
    assert judged(change(ledger(20))) == expected


def test_a_link_that_was_edited_alone_breaks_the_entry_and_its_follower() -> None:
    assert judged(edited(7, link=b"\1" * 32)(ledger(20))) == [
        "entries 7 to 8 do not follow from those before them: they were changed, or one was taken "
        "out and the others renumbered"
    ]


def test_entries_cut_off_at_the_end_leave_a_whole_ledger() -> None:
    """Only the anchor, a checkpoint or the record can tell: the chain itself cannot."""
    assert judged(without(19, 20)(ledger(20))) == []


def test_more_damage_than_can_be_explained_is_counted() -> None:
    found = judged([replace(entry, details="x") for entry in ledger(300)])
    assert found[-1] == "100 more entries do not follow from those before them"


@given(
    count=st.integers(2, 12),
    data=st.data(),
)
def test_no_change_of_one_field_goes_unnoticed(count: int, data: st.DataObject) -> None:
    entries = ledger(count)
    number = data.draw(st.integers(1, count))
    field, value = data.draw(
        st.one_of(
            st.tuples(st.just("at"), st.integers(-(2**63), 2**63 - 1)),
            st.tuples(st.just("event"), st.text(max_size=8)),
            st.tuples(st.just("issuer_id"), st.none() | st.integers(1, 2**63 - 1)),
            st.tuples(st.just("serial"), st.none() | st.integers(0, 2**160 - 1)),
            st.tuples(st.just("details"), st.text(max_size=20)),
        )
    )
    if getattr(entries[number - 1], field) == value:
        return
    assert judged(edited(number, **{field: value})(entries)) != []


def test_walking_passes_every_entry_on_once() -> None:
    def counted(entries: list[LedgerEntry]) -> Iterator[LedgerEntry]:
        yield from entries

    entries = ledger(5)
    chain = Chain()
    assert list(chain.walk(counted(entries))) == entries
    assert (chain.count, chain.first, chain.end) == (5, entries[0].link, entries[-1].link)
    assert link_of(entries[1], entries[0].link) == entries[1].link
