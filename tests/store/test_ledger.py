"""Each act and its entries are one commit, and each entry follows from the one before."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from ca.encoding.ledger import ORIGIN, details_text, link
from ca.errors import LedgerBroken, RevocationRefused, SerialReserved
from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import IssuerState, State
from ca.interfaces.ledger import LedgerEntry, LedgerEvent
from ca.interfaces.revocation import Reason, Revocation
from ca.interfaces.values import Serial
from ca.ledger.audit import Audit
from ca.ledger.history import contradictions
from ca.store import migrate
from ca.store.engine import connect
from ca.store.repository import SqlStore, open_store
from tests.store.making import (
    DAY,
    NOW,
    active_issuer,
    crl,
    der_of,
    draft,
    entry_of,
    intent,
    issue,
    revoke,
)

CUSTODY = Custody(
    kind=CustodyKind.FILE,
    tcti="embedded",
    manufacturer="IBM",
    model="SW   TPM",
    firmware="1.2.3.4",
    srk_public=b"public",
)


def events(store: SqlStore) -> list[str]:
    return [entry.event for entry in store.ledger()]


def fill(store: SqlStore) -> int:
    """A row of everything; the issuer's id."""
    store.record_custody(CUSTODY, at=NOW)
    issuer = active_issuer(store)
    issue(store, issuer, 1, 2, 3)
    store.reserve(issuer, Serial(4), subject="CN=four\0\ud800", at=NOW)
    store.settle(issuer, Serial(4), State.FAILED, note="no \0 key", at=NOW)
    store.reserve(issuer, Serial(5), subject="CN=five", at=NOW)
    store.record_intents([intent(issuer, 5), intent(issuer, 6)], at=NOW)
    store.settle(issuer, Serial(5), State.UNCERTAIN, note="lost", at=NOW, entry=entry_of(5))
    revoke(store, issuer, 1)
    revoke(store, issuer, 2, Reason.CERTIFICATE_HOLD)
    store.release(issuer, Serial(2), at=NOW + DAY)
    revoke(store, issuer, 3, Reason.CERTIFICATE_HOLD)
    revoke(store, issuer, 3, Reason.KEY_COMPROMISE, at=NOW + DAY)
    store.record_crl(crl(issuer, store.reserve_crl_number(issuer, at=NOW)))
    store.reserve_crl_number(issuer, at=NOW)
    return issuer


def wrong(store: SqlStore) -> list[str]:
    return [violation.text for violation in Audit(store=store).violations()]


def test_a_new_ledger_has_one_entry_with_a_name_of_its_own(store: SqlStore, blank: Path) -> None:
    (first,) = store.ledger()
    assert (first.seq, first.event) == (1, LedgerEvent.BEGUN)
    assert json.loads(first.details)["format"] == 1
    other = blank.with_name("other.db")
    with closing(open_store(other, create=True)) as another:
        assert next(iter(another.ledger())).link != first.link


def test_every_act_is_told_in_its_order(store: SqlStore) -> None:
    fill(store)
    assert events(store) == [
        *("begun", "custody", "issuer-begun", "issuer-key", "issuer-active"),
        *("intended", "intended", "intended", "issued", "issued", "issued"),
        *("reserved", "failed", "reserved", "intended", "intended", "uncertain", "revoked"),
        *("revoked", "revoked", "released", "revoked", "revoked"),
        *("crl-reserved", "crl", "crl-reserved"),
    ]


def test_every_entry_follows_from_the_one_before(store: SqlStore) -> None:
    fill(store)
    previous = ORIGIN
    for number, entry in enumerate(store.ledger(), 1):
        assert entry.seq == number
        previous = relinked(entry, previous)
        assert entry.link == previous


def relinked(entry: LedgerEntry, previous: bytes) -> bytes:
    return link(
        previous,
        seq=entry.seq,
        at=entry.at,
        event=entry.event,
        issuer_id=entry.issuer_id,
        serial=entry.serial,
        details=entry.details,
    )


def test_the_link_covers_every_field_of_an_entry() -> None:
    fields = {
        "seq": 2,
        "at": 1,
        "event": "issued",
        "issuer_id": 1,
        "serial": 7,
        "details": "{}",
    }
    links = {link(ORIGIN, **fields), link(b"\1" * 32, **fields)}  # type: ignore[arg-type]
    for name, other in (
        ("seq", 3),
        ("at", -1),
        ("event", "issue"),
        ("issuer_id", None),
        ("serial", None),
        ("details", "d{}"),
    ):
        links.add(link(ORIGIN, **(fields | {name: other})))  # type: ignore[arg-type]
    assert len(links) == 8


def test_the_encoding_is_the_documented_one() -> None:
    """Format 1, octet for octet: an old ledger must verify for ever."""
    octets = (
        b"homeca ledger 1\0"
        + bytes(32)
        + bytes.fromhex("0000000000000002" + "ffffffffffffffff" + "0000000000000003")
        + bytes.fromhex("00000014" + "00" * 18 + "1234")
        + bytes.fromhex("00000006") + b"issued"
        + bytes.fromhex("00000007") + b'{"a":1}'
    )  # fmt: skip
    found = link(
        bytes(32), seq=2, at=-1, event="issued", issuer_id=3, serial=0x1234, details='{"a":1}'
    )
    assert found == hashlib.sha256(octets).digest()


def test_details_have_one_spelling() -> None:
    assert details_text({"b": 1, "a": ["ü", None]}) == '{"a":["\\u00fc",null],"b":1}'


def test_an_act_that_fails_leaves_neither_row_nor_entry(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1)
    before = events(store)
    with pytest.raises(SerialReserved):
        store.record_intents([intent(issuer, 2), intent(issuer, 1)], at=NOW)
    with pytest.raises(RevocationRefused):
        store.release(issuer, Serial(1), at=NOW)
    assert events(store) == before


def test_an_entry_that_cannot_be_written_leaves_no_row(
    store: SqlStore, issuer: int, place: Path
) -> None:
    with closing(sqlite3.connect(place)) as shell:
        shell.execute(
            "CREATE TRIGGER full BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        shell.commit()
    with pytest.raises(Exception, match="full"):
        store.record_intents([intent(issuer, 1)], at=NOW)
    assert store.by_serial(Serial(1)) == ()


def test_what_is_noted_for_the_next_act_is_in_its_commit_and_before_it(
    store: SqlStore, issuer: int
) -> None:
    store.note_with_next(LedgerEvent.ANCHORED, {"seq": 1}, at=NOW)
    store.note_with_next(LedgerEvent.ANCHORED, {"seq": 2}, at=NOW)
    assert store.ledger_waiting()
    issue(store, issuer, 1)
    assert not store.ledger_waiting()
    assert events(store)[-3:] == ["anchored", "intended", "issued"]
    (note,) = store.ledger_notes(LedgerEvent.ANCHORED)
    assert json.loads(note.details) == {"seq": 2}


def test_what_is_noted_waits_for_an_act_that_succeeds(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1)
    store.note_with_next(LedgerEvent.ANCHORED, {}, at=NOW)
    with pytest.raises(SerialReserved):
        store.record_intents([intent(issuer, 1)], at=NOW)
    assert store.ledger_waiting()
    store.reserve_crl_number(issuer, at=NOW)
    assert events(store)[-2:] == ["anchored", "crl-reserved"]


def test_an_act_without_a_time_of_its_own_takes_that_of_the_entry_before(store: SqlStore) -> None:
    issuer = store.begin_issuer(draft(), at=NOW)
    store.set_issuer_state(issuer.id, IssuerState.ABANDONED)
    begun, abandoned = list(store.ledger())[-2:]
    assert (begun.moment, abandoned.moment) == (NOW, NOW)


def test_a_record_that_nobody_touched_agrees_with_its_ledger(store: SqlStore) -> None:
    fill(store)
    assert wrong(store) == []


def test_a_ledger_without_any_entry_takes_none(store: SqlStore, issuer: int, place: Path) -> None:
    with closing(sqlite3.connect(place)) as shell:
        shell.execute("DROP TRIGGER tr_ledger_delete")
        shell.execute("DELETE FROM ledger")
        shell.commit()
    with pytest.raises(LedgerBroken):
        store.reserve_crl_number(issuer, at=NOW)


def test_histories_bring_row_lines_and_entries_of_a_serial_together(store: SqlStore) -> None:
    fill(store)
    found = {history.serial: history for history in store.histories()}
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    three = found[Serial(3)]
    assert three.record is not None
    assert three.record.der == der_of(3)
    assert [line.reason.value for line in three.lines] == ["certificateHold", "keyCompromise"]
    assert [entry.event for entry in three.entries] == ["intended", "issued", "revoked", "revoked"]
    assert all(not list(contradictions(history)) for history in found.values())


def test_a_reason_that_worsened_agrees_with_the_ledger_and_both_reasons_stand_there(
    store: SqlStore, issuer: int
) -> None:
    issue(store, issuer, 9)
    revoke(store, issuer, 9)
    why = Revocation(reason=Reason.KEY_COMPROMISE, revoked_at=NOW)
    store.compromise(issuer, Serial(9), why, entry=b"line", at=NOW + DAY)
    (nine,) = (one for one in store.histories() if one.serial == 9)
    assert list(contradictions(nine)) == []
    revoked, compromised = nine.entries[-2:]
    assert (revoked.event, compromised.event) == ("revoked", "compromised")
    assert ('"superseded"' in revoked.details, '"keyCompromise"' in compromised.details) == (
        True,
        True,
    )
    assert (revoked.moment, compromised.moment) == (NOW, NOW + DAY)


# ---------------------------------------------------------------- a record older than the ledger


@pytest.fixture
def old_record(tmp_path: Path, blank: Path) -> Path:
    """A database of revision 0001 with a row of everything."""
    place = tmp_path / "old.db"
    database = connect(place, create=True)
    settings = migrate._settings()
    with database.migrate() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
    database.close()
    full = tmp_path / "full.db"
    shutil.copy(blank, full)
    with closing(open_store(full)) as store:
        fill(store)
    with closing(sqlite3.connect(place, isolation_level=None)) as shell:
        shell.execute("ATTACH ? AS new", [str(full)])
        for table in ("custody", "issuers", "profiles", "certificates", "revocations", "crls"):
            columns = ", ".join(
                str(row[1]) for row in shell.execute(f"PRAGMA main.table_info({table})")
            )
            shell.execute(
                f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}"  # noqa: S608
            )
    return place


def test_what_stood_in_the_record_before_is_adopted_entry_by_entry(old_record: Path) -> None:
    with closing(open_store(old_record)) as store:
        found = events(store)
        assert found[:3] == ["begun", "adopted", "custody"]
        assert wrong(store) == []


def test_an_adopted_row_that_is_changed_afterwards_is_noticed(old_record: Path) -> None:
    with closing(open_store(old_record)) as store:
        with closing(sqlite3.connect(old_record)) as shell:
            shell.execute("DROP TRIGGER tr_certificates_change")
            shell.execute("UPDATE certificates SET der = x'00' WHERE id = 1")
            shell.commit()
        assert any("its row is not what entry" in text for text in wrong(store))


def test_an_adopted_record_goes_on(old_record: Path) -> None:
    with closing(open_store(old_record)) as store:
        issue(store, store.issuers()[0].id, 77)
        assert wrong(store) == []
