"""Class C: the power fails after any operation of a command, the software TPM's included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.faults.checker import acknowledged, afterwards, look, still
from tests.faults.commands import COMMANDS, FIRST, Command
from tests.faults.disk import (
    Create,
    Files,
    Image,
    Link,
    Operation,
    Rename,
    Said,
    Sync,
    Truncate,
    Unlink,
    Write,
    images,
)
from tests.faults.running import Ended, run
from tests.faults.suite import Bench

LETTER = "C"
TITLE = "power cut after every operation: lost, kept, torn, out of order"

#: Images of a command are judged in so many parts; one image in so many is gone on with in full.
PARTS = 80
IN_FULL = 6

_CALLS = (
    "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,"
    "unlink,unlinkat,sendto"
)
_LINE = re.compile(r"^(\d+) +(.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (\d+)(?:<(.*)>)?")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


def cases(bench: Bench) -> Iterator[str]:
    """COMMAND PART: every PARTS-th image."""
    for name in FIRST:
        for part in range(PARTS):
            yield f"{name} {part}"


def judge(case: str, bench: Bench) -> Iterator[str]:
    name, part = case.split()
    command = COMMANDS[name]
    files, operations, place = record(command, bench)
    before = look(bench.world(command.world, "before"))
    chosen = list(images(files, operations))[int(part) :: PARTS]
    bench.count(len(chosen))
    for number, image in enumerate(chosen):
        _write(image, place)
        where = f"after {image.after} {operations[image.after]!r:.90}, {image.variant}: "
        ended = Ended(command.arguments, 0, image.said.decode(), "", ())
        yield from (where + text for text in still(place, before))
        yield from (where + text for text in acknowledged(place, ended))
        if number % IN_FULL == int(part) % IN_FULL:
            yield from (where + text for text in afterwards(place, command.arguments, before))
        else:
            yield from (where + text for text in _next_start(place))
            yield from (where + text for text in still(place, before))


def _next_start(place: Path) -> Iterator[str]:
    """The next command settles what is open, and the keys load."""
    if not look(place).issuers:
        return
    ended = run(place, ("crl", "--pin-file", "../pin"))
    if ended.status != 0:
        yield f"I13 crl: status {ended.status}: {ended.err.strip()[-300:]}"
    if look(place).open_rows:
        yield "I6 serials are open for ever"


def record(command: Command, bench: Bench) -> tuple[Files, list[Operation], Path]:
    """The files before, what the command and its swtpm did to them, and where."""
    place = bench.world(command.world, "recorded")
    files = {
        str(path): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }
    log = bench.base / "recorded.log"
    options = ["-f", "-xx", "-y", "-s", "1000000", "-e", f"trace={_CALLS}", "-o", str(log)]
    ended = run(place, command.arguments, strace=options)
    if ended.status != 0:
        raise AssertionError(f"{command.name}: {ended.err}")
    return files, list(_operations(log.read_text(), place)), place


def _operations(log: str, place: Path) -> Iterator[Operation]:
    """Only what is below the place, and standard output."""
    root = str(place)
    unfinished: dict[str, str] = {}
    for line in log.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        pid, text = found[1], found[2]
        if text.endswith("<unfinished ...>"):
            unfinished[pid] = text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<... "):
            text = unfinished.pop(pid, "") + text.partition(" resumed>")[2]
        call = _CALL.match(text)
        if call is None:
            continue
        for operation in _operation(call[1], call[2], int(call[3]), call[4], place):
            if isinstance(operation, Said) or _touches(operation, root):
                yield operation


def _touches(operation: Operation, root: str) -> bool:
    path = operation.new if isinstance(operation, Rename | Link) else operation.path  # type: ignore[union-attr]  # Said is gone
    return path.startswith(root) and not path.endswith("-shm")


def _operation(
    name: str, arguments: str, result: int, opened: str | None, place: Path
) -> Iterator[Operation]:
    octets = [_octets(text) for text in _STRING.findall(arguments)]
    file = _FILE.match(arguments)
    path = _octets(file[1]).decode(errors="replace") if file is not None else ""
    if name == "openat":
        path = _octets(opened or "").decode(errors="replace")
        if "O_CREAT" in arguments:
            yield Create(path)
        if "O_TRUNC" in arguments:
            yield Truncate(path, 0)
    elif name == "write":
        if path.startswith("/memfd:stdout"):
            yield Said(octets[0][:result])
        else:
            yield Write(path, octets[0][:result])
    elif name == "pwrite64":
        yield Write(path, octets[0][:result], int(arguments.rpartition(",")[2]))
    elif name == "ftruncate":
        yield Truncate(path, int(arguments.rpartition(",")[2]))
    elif name in ("fsync", "fdatasync"):
        yield Sync(path)
    elif name.startswith(("rename", "link", "unlink")):
        # after a directory descriptor the names follow; an absolute one needs no directory
        names = [_resolved(text, place) for text in octets]
        if name.startswith("rename"):
            yield Rename(names[0], names[1])
        elif name.startswith("link"):
            yield Link(names[0], names[1])
        else:
            yield Unlink(names[0])


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if "\\x" in text else text.encode()


def _resolved(name: bytes, place: Path) -> str:
    """swtpm's relative names have a dot, and its directory is the state; homeca's is the desk."""
    text = name.decode(errors="replace")
    here = place / "home" / "tpm" if text.startswith("./") else place / "desk"
    return text if text.startswith("/") else str(here / text.removeprefix("./"))


def _write(image: Image, place: Path) -> None:
    """The disk as the machine finds it when it starts again; directories and modes as they were."""
    modes = {path: path.stat().st_mode for path in place.rglob("*") if path.is_file()}
    for path in place.rglob("*"):
        if path.is_file() and str(path) not in image.files:
            path.unlink()
    for text, octets in image.files.items():
        path = Path(text)
        if path in modes:
            path.write_bytes(octets)
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        public = path.parent.name in ("certs", "crl", "desk")
        path.touch(mode=0o644 if public else 0o600)
        path.write_bytes(octets)
