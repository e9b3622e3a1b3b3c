"""A software TPM of the CA's own: an swtpm child on a socketpair, its state in a directory.

No port and no socket file: only this process can talk to it, and it ends with this process,
however that ends, for its end of the pair then closes. Each transaction starts and ends one
(about 5 ms).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from ca.errors import (
    CustodyError,
    OutputFailed,
    TpmBusy,
    TpmConnectionLost,
    TpmProgramMissing,
    TpmStateDamaged,
    TpmStateMissing,
    TpmStateNotPrivate,
    TpmStateUnwritable,
    TpmUnreachable,
)
from ca.home import way_back_of_tpm
from ca.keys.tpm.link import (
    HEADER,
    answer_length,
    command_code,
    connection_lost,
    not_responding,
)
from ca.keys.tpm.state import STATE_FILE, keep, mend
from ca.names.showing import shell_word

LOCK_FILE = ".lock"
LOCK_SECONDS = 2.0
RC_FAILURE = 0x101

#: What outlives the TPM's power: TPM2_EvictControl, NV_UndefineSpace, NV_DefineSpace, NV_Increment,
#: NV_Extend, NV_Write. Rows that rely on it follow, so it is made durable before it is answered.
LASTING = frozenset({0x120, 0x122, 0x12A, 0x134, 0x136, 0x137})
SEND_SECONDS = 5.0
EXIT_SECONDS = 5.0
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin"


class EmbeddedTpm:
    """The running child. Construct, use as a Link, close.

    state_dir:   made 0700 when missing; others having access to it is an error.
    program:     found on PATH, or where Debian puts it.
    manufacture: whether a missing state may be made. Never for a CA that is pinned: a new TPM
                 in place of a lost one would only hide the loss.
    """

    name = "embedded"
    is_ours = True

    def __init__(self, state_dir: Path, *, manufacture: bool, program: str = "swtpm") -> None:
        state_dir = state_dir.absolute()
        found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SEARCH_PATH}")
        if found is None:
            raise TpmProgramMissing(
                f"there is no hardware TPM here, and the program {program!r} is not installed",
                remedy="run `sudo apt install swtpm`, or give the TPM's TCTI",
            )
        try:
            _prepare(state_dir, manufacture=manufacture)
        except OSError as error:
            raise _no_start(error) from error
        self._state_dir = state_dir
        self._asked = 0
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        # An anonymous file: a pipe nobody reads while the child runs could block it.
        self._stderr = os.memfd_create("swtpm-stderr", os.MFD_CLOEXEC)
        try:
            self._child = subprocess.Popen(  # noqa: S603  # no shell; the arguments are ours
                [
                    found,
                    # Not "socket": that one spins for ever, and keeps its lock on the state,
                    # when our end closes while a command is under way (swtpm 0.7 to 0.10). This
                    # one takes a socket as well, and ends at the first hang-up, whatever waits.
                    "chardev",
                    "--tpm2",
                    # Relative to cwd: a comma in the path would end the option.
                    "--tpmstate",
                    "dir=.,mode=0600",
                    "--fd",
                    str(theirs.fileno()),
                    "--flags",
                    "not-need-init,startup-clear",
                ],
                cwd=state_dir,
                env={"LC_ALL": "C", "PATH": SEARCH_PATH},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                umask=0o077,
                start_new_session=True,  # Ctrl-C is for us: it must not end a signature halfway
            )
        except OSError as error:
            self._socket.close()
            os.close(self._stderr)
            raise _no_start(error) from error
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    def send(self, command: bytes) -> None:
        self._asked = command_code(command)
        try:
            self._socket.settimeout(SEND_SECONDS)
            self._socket.sendall(command)
        except OSError as error:
            raise self._ended() from error

    def receive(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        try:
            header = self._read(HEADER, deadline)
            answer = header + self._read(answer_length(header) - HEADER, deadline)
        except TimeoutError as error:
            raise not_responding(self.name, seconds) from error
        except OSError as error:
            raise self._ended() from error
        if command_code(answer) == RC_FAILURE and "SWTPM_NVRAM_StoreData" in self._said():
            raise self._unwritable()
        if self._asked in LASTING:
            self._keep()
        return answer

    def _keep(self) -> None:
        try:
            keep(self._state_dir)
        except (OSError, OutputFailed) as error:
            raise self._unwritable() from error

    def _unwritable(self) -> TpmStateUnwritable:
        return TpmStateUnwritable(
            f"the software TPM cannot write its state in {str(self._state_dir)!r}",
            remedy=f"make room on that disk (`df -h {shell_word(self._state_dir)}`) and try again",
        )

    def _read(self, count: int, deadline: float) -> bytes:
        octets = b""
        while len(octets) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            part = self._socket.recv(count - len(octets))
            if not part:
                raise ConnectionResetError
            octets += part
        return octets

    def close(self, *, orderly: bool) -> None:
        """Let the child end, which it does when its socket closes; kill it when it does not.

        Raises: TpmStateUnwritable when what it wrote last cannot be made durable.
        """
        self._socket.close()
        ended = self._reap(EXIT_SECONDS if orderly else 0.0)
        os.close(self._stderr)
        if orderly and ended == 0:
            self._keep()

    def _reap(self, patience: float) -> int:
        if not self._has_ended(patience):
            self._child.kill()
        return self._child.wait()

    def _has_ended(self, patience: float) -> bool:
        """Whether the child ends in time. The kernel wakes us; Popen.wait would sleep and look."""
        if self._child.poll() is not None:
            return True
        try:
            handle = os.pidfd_open(self._child.pid)
        except OSError:  # as a sandbox may refuse it
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(patience)
            return self._child.returncode is not None
        try:
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            return bool(waiting.poll(patience * 1000))
        finally:
            os.close(handle)

    def _ended(self) -> CustodyError:
        """Why the child is gone, from what it said."""
        self._has_ended(1.0)
        said = self._said()
        status = self._child.poll()
        if "Could not lock" in said:
            return _busy(self._state_dir)
        last = said.splitlines()[-1].removeprefix("swtpm: ") if said else "it did not say why"
        if "seccomp" in said or status == -signal.SIGSYS:
            # of the machine, not of the state: another kernel, a container, a unit's filter
            return TpmConnectionLost(
                f"swtpm cannot run under the system call filter it meets here: {last!r}",
                remedy="let it have the calls it needs (a container's seccomp profile, a unit's "
                "SystemCallFilter=), or name another TPM with --tpm",
            )
        if status is not None and status > 0:
            return TpmStateDamaged(
                f"swtpm cannot use its state in {str(self._state_dir)!r}: {last!r}",
                remedy=way_back_of_tpm(self._state_dir),
            )
        return connection_lost(self.name, "swtpm ended" if status is not None else "no swtpm")

    def _said(self) -> str:
        return os.pread(self._stderr, 4096, 0).decode("ascii", "replace").strip()


def _prepare(state_dir: Path, *, manufacture: bool) -> None:
    """The state directory as it must be and free, or the reason why not."""
    state = state_dir / STATE_FILE
    if not manufacture and not state.exists():
        raise TpmStateMissing(
            f"the software TPM that holds this CA's keys is gone: no {str(state)!r}",
            remedy=way_back_of_tpm(state_dir),
        )
    state_dir.mkdir(mode=0o700, exist_ok=True)
    found = state_dir.stat()
    if found.st_mode & 0o077:
        raise TpmStateNotPrivate(
            f"others have access to the software TPM's state in {str(state_dir)!r}",
            remedy=f"run `chmod 700 {shell_word(state_dir)}`",
        )
    _wait_until_free(state_dir)
    mend(state_dir, manufacture=manufacture)


def _wait_until_free(state_dir: Path) -> None:
    """The swtpm of a process that was killed holds its lock some milliseconds longer.

    A second one gives up at once, so we look first. Raises: TpmBusy.
    """
    give_up = time.monotonic() + LOCK_SECONDS
    lock = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            with contextlib.suppress(BlockingIOError, PermissionError):
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return  # our lock goes with the close
            if time.monotonic() > give_up:
                raise _busy(state_dir)
            time.sleep(0.005)
    finally:
        os.close(lock)


def _busy(state_dir: Path) -> TpmBusy:
    return TpmBusy(
        f"another program uses the software TPM in {str(state_dir)!r}",
        remedy=f"run `fuser {shell_word(state_dir / LOCK_FILE)}` to see which, and stop it",
    )


def _no_start(error: OSError) -> TpmUnreachable:
    return TpmUnreachable(
        f"the software TPM cannot be started: {(error.strerror or '').lower()}"
        f" ({error.filename!r})",
        remedy="check that the CA's home is there and yours, and that swtpm is installed",
    )
