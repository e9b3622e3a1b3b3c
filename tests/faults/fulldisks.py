"""Class D, on real file systems: a home on a full and on a read-only tmpfs.

The worker moves into a mount namespace of its own, so nothing has to be unmounted by anybody
when it ends, and no root is needed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.checker import acknowledged, afterwards, digest, look, spoken, still
from tests.faults.commands import COMMANDS, FIRST
from tests.faults.running import run
from tests.faults.suite import Bench

LETTER = "d"
TITLE = "home on a full or a read-only disk (tmpfs)"

_NEWNS, _NEWUSER = 0x00020000, 0x10000000

#: Octets left free: none, and some that a command uses up on its way.
ROOMS = (0, 4096, 16384, 40960, 81920, 163840, 327680)


def cases(bench: Bench) -> Iterator[str]:
    """COMMAND full ROOM, COMMAND read-only."""
    for name in FIRST:
        for room in ROOMS:
            yield f"{name} full {room}"
        if COMMANDS[name].world == "furnished":
            yield f"{name} read-only 0"


def judge(case: str, bench: Bench) -> Iterator[str]:
    name, kind, room = case.split()
    command = COMMANDS[name]
    place = bench.world(command.world)
    before = look(place)
    with _mounted(place / "home", room=int(room), is_read_only=kind == "read-only"):
        was = digest(place)
        ended = run(place, command.arguments)
        if kind == "read-only":
            if ended.status == 0:
                yield "I12 it succeeded on a read-only disk"
            if digest(place) != was:
                yield "I9 the read-only home has changed"
        elif room == "0" and ended.status == 0:
            yield "I12 it succeeded on a disk without room"
        yield from spoken(ended)
        _make_room(place / "home")  # the checker itself needs some, to read a database
        yield from still(place, before)
        yield from acknowledged(place, ended)
        yield from afterwards(place, command.arguments, before)


def _own_namespace() -> None:
    """Once a worker: mounts made from now on are this process's and its children's."""
    if os.readlink("/proc/self/ns/mnt") != _BORN_IN:  # noqa: PTH115  # a namespace is no path
        return
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if user == 0 and libc.unshare(_NEWNS) == 0:
        pass
    elif libc.unshare(_NEWUSER | _NEWNS) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    else:
        raise OSError(ctypes.get_errno(), "no mount namespace: allow user namespaces, or be root")
    _mount("--make-rprivate", "/")


_BORN_IN = os.readlink("/proc/self/ns/mnt")  # noqa: PTH115


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True, timeout=20)


@contextmanager
def _mounted(home: Path, *, room: int, is_read_only: bool) -> Iterator[None]:
    """The home on a tmpfs of its own that has so many octets left."""
    _own_namespace()
    aside = home.with_name("aside")
    if home.exists():
        home.rename(aside)
    home.mkdir(mode=0o700)
    _mount("-t", "tmpfs", "-o", "size=4m,mode=0700", "homeca-faults", home)
    try:
        if aside.exists():
            shutil.copytree(aside, home, dirs_exist_ok=True, symlinks=True)
            shutil.rmtree(aside)
        ballast = shutil.disk_usage(home).free - room
        (home / ".ballast").write_bytes(b"x" * ballast)
        (home / ".ballast").chmod(0o600)
        if is_read_only:
            _mount("-o", "remount,ro", home)
        yield
    finally:
        subprocess.run(["umount", "-l", str(home)], check=False, capture_output=True, timeout=20)


def _make_room(home: Path) -> None:
    _mount("-o", "remount,rw", home)
    (home / ".ballast").unlink()
