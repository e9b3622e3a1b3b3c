"""A virtual machine with a TPM: QEMU before swtpm, Debian's kernel, this machine's own root.

The root is this file system, read-only, under an overlay in memory; so what is installed here, the
checkout and its .venv are there under the same names. systemd and udev run there as they are
installed here, without any service that this machine starts. /srv is a disk of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.homeca import CHECKOUT
from tests.interop.programs import require
from tests.vm import image

#: Emulated, without /dev/kvm, a machine is ready after 10 to 30 seconds.
BOOT_SECONDS = 120.0
COMMAND_SECONDS = 100.0
PORT = "agent"

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev; mount -t proc none /proc; mount -t sysfs none /sys
for module in /modules/*.ko; do insmod $module || echo "no $module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /host
mount -t tmpfs none /rw; mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work none /new
mount -t ext4 /dev/vda /new/srv
mount -t tmpfs -o mode=755 none /new/run
# nothing is started that this machine starts, and nothing is tidied up
mount -t tmpfs none /new/etc/systemd/system
for unit in systemd-tmpfiles-setup systemd-journal-flush systemd-timesyncd systemd-pstore; do
    ln -s /dev/null /new/etc/systemd/system/$unit.service
done
cat > /new/etc/systemd/system/vm.target <<END
[Unit]
Requires=agent.service systemd-udev-trigger.service systemd-udev-settle.service
DefaultDependencies=no
END
cat > /new/etc/systemd/system/agent.service <<END
[Unit]
DefaultDependencies=no
After=systemd-udev-settle.service
[Service]
ExecStart=@python@ -B @agent@ @port@
Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin
END
echo 'alice:x:4711:4711::/srv/alice:/bin/sh' >> /new/etc/passwd
echo 'bob:x:4712:4712::/srv/bob:/bin/sh' >> /new/etc/passwd
sed -i '/^tss:/{s/:$/:bob/;t;s/$/,bob/}' /new/etc/group
mkdir -p /new/srv/alice /new/srv/bob
chown 4711:4711 /new/srv/alice; chown 4712:4712 /new/srv/bob
rm -f /new/.dockerenv  # systemd would take itself to be in a container
umount /proc; umount /sys
exec switch_root /new /lib/systemd/systemd --unit=vm.target
"""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended in the machine; 124 for one that took too long."""

    status: int
    stdout: str
    stderr: str


class Machine:
    """Switched on when made. place: a directory of its own with a short name.

    Users: root; alice, who is nobody; bob, who is in the group tss.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._requests = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._rest = b""
        script = (
            INIT.replace("@python@", sys.executable)
            .replace("@agent@", str(CHECKOUT / "tests/vm/agent.py"))
            .replace("@port@", PORT)
        )
        booted = image.build(place, script)
        disk = place / "disk"
        with disk.open("wb") as file:
            file.truncate(256 << 20)
        subprocess.run([require("mkfs.ext4"), "-q", "-F", disk], check=True)
        with contextlib.ExitStack() as started:
            started.enter_context(self._process(self._swtpm()))
            _until((place / "swtpm").exists, "swtpm")
            started.enter_context(self._process(self._qemu(booted)))
            _until((place / "port").exists, "qemu")
            self._socket = started.enter_context(socket.socket(socket.AF_UNIX))
            self._socket.connect(str(place / "port"))
            self._answer(0, BOOT_SECONDS)
            self._running = started.pop_all()

    def end(self) -> None:
        """As if its cable were pulled."""
        self._running.close()

    def reset(self) -> None:
        """The reset button: nobody is told, and the TPM gets no TPM2_Shutdown."""
        with socket.socket(socket.AF_UNIX) as wire, wire.makefile("rb") as answers:
            wire.settimeout(20)
            wire.connect(str(self._place / "monitor"))
            for command in ("qmp_capabilities", "system_reset"):
                wire.sendall(json.dumps({"execute": command}).encode())
            while b"RESET" not in answers.readline():
                pass
        self._answer(0, BOOT_SECONDS)

    # -- commands

    def begin(
        self, *argv: str | Path, user: str = "bob", seconds: float = COMMAND_SECONDS
    ) -> Callable[[], Done]:
        """Start a command, and get what waits for its end."""
        self._requests += 1
        number = self._requests
        home = "/root" if user == "root" else f"/srv/{user}"
        request = {
            "id": number,
            "argv": [str(word) for word in argv],
            "user": user,
            "cwd": "/srv" if user == "root" else home,
            "env": {"HOMECA_HOME": f"{home}/ca"},
            "stdin": "",
            "seconds": seconds,
        }
        self._socket.sendall(json.dumps(request).encode() + b"\n")

        def end() -> Done:
            answer = self._answer(number, seconds + 10)
            return Done(answer["status"], answer["stdout"], answer["stderr"])

        return end

    def run(self, *argv: str | Path, user: str = "bob") -> Done:
        return self.begin(*argv, user=user)()

    def must(self, *argv: str | Path, user: str = "bob") -> str:
        """Standard output of a command that has to succeed."""
        done = self.run(*argv, user=user)
        assert done.status == 0, f"{argv}: {done}"
        return done.stdout

    def homeca(self, *arguments: str | Path, user: str = "bob") -> Done:
        """`homeca` as it is installed in .venv, with no --tpm and no HOMECA_TPM."""
        return self.run(sys.executable, "-m", "ca", *arguments, user=user)

    def homeca_must(self, *arguments: str | Path) -> str:
        return self.must(sys.executable, "-m", "ca", *arguments)

    def _answer(self, number: int, seconds: float) -> dict[str, Any]:
        give_up = time.monotonic() + seconds
        while number not in self._answers:
            left = max(give_up - time.monotonic(), 0)
            if not select.select([self._socket], [], [], left)[0]:
                raise TimeoutError(f"nothing came back from the machine for {seconds} s: {self}")
            octets = self._socket.recv(65536)
            if not octets:
                raise ConnectionError(f"the machine ended: {self}")
            *lines, self._rest = (self._rest + octets).split(b"\n")
            for line in lines:
                with contextlib.suppress(json.JSONDecodeError):  # one that a reset cut off
                    answer = json.loads(line)
                    self._answers[answer["id"]] = answer
        return self._answers.pop(number)

    def __str__(self) -> str:
        """The end of what it wrote on its console."""
        return (self._place / "console").read_text(errors="replace")[-2000:]

    # -- programs

    @contextlib.contextmanager
    def _process(self, argv: list[str]) -> Iterator[None]:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def _swtpm(self) -> list[str]:
        state = self._place / "tpm"
        state.mkdir()
        control = f"type=unixio,path={self._place}/swtpm"
        return [
            require("swtpm"),
            "socket",
            "--tpm2",
            "--tpmstate",
            f"dir={state}",
            "--ctrl",
            control,
        ]

    def _qemu(self, booted: image.Image) -> list[str]:
        place = self._place
        # arch-capabilities: not every hypervisor that this one runs in lets it be set
        speed = (
            ["kvm", "-cpu", "host,arch-capabilities=off"] if with_kvm() else ["tcg", "-cpu", "max"]
        )
        root = "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
        return [
            *(require("qemu-system-x86_64"), "-machine", "q35", "-accel", *speed),
            *("-smp", "2", "-m", "2048", "-nodefaults", "-display", "none"),
            *("-kernel", str(booted.kernel), "-initrd", str(booted.initramfs)),
            *("-append", "console=ttyS0 panic=-1 fstab=no luks=no systemd.show_status=no"),
            *("-serial", f"file:{place}/console"),
            *("-qmp", f"unix:{place}/monitor,server=on,wait=off"),
            *("-virtfs", root),
            *("-drive", f"file={place}/disk,if=virtio,format=raw"),
            *("-device", "virtio-serial"),
            *("-chardev", f"socket,id=port,path={place}/port,server=on,wait=off"),
            *("-device", f"virtserialport,chardev=port,name={PORT}"),
            *("-chardev", f"socket,id=tpm,path={place}/swtpm"),
            *("-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"),
        ]


def with_kvm() -> bool:
    """On request only: a /dev/kvm that opens need not run an ordinary kernel, as in a PVM guest."""
    wanted = bool(os.environ.get("VM_KVM"))
    if wanted and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.fail("/dev/kvm is missing or not yours: leave VM_KVM out, and it is emulated")
    return wanted


def _until(is_so: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + 20
    while not is_so():
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what} did not start")
        time.sleep(0.02)
