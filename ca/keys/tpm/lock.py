"""One TPM, one transaction at a time: a file lock that every homeca process takes first.

A TPM has three slots for keys, and swtpm refuses a second process on its state at once
instead of waiting. So we wait, and say so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ca.errors import TpmBusy, TpmUnreachable
from ca.names.showing import shell_word


@contextlib.contextmanager
def exclusive(path: Path, *, seconds: float, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path` (made 0600) while the block runs.

    seconds: how long to wait for it at most.
    on_wait: told once, when it cannot be had at once.
    Raises:  TpmBusy.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise TpmUnreachable(
            f"the lock file {str(path)!r} cannot be opened: {(error.strerror or '').lower()}",
            remedy=f"check that {str(path.parent)!r} is there and yours",
        ) from error
    try:
        _wait_for(lock, path, seconds=seconds, on_wait=on_wait)
        yield
    finally:
        os.close(lock)  # and with it the lock


def _wait_for(lock: int, path: Path, *, seconds: float, on_wait: Callable[[str], None]) -> None:
    give_up = time.monotonic() + seconds
    pause = 0.002
    told = False
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise TpmBusy(
                    f"another process has used the TPM for more than {seconds:g} seconds",
                    remedy=f"run `fuser {shell_word(path)}` and end what it names if that hangs",
                ) from None
        if not told:
            told = True
            on_wait("waiting for another process that uses the TPM")
        time.sleep(pause)
        pause = min(1.5 * pause, 0.1)
