"""Which TPM is used, and what is said when it cannot be."""

from __future__ import annotations

import errno
import os
import pty
import select
import signal
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ca.algorithms import EC_P256
from ca.errors import TpmConnectionLost, TpmNotResponding, TpmOutOfMemory, TpmUnreachable
from ca.interfaces.custody import CustodyKind
from ca.keys.tpm import reach
from ca.keys.tpm.embedded import EmbeddedTpm
from ca.keys.tpm.library import LibraryLink
from ca.keys.tpm.link import DeviceLink, device_refused
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import ESYS_TR
from tests.keys.tpm.lab import PIN, Lab, verify
from tests.keys.tpm.links import Recorder

GET_RANDOM = bytes.fromhex("80010000000c0000017b0008")
SHUTDOWN = 0x145

# ---------------------------------------------------------------- choosing


def test_what_was_named_is_used() -> None:
    assert reach.choose("swtpm:port=2321") == "swtpm:port=2321"


@pytest.mark.parametrize("tcti", ["", "auto"])
def test_the_machines_own_tpm_comes_before_software(tmp_path: Path, tcti: str) -> None:
    device = tmp_path / "tpmrm0"
    device.touch()
    assert reach.choose(tcti, device=device, sysfs=tmp_path) == f"device:{device}"


def test_without_a_tpm_in_the_machine_software_is_used(tmp_path: Path) -> None:
    assert reach.choose("", device=tmp_path / "tpmrm0", sysfs=tmp_path / "none") == "embedded"


def test_a_hardware_tpm_that_is_hidden_from_us_is_not_replaced_in_silence(tmp_path: Path) -> None:
    (tmp_path / "tpm0").mkdir()
    with pytest.raises(TpmUnreachable, match="this machine has a TPM") as caught:
        reach.choose("", device=tmp_path / "tpmrm0", sysfs=tmp_path)
    assert "--tpm embedded" in caught.value.remedy


def test_a_tpm_of_the_old_specification_is_called_that(tmp_path: Path) -> None:
    """The kernel makes no resource manager for one."""
    (tmp_path / "tpm0").mkdir()
    (tmp_path / "tpm0/tpm_version_major").write_text("1\n")
    with pytest.raises(TpmUnreachable, match=r"is a TPM 1\.2") as caught:
        reach.choose("", device=tmp_path / "tpmrm0", sysfs=tmp_path)
    assert "container" not in caught.value.remedy
    assert "--tpm embedded" in caught.value.remedy


def test_a_tpm_2_that_is_hidden_is_not_called_an_old_one(tmp_path: Path) -> None:
    (tmp_path / "tpm0").mkdir()
    (tmp_path / "tpm0/tpm_version_major").write_text("2\n")
    with pytest.raises(TpmUnreachable, match="there is no"):
        reach.choose("", device=tmp_path / "tpmrm0", sysfs=tmp_path)


@pytest.mark.parametrize(
    ("manufacturer", "model", "kind"),
    [
        ("IBM", "SW   TPM", CustodyKind.SOFTWARE_TPM),
        ("MSFT", "xCG fTPM", CustodyKind.SOFTWARE_TPM),
        ("IFX", "SLB9672", CustodyKind.HARDWARE_TPM),
        ("AMD", "AMD", CustodyKind.HARDWARE_TPM),
    ],
)
def test_software_is_known_by_its_own_words(
    manufacturer: str, model: str, kind: CustodyKind
) -> None:
    assert reach.custody_kind(manufacturer, model) is kind


# ---------------------------------------------------------------- the kernel's device


@contextmanager
def character_device(state_dir: Path) -> Iterator[tuple[Path, EmbeddedTpm]]:
    """A real swtpm behind a real character device: a pseudo-terminal in raw mode."""
    tpm = EmbeddedTpm(state_dir, manufacture=True)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    stop = threading.Event()

    def pump() -> None:
        while not stop.is_set():
            if select.select([ours], [], [], 0.05)[0]:
                try:
                    tpm.send(os.read(ours, 4096))
                    os.write(ours, tpm.receive(20))
                except (OSError, TpmConnectionLost, TpmNotResponding):
                    return

    thread = threading.Thread(target=pump)
    thread.start()
    try:
        yield Path(os.ttyname(theirs)), tpm
    finally:
        stop.set()
        os.kill(tpm.pid, signal.SIGCONT)
        tpm.close(orderly=False)
        thread.join(30)
        os.close(ours)
        os.close(theirs)


def test_a_character_device_signs_and_is_never_shut_down(lab: Lab, tmp_path: Path) -> None:
    record = Recorder()
    with character_device(tmp_path / "chip") as (device, _):
        custody = lab.custody(tcti=f"device:{device}", around=record.around)
        assert custody.describe().tcti == f"device:{device}"
        key = custody.create(EC_P256, pin=PIN)
        with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
            verify(key.spki, signer.sign(b"x"), b"x", signer.algorithm)
    assert len(record.codes) > 5
    assert SHUTDOWN not in record.codes


def test_a_device_that_hangs_is_an_error_in_time(tmp_path: Path) -> None:
    with character_device(tmp_path / "chip") as (device, tpm):
        link = DeviceLink(device)
        os.kill(tpm.pid, signal.SIGSTOP)
        link.send(GET_RANDOM)
        with pytest.raises(TpmNotResponding):
            link.receive(0.2)
        link.close(orderly=False)


def test_a_device_we_may_not_open_names_the_group(tmp_path: Path) -> None:
    device = tmp_path / "tpmrm0"
    device.touch(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may open everything
    try:
        with pytest.raises(TpmUnreachable, match="permission denied") as caught:
            DeviceLink(device)
    finally:
        os.seteuid(user)
    assert "usermod -aG tss" in caught.value.remedy


@pytest.mark.parametrize(
    ("path", "number", "said"),
    [
        # Debian gives /dev/tpm0 to the user tss and not to its group; seen before the real driver
        ("/dev/tpm0", errno.EACCES, "--tpm device:/dev/tpmrm0"),
        ("/dev/tpm0", errno.EBUSY, "--tpm device:/dev/tpmrm0"),
        ("/dev/tpmrm1", errno.EACCES, "usermod -aG tss"),
        ("/dev/tpmrm0", errno.EPERM, "DeviceAllow=/dev/tpmrm0 rw"),
        ("/dev/tpm0", errno.ENOENT, "dmesg"),
    ],
)
def test_what_the_kernel_refuses_is_remedied_where_it_is_refused(
    path: str, number: int, said: str
) -> None:
    error = device_refused(Path(path), OSError(number, os.strerror(number)))
    assert said in error.remedy
    assert ("usermod" in error.remedy) == (said == "usermod -aG tss")


def test_a_device_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(TpmUnreachable, match="no such file"):
        DeviceLink(tmp_path / "tpmrm0")


def test_no_command_is_written_into_a_file_that_is_called_a_device(
    lab: Lab, tmp_path: Path
) -> None:
    file = tmp_path / "tpmrm0"
    file.write_text("somebody's own")
    with pytest.raises(TpmUnreachable, match="no character device") as caught:
        lab.custody(tcti=f"device:{file}").describe()
    assert file.read_text() == "somebody's own"
    assert "/dev/tpmrm0" in caught.value.remedy


def test_a_pipe_is_no_device_either(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tpmrm0")
    with pytest.raises(TpmUnreachable, match="no character device"):
        DeviceLink(tmp_path / "tpmrm0")


# ---------------------------------------------------------------- a TCTI of tpm2-tss

SocketTpm = tuple[str, "subprocess.Popen[bytes]"]


def test_a_socket_signs_and_is_never_shut_down(lab: Lab, socket_tpm: SocketTpm) -> None:
    tcti, _ = socket_tpm
    record = Recorder()
    custody = lab.custody(tcti=tcti, around=record.around)
    assert custody.describe().tcti == tcti
    key = custody.create(EC_P256, pin=PIN)
    with custody.open(key.pem, spki=key.spki, pin=PIN) as signer:
        verify(key.spki, signer.sign(b"x"), b"x", signer.algorithm)
    assert SHUTDOWN not in record.codes
    assert custody.report().transient_free == 3  # nothing of ours is left inside


def test_a_socket_that_hangs_is_an_error_in_time(lab: Lab, socket_tpm: SocketTpm) -> None:
    tcti, process = socket_tpm
    custody = lab.custody(tcti=tcti, deadline=0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(TpmNotResponding):
        custody.describe()
    assert time.monotonic() - began < 5
    process.send_signal(signal.SIGCONT)


def test_a_socket_nobody_listens_on_is_told(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(TpmUnreachable, match="cannot be reached") as caught:
        lab.custody(tcti=f"swtpm:path={tmp_path}/s").describe()
    assert caught.value.remedy == "start that swtpm, and check its path or port"


def test_a_tcti_that_is_not_installed_names_its_library(lab: Lab) -> None:
    with pytest.raises(TpmUnreachable) as caught:
        lab.custody(tcti="nosuch:conf").describe()
    assert "libtss2-tcti-nosuch" in caught.value.remedy


def test_a_tpm_killed_between_two_commands_is_an_error(socket_tpm: SocketTpm) -> None:
    tcti, process = socket_tpm
    link = LibraryLink(tcti, deadline=10)
    link.send(GET_RANDOM)
    assert link.receive(10)[6:10] == bytes(4)
    process.kill()
    process.wait()
    with pytest.raises(TpmConnectionLost):
        _ask(link)
    link.close(orderly=False)


def _ask(link: LibraryLink) -> None:
    link.send(GET_RANDOM)
    link.receive(10)


def test_a_tpm_full_of_others_keys_names_the_way_out(lab: Lab, socket_tpm: SocketTpm) -> None:
    tcti, _ = socket_tpm
    lab.srk_public = lab.custody(tcti=tcti).describe().srk_public
    key = lab.custody(tcti=tcti).create(EC_P256, pin=PIN)
    careless = Transaction(LibraryLink(tcti, deadline=10), deadline=10, owner_auth=None)
    for _ in range(3):
        careless.derive_storage_key(session=ESYS_TR.PASSWORD)
    careless.close()
    with (
        pytest.raises(TpmOutOfMemory) as caught,
        lab.custody(tcti=tcti).open(key.pem, spki=key.spki, pin=PIN),
    ):
        pass
    assert f"tpm2_flushcontext -T {tcti} -t" in caught.value.remedy


def test_something_that_is_no_tpm_is_noticed(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            for _ in range(4):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises((TpmUnreachable, TpmConnectionLost, TpmNotResponding)):
            lab.custody(tcti=f"swtpm:host=127.0.0.1,port={port}", deadline=2).describe()
