"""The furnished CA of the services' tests and a whole one of the interop tests, here too."""

from __future__ import annotations

from tests.interop.conftest import constrained
from tests.services.conftest import empty_rig, furnished, rig

__all__ = ["constrained", "empty_rig", "furnished", "rig"]
