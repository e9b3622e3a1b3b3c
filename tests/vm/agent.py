"""Runs inside the virtual machine: carries out what the tests ask for over a serial port.

One JSON object a line each way. Every request has a thread of its own, so that one can kill what
another started. Only the standard library: it runs as root, from the checkout, before anything.

    {"id": 1, "argv": ["id"], "user": "bob", "cwd": "/srv", "env": {}, "stdin": "", "seconds": 60}
    {"id": 1, "status": 0, "stdout": "…", "stderr": "…"}
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

_PORTS = Path("/sys/class/virtio-ports")
_writing = threading.Lock()


def carry_out(request: dict[str, Any]) -> dict[str, Any]:
    """What became of one command; status 124 for one that took too long, as timeout(1) has it."""
    who = pwd.getpwnam(request["user"])
    groups = [group.gr_gid for group in grp.getgrall() if who.pw_name in group.gr_mem]
    environment = {"PATH": os.environ["PATH"], "HOME": who.pw_dir, "USER": who.pw_name}
    try:
        child = subprocess.Popen(
            request["argv"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=request["cwd"],
            env=environment | request["env"],
            user=who.pw_uid,
            group=who.pw_gid,
            extra_groups=groups,
            start_new_session=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return {"status": 127, "stdout": "", "stderr": str(error)}
    try:
        out, err = child.communicate(request["stdin"], timeout=request["seconds"])
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        out, err = child.communicate()
        return {"status": 124, "stdout": out, "stderr": err}
    return {"status": child.returncode, "stdout": out, "stderr": err}


def main(name: str) -> None:
    """Serve the virtio port `name` until the machine ends."""
    port = next(p for p in _PORTS.iterdir() if (p / "name").read_text().strip() == name)
    with open(f"/dev/{port.name}", "r+b", buffering=0) as wire:  # noqa: PTH123

        def answer(request: dict[str, Any]) -> None:
            line = json.dumps({"id": request["id"], **carry_out(request)}).encode() + b"\n"
            with _writing:
                while line:
                    line = line[wire.write(line) :]

        with _writing:
            wire.write(b'{"id": 0}\n')
        rest = b""
        while octets := wire.read(65536):
            *lines, rest = (rest + octets).split(b"\n")
            for line in lines:
                threading.Thread(target=answer, args=[json.loads(line)], daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
