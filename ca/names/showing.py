"""Text from outside, made harmless before anyone looks at it."""

from __future__ import annotations

import shlex
import unicodedata
from pathlib import Path


def is_harmless(character: str) -> bool:
    # Cc/Cf: controls, bidi, zero width; Zl/Zp: line breaks; Cs/Co/Cn: no glyph anyone agrees on.
    # The no-break space reads as a space and is not one.
    return character.isprintable() and unicodedata.category(character)[0] not in "C"


def visible(text: str) -> str:
    """Text from outside, made harmless for a terminal, a log line or a table cell.

    Controls (C0, C1), bidi and zero-width characters and line separators become `\\xNN` or
    `\\u{NNNN}`; everything printable stays, so doing it twice changes nothing more.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if is_harmless(character) else _escape(ord(character)) for character in text
    )


def shell_word(path: Path | str) -> str:
    """A path as a shell takes it, for a command that a person is told to run."""
    return visible(shlex.quote(str(path)))


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:04x}}}"


def many(number: int, noun: str) -> str:
    """ "1 error", "2 errors"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
