"""One `homeca` as a process of its own, to be killed, starved, traced or watched.

It is forked from a process that has imported everything, so a run costs tens of milliseconds
and some hundred fit in a minute. From `ca.cli.app.main` on it is the program a person runs: its
own process id, its own files, its own swtpm; signals and limits are the kernel's.

    python -m tests.faults.running POINT[:N[:ACTION]] ARGUMENTS...     by hand; or HOMECA_FAILPOINT

The variable is read here, in the tests' launcher: the program itself has no such switch.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ca.failpoints import arm

PATIENCE = 60.0
_PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True, slots=True)
class Stop:
    """At the n-th passage of a point, send this process a signal."""

    point: str
    nth: int = 1
    signal: int = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. status: as `subprocess` has it. passages: the points passed, in order."""

    arguments: tuple[str, ...]
    status: int
    out: str
    err: str
    passages: tuple[str, ...]
    hung: bool = False


@dataclass(slots=True)
class Started:
    """A run under way."""

    pid: int
    arguments: tuple[str, ...]
    files: tuple[int, int, int]
    tracer: subprocess.Popen[bytes] | None = None

    def end(self, *, patience: float = PATIENCE) -> Ended:
        """Wait for it; one that does not end in time is killed, and said to have hung."""
        handle = os.pidfd_open(self.pid)
        try:
            hung = not select.select([handle], [], [], patience)[0]
        finally:
            os.close(handle)
        if hung:
            os.kill(self.pid, signal.SIGKILL)
        _, raw = os.waitpid(self.pid, 0)
        if self.tracer is not None:
            self.tracer.wait(timeout=PATIENCE)
        out, err, passed = (_contents(descriptor) for descriptor in self.files)
        return Ended(
            arguments=self.arguments,
            status=os.waitstatus_to_exitcode(raw),
            out=out,
            err=err,
            passages=tuple(passed.split()),
            hung=hung,
        )


def environment(place: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "HOMECA_HOME": str(place / "home"),
        "HOMECA_TPM": "embedded",
        "NO_COLOR": "1",
        "TSS2_LOG": "all+NONE",  # as `ca.keys.tpm.tss` sets it when it is imported
    }


def run(place: Path, arguments: Sequence[str], **how: Any) -> Ended:
    """To its end; see `start`."""
    return start(place, arguments, **how).end()


def start(
    place: Path,
    arguments: Sequence[str],
    *,
    stop: Stop | None = None,
    watch: bool = False,
    prepare: Callable[[], None] = lambda: None,
    variables: Mapping[str, str | None] | None = None,
    strace: Sequence[str] = (),
    through: Sequence[str] = (),
    instead: Callable[[], int] | None = None,
) -> Started:
    """Begin `homeca ARGUMENTS` in the desk of a world.

    stop:      where to die. watch: only note the passages.
    prepare:   run in the child just before: limits, umask, another directory.
    variables: of the environment, on top; None takes one away.
    strace:    options of a strace that is attached before the program begins.
    through:   a program that runs a fresh interpreter: for what must be preloaded.
    instead:   of the program's main, with its return value as the exit status.
    """
    files = (
        os.memfd_create("stdout", 0),
        os.memfd_create("stderr", 0),
        os.memfd_create("passages", 0),
    )
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            _be_homeca(
                place, list(arguments), files, stop, watch, prepare, variables or {}, bool(strace),
                list(through), instead,
            )  # fmt: skip
        except BaseException:  # noqa: BLE001  # nothing of the parent may run in the child
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(99)
    tracer = None
    if strace:
        tracer = subprocess.Popen(["strace", "-qq", "-p", str(pid), *strace])
    return Started(pid, tuple(arguments), files, tracer)


def _be_homeca(
    place: Path,
    arguments: list[str],
    files: tuple[int, int, int],
    stop: Stop | None,
    watch: bool,
    prepare: Callable[[], None],
    variables: Mapping[str, str | None],
    traced: bool,
    through: list[str],
    instead: Callable[[], int] | None,
) -> None:
    os.chdir(place / "desk")
    own = environment(place)
    os.environ.clear()
    os.environ.update(own)
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((null, files[0], files[1])):
        os.dup2(source, target)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if stop is not None or watch:
        arm(_trap(files[2], stop))
    if traced:
        _wait_for_tracer()
    prepare()
    if through:
        os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        argv = [*through, sys.executable, "-m", "ca", *arguments]
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606  # no shell is the point
    if instead is not None:
        status = instead()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    from ca.cli.app import main

    sys.argv = ["homeca", *arguments]
    main()


def _trap(log: int, stop: Stop | None) -> Callable[[str], None]:
    """Notes each passage and, at the chosen one, sends the signal."""
    left = stop.nth if stop is not None else 0

    def passed(name: str) -> None:
        nonlocal left
        os.write(log, name.encode() + b"\n")
        if stop is not None and name == stop.point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), stop.signal)

    return passed


def _wait_for_tracer() -> None:
    """Yama lets a process be traced by a stranger only if it says so."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1, 0, 0, 0)
    give_up = time.monotonic() + PATIENCE
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        if time.monotonic() > give_up:
            raise SystemExit("no tracer came")
        time.sleep(0.001)


def _contents(descriptor: int) -> str:
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, size, 0).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def warm() -> None:
    """Import what a command would: every later fork has it."""
    import importlib

    for module in (
        "alembic.command",
        "asyncio",
        "ca.cli.app",
        "ca.cli.auditing",
        "ca.keys.tpm.custody",
        "ca.lint.gate",
        "ca.services.device.accepting",
        "ca.services.ceremony.foreign_root",
        "ca.services.ceremony.intermediate",
        "ca.services.ceremony.root",
        "ca.services.crl.cutting",
        "ca.services.inspection.inspecting",
        "ca.services.issuance.issuing",
        "ca.services.revocation.revoking",
        "ca.services.standing.ca",
        "ca.store.migrate",
        "ca.store.repository",
        "ca.wiring.facility",
        "sqlalchemy.dialects.sqlite",
    ):
        importlib.import_module(module)


def _by_hand(arguments: list[str]) -> None:
    from ca.cli.app import main

    chosen = os.environ.get("HOMECA_FAILPOINT")
    if chosen is None:
        chosen, arguments = arguments[0], arguments[1:]
    name, _, rest = chosen.partition(":")
    nth, _, action = rest.partition(":")
    stop = Stop(name, int(nth or 1), signal.Signals[action or "SIGKILL"])
    arm(_trap(2, stop))
    sys.argv = ["homeca", *arguments]
    main()


if __name__ == "__main__":
    _by_hand(sys.argv[1:])
