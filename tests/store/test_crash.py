"""kill -9, full disks, failing rows: an act is whole or it did not happen."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ca.errors import RecordRefused
from ca.interfaces.issuing import State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.repository import SqlStore, open_store
from tests.store.making import (
    NOW,
    active_issuer,
    der_of,
    intent,
    issue,
    listed,
    revoke,
)

ROOT = Path(__file__).resolve().parents[2]
BATCH = 40
SECOND = f"NEW.serial = x'{2:040x}'"


def work(*command: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*under, sys.executable, "-m", "tests.store.worker", *command],
        input="go\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        check=False,
    )


def check_whole(place: Path) -> None:
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def strace(*options: str) -> tuple[str, ...]:
    if shutil.which("strace") is None:
        pytest.fail("strace is missing: apt-get install strace")
    return ("strace", "-f", "-qq", *options)


def killing(call: str, nth: int) -> tuple[str, ...]:
    """strace that kills its program in the nth call of that kind."""
    inject = f"inject={call}:signal=SIGKILL:when={nth}"
    return strace("-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


@pytest.mark.parametrize(
    ("call", "moments"), [("pwrite64", (1, 2, 5, 13, 34, 60)), ("fdatasync", (1,))]
)
def test_a_batch_killed_half_way_is_there_whole_or_not_at_all(
    place: Path, call: str, moments: tuple[int, ...]
) -> None:
    with closing(open_store(place)) as store:
        issuer = active_issuer(store)
    killed = 0
    for nth in moments:
        first = 1000 * nth
        done = work(
            "intents", str(place), str(issuer), str(first), str(BATCH), under=killing(call, nth)
        )
        killed += done.returncode != 0
        with closing(open_store(place)) as store:
            there = [r.serial for r in store.open_serials() if first <= r.serial < first + BATCH]
        assert len(there) in ((0, BATCH) if done.returncode else (BATCH,))
        if "recorded" in done.stdout:
            assert len(there) == BATCH
        check_whole(place)
    assert killed, "no run was killed: nothing was tested"


def test_an_act_is_flushed_to_the_disk_before_it_is_acknowledged(
    place: Path, tmp_path: Path
) -> None:
    with closing(open_store(place)) as store:
        issuer = active_issuer(store)
    log = tmp_path / "calls"
    traced = strace("-y", "-o", str(log), "-e", "trace=pwrite64,fdatasync,fsync,write")
    assert "recorded" in work("intents", str(place), str(issuer), "1", "3", under=traced).stdout
    calls = log.read_text().splitlines()

    def last(*marks: str, before: int) -> int:
        return max(n for n, call in enumerate(calls[:before]) if all(m in call for m in marks))

    said = last("write(1", "recorded", before=len(calls))
    flushed = last("sync(", "homeca.db-wal", before=said)
    assert flushed > last("pwrite64(", "homeca.db-wal", before=said)


def test_the_batch_is_recorded_when_nobody_kills_it(place: Path) -> None:
    with closing(open_store(place)) as store:
        issuer = active_issuer(store)
    assert work("intents", str(place), str(issuer), "1", str(BATCH)).stdout == "ready\nrecorded\n"


def test_a_full_disk_is_named_and_nothing_is_half_written(place: Path) -> None:
    with closing(open_store(place)) as store:
        issuer = active_issuer(store)
    room = place.stat().st_size + 400_000
    done = work("fill", str(place), str(issuer), "1", str(room))
    assert "store.unwritable" in done.stdout, done
    check_whole(place)
    with closing(open_store(place)) as store:
        recorded = [record.serial for record in store.open_serials()]
        assert recorded == list(range(1, len(recorded) + 1))
        assert 0 < len(recorded) < 10_000
        store.record_intents([intent(issuer, 20_000)], at=NOW)  # and it works again


@pytest.fixture
def failing(place: Path, store: SqlStore) -> Iterator[sqlite3.Connection]:
    """A second hand at the database, to plant triggers that fail."""
    with closing(sqlite3.connect(place)) as connection:
        yield connection


def plant(connection: sqlite3.Connection, event: str, condition: str) -> None:
    connection.execute(
        f"CREATE TRIGGER planted AFTER {event} WHEN {condition}"
        " BEGIN SELECT RAISE(FAIL, 'planted'); END"
    )
    connection.commit()


def test_a_row_that_fails_takes_the_batch_with_it(
    store: SqlStore, issuer: int, failing: sqlite3.Connection
) -> None:
    plant(failing, "INSERT ON certificates", SECOND)
    with pytest.raises(RecordRefused, match="planted"):
        store.record_intents([intent(issuer, n) for n in (1, 2, 3)], at=NOW)
    assert store.open_serials() == ()
    kept = failing.execute("SELECT count(*) FROM profiles").fetchone()
    assert kept == (0,)


def test_an_uncertain_serial_without_its_line_is_not_settled(
    store: SqlStore, issuer: int, failing: sqlite3.Connection
) -> None:
    store.record_intents([intent(issuer, 1)], at=NOW)
    plant(failing, "INSERT ON revocations", "TRUE")
    with pytest.raises(RecordRefused):
        store.settle(issuer, Serial(1), State.UNCERTAIN, note="lost", at=NOW, entry=b"line")
    assert [record.state for record in store.open_serials()] == [State.INTENDED]


def test_certificates_of_a_batch_are_recorded_together_or_not(
    store: SqlStore, issuer: int, failing: sqlite3.Connection
) -> None:
    store.record_intents([intent(issuer, n) for n in (1, 2)], at=NOW)
    plant(failing, "UPDATE ON certificates", SECOND)
    with pytest.raises(RecordRefused):
        store.record_certificates([(issuer, Serial(n), der_of(n)) for n in (1, 2)], at=NOW)
    assert [record.state for record in store.open_serials()] == [State.INTENDED] * 2


def test_a_hold_stays_when_what_replaces_it_fails(
    store: SqlStore, issuer: int, failing: sqlite3.Connection
) -> None:
    issue(store, issuer, 1)
    revoke(store, issuer, 1, Reason.CERTIFICATE_HOLD)
    plant(failing, "INSERT ON revocations", "TRUE")
    with pytest.raises(RecordRefused):
        revoke(store, issuer, 1, Reason.KEY_COMPROMISE)
    assert listed(store, issuer) == [1]
