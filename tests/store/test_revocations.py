"""Lines of the CRL."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert, select
from sqlalchemy.engine import Engine

from ca.errors import NotFound, RecordRefused, RequestRefused, RevocationRefused
from ca.interfaces.issuing import State
from ca.interfaces.revocation import KeyBar, Reason, Revocation
from ca.interfaces.values import Serial, Validity
from ca.store.repository import SqlStore
from ca.store.tables import certificates, revocations
from tests.store.making import (
    DAY,
    LIFE,
    NOW,
    entry_of,
    intent,
    issue,
    listed,
    revocation,
    revoke,
)

PERMANENT = [reason for reason in Reason if reason is not Reason.CERTIFICATE_HOLD]
HOLD = Reason.CERTIFICATE_HOLD


@pytest.fixture
def seven(store: SqlStore, issuer: int) -> int:
    issue(store, issuer, 7)
    return 7


def test_a_revoked_certificate_is_on_the_crl_with_its_line(
    store: SqlStore, issuer: int, seven: int
) -> None:
    why = Revocation(reason=Reason.KEY_COMPROMISE, revoked_at=NOW, invalidity=NOW - DAY)
    store.revoke(issuer, Serial(seven), why, entry=b"\x30\x00")
    (line,) = store.revoked(issuer, expired_since=None)
    assert (line.serial, line.reason, line.revoked_at, line.invalidity, line.entry) == (
        7,
        Reason.KEY_COMPROMISE,
        NOW,
        NOW - DAY,
        b"\x30\x00",
    )
    (record,) = store.by_serial(Serial(7))
    assert record.revocation == why


@pytest.mark.parametrize("first", PERMANENT)
@pytest.mark.parametrize("second", [Reason.KEY_COMPROMISE, HOLD])
def test_a_permanent_revocation_is_not_replaced_by_another(
    store: SqlStore, issuer: int, seven: int, first: Reason, second: Reason
) -> None:
    revoke(store, issuer, seven, first)
    with pytest.raises(RevocationRefused) as refused:
        revoke(store, issuer, seven, second, NOW + DAY)
    assert "2026-11-22 12:00:00" in refused.value.problem
    assert first.value in refused.value.problem
    (record,) = store.by_serial(Serial(7))
    assert record.revocation == revocation(first)


COMPROMISES = [Reason.KEY_COMPROMISE, Reason.CA_COMPROMISE]
HARMLESS = [reason for reason in PERMANENT if reason not in COMPROMISES]


@pytest.mark.parametrize("first", HARMLESS)
@pytest.mark.parametrize("second", COMPROMISES)
def test_a_permanent_revocation_can_become_one_for_a_compromise_and_keeps_its_date(
    store: SqlStore, issuer: int, seven: int, first: Reason, second: Reason
) -> None:
    revoke(store, issuer, seven, first)
    why = Revocation(reason=second, revoked_at=NOW, invalidity=NOW + DAY)
    store.compromise(issuer, Serial(seven), why, entry=b"\x30\x00", at=NOW + 2 * DAY)
    (line,) = store.revoked(issuer, expired_since=None)
    assert (line.reason, line.revoked_at, line.invalidity, line.entry) == (
        second,
        NOW,
        NOW + DAY,
        b"\x30\x00",
    )
    (record,) = store.by_serial(Serial(7))
    assert record.revocation == why
    assert store.is_key_blocked(record.spki_sha256)


@pytest.mark.parametrize(
    ("before", "after", "at"),
    [
        (None, Reason.KEY_COMPROMISE, NOW),
        (HOLD, Reason.KEY_COMPROMISE, NOW),
        (Reason.KEY_COMPROMISE, Reason.CA_COMPROMISE, NOW),
        (Reason.SUPERSEDED, Reason.KEY_COMPROMISE, NOW + DAY),
        (Reason.SUPERSEDED, Reason.CESSATION_OF_OPERATION, NOW),
        (Reason.SUPERSEDED, HOLD, NOW),
    ],
    ids=["none", "a hold", "one already", "another date", "another reason", "into a hold"],
)
def test_no_other_line_is_changed(
    store: SqlStore, issuer: int, seven: int, before: Reason | None, after: Reason, at: datetime
) -> None:
    if before is not None:
        revoke(store, issuer, seven, before)
    (found,) = store.by_serial(Serial(7))
    with pytest.raises(RevocationRefused):
        store.compromise(issuer, Serial(seven), revocation(after, at), entry=b"x", at=NOW + DAY)
    assert store.by_serial(Serial(7)) == (found,)


@pytest.mark.parametrize("reason", HARMLESS)
def test_a_key_that_was_revoked_for_anything_else_is_not_blocked(
    store: SqlStore, issuer: int, seven: int, reason: Reason
) -> None:
    revoke(store, issuer, seven, reason)
    (record,) = store.by_serial(Serial(7))
    assert not store.is_key_blocked(record.spki_sha256)


def test_a_permanent_revocation_is_not_released(store: SqlStore, issuer: int, seven: int) -> None:
    revoke(store, issuer, seven)
    with pytest.raises(RevocationRefused):
        store.release(issuer, Serial(seven), at=NOW)
    assert listed(store, issuer) == [7]


def test_a_hold_can_be_released_and_set_again(store: SqlStore, issuer: int, seven: int) -> None:
    revoke(store, issuer, seven, HOLD)
    store.release(issuer, Serial(seven), at=NOW + DAY)
    assert listed(store, issuer) == []
    revoke(store, issuer, seven, HOLD, NOW + 2 * DAY)
    (line,) = store.revoked(issuer, expired_since=None)
    assert line.revoked_at == NOW + 2 * DAY


def test_a_hold_can_become_permanent_and_then_is(store: SqlStore, issuer: int, seven: int) -> None:
    revoke(store, issuer, seven, HOLD)
    revoke(store, issuer, seven, Reason.KEY_COMPROMISE, NOW + DAY)
    (line,) = store.revoked(issuer, expired_since=None)
    assert (line.reason, line.revoked_at) == (Reason.KEY_COMPROMISE, NOW + DAY)
    with pytest.raises(RevocationRefused):
        store.release(issuer, Serial(seven), at=NOW + DAY)


def test_a_second_hold_is_refused(store: SqlStore, issuer: int, seven: int) -> None:
    revoke(store, issuer, seven, HOLD)
    with pytest.raises(RevocationRefused, match="on hold already"):
        revoke(store, issuer, seven, HOLD, NOW + DAY)


def test_what_is_not_on_hold_is_not_released(store: SqlStore, issuer: int, seven: int) -> None:
    with pytest.raises(RevocationRefused, match="not revoked"):
        store.release(issuer, Serial(seven), at=NOW)


@pytest.mark.parametrize("state", [State.RESERVED, State.INTENDED, State.FAILED])
def test_only_what_may_exist_can_be_revoked(store: SqlStore, issuer: int, state: State) -> None:
    store.reserve(issuer, Serial(7), subject="CN=a", at=NOW)
    if state is not State.RESERVED:
        store.record_intents([intent(issuer, 7)], at=NOW)
    if state is State.FAILED:
        store.settle(issuer, Serial(7), State.FAILED, note="", at=NOW)
    with pytest.raises(RevocationRefused, match=state.value):
        revoke(store, issuer, 7)
    assert listed(store, issuer) == []


@pytest.mark.parametrize("serial", [8, 2**160, 2**4000])
def test_an_unknown_serial_is_not_revoked(
    store: SqlStore, issuer: int, seven: int, serial: int
) -> None:
    with pytest.raises(NotFound):
        revoke(store, issuer, serial)
    with pytest.raises(NotFound):
        store.release(issuer, Serial(serial), at=NOW)


def test_lines_come_by_serial_whatever_the_order_of_revocation(
    store: SqlStore, issuer: int
) -> None:
    serials = [2**158 + 1, 3, 2**80, 255, 256]
    issue(store, issuer, *serials)
    for serial in serials:
        revoke(store, issuer, serial)
    assert listed(store, issuer) == sorted(serials)


def test_the_entries_alone_are_those_of_the_lines(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, *range(1, 20))
    for serial in range(1, 20, 2):
        revoke(store, issuer, serial)
    joined = b"".join(line.entry for line in store.revoked(issuer, expired_since=None))
    assert b"".join(store.revoked_entries(issuer, expired_since=None)) == joined


def test_the_newest_revocation_is_the_latest_open_line_of_that_issuer(
    store: SqlStore, issuer: int
) -> None:
    issue(store, issuer, 1, 2, 3)
    assert store.newest_revocation(issuer) is None
    revoke(store, issuer, 1)
    revoke(store, issuer, 2, HOLD, NOW + DAY)
    revoke(store, issuer, 3)
    assert store.newest_revocation(issuer) == NOW + DAY
    assert store.newest_revocation(issuer + 1) is None
    store.release(issuer, Serial(2), at=NOW + 2 * DAY)
    assert store.newest_revocation(issuer) == NOW


@contextmanager
def listening() -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    """What the database is asked meanwhile: statements and what is bound to them."""
    asked: list[tuple[str, tuple[object, ...]]] = []

    def listen(
        _: Connection, __: object, text: str, given: tuple[object, ...], *___: object
    ) -> None:
        asked.append((text, given))

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", listen)


def test_what_a_long_crl_asks_is_answered_in_the_order_of_an_index(
    store: SqlStore, issuer: int, place: Path
) -> None:
    with listening() as asked:
        list(store.revoked_entries(issuer, expired_since=NOW))
        store.newest_revocation(issuer)
    with closing(sqlite3.connect(place)) as connection:
        plans = [
            [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", given)]
            for text, given in asked
            if "revocations" in text
        ]
    used = [re.findall(r"(?:ix|uq)_\w+|TEMP B-TREE", " ".join(plan)) for plan in plans]
    assert used == [["ix_revocations_listed"], ["ix_revocations_revoked_at"]]


def test_a_line_stays_until_a_crl_after_its_certificate_ended(
    store: SqlStore, issuer: int, seven: int
) -> None:
    revoke(store, issuer, seven)
    last_second = LIFE.not_after
    assert listed(store, issuer, last_second) == [7]
    assert listed(store, issuer, last_second + timedelta(seconds=1)) == []
    assert list(store.revoked_entries(issuer, expired_since=last_second + DAY)) == []
    assert listed(store, issuer) == [7]


def test_lines_of_another_issuer_are_not_listed(store: SqlStore, issuer: int, seven: int) -> None:
    revoke(store, issuer, seven)
    assert listed(store, issuer + 1) == []


def test_a_key_is_blocked_for_ever_by_one_compromise(store: SqlStore, issuer: int) -> None:
    spki = b"the key that leaked"
    store.record_intents([intent(issuer, 7, spki=spki), intent(issuer, 8, spki=spki)], at=NOW)
    store.record_certificates(
        [(issuer, Serial(n), b"\x30\x80" + intent(issuer, n).tbs) for n in (7, 8)], at=NOW
    )
    digest = hashlib.sha256(spki).digest()
    revoke(store, issuer, 8, Reason.SUPERSEDED)
    assert not store.is_key_blocked(digest)
    revoke(store, issuer, 7, Reason.KEY_COMPROMISE)
    assert store.is_key_blocked(digest)
    assert not store.is_key_blocked(hashlib.sha256(b"another").digest())


def test_a_key_is_barred_by_an_open_hold_and_by_a_compromise_before_it(
    store: SqlStore, issuer: int
) -> None:
    spki = b"the key of a phone"
    store.record_intents([intent(issuer, n, spki=spki) for n in (7, 8)], at=NOW)
    store.record_certificates(
        [(issuer, Serial(n), b"\x30\x80" + intent(issuer, n).tbs) for n in (7, 8)], at=NOW
    )
    digest = hashlib.sha256(spki).digest()
    assert store.key_bar(digest) is None
    revoke(store, issuer, 7, HOLD)
    assert store.key_bar(digest) == KeyBar(reason=HOLD, serial=Serial(7))
    assert not store.is_key_blocked(digest)
    with pytest.raises(RequestRefused) as refused:
        store.record_intents([intent(issuer, 9, spki=spki)], at=NOW)
    assert [one.rule for one in refused.value.violations] == ["key.on-hold"]
    revoke(store, issuer, 8, Reason.KEY_COMPROMISE)
    compromised = KeyBar(reason=Reason.KEY_COMPROMISE, serial=Serial(8))
    assert store.key_bar(digest) == compromised
    store.release(issuer, Serial(7), at=NOW)
    assert store.key_bar(digest) == compromised


def test_what_bars_a_key_is_found_through_indexes(store: SqlStore, place: Path) -> None:
    with listening() as asked:
        store.key_bar(bytes(32))
    ((text, given),) = [one for one in asked if "revocations" in one[0]]
    with closing(sqlite3.connect(place)) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", given))
    assert "ix_certificates_spki_sha256" in plan
    assert "SCAN" not in plan


def test_a_reader_of_lines_sees_one_moment(store: SqlStore, issuer: int) -> None:
    fill_with_lines(store, issuer, 2500)  # more than one page
    issue(store, issuer, 9999)
    lines = store.revoked(issuer, expired_since=None)
    first = next(lines)
    revoke(store, issuer, 9999)
    assert first.serial == 1
    assert 9999 not in [line.serial for line in lines]
    assert 9999 in listed(store, issuer)


def test_many_lines_are_read_in_little_memory(store: SqlStore, issuer: int) -> None:
    fill_with_lines(store, issuer, 8_000)

    def peak(share: float) -> int:
        tracemalloc.start()
        read = store.revoked_entries(issuer, expired_since=None)
        octets = sum(len(line.entry) for line in store.revoked(issuer, expired_since=None)) * share
        for piece in read:
            octets -= len(piece)
            if octets <= 0:
                break
        assert octets <= 0
        read.close()  # type: ignore[attr-defined]  # a generator
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(0.2)  # compiled statements and page caches are there afterwards
    assert peak(1) < peak(0.2) * 1.5


def test_a_long_life_ends_where_it_says(store: SqlStore, issuer: int) -> None:
    for_ever = Validity(not_before=NOW, not_after=NOW.replace(year=9999, month=12, day=31))
    issue(store, issuer, 7, validity=for_ever)
    (record,) = store.by_serial(Serial(7))
    assert record.not_after == for_ever.not_after


def fill_with_lines(store: SqlStore, issuer: int, count: int) -> None:
    """Revoked certificates, past the store's own way in, which takes a commit for each."""
    issue(store, issuer, 1)
    revoke(store, issuer, 1)
    with store._database.write() as connection:
        for table in (certificates, revocations):
            row = dict(connection.execute(select(table)).one()._mapping)
            del row["id"]
            copies = [row | {"serial": serial} for serial in range(2, count + 1)]
            connection.execute(insert(table), copies)


def test_an_entry_is_never_empty(store: SqlStore, issuer: int, seven: int) -> None:
    with pytest.raises(RecordRefused, match="ck_revocations_entry"):
        store.revoke(issuer, Serial(seven), revocation(), entry=b"")
    assert listed(store, issuer) == []


# ---------------------------------------------------------------- many at once


def test_many_are_revoked_in_one_commit_or_none(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 21, 22)
    lines = [(issuer, Serial(n), revocation(), entry_of(n)) for n in (21, 22)]
    unknown = (issuer, Serial(23), revocation(), entry_of(23))
    with pytest.raises(NotFound):
        store.revoke_many([*lines, unknown])
    assert listed(store, issuer) == []
    store.revoke_many(lines)
    assert listed(store, issuer) == [21, 22]
