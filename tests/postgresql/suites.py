"""Tests written for SQLite, taken over as they are: their fixtures come from the conftest here."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any


def suite_of(module: ModuleType, *, but: Iterable[str] = ()) -> dict[str, Any]:
    """Every test and every fixture of a module, by name.

    but: tests of what only SQLite has, files and their damage; each must exist.
    """
    left_out = set(but)
    found = {
        name: value
        for name, value in vars(module).items()
        if name.startswith(("test_", "Test")) or type(value).__name__ == "FixtureFunctionDefinition"
    }
    unknown = left_out - found.keys()
    assert not unknown, f"{module.__name__} has no {', '.join(sorted(unknown))}"
    return {name: value for name, value in found.items() if name not in left_out}
