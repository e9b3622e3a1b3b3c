"""The vectors of tests/vectors/lint as values."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from ca.encoding.inspect import read_certificate, read_crl
from ca.lint.rule import LintContext, LintRole

DIRECTORY = Path(__file__).parent.parent / "vectors" / "lint"


@dataclass(frozen=True)
class Vector:
    """before, after: rules that speak only of a TBS, only of what is signed."""

    label: str
    kind: str
    der: bytes
    context: LintContext
    expect: frozenset[str]
    before: frozenset[str]
    after: frozenset[str]


@cache
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DIRECTORY / "manifest.json").read_text("ascii"))
    return loaded


@cache
def der(label: str) -> bytes:
    """The octets of one vector."""
    lines = (DIRECTORY / f"{label}.pem").read_text("ascii").splitlines()
    return base64.b64decode("".join(lines[1:-1]))


@cache
def vectors() -> tuple[Vector, ...]:
    now = datetime.fromisoformat(manifest()["now"])
    return tuple(
        _vector(label, described, now) for label, described in manifest()["vectors"].items()
    )


def _vector(label: str, described: dict[str, Any], now: datetime) -> Vector:
    issuer, previous = described["issuer"], described.get("previous")
    urls = described.get("crl_urls")
    context = LintContext(
        now=now,
        role=LintRole(described.get("role", "leaf")),
        issuer=None if issuer is None else read_certificate(der(issuer), tolerant=True),
        consumers=tuple(described.get("consumers", ())),
        key_in_tpm=described.get("key_in_tpm", False),
        crl_urls=None if urls is None else tuple(urls),
        previous=None if previous is None else read_crl(der(previous)).tbs,
        expired=frozenset(described.get("expired", ())),
    )
    return Vector(
        label,
        described["kind"],
        der(label),
        context,
        frozenset(described["expect"]),
        frozenset(described.get("before", ())),
        frozenset(described.get("after", ())),
    )


def vector(label: str) -> Vector:
    return next(v for v in vectors() if v.label == label)
