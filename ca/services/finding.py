"""What the auditor finds: where, what, and what to do."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Gravity(StrEnum):
    """error: something is not true. warning: it is, and should not stay so."""

    ERROR = "error"
    WARNING = "warning"


class Finding(Struct, frozen=True):
    """One thing. rule: stable id, "check.row.subject". where, text, remedy: harmless to show."""

    rule: str
    gravity: Gravity
    where: str
    text: str
    remedy: str


def error(rule: str, where: str, text: str, remedy: str) -> Finding:
    return Finding(rule, Gravity.ERROR, where, text, remedy)


def warning(rule: str, where: str, text: str, remedy: str) -> Finding:
    return Finding(rule, Gravity.WARNING, where, text, remedy)
