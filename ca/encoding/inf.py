"""The INF files that certreq reads: sections, keys, quotes, strings, continued values.

Syntax only, as SetupAPI defines it and Windows admins use it; what a key means is for
`ca.encoding.inf_request`. The standard configparser is no help: it keeps the last of several
`_continue_` lines, which silently loses the names of a SAN.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from msgspec import Struct, field

from ca.errors import InfRefused, Violation
from ca.names.showing import visible

MAX_INF = 65536  # octets; a request with a hundred names has about 6 kB
MAX_LINES = 5000
CONTINUE = "_continue_"

_SECTION = re.compile(r"\[([^\[\]]*)\]\Z")
_TOKEN = re.compile(r"%([^%]*)%")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w .-]*\Z")


class Entry(Struct, frozen=True):
    """`key = value`, quotes undone, strings put in, continued lines joined. line: from 1."""

    key: str
    value: str
    line: int


class Section(Struct, frozen=True):
    """Everything under one heading; several headings of one name are one section."""

    name: str
    line: int
    entries: tuple[Entry, ...]


class Faults(Struct):
    """Everything wrong with one file, gathered before anybody is told.

    source: the file's name, for people.
    """

    source: str
    found: list[tuple[int, Violation]] = field(default_factory=list)

    def add(self, rule: str, line: int, text: str, remedy: str = "") -> None:
        where = f"{visible(self.source)}:{line}: " if line else f"{visible(self.source)}: "
        self.found.append((line, Violation(f"inf.{rule}", where + text, remedy)))

    def unknown(self, rule: str, line: int, what: str, name: str, known: Mapping[str, str]) -> None:
        """An unknown name, with the nearest of the `known` ones (casefolded → as written)."""
        near = get_close_matches(name.casefold(), known, n=1, cutoff=0.5)
        listed = ", ".join(known.values()) or "none"
        hint = f"did you mean {visible(known[near[0]])}?" if near else f"known: {visible(listed)}"
        self.add(rule, line, f"{visible(name)!r} is not {what}", hint)

    def settle(self) -> None:
        """Raises: InfRefused with all of them, in the order of the file, if there is any."""
        if not self.found:
            return
        first, *rest = violations = [one for _, one in sorted(self.found, key=lambda f: f[0])]
        more = f", and {len(rest)} more" if rest else ""
        raise InfRefused(
            f"{first.text}{more}",
            remedy=first.remedy or f"correct {visible(self.source)!r}, then try again",
            violations=tuple(violations),
        )


def read_inf(octets: bytes, faults: Faults) -> tuple[Section, ...]:
    """The sections in file order, [Strings] worked in; faults are added, not raised.

    octets: UTF-8, or UTF-16 as `notepad` writes "Unicode"; LF or CRLF.
    Raises: InfRefused when the octets are no text at all.
    """
    reader = _Reader(faults)
    for number, line in _lines(_text(octets, faults), faults):
        reader.take(number, line)
    return reader.sections()


def _text(octets: bytes, faults: Faults) -> str:
    if len(octets) > MAX_INF:
        faults.add("size", 0, f"it has more than {MAX_INF} octets", "give the INF for certreq")
        faults.settle()
    codec = "utf-8-sig"
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        codec = "utf-16"
    elif octets[1:2] == b"\0":
        codec = "utf-16-le"
    elif octets[:1] == b"\0":
        codec = "utf-16-be"
    text = ""
    try:
        text = octets.decode(codec)
    except UnicodeDecodeError:
        faults.add(
            "encoding", 0, "it is neither UTF-8 nor UTF-16", 'save it as "UTF-8" or "Unicode"'
        )
    if "\0" in text:
        faults.add("encoding", 0, "it holds NUL characters", "give the INF for certreq, a text")
    faults.settle()
    return text


def _lines(text: str, faults: Faults) -> Iterator[tuple[int, str]]:
    """Number and text of each line, comments gone; a backslash at the end joins the next."""
    lines = re.split(r"\r\n|\n|\r", text)
    if len(lines) > MAX_LINES:
        faults.add("size", 0, f"it has more than {MAX_LINES} lines", "give the INF for certreq")
        faults.settle()
    first, joined = 0, ""
    for number, raw in enumerate(lines, 1):
        line = _without_comment(raw).strip()
        first = first or number
        if line.endswith("\\") and _is_closed(joined + line):
            joined += line[:-1]
            continue
        joined += line
        if joined:
            yield first, joined
        first, joined = 0, ""
    if joined:
        yield first, joined


def _without_comment(line: str) -> str:
    """A semicolon begins a comment, unless it stands between quotes."""
    quoted = False
    for index, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == ";" and not quoted:
            return line[:index]
    return line


def _is_closed(line: str) -> bool:
    return line.count('"') % 2 == 0


def _unquoted(text: str) -> str:
    """Quoted and bare parts put together; "" between quotes is one quote."""
    parts, quoted, index = [], False, 0
    while index < len(text):
        if text[index] != '"':
            parts.append(text[index])
        elif quoted and text[index + 1 : index + 2] == '"':
            parts.append('"')
            index += 1
        else:
            quoted = not quoted
        index += 1
    return "".join(parts)


class _Reader:
    """Line by line; strings are put in at the end, for [Strings] usually comes last."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._sections: dict[str, tuple[str, int, list[Entry]]] = {}
        self._current: list[Entry] | None = None

    def take(self, number: int, line: str) -> None:
        if line.startswith("["):
            self._heading(number, line)
        elif self._current is None:
            self._faults.add(
                "no-section", number, "a value stands before any [Section]", "begin with [Version]"
            )
            self._current = []
        elif not _is_closed(line):
            self._faults.add("quote", number, "a quote is opened and not closed", 'add the "')
        else:
            self._entry(number, line)

    def _heading(self, number: int, line: str) -> None:
        found = _SECTION.match(line)
        if found is None or not found[1].strip():
            self._faults.add(
                "section", number, f"{visible(line)!r} is not a section", "write [NewRequest]"
            )
            self._current = []
            return
        name = found[1].strip()
        held = self._sections.setdefault(name.casefold(), (name, number, []))
        self._current = held[2]

    def _entry(self, number: int, line: str) -> None:
        key, equals, value = line.partition("=")
        key = _unquoted(key.strip())
        if not equals or not key or '"' in key:
            self._faults.add(
                "no-key", number, f"{visible(line)!r} is not 'key = value'", "write key = value"
            )
            return
        value = _unquoted(value.strip())
        current = self._current if self._current is not None else []
        if key.casefold() != CONTINUE:
            current.append(Entry(key, value, number))
        elif current:
            last = current[-1]
            current[-1] = Entry(last.key, last.value + value, last.line)
        else:
            self._faults.add(
                "continue", number, "_continue_ has nothing before it", "write its key first"
            )

    def sections(self) -> tuple[Section, ...]:
        strings = self._strings()
        return tuple(
            Section(
                name,
                line,
                tuple(
                    Entry(
                        self._expand(e.key, strings, e), self._expand(e.value, strings, e), e.line
                    )
                    for e in entries
                ),
            )
            for folded, (name, line, entries) in self._sections.items()
            if folded != "strings"
        )

    def _strings(self) -> dict[str, str]:
        strings: dict[str, str] = {}
        for entry in self._sections.get("strings", ("", 0, []))[2]:
            name = entry.key.casefold()
            if strings.get(name, entry.value) != entry.value:
                self._faults.add(
                    "string-twice",
                    entry.line,
                    f"the string {visible(entry.key)!r} has two values",
                    "keep one of them",
                )
            strings[name] = entry.value
        return strings

    def _expand(self, text: str, strings: dict[str, str], entry: Entry) -> str:
        """%name% by its string, %% by a percent sign; anything else between two stays."""
        result, position = [], 0
        while found := _TOKEN.search(text, position):
            name = found[1]
            result.append(text[position : found.start()])
            position = found.end()
            if not name:
                result.append("%")
            elif name.casefold() in strings:
                result.append(strings[name.casefold()])
            elif _IDENTIFIER.match(name):
                self._faults.unknown(
                    "string", entry.line, "in [Strings]", name, {key: key for key in strings}
                )
            else:
                result.append(text[found.start() : found.end() - 1])
                position = found.end() - 1
        return "".join(result) + text[position:]
