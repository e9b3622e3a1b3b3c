"""The furnished CA of the services' tests, in this room too."""

from __future__ import annotations

from tests.services.conftest import empty_rig, furnished, rig

__all__ = ["empty_rig", "furnished", "rig"]
