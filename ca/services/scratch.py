"""Private directories for work that is thrown away, also when the one who did it was killed.

Each is locked (flock) for as long as it is worked in; the kernel drops that lock with the process.
So one that can be locked was left behind, and the next who works at the same place removes it: it
may hold a whole unencrypted record.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from ca.errors import OutputFailed

#: So many that were left behind are removed at once; more wait for the next time.
AT_ONCE = 16

#: What tempfile.mkdtemp puts after the prefix.
_DRAWN = r"[a-z0-9_]{8}"


@contextmanager
def scratch_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """A directory of mode 0700 that is gone afterwards, whatever happens.

    prefix: of its name; others of that name that nobody works in any more go first.
    Raises: OutputFailed.
    """
    with suppress(OSError):  # a file system without such locks keeps what was left
        _remove_left_behind(parent, prefix)
    try:
        path, lock = _made(parent, prefix)
    except OSError as error:
        raise OutputFailed(
            f"no directory can be made in {str(parent)!r}: {error.strerror}",
            remedy="check its mode and the free space",
        ) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _made(parent: Path, prefix: str) -> tuple[Path, int | None]:
    """A new one, and its lock, which is held; None where the file system has no such lock."""
    for _ in range(AT_ONCE):
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = _locked(path)
        except OSError:
            return path, None
        if lock is not None:
            return path, lock
        # between the two another process took it for one that was left behind
    raise FileExistsError(errno.EEXIST, "other processes are in the way")


def _remove_left_behind(parent: Path, prefix: str) -> None:
    """Only directories, only our own, only by the names they can have here."""
    name = re.compile(re.escape(prefix) + _DRAWN)
    with os.scandir(parent) as entries:
        found = [Path(one.path) for one in entries if name.fullmatch(one.name) and _is_ours(one)]
    for path in islice(found, AT_ONCE):
        lock = _locked(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        told = entry.stat(follow_symlinks=False)
        return stat.S_ISDIR(told.st_mode) and told.st_uid == os.geteuid()
    return False


def _locked(path: Path) -> int | None:
    """The directory, locked by us and still there; None when another process has it."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat(follow_symlinks=False)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None
