"""The state file of swtpm, kept over a power cut.

swtpm writes its state anew at each start and at each change, by a rename and without a sync:
after a power cut the file may be empty, cut off or full of zeros, and with it all keys are gone.
So whenever something lasting was done (`embedded.LASTING`) and at a good end, the file is synced
and copied; the copy takes over when the file is found torn. What it lacks then are statistics.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ca.failpoints import failpoint
from ca.files import PRIVATE_FILE, write_whole

STATE_FILE = "tpm2-00.permall"
KEPT_FILE = "tpm2-00.kept"
TORN_FILE = "tpm2-00.torn"

#: swtpm's blob header: version(1) least version(1) its own length(2) flags(2) whole length(4).
_HEADER = 10


def keep(directory: Path) -> None:
    """Make durable what the TPM wrote. Raises: OSError, OutputFailed."""
    state, kept = directory / STATE_FILE, directory / KEPT_FILE
    octets = state.read_bytes()
    with contextlib.suppress(FileNotFoundError):
        if octets == kept.read_bytes():
            return  # whatever a power cut makes of the state, the copy is as good
    descriptor = os.open(state, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    failpoint("tpm.synced")
    write_whole(kept, octets, mode=PRIVATE_FILE, replace=True)


def mend(directory: Path, *, manufacture: bool) -> None:
    """Before a start: put the kept state in place of one that a power cut has torn.

    manufacture: nobody relies on this TPM yet. Where none was kept either, its first start did
                 not end, and a torn file is only in the way of the next: it is put aside.
    Raises:      OSError, OutputFailed.
    """
    state, kept = directory / STATE_FILE, directory / KEPT_FILE
    # no power cut takes the name away: a file that is gone was taken by somebody, which is told
    if not state.exists() or is_whole(state):
        return
    if kept.exists():
        write_whole(state, kept.read_bytes(), mode=PRIVATE_FILE, replace=True)
    elif manufacture:
        state.replace(directory / TORN_FILE)


def is_whole(state: Path) -> bool:
    """Is the file as long as its header says it is?"""
    octets = state.read_bytes()
    return len(octets) > _HEADER and int.from_bytes(octets[6:_HEADER], "big") == len(octets)
