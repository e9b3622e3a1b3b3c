"""The parts of a database that are not rows, and those that the newest migration leaves.

`migrations/shape/` has each part as a database of each kind tells it; `python -m ca.store.migrate
shape` writes that anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ca.resources import resource


class Part(NamedTuple):
    """kind: what SQL calls it, in lower case; table: the one it belongs to, "" for none."""

    kind: str
    table: str
    name: str


#: Part → its definition, with single blanks.
Shape = Mapping[Part, str]


def shape_wanted(kind: str) -> Shape:
    """What the newest migration leaves in an "sqlite" or a "postgresql" database."""
    lines = (resource("migrations") / f"shape/{kind}.txt").read_text("utf-8").splitlines()
    parts = (line.split("\t", 3) for line in lines)
    return {Part(kind, table, name): text for kind, table, name, text in parts}


def written(shape: Shape) -> str:
    """As `shape_wanted` reads it."""
    return "".join("\t".join((*part, shape[part])) + "\n" for part in sorted(shape))
