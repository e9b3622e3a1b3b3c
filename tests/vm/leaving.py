"""Runs inside the virtual machine: leaves three objects in the TPM, as a careless program does.

Through /dev/tpm0, where the kernel gives back nothing of what its user left.
"""

from __future__ import annotations

from pathlib import Path

from ca.keys.tpm.link import DeviceLink
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import ESYS_TR

if __name__ == "__main__":
    careless = Transaction(DeviceLink(Path("/dev/tpm0")), deadline=30, owner_auth=None)
    for _ in range(3):
        careless.derive_storage_key(session=ESYS_TR.PASSWORD)
    careless.close()
