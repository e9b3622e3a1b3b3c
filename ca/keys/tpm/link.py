"""Ways on which commands go to a TPM and answers come back, each with a deadline.

A Link moves whole TPM messages and knows nothing of their meaning. Whatever goes wrong on it
is raised as a `CustodyError` that already says so; there is no other kind of failure.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import stat
import time
from pathlib import Path
from typing import Protocol

from ca.errors import TpmConnectionLost, TpmNotResponding, TpmTampered, TpmUnreachable
from ca.names.showing import shell_word

#: TPM 2.0 messages begin tag(2) size(4) code(4); no TPM sends more than its 4 kB buffer.
HEADER = 10
MAX_ANSWER = 4096

#: The kernel's device without its resource manager.
_PLAIN = re.compile(r"/dev/tpm(\d+)")

#: TPM2_Shutdown(CLEAR).
SHUTDOWN = bytes.fromhex("80010000000c000001450000")


class Link(Protocol):
    """One open way to one TPM.

    name:    the TCTI string as shown to people: "embedded", "device:/dev/tpmrm0".
    is_ours: the TPM was started by us and ends with the link, so it gets a TPM2_Shutdown. Any
             other TPM has other users, and an operating system that shuts it down.
    """

    name: str
    is_ours: bool

    def send(self, command: bytes) -> None:
        """Raises: TpmConnectionLost when the TPM cannot have got the whole command."""
        ...

    def receive(self, seconds: float) -> bytes:
        """The next whole answer.

        Raises: TpmNotResponding after `seconds`; TpmConnectionLost; TpmTampered for octets
                that are no TPM message.
        """
        ...

    def close(self, *, orderly: bool) -> None:
        """Let go of everything. orderly: the TPM answered every command so far."""
        ...


def command_code(command: bytes) -> int:
    """TPM_CC of a command, or the return code of an answer."""
    return int.from_bytes(command[6:10], "big")


def forgets(link: Link) -> bool:
    """Do our objects and sessions end with the link, without being flushed one by one?

    A TPM of our own ends itself; the kernel's resource manager drops what its user leaves.
    """
    return link.is_ours or link.name.startswith("device:/dev/tpmrm")


def answer_length(header: bytes) -> int:
    """The whole length an answer's header announces. Raises: TpmTampered."""
    length = int.from_bytes(header[2:6], "big")
    if header[:2] not in (b"\x80\x01", b"\x80\x02") or not HEADER <= length <= MAX_ANSWER:
        raise TpmTampered(
            "what came back is not an answer of a TPM 2.0",
            remedy="check what answers there, `tpm2_getcap properties-fixed` shows it",
        )
    return length


def not_responding(name: str, seconds: float) -> TpmNotResponding:
    return TpmNotResponding(
        f"the TPM at {name!r} has not answered for {round(seconds, 1):g} seconds",
        remedy="try again; if it recurs, restart the machine, or the program behind that TPM",
    )


def connection_lost(name: str, why: str) -> TpmConnectionLost:
    return TpmConnectionLost(
        f"the connection to the TPM at {name!r} broke: {why}",
        remedy="try again; what was under way is settled at the next start",
    )


class DeviceLink:
    """A TPM character device of the kernel, /dev/tpmrm0 (Documentation/security/tpm), and no file.

    Opened non-blocking: write hands the command over, poll tells when the answer is there. The
    kernel's resource manager keeps our objects and sessions apart and drops them at close.
    """

    is_ours = False

    def __init__(self, path: Path) -> None:
        self.name = f"device:{path}"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise device_refused(path, error) from error
        # a file of that name would be overwritten by the first command
        if not stat.S_ISCHR(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise TpmUnreachable(
                f"{str(path)!r} is not a TPM: no character device",
                remedy="name the TPM's device, as in `--tpm device:/dev/tpmrm0`",
            )

    def send(self, command: bytes) -> None:
        try:
            written = os.write(self._fd, command)
        except OSError as error:
            raise connection_lost(self.name, _text(error)) from error
        if written != len(command):
            raise connection_lost(self.name, "the device took only a part of the command")

    def receive(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        octets = b""
        while len(octets) < HEADER or len(octets) < answer_length(octets[:HEADER]):
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise not_responding(self.name, seconds)
            try:
                part = os.read(self._fd, MAX_ANSWER)
            except BlockingIOError:
                continue
            except OSError as error:
                raise connection_lost(self.name, _text(error)) from error
            if not part:
                raise connection_lost(self.name, "the device gave no answer")
            octets += part
        if len(octets) != answer_length(octets[:HEADER]):
            raise connection_lost(self.name, "more came back than one answer")
        return octets

    def close(self, *, orderly: bool) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)


def device_refused(path: Path, error: OSError) -> TpmUnreachable:
    """What open(2) said of a TPM's device, and what to do about it."""
    if error.errno == errno.EPERM:  # not the file's mode: a control group's rule for devices
        remedy = (
            f"let it be reached from here: `DeviceAllow={path} rw` in a systemd unit, "
            f"`--device {path}` for a container"
        )
    elif error.errno in (errno.EACCES, errno.EBUSY) and (plain := _PLAIN.fullmatch(str(path))):
        # one user at a time, and none but tss and root (Debian's 60-tpm-udev.rules)
        remedy = f"use the device that many can share: `--tpm device:/dev/tpmrm{plain[1]}`"
    elif error.errno == errno.EACCES:
        remedy = "run `sudo usermod -aG tss $USER`, log out and in, and try again"
    elif error.errno == errno.EBUSY:
        remedy = f"run `sudo fuser {shell_word(path)}` to see which program holds it, and stop that"
    else:
        remedy = "look at `dmesg | grep -i tpm` and at the TPM settings of the firmware"
    return TpmUnreachable(f"the TPM {str(path)!r} cannot be opened: {_text(error)}", remedy=remedy)


def _text(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()
