"""Files of a kit in the form their readers want: line ends, byte order marks, DER and PEM."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from ca.encoding.containers import pem
from ca.kits.facts import File, KitFacts
from ca.kits.rendering import render

SECRET = 0o600
SCRIPT = 0o755

#: Width of a page, for Notepad and for terminals.
COLUMNS = 79
#: A command, which must stay on its line.
_COMMAND = re.compile(r" {6}|   (?:powershell|sudo)|.*\\$")
_MARKER = re.compile(r" *(?:\d+\.|-) ")


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


def page(template: str, facts: KitFacts) -> File:
    """README.txt: one page, its paragraphs set anew where a name has made a line too long."""
    rendered = render(template, facts.values()).rstrip("\n")
    pieces = [_set_anew(piece) for piece in _paragraphs(rendered.split("\n"))]
    return File("README.txt", ("\n".join(pieces) + "\n").encode())


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Lines that read as one: up to a blank line, a marker, a command, or another indentation."""
    piece: list[str] = []
    hanging = 0
    for line in lines:
        indented = len(line) - len(line.lstrip())
        marker = _MARKER.match(line)
        alone = not line or _COMMAND.match(line) is not None
        if piece and (alone or marker or indented != hanging):
            yield piece
            piece = []
        if alone:
            yield [line]
            continue
        if not piece:
            hanging = len(marker[0]) if marker else indented
        piece.append(line)
    if piece:
        yield piece


def _set_anew(piece: list[str]) -> str:
    if max(map(len, piece)) <= COLUMNS or _COMMAND.match(piece[0]):
        return "\n".join(piece)
    marker = _MARKER.match(piece[0])
    first = marker[0] if marker else piece[0][: len(piece[0]) - len(piece[0].lstrip())]
    text = " ".join([piece[0][len(first) :], *(line.strip() for line in piece[1:])])
    return textwrap.fill(
        text,
        COLUMNS,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
