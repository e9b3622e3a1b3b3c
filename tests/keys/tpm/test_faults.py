"""A TPM that hangs, dies, refuses or loses its answer ends in one clear error, and soon."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import FrameType

import pytest

from ca.algorithms import EC_P256
from ca.errors import (
    CustodyError,
    SignatureUncertain,
    TpmBroken,
    TpmBusy,
    TpmConnectionLost,
    TpmLockedOut,
    TpmNotResponding,
    TpmNotStarted,
    TpmOutOfMemory,
    TpmRefused,
    TpmUnavailable,
    TpmUnreachable,
)
from ca.interfaces.custody import SealedKey
from ca.keys.tpm.link import Link
from ca.keys.tpm.lock import exclusive
from tests.keys.tpm.lab import PIN, Lab, verify
from tests.keys.tpm.links import Changing, Recorder, Refusing, is_running, lost

START, LOAD, SIGN, FLUSH, SHUTDOWN = 0x176, 0x157, 0x15D, 0x165, 0x145


@pytest.fixture
def key(lab: Lab) -> SealedKey:
    return lab.pin().create(EC_P256, pin=PIN)


def refusing(code: int, rc: int, times: int = 1000) -> Callable[[Link], Link]:
    def plan(command: int, count: int) -> int:
        return rc if command == code and count <= times else 0

    return lambda link: Refusing(link, plan)


def test_a_tpm_that_hangs_before_it_is_asked_to_sign_is_an_error_in_time(
    lab: Lab, key: SealedKey
) -> None:
    record = Recorder()

    def around(link: Link) -> Link:
        tap = record.around(link)
        os.kill(record.pids[-1], signal.SIGSTOP)
        return tap

    began = time.monotonic()
    custody = lab.custody(around=around, deadline=0.3)
    with (
        pytest.raises(TpmNotResponding, match=r"0\.3 seconds"),
        custody.open(key.pem, spki=key.spki, pin=PIN),
    ):
        pass
    assert time.monotonic() - began < 5
    assert not is_running(record.pids[-1])


def test_a_tpm_that_hangs_while_it_signs_leaves_the_serial_uncertain(
    lab: Lab, key: SealedKey
) -> None:
    record = Recorder()
    custody = lab.custody(around=record.around, deadline=0.3)
    with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
        os.kill(record.pids[-1], signal.SIGSTOP)
        with pytest.raises(SignatureUncertain, match="its answer was lost"):
            signer.sign(b"x")
    assert not is_running(record.pids[-1])


@pytest.mark.parametrize("is_hung", [False, True], ids=["it ends", "it hangs"])
def test_a_sandbox_that_refuses_pidfds_leaves_no_tpm_behind(
    lab: Lab, key: SealedKey, is_hung: bool
) -> None:
    record = Recorder()

    def around(link: Link) -> Link:
        tap = record.around(link)
        if is_hung:
            os.kill(record.pids[-1], signal.SIGSTOP)
        return tap

    def signed() -> bytes:
        _refuse_pidfds()
        with pytest.raises(PermissionError):
            os.pidfd_open(os.getpid())
        custody = lab.custody(around=around, deadline=0.3)
        with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
            return signer.sign(b"x")

    with ThreadPoolExecutor(1) as sandbox:
        if is_hung:
            with pytest.raises(TpmNotResponding):
                sandbox.submit(signed).result()
        else:
            assert sandbox.submit(signed).result()
    assert not is_running(record.pids[-1])


def _refuse_pidfds() -> None:
    """The kernel answers EPERM to pidfd_open of this thread, and of what it starts, from now on."""
    load, equal, result = 0x20, 0x15, 0x06  # BPF: LD|W|ABS, JMP|JEQ|K, RET|K
    pidfd_open, errno_of, allow = 434, 0x00050000, 0x7FFF0000  # one number on every architecture
    filters = b"".join(
        struct.pack("=HBBI", *one)
        for one in (
            (load, 0, 0, 0),
            (equal, 0, 1, pidfd_open),
            (result, 0, 0, errno_of | errno.EPERM),
            (result, 0, 0, allow),
        )
    )
    kept = ctypes.create_string_buffer(filters)
    program = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(kept)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    set_no_new_privs, set_seccomp, mode_filter = 38, 22, 2
    if prctl(set_no_new_privs, 1, 0, 0, 0) or prctl(
        set_seccomp, mode_filter, ctypes.addressof(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no system call filter")


def test_a_tpm_that_died_before_it_was_asked_has_signed_nothing(lab: Lab, key: SealedKey) -> None:
    record = Recorder()
    with lab.custody(around=record.around).open(key.pem, spki=key.spki, pin=PIN) as signer:
        os.kill(record.pids[-1], signal.SIGKILL)
        _wait_for(lambda: not is_running(record.pids[-1]))
        with pytest.raises(TpmConnectionLost):
            signer.sign(b"x")
        with pytest.raises(TpmConnectionLost):
            signer.sign(b"y")
    assert record.codes.count(SIGN) == 1  # the attempt that met a closed connection


def test_a_tpm_that_a_system_call_filter_ended_is_not_called_damaged(
    lab: Lab, key: SealedKey
) -> None:
    record = Recorder()
    with lab.custody(around=record.around).open(key.pem, spki=key.spki, pin=PIN) as signer:
        os.kill(record.pids[-1], signal.SIGSYS)
        _wait_for(lambda: not is_running(record.pids[-1]))
        with pytest.raises(TpmConnectionLost, match="system call filter") as refused:
            signer.sign(b"x")
    assert "--tpm" in refused.value.remedy


def test_a_lost_answer_leaves_the_serial_uncertain_and_nothing_more_is_sent(
    lab: Lab, key: SealedKey
) -> None:
    record = Recorder()

    def around(link: Link) -> Link:
        return Changing(record.around(link), lost(SIGN))

    with lab.custody(around=around).open(key.pem, spki=key.spki, pin=PIN) as signer:
        with pytest.raises(SignatureUncertain):
            signer.sign(b"x")
        with pytest.raises(CustodyError):
            signer.sign(b"y")
    assert record.codes == [START, LOAD, SIGN]
    assert not is_running(record.pids[-1])


def test_an_answer_lost_before_the_signature_is_not_uncertain(lab: Lab, key: SealedKey) -> None:
    custody = lab.custody(around=lambda link: Changing(link, lost(LOAD)))
    with (
        pytest.raises(TpmConnectionLost),
        custody.open(key.pem, spki=key.spki, pin=PIN),
    ):
        pass


def test_an_answer_lost_after_the_signature_spoils_nothing(lab: Lab, key: SealedKey) -> None:
    custody = lab.custody(around=lambda link: Changing(link, lost(FLUSH)))
    with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
        signature = signer.sign(b"x")
    verify(key.spki, signature, b"x", signer.algorithm)


@pytest.mark.parametrize(
    ("command", "rc", "expected"),
    [
        (SIGN, 0x101, TpmBroken),
        (SIGN, 0x100, TpmNotStarted),
        (SIGN, 0x910, TpmNotStarted),
        (SIGN, 0x921, TpmLockedOut),
        (SIGN, 0x923, TpmUnavailable),
        (SIGN, 0x902, TpmOutOfMemory),
        (LOAD, 0x902, TpmOutOfMemory),
        (START, 0x903, TpmOutOfMemory),
        (SIGN, 0x0B0902, TpmOutOfMemory),
        (SIGN, 0x2D2, TpmRefused),
    ],
)
def test_a_refusal_is_told_as_what_it_is_and_the_serial_is_not_uncertain(
    lab: Lab, key: SealedKey, command: int, rc: int, expected: type[CustodyError]
) -> None:
    custody = lab.custody(around=refusing(command, rc))
    with pytest.raises(expected) as caught, custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
        signer.sign(b"x")
    assert caught.value.remedy


@pytest.mark.parametrize("rc", [0x908, 0x90A, 0x920, 0x922])
def test_a_tpm_that_asks_for_time_is_asked_again(lab: Lab, key: SealedKey, rc: int) -> None:
    custody = lab.custody(around=refusing(SIGN, rc, times=4))
    with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
        verify(key.spki, signer.sign(b"x"), b"x", signer.algorithm)


def test_a_tpm_that_asks_for_time_for_ever_is_given_up_within_the_deadline(
    lab: Lab, key: SealedKey
) -> None:
    custody = lab.custody(around=refusing(SIGN, 0x922), deadline=0.3)
    began = time.monotonic()
    with custody.open(key.pem, spki=key.spki, pin=PIN) as signer, pytest.raises(TpmUnavailable):
        signer.sign(b"x")
    assert time.monotonic() - began < 5


def test_ctrl_c_during_a_signature_is_not_swallowed_and_leaves_nothing_running(
    lab: Lab, key: SealedKey
) -> None:
    record = Recorder()

    def interrupt(command: int, _count: int, answer: bytes) -> bytes:
        if command == SIGN:
            raise KeyboardInterrupt
        return answer

    custody = lab.custody(around=lambda link: Changing(record.around(link), interrupt))
    with (
        custody.open(key.pem, spki=key.spki, pin=PIN) as signer,
        pytest.raises(KeyboardInterrupt),
    ):
        signer.sign(b"x")
    assert not is_running(record.pids[-1])


@pytest.mark.parametrize("event", ["call", "return"])
@pytest.mark.parametrize("glue", ["_tcti_transmit_wrapper", "_tcti_receive_wrapper"])
def test_ctrl_c_where_the_library_calls_us_is_neither_lost_nor_printed(
    lab: Lab, key: SealedKey, glue: str, event: str
) -> None:
    """It comes in the first or last line of the callback, where cffi drops what is raised; what
    it prints then is a warning, and a warning fails a test."""

    def interrupt(frame: FrameType, what: str, _: object) -> None:
        if what == event and frame.f_code.co_name == glue:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    began = time.monotonic()
    with lab.custody().open(key.pem, spki=key.spki, pin=PIN) as signer:
        sys.setprofile(interrupt)
        with pytest.raises(KeyboardInterrupt):
            signer.sign(b"x")
    assert sys.getprofile() is None
    assert time.monotonic() - began < 5
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_while_a_tpm_hangs_ends_at_once(lab: Lab, key: SealedKey) -> None:
    record = Recorder()
    began = time.monotonic()
    custody = lab.custody(around=record.around, deadline=60)
    with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
        os.kill(record.pids[-1], signal.SIGSTOP)
        interrupter = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            signer.sign(b"x")
        interrupter.join()
    assert time.monotonic() - began < 5
    assert not is_running(record.pids[-1])


def test_a_signer_is_safe_in_several_threads(lab: Lab, key: SealedKey) -> None:
    signatures: list[bytes] = []
    with lab.custody().open(key.pem, spki=key.spki, pin=PIN) as signer:
        threads = [
            threading.Thread(target=lambda: signatures.append(signer.sign(b"x"))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(signatures) == 4
    for signature in signatures:
        verify(key.spki, signature, b"x", signer.algorithm)


# ---------------------------------------------------------------- several processes


def sign_some(lab: Lab, key: SealedKey, count: int) -> list[bytes]:
    signatures = []
    for _ in range(count):
        with lab.custody().open(key.pem, spki=key.spki, pin=PIN) as signer:
            signatures.append(signer.sign(b"x"))
    return signatures


def test_four_processes_take_turns(lab: Lab, key: SealedKey) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(sign_some, lab, key, 5) for _ in range(4)]
        signatures = [signature for job in jobs for signature in job.result(timeout=60)]
    with lab.custody().open(key.pem, spki=key.spki, pin=PIN) as signer:
        algorithm = signer.algorithm
    for signature in signatures:
        verify(key.spki, signature, b"x", algorithm)
    assert len(set(signatures)) == 20


def test_who_waits_is_told_and_then_gets_the_tpm(lab: Lab) -> None:
    lab.pin()
    with contextlib.ExitStack() as held:
        held.enter_context(exclusive(lab.lock_file, seconds=1, on_wait=print))
        release = threading.Timer(0.2, held.pop_all().close)
        release.start()
        lab.custody().describe()
    assert lab.said == ["waiting for another process that uses the TPM"]


def test_who_waits_too_long_is_told_how_to_find_the_other(lab: Lab) -> None:
    lab.pin()
    with (
        exclusive(lab.lock_file, seconds=1, on_wait=print),
        pytest.raises(TpmBusy, match="more than") as caught,
    ):
        lab.custody(lock_seconds=0.1).describe()
    assert str(lab.lock_file) in caught.value.remedy


def test_nobody_is_told_to_wait_when_the_tpm_is_free(lab: Lab) -> None:
    lab.pin()
    assert lab.said == []


def test_a_lock_file_that_is_a_link_is_not_followed(lab: Lab, tmp_path: Path) -> None:
    lab.lock_file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TpmUnreachable, match="lock file"):
        lab.custody().describe()
    assert not (tmp_path / "elsewhere").exists()


HOLD = """
import sys, time
from pathlib import Path
from ca.keys.tpm.embedded import EmbeddedTpm
tpm = EmbeddedTpm(Path(sys.argv[1]), manufacture=True)
tpm.send(bytes.fromhex("80010000000c0000017b0008"))
tpm.receive(20)
print(tpm.pid, flush=True)
time.sleep(60)
"""

#: Startup, a command or nothing under way, and Shutdown: the moments at which a parent may end.
LEAVE = """
import os, signal, sys, time
from pathlib import Path
from ca.keys.tpm.embedded import EmbeddedTpm
random, shutdown = (bytes.fromhex(code) for code in ("80010000000c0000017b0008",
                                                     "80010000000c000001450000"))
tpm = EmbeddedTpm(Path(sys.argv[1]), manufacture=True)
print(tpm.pid, flush=True)
moment = sys.argv[2]
if moment != "starting":
    tpm.send(random)
    tpm.receive(20)
if moment == "shut down":
    tpm.send(shutdown)
    tpm.receive(20)
if moment != "idle":
    tpm.send(random)
if moment == "answered":
    time.sleep(0.1)
os.kill(os.getpid(), signal.SIGKILL)
"""

WRONG_PIN = """
import sys
from pathlib import Path
from ca.errors import CustodyError
from ca.interfaces.values import Secret
from ca.keys.tpm.custody import TpmCustody
home = Path(sys.argv[1])
custody = TpmCustody("embedded", state_dir=home / "tpm", lock_file=home / "tpm.lock",
                     srk_public=None, on_wait=print)
from ca.algorithms import EC_P256
key = custody.create(EC_P256, pin=Secret(b"1234"))
try:
    with custody.open(key.pem, spki=key.spki, pin=Secret(b"wrong")) as signer:
        signer.sign(b"x")
except CustodyError as error:
    print(error.code)
"""


def test_the_child_ends_with_a_killed_parent(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "tpm")],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
        parent.wait()
        _wait_for(lambda: not is_running(child))


@pytest.mark.parametrize("moment", ["starting", "idle", "asked", "answered", "shut down"])
@pytest.mark.parametrize("state", ["kept", "removed"])
def test_the_child_ends_whenever_its_parent_is_killed(
    tmp_path: Path, moment: str, state: str
) -> None:
    with left_behind(tmp_path / "tpm", moment) as child:
        if state == "removed":
            shutil.rmtree(tmp_path / "tpm", ignore_errors=True)
        _wait_for(lambda: not is_running(child), seconds=2)


def test_a_process_killed_with_a_command_under_way_does_not_stop_the_next_one(lab: Lab) -> None:
    lab.pin()
    with left_behind(lab.tpm_dir, "asked"):
        lab.custody().describe()


@contextlib.contextmanager
def left_behind(state_dir: Path, moment: str) -> Iterator[int]:
    """The process id of a software TPM whose parent killed itself at that moment."""
    with subprocess.Popen(
        [sys.executable, "-c", LEAVE, str(state_dir), moment],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.wait(20) == -signal.SIGKILL
    try:
        yield child
    finally:
        if is_running(child):
            os.kill(child, signal.SIGKILL)


def test_a_killed_process_does_not_stop_the_next_one(lab: Lab) -> None:
    lab.pin()
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(lab.tpm_dir)],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline()
            holder.kill()
            lab.custody().describe()


def test_the_tpm_library_says_nothing_on_its_own(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TSS2_LOG"}
    ended = subprocess.run(
        [sys.executable, "-c", WRONG_PIN, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == (b"custody.pin-wrong\n", b"")


def _wait_for(true: Callable[[], bool], *, seconds: float = 10) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.01)
