"""The checker tells what is wrong: each invariant is broken by hand, and must be named."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.checker import (
    Sight,
    acknowledged,
    afterwards,
    left_running,
    look,
    main,
    signed,
    spoken,
    still,
)
from tests.faults.commands import COMMANDS
from tests.faults.running import Ended, Stop, run, warm
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


def test_a_compromise_that_is_called_something_milder_later_is_told(place: Path) -> None:
    sql(place, "UPDATE revocations SET reason = 'keyCompromise'")
    before = look(place)
    sql(place, "UPDATE revocations SET reason = 'superseded'")
    lost = _serials(place)["lost"]
    told = [violation for violation in still(place, before) if violation.startswith("I7")]
    assert told == [f"I7 the key of {lost} was compromised and is not any more"]


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


# ---------------------------------------------------------------- how it goes on

#: In place of the program, as `tests.faults.running.start` takes it.
IDLE = ("true",)
REFUSING = ("false",)
#: The program itself, heard and not heard.
ALOUD = ("env",)
MUTE = ("sh", "-c", 'exec "$@" 2>/dev/null', "sh")


def failing(command: str, code: str = "store.unwritable") -> tuple[str, ...]:
    """All others are content; this one refuses as it should, with a reason that is none here."""
    words = f"printf 'homeca: no room [{code}]\\n   try: make some\\n' >&2; exit 4"
    return ("sh", "-c", f'case " $* " in *" {command} "*) {words};; esac', "sh")


def went_on(
    place: Path, *, before: Sight | None = None, through: Sequence[str] = IDLE
) -> list[str]:
    """`afterwards` of a home that no command changes any more, so that it stays as it is."""
    return list(afterwards(place, ("list", "--all"), before or Sight(), through=through))


LEFT: dict[str, tuple[str, Callable[[Path], None]]] = {
    "an open row": (
        "I6 1 serials are open for ever",
        lambda p: newest(p, "UPDATE certificates SET state = 'intended'"),
    ),
    "an open row nobody spoke of": (
        "I6 the open serial ",
        lambda p: newest(p, "UPDATE certificates SET state = 'reserved'"),
    ),
    "an issuer that is never ready": (
        "I6 intermediate-1 is pending for ever",
        lambda p: sql(p, "UPDATE issuers SET state = 'pending' WHERE slug = 'intermediate-1'"),
    ),
    "a revocation on no CRL": (
        "I7 {old} is revoked for superseded; on the CRL: None",
        lambda p: _revoke_old(p),
    ),
    "another reason on the CRL": (
        "I7 {lost} is revoked for keyCompromise; on the CRL: superseded",
        lambda p: sql(p, "UPDATE revocations SET reason = 'keyCompromise'"),
    ),
    "a reason the CRL gives and the record does not": (
        "I7 {lost} is revoked for unspecified; on the CRL: superseded",
        lambda p: sql(p, "UPDATE revocations SET reason = 'unspecified'"),
    ),
    "a CRL that is not published": (
        "I7 root.crl is not published",
        lambda p: (p / "home/crl/root.crl").unlink(),
    ),
    "a published CRL that is not the recorded one": (
        "I8 intermediate-1.crl is not the CRL that is recorded",
        lambda p: sql(p, "UPDATE crls SET this_update = this_update + 1 WHERE issuer_id = 2"),
    ),
    "an open key": ("I9 home/keys/root.tss has", lambda p: (p / "home/keys/root.tss").chmod(0o644)),
}


def _serials(place: Path) -> dict[str, str]:
    """Of the two devices, as the checker writes them."""
    rows = look(place).rows
    return {
        name: serial.hex()
        for name in ("old", "lost")
        for (_, serial), row in rows.items()
        if f"{name}.home.arpa" in row.subject
    }


def _revoke_old(place: Path) -> None:
    sql(
        place,
        "INSERT INTO revocations (issuer_id, serial, not_after, revoked_at, reason, entry) "
        "SELECT issuer_id, serial, not_after, created_at, 'superseded', x'3000' "
        "FROM certificates WHERE subject LIKE '%old.home.arpa%'",
    )


def test_nothing_is_told_of_a_home_that_stays_as_it_was(place: Path) -> None:
    assert went_on(place) == []


@pytest.mark.parametrize("what", LEFT)
def test_what_the_owner_is_left_with_is_told(place: Path, what: str) -> None:
    text, damage = LEFT[what]
    expected = text.format(**_serials(place))
    damage(place)
    assert [violation for violation in went_on(place) if violation.startswith(expected)] != []


def test_a_revocation_may_leave_the_crl_when_its_certificate_has_ended(place: Path) -> None:
    _revoke_old(place)
    sql(place, "UPDATE certificates SET not_after = 1 WHERE subject LIKE '%old.home.arpa%'")
    assert [violation for violation in went_on(place) if "on the CRL" in violation] == []


@pytest.mark.parametrize(
    ("less_number", "less_seconds", "told"), [(1, 1, 0), (1, 0, 1), (0, 1, 1), (0, 0, 1)]
)
def test_a_crl_that_does_not_come_after_the_one_before_is_told(
    place: Path, less_number: int, less_seconds: int, told: int
) -> None:
    """Both its number and its thisUpdate are higher."""
    now = look(place)
    root, (number, this_update) = next(iter(now.crls.items()))
    earlier = {root: (number - less_number, this_update - less_seconds)}
    before = replace(now, crls=earlier)
    assert [violation.split()[0] for violation in went_on(place, before=before)] == ["I8"] * told


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("list", "I13 again: status 4: homeca: no room [store.unwritable]"),
        ("crl", "I7 no CRL can be cut: homeca: no room [store.unwritable]"),
        ("check", "I13 check: homeca: no room [store.unwritable]"),
    ],
)
def test_a_command_that_fails_again_is_told(place: Path, command: str, told: str) -> None:
    violations = went_on(place, through=failing(command))
    assert [violation.splitlines()[0] for violation in violations] == [told]


def test_to_have_been_done_before_is_no_failure_of_the_second_time(place: Path) -> None:
    """Of the command itself; that a CRL exists is no reason to cut none."""
    done = "configuration.output-exists"
    assert went_on(place, through=failing("list", done)) == []
    assert [told.split()[0] for told in went_on(place, through=failing("crl", done))] == ["I7"]


def test_a_command_that_is_not_to_be_run_again_is_not(place: Path) -> None:
    again = COMMANDS["sign"].arguments
    refusing = failing("sign")
    (told,) = afterwards(place, again, Sight(), through=refusing)
    assert told.startswith("I13 again")
    assert list(afterwards(place, again, Sight(), through=refusing, repeat=False)) == []


def test_a_command_that_fails_again_without_a_word_is_told_each_time(place: Path) -> None:
    told = [violation.split()[0] for violation in went_on(place, through=REFUSING)]
    assert told == ["I12", "I13", "I12", "I7", "I12", "I13"]


def test_an_open_serial_is_settled_aloud_and_a_silence_is_told(place: Path) -> None:
    before = look(place)
    run(place, COMMANDS["sign"].arguments, stop=Stop("signature.asking"))
    ((_, serial),) = look(place).open_rows
    shutil.copytree(place, place.with_name("other"))
    arguments = COMMANDS["sign"].arguments

    assert list(afterwards(place, arguments, before, through=ALOUD)) == []
    assert list(afterwards(place.with_name("other"), arguments, before, through=MUTE)) == [
        f"I6 the open serial {serial.hex()} was settled in silence"
    ]


def test_a_process_left_with_the_tpm_is_told(place: Path) -> None:
    assert list(left_running(place)) == []
    with subprocess.Popen(["sleep", "60"], cwd=place / "home/tpm") as left:
        try:
            told = [f"I14 process {left.pid} still runs the TPM"]
            assert list(left_running(place)) == told
            assert went_on(place) == told
            assert main(str(place)) == 1
        finally:
            left.kill()
    assert main(str(place)) == 0
