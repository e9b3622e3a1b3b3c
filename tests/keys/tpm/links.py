"""Links around a real one: they record what crosses, or break it on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ca.errors import TpmConnectionLost
from ca.keys.tpm.embedded import EmbeddedTpm
from ca.keys.tpm.link import Link, command_code

#: What becomes of an answer: (TPM_CC, how many of that command so far, answer) -> answer.
Change = Callable[[int, int, bytes], bytes]


@dataclass
class Recorder:
    """Everything that crossed, in order."""

    sent: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)

    @property
    def codes(self) -> list[int]:
        return [command_code(command) for command in self.sent]

    def around(self, link: Link) -> Link:
        if isinstance(link, EmbeddedTpm):
            self.pids.append(link.pid)
        return _Tap(link, self)


class _Tap:
    def __init__(self, inner: Link, record: Recorder) -> None:
        self.name, self.is_ours = inner.name, inner.is_ours
        self._inner, self._record = inner, record

    def send(self, command: bytes) -> None:
        self._record.sent.append(command)
        self._inner.send(command)

    def receive(self, seconds: float) -> bytes:
        answer = self._inner.receive(seconds)
        self._record.received.append(answer)
        return answer

    def close(self, *, orderly: bool) -> None:
        self._inner.close(orderly=orderly)


class Changing:
    """Lets `change` rewrite every answer; the TPM behind it is real and did the work."""

    def __init__(self, inner: Link, change: Change) -> None:
        self.name, self.is_ours = inner.name, inner.is_ours
        self._inner, self._change = inner, change
        self._code = 0
        self._counts: dict[int, int] = {}

    def send(self, command: bytes) -> None:
        self._code = command_code(command)
        self._counts[self._code] = self._counts.get(self._code, 0) + 1
        self._inner.send(command)

    def receive(self, seconds: float) -> bytes:
        answer = self._inner.receive(seconds)
        return self._change(self._code, self._counts[self._code], answer)

    def close(self, *, orderly: bool) -> None:
        self._inner.close(orderly=orderly)


class Refusing:
    """Answers chosen commands with a return code instead of giving them to the TPM.

    plan: (TPM_CC, how many of that command so far) -> return code, or 0 to pass it on.
    """

    def __init__(self, inner: Link, plan: Callable[[int, int], int]) -> None:
        self.name, self.is_ours = inner.name, inner.is_ours
        self._inner, self._plan = inner, plan
        self._refusal = 0
        self._counts: dict[int, int] = {}

    def send(self, command: bytes) -> None:
        code = command_code(command)
        self._counts[code] = self._counts.get(code, 0) + 1
        self._refusal = self._plan(code, self._counts[code])
        if not self._refusal:
            self._inner.send(command)

    def receive(self, seconds: float) -> bytes:
        if self._refusal:
            return bytes.fromhex("80010000000a") + self._refusal.to_bytes(4, "big")
        return self._inner.receive(seconds)

    def close(self, *, orderly: bool) -> None:
        self._inner.close(orderly=orderly)


class Interposer:
    """Some commands go to one TPM, the others to another."""

    def __init__(self, link: Link, other: Link, to_other: frozenset[int]) -> None:
        self.name, self.is_ours = link.name, link.is_ours
        self._links, self._to_other = (link, other), to_other
        self._now = link

    def send(self, command: bytes) -> None:
        self._now = self._links[command_code(command) in self._to_other]
        self._now.send(command)

    def receive(self, seconds: float) -> bytes:
        return self._now.receive(seconds)

    def close(self, *, orderly: bool) -> None:
        for link in self._links:
            link.close(orderly=orderly)


def lost(code: int) -> Change:
    """The TPM does it, and its answer is lost on the way."""

    def change(answered: int, _count: int, answer: bytes) -> bytes:
        if answered == code:
            raise TpmConnectionLost("the cable is out", remedy="put it in")
        return answer

    return change


def flipped(code: int, at: int) -> Change:
    """One bit of the answer to `code` is another one."""

    def change(answered: int, _count: int, answer: bytes) -> bytes:
        if answered != code or command_code(answer) != 0:
            return answer
        octets = bytearray(answer)
        octets[at] ^= 1
        return bytes(octets)

    return change


def is_running(pid: int) -> bool:
    """Whether a process of that id exists and has not ended."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123  # a zombie has ended too
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
