"""One virtual machine with a CA in it, for all tests of this room."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.machine import Machine, with_kvm

REQUESTS = """
set -e
for stem in first second; do
    openssl req -new -noenc -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout $stem.key \\
        -out $stem.csr -subj /CN=$stem.home.arpa -addext subjectAltName=DNS:$stem.home.arpa
done
"""


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    if not with_kvm():
        print("homeca: emulating the processor; with a KVM: make vm VM_KVM=1", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="vm") as name:  # sun_path has 108 octets
        machine = Machine(Path(name))
        try:
            yield machine
        finally:
            machine.end()


@pytest.fixture(scope="session")
def with_ca(machine: Machine) -> Machine:
    """In it bob's root and intermediate, made without naming any TPM, and two requests."""
    machine.must("sh", "-c", REQUESTS)
    machine.homeca_must(
        "init-root", "--name", "Vm", "--key", "ec-p256", "--permit-dns", "home.arpa"
    )
    machine.homeca_must("init-intermediate", "--key", "ec-p256")
    return machine
