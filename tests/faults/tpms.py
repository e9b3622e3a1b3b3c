"""Class E: the TPM refuses, lies, hangs, dies, loses an answer, or is another one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ca.keys.tpm.embedded import EmbeddedTpm
from ca.keys.tpm.link import Link, command_code
from tests.faults.acting import acting
from tests.faults.checker import Sight, acknowledged, afterwards, look, signed, spoken, still
from tests.faults.commands import COMMANDS
from tests.faults.running import Ended, run, start
from tests.faults.suite import Bench
from tests.keys.tpm.links import Changing, Refusing, flipped, lost

LETTER = "E"
TITLE = "TPM: lost answer, hang, death, wrong answer, return codes, other TPM or key"

_COMMANDS = {"session": 0x176, "load": 0x157, "sign": 0x15D, "create": 0x153}

#: TPM_RC -> may it succeed? One RETRY is retried; the others are told.
_CODES = {
    "retry-once": (0x922, True),
    "retry": (0x922, False),
    "testing": (0x90A, False),
    "nv-rate": (0x920, False),
    "lockout": (0x921, False),
    "nv-unavailable": (0x923, False),
    "failure": (0x101, False),
    "not-started": (0x100, False),
    "object-memory": (0x902, False),
    "session-memory": (0x903, False),
    "handle": (0x910, False),
    "auth-fail": (0x98E, False),
    "bad-auth": (0x9A2, False),
}

#: With any of these at TPM2_Sign a signature may exist.
_DOUBTFUL = ("lost", "hung", "died-after", "died-before", "flipped")

_FILES = (
    "other-tpm", "no-state", "torn-state", "swapped-keys", "stranger-key", "no-key", "torn-key",
    "flipped-key", "empty-key",
)  # fmt: skip


def cases(bench: Bench) -> Iterator[str]:
    """ACT link FAULT AT, and ACT file FAULT."""
    for act in ("sign", "crl", "init-intermediate", "init-root"):
        makes_key = act.startswith("init")
        for at in ("session", "load", "sign", *(("create",) if makes_key else ())):
            for fault in (*_DOUBTFUL, *_CODES):
                yield f"{act} link {fault} {at}"
    for act in ("sign", "crl", "init-intermediate"):
        for fault in _FILES:
            yield f"{act} file {fault} -"


def judge(case: str, bench: Bench) -> Iterator[str]:
    act, kind, fault, at = case.split()
    command = COMMANDS[act]
    place = bench.world(command.world)
    before = look(place)
    if kind == "file":
        yield from _with_files(place, act, fault, bench, before)
        return
    around = _around(fault, _COMMANDS[at])
    ended = start(
        place, command.arguments, watch=True, instead=acting(place, act, around=around)
    ).end()
    may_succeed = fault == "retry-once"
    if (ended.status == 0) != may_succeed:
        yield f"I12 status {ended.status}: {ended.err.strip()[-300:]}"
    if act == "sign" and not may_succeed:
        new = [row.state for key, row in look(place).rows.items() if key not in before.rows]
        doubtful = at == "sign" and fault in _DOUBTFUL
        allowed = ["uncertain"] if doubtful else ["failed"]
        if fault == "died-before" and at == "sign":
            allowed = ["failed", "uncertain"]
        if any(state not in allowed for state in new):
            yield f"I6 {fault} at {at} left {new}"
    yield from _judged(place, act, ended, before)
    yield from afterwards(place, command.arguments, before)


def _judged(place: Path, act: str, ended: Ended, before: Sight) -> Iterator[str]:
    yield from spoken(ended)
    yield from still(place, before)
    yield from acknowledged(place, ended)
    yield from signed(before, look(place), ended.passages.count("signature.asking"))


# ---------------------------------------------------------------- on the way to the TPM


def _around(fault: str, code: int) -> Callable[[Link], Link]:
    if fault in _CODES:
        rc, once = _CODES[fault]
        return lambda link: Refusing(
            link, lambda cc, nth: rc if cc == code and (nth == 1 or not once) else 0
        )
    if fault == "lost":
        return lambda link: Changing(link, lost(code))
    if fault == "flipped":
        return lambda link: Changing(link, flipped(code, 14))
    return lambda link: _Struck(link, code, fault)


@dataclass
class _Struck:
    """A signal strikes the running swtpm before it gets the command, or when it has answered."""

    inner: Link
    code: int
    fault: str

    def __post_init__(self) -> None:
        self.name, self.is_ours = self.inner.name, self.inner.is_ours
        self._now = 0

    def _strike(self, number: int) -> None:
        assert isinstance(self.inner, EmbeddedTpm)
        os.kill(self.inner.pid, number)

    def send(self, command: bytes) -> None:
        self._now = command_code(command)
        if self._now == self.code and self.fault == "hung":
            self._strike(signal.SIGSTOP)
        if self._now == self.code and self.fault == "died-before":
            self._strike(signal.SIGKILL)
        self.inner.send(command)

    def receive(self, seconds: float) -> bytes:
        answer = self.inner.receive(seconds)
        if self._now == self.code and self.fault == "died-after":
            self._strike(signal.SIGKILL)
            return self.inner.receive(seconds)  # there is no second answer: the TPM is gone
        return answer

    def close(self, *, orderly: bool) -> None:
        self.inner.close(orderly=orderly)


# ---------------------------------------------------------------- other files


def _with_files(place: Path, act: str, fault: str, bench: Bench, before: Sight) -> Iterator[str]:
    """The command with a file that is not its own; then its own again."""
    home = place / "home"
    aside = place / "aside"
    shutil.copytree(home / "tpm", aside / "tpm")
    shutil.copytree(home / "keys", aside / "keys")
    _spoil(home, fault, bench)
    ended = run(place, COMMANDS[act].arguments)
    # an intermediate is signed by the root's key alone
    needs = "root" if act == "init-intermediate" else "intermediate-1"
    harmless = fault.endswith("-key") and needs == "root"
    if ended.status == 0 and not harmless:
        yield f"I12 it succeeded with {fault}"
    now = look(place)
    states = [row.state for key, row in now.rows.items() if key not in before.rows]
    if "issued" in states and not harmless:
        yield f"I2 a certificate was issued with {fault}"
    made = {path.name for path in (home / "keys").iterdir()}
    for name in ("tpm", "keys"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
        for path in (aside / name).iterdir():
            shutil.copy2(path, home / name / path.name)
    for name in made - {path.name for path in (aside / "keys").iterdir()}:
        if "active" not in now.issuers.get(name.removesuffix(".tss"), ""):
            yield f"I9 keys/{name} was left behind"
    shutil.rmtree(aside)
    yield from _judged(place, act, ended, before)
    yield from afterwards(place, COMMANDS[act].arguments, before)


def _spoil(home: Path, fault: str, bench: Bench) -> None:
    key, root = home / "keys" / "intermediate-1.tss", home / "keys" / "root.tss"
    octets = key.read_bytes()
    state = home / "tpm" / "tpm2-00.permall"
    if fault in ("other-tpm", "stranger-key"):
        stranger = bench.world("empty", "stranger")
        done = run(stranger, COMMANDS["init-root"].arguments)
        if done.status != 0:
            raise AssertionError(done.err)
        if fault == "stranger-key":
            key.write_bytes((stranger / "home/keys/root.tss").read_bytes())
        else:
            shutil.rmtree(home / "tpm")
            shutil.copytree(stranger / "home/tpm", home / "tpm")
    elif fault == "no-state":
        shutil.rmtree(home / "tpm")
    elif fault == "torn-state":
        (home / "tpm" / "tpm2-00.kept").unlink()
        state.write_bytes(state.read_bytes()[:512])
    elif fault == "swapped-keys":
        key.write_bytes(root.read_bytes())
        root.write_bytes(octets)
    elif fault == "no-key":
        key.unlink()
    elif fault == "torn-key":
        key.write_bytes(octets[: len(octets) // 2])
    elif fault == "empty-key":
        key.write_bytes(b"")
    elif fault == "flipped-key":
        middle = len(octets) // 2
        other = b"A" if octets[middle : middle + 1] != b"A" else b"B"
        key.write_bytes(octets[:middle] + other + octets[middle + 1 :])
