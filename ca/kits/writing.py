"""Files of a kit in the form their readers want: line ends, byte order marks, DER and PEM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ca.encoding.containers import pem
from ca.kits.facts import File, KitFacts
from ca.kits.rendering import render

SECRET = 0o600
SCRIPT = 0o755


def text_file(name: str, template: str, facts: KitFacts, *, mode: int = 0o644, **more: Any) -> File:
    """UTF-8 with LF."""
    return File(name, render(template, {**facts.values(), **more}).encode(), mode)


def powershell_file(name: str, template: str, facts: KitFacts, **more: Any) -> File:
    """UTF-8 with CRLF, and a BOM: without it Windows PowerShell 5.1 reads the ANSI code page."""
    rendered = render(template, {**facts.values(), **more})
    return File(name, rendered.replace("\n", "\r\n").encode("utf-8-sig"))


def inf_file(name: str, template: str, facts: KitFacts, **more: Any) -> File:
    """CRLF; ASCII where that is enough, else UTF-16 with BOM, the other form certreq reads."""
    rendered = render(template, {**facts.values(), **more}).replace("\n", "\r\n")
    if rendered.isascii():
        return File(name, rendered.encode("ascii"))
    return File(name, b"\xff\xfe" + rendered.encode("utf-16-le"))


def pem_file(name: str, ders: Sequence[bytes], *, label: str = "CERTIFICATE") -> File:
    """Blocks in this order."""
    return File(name, b"".join(pem(label, der) for der in ders))


def numbered(ders: Sequence[bytes], stem: str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """ "intermediate.cer" for one, "intermediate-1.cer", … for more."""
    for number, der in enumerate(ders, 1):
        yield (f"{stem}-{number}{suffix}" if len(ders) > 1 else f"{stem}{suffix}"), der
