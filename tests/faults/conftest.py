"""Homes to break: copies of one furnished CA."""

from __future__ import annotations

from tests.services.conftest import empty_rig, furnished, rig

__all__ = ["empty_rig", "furnished", "rig"]
