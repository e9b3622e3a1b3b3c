"""What no code here does, the database refuses to others: deleting, and taking back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.repository import SqlStore
from tests.store.making import NOW, crl, intent, issue, revoke


@pytest.fixture
def shell(place: Path, store: SqlStore, issuer: int) -> Iterator[sqlite3.Connection]:
    """Somebody with `sqlite3 homeca.db`, and a record with a row of everything."""
    custody = Custody(
        kind=CustodyKind.FILE, tcti="", manufacturer="", model="", firmware="", srk_public=b""
    )
    store.record_custody(custody, at=NOW)
    issue(store, issuer, 1, 2)
    store.record_intents([intent(issuer, 3), intent(issuer, 4)], at=NOW)
    store.settle(issuer, Serial(3), State.FAILED, note="", at=NOW)
    revoke(store, issuer, 1)
    revoke(store, issuer, 2, Reason.CERTIFICATE_HOLD)
    store.record_crl(crl(issuer, store.reserve_crl_number(issuer, at=NOW)))
    with closing(sqlite3.connect(place)) as connection:
        yield connection


TABLES = ("custody", "issuers", "profiles", "certificates", "revocations", "crls", "ledger")


@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_deleted(shell: sqlite3.Connection, table: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="nothing is deleted"):
        shell.execute(f"DELETE FROM {table}")  # noqa: S608  # a name from the list above


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE certificates SET der = x'00' WHERE state = 'issued'",
        "UPDATE certificates SET state = 'intended', der = NULL, issued_at = NULL"
        " WHERE state = 'issued'",
        "UPDATE certificates SET state = 'intended' WHERE state = 'failed'",
        "UPDATE certificates SET tbs = x'00' WHERE state = 'intended'",
        "UPDATE certificates SET serial = randomblob(20) WHERE state = 'intended'",
        "UPDATE certificates SET note = 'x' WHERE state = 'issued'",
        "UPDATE revocations SET ended_at = 1 WHERE reason = 'superseded'",
        "UPDATE revocations SET reason = 'superseded'",
        "UPDATE revocations SET entry = x'00'",
        "UPDATE revocations SET reason = 'cessationOfOperation' WHERE reason = 'superseded'",
        "UPDATE revocations SET reason = 'certificateHold' WHERE reason = 'superseded'",
        "UPDATE revocations SET reason = 'keyCompromise' WHERE reason = 'certificateHold'",
        "UPDATE revocations SET reason = 'keyCompromise', revoked_at = 1",
        "UPDATE revocations SET reason = 'keyCompromise', not_after = 1",
        "UPDATE revocations SET reason = 'keyCompromise', ended_at = 1",
        "UPDATE revocations SET invalidity = 1",
        "UPDATE revocations SET not_after = 1 WHERE reason = 'certificateHold'",
        "UPDATE issuers SET certificate = x'00'",
        "UPDATE issuers SET spki = x'00'",
        "UPDATE issuers SET state = 'abandoned'",
        "UPDATE crls SET number = 9",
        "UPDATE crls SET sha256 = zeroblob(32)",
        "UPDATE profiles SET text = 'x'",
        "UPDATE custody SET kind = 'hardware-tpm'",
        "UPDATE ledger SET details = '{}'",
        "UPDATE ledger SET at = at",
    ],
)
def test_nothing_is_taken_back(shell: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        shell.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE certificates SET state = 'failed', changed_at = 9 WHERE state = 'intended'",
        "UPDATE revocations SET ended_at = 1 WHERE reason = 'certificateHold'",
        "UPDATE revocations SET reason = 'keyCompromise', entry = x'01', invalidity = 1"
        " WHERE reason = 'superseded'",
        "UPDATE issuers SET state = 'retired'",
        "UPDATE crls SET der = NULL",
    ],
)
def test_the_steps_that_homeca_takes_are_free(shell: sqlite3.Connection, statement: str) -> None:
    assert shell.execute(statement).rowcount > 0


def test_what_is_said_to_be_compromised_stays_so(shell: sqlite3.Connection) -> None:
    shell.execute("UPDATE revocations SET reason = 'cACompromise' WHERE reason = 'superseded'")
    with pytest.raises(sqlite3.IntegrityError, match="only a compromise be added"):
        shell.execute("UPDATE revocations SET reason = 'keyCompromise'")


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "'delivered'"), ("serial", "x'01'"), ("not_after", "0"), ("subject", "NULL")],
)
def test_a_row_that_makes_no_sense_is_not_taken(
    shell: sqlite3.Connection, column: str, value: str
) -> None:
    names = [row[1] for row in shell.execute("PRAGMA table_info(certificates)")][1:]
    wanted = ", ".join(value if name == column else name for name in names)
    wanted = wanted.replace("serial,", "randomblob(20),")
    copy = f"INSERT INTO certificates ({', '.join(names)}) SELECT {wanted} FROM certificates"  # noqa: S608
    with pytest.raises(sqlite3.IntegrityError):
        shell.execute(f"{copy} WHERE state = 'issued'")


def test_the_copy_of_that_row_without_the_nonsense_is_taken(shell: sqlite3.Connection) -> None:
    names = [row[1] for row in shell.execute("PRAGMA table_info(certificates)")][1:]
    wanted = ", ".join(names).replace("serial,", "randomblob(20),")
    copy = f"INSERT INTO certificates ({', '.join(names)}) SELECT {wanted} FROM certificates"  # noqa: S608
    assert shell.execute(f"{copy} WHERE state = 'issued'").rowcount == 2


@pytest.mark.parametrize("table", TABLES)
def test_columns_keep_to_their_types(shell: sqlite3.Connection, table: str) -> None:
    (strict,) = shell.execute("SELECT strict FROM pragma_table_list(?)", [table]).fetchone()
    assert strict == 1
