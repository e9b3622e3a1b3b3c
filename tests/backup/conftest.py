"""A raw TPM that outlives a home, as a hardware one does."""

from __future__ import annotations

from tests.keys.tpm.conftest import socket_tpm
from tests.services.conftest import furnished, rig

__all__ = ["furnished", "rig", "socket_tpm"]
