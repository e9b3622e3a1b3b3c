"""The checker tells what is wrong: each invariant is broken by hand, and must be named."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.checker import Sight, acknowledged, look, signed, spoken, still
from tests.faults.commands import COMMANDS
from tests.faults.running import Ended, run, warm
from tests.faults.worlds import SECRET, Worlds, build
from tests.house import lawless
from tests.interop.programs import require

NEWEST = " WHERE id = (SELECT max(id) FROM certificates)"


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    require("swtpm")
    warm()
    return build(tmp_path_factory.mktemp("worlds"))


@pytest.fixture
def place(worlds: Worlds, tmp_path: Path) -> Path:
    return worlds.copy("furnished", tmp_path / "case")


def sql(place: Path, *statements: str) -> None:
    """As somebody writes who keeps to no rule."""
    with lawless(place / "home/homeca.db") as connection:
        for statement in statements:
            connection.execute(statement)


def newest(place: Path, statement: str) -> None:
    """The same, of the newest row alone."""
    sql(place, statement + NEWEST)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


BREAKS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a row that refers to nothing": (
        "I1",
        lambda p: sql(p, "UPDATE revocations SET issuer_id = 99"),
    ),
    "a damaged page": ("I1", lambda p: _damage(p / "home/homeca.db")),
    "a certificate without a row": (
        "I2",
        lambda p: newest(p, "UPDATE certificates SET der = x'3000'"),
    ),
    "another TBS": (
        "I4",
        lambda p: newest(p, "UPDATE certificates SET tbs = x'3000'"),
    ),
    "a row that is gone": (
        "I5",
        lambda p: newest(p, "DELETE FROM certificates"),
    ),
    "a revocation that is gone": ("I7", lambda p: sql(p, "DELETE FROM revocations")),
    "a CRL number that went back": ("I8", lambda p: sql(p, "DELETE FROM crls")),
    "half a certificate": ("I9", lambda p: cut_short(p / "desk/old.crt")),
    "half a CRL": ("I9", lambda p: cut_short(p / "home/crl/root.crl")),
    "half a key": ("I9", lambda p: cut_short(p / "home/keys/root.tss")),
    "an open key": ("I9", lambda p: (p / "home/keys/root.tss").chmod(0o644)),
    "a changed entry": ("I10", lambda p: sql(p, "UPDATE ledger SET at = at + 1 WHERE seq = 5")),
    "a shorter ledger": (
        "I10",
        lambda p: sql(p, "DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)"),
    ),
    "a state the ledger does not know": (
        "I10",
        lambda p: newest(p, "UPDATE certificates SET state = 'uncertain'"),
    ),
    "the PIN in a file": ("I11", lambda p: _put(p / "home/homeca.toml", f"# {SECRET}\n")),
}


def _damage(database: Path) -> None:
    """The middle of the file, as a bad sector has it."""
    octets = database.read_bytes()
    half = len(octets) // 8192 * 4096
    database.write_bytes(octets[:half] + os.urandom(4096) + octets[half + 4096 :])


def _put(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def found(place: Path, before: Sight) -> set[str]:
    try:
        return {violation.split()[0] for violation in still(place, before)}
    except sqlite3.DatabaseError:
        return {"I1"}


def test_nothing_is_wrong_with_a_home_that_nothing_happened_to(place: Path) -> None:
    assert list(still(place, look(place))) == []


@pytest.mark.parametrize("what", BREAKS)
def test_the_checker_names_the_invariant_that_is_broken(place: Path, what: str) -> None:
    invariant, damage = BREAKS[what]
    before = look(place)
    damage(place)
    assert invariant in found(place, before)


def ended(out: str = "", err: str = "", status: int = 0) -> Ended:
    return Ended(("sign",), status, out, err, ())


@pytest.mark.parametrize(
    ("invariant", "said"),
    [
        ("I11", ended(err=f"the PIN is {SECRET}")),
        ("I12", ended(err="Traceback (most recent call last)", status=1)),
        ("I12", ended(status=1)),
        ("I12", ended(err="homeca: no code\n", status=2)),
    ],
)
def test_the_checker_names_what_must_not_be_said(invariant: str, said: Ended) -> None:
    assert next(spoken(said)).split()[0] == invariant


@pytest.mark.parametrize(
    "out",
    [
        "never.crt\n",
        f"revoked {'AB' * 20} CN=x (unspecified)\n",
        f"changed {'AB' * 20} CN=x, revoked since 2026-11-22, from superseded to keyCompromise\n",
        "X: CRL 99, 1 revoked\n",
    ],
)
def test_a_promise_that_was_not_kept_is_told(place: Path, out: str) -> None:
    violations = list(acknowledged(place, ended(out)))
    assert [violation.split()[0] for violation in violations] == ["I5"]


def test_a_signature_without_a_row_is_told(place: Path) -> None:
    now = look(place)
    assert next(signed(now, now, 1)).startswith("I3")
    done = run(place, COMMANDS["sign"].arguments, watch=True)
    assert list(signed(now, look(place), done.passages.count("signature.asking"))) == []
    shutil.rmtree(place)
