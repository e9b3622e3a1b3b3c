"""The syntax of openssl.cnf, config(5): sections, quotes, escapes, continuation, variables.

Reads what `openssl` reads, to the same values; every key remembers its line. Stricter here, so
that a profile means the same everywhere and cannot reach outside itself:

    .include, .pragma            refused: a profile is one file, read by one grammar
    $ENV::name                   refused: a certificate does not depend on who ran the command
    control characters           refused, also as \\n, \\r and \\b: lists would end in silence there
    more than MAX_TEXT octets,   refused: OpenSSL bounds one value (64 KiB), not their sum
    MAX_EXPANDED of all values
    an unclosed quote            refused: OpenSSL takes the rest of the line
    text after `]`               refused: OpenSSL drops it
    escapes, quotes, variables   refused in the name of a section, and an empty name
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct, field

from ca.errors import ProfileMalformed, Violation
from ca.names.showing import visible

MAX_TEXT = 256 * 1024
MAX_EXPANDED = 1024 * 1024
MAX_FAULTS = 100  # enough for a person; a file of another kind has thousands
MAX_VALUE = 64 * 1024  # of one value, as OpenSSL
_NAME = re.compile(r"(?:\\.|[A-Za-z0-9_!.%&*+,/;?@^~|-])*")  # what a key may be written with
_WORD = re.compile(r"[A-Za-z0-9_]*")  # what a variable may be called
_ESCAPES = {"r": "\r", "n": "\n", "b": "\b", "t": "\t"}
_CLOSING = {"{": "}", "(": ")"}
_WHITE = " \t\r\n"


class Entry(Struct, frozen=True):
    """One `name = value`, expanded and unescaped, and where it stands."""

    section: str
    name: str
    value: str
    line: int


class Cnf(Struct):
    """A configuration as read. `faults` is empty for a text that `openssl` would load.

    replaced:   entries that a later one of the same section and name has put out of effect, as
                in OpenSSL, where the last one wins and stands last.
    used:       sections that somebody has asked for.
    referenced: keys of the default section that stand for a value elsewhere.
    """

    source: str
    sections: dict[str, dict[str, Entry]] = field(default_factory=lambda: {"default": {}})
    lines: dict[str, int] = field(default_factory=dict)
    replaced: list[Entry] = field(default_factory=list)
    faults: list[Violation] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    referenced: set[str] = field(default_factory=set)

    def section(self, name: str) -> tuple[Entry, ...] | None:
        """Entries in the order OpenSSL walks them; None when there is no such section."""
        self.used.add(name)
        found = self.sections.get(name)
        return None if found is None else tuple(found.values())

    def get(self, section: str, name: str) -> Entry | None:
        """As NCONF_get_string: the section's own entry, else the default section's."""
        self.used.add(section)
        found = self.sections.get(section, {}).get(name)
        if found is None:
            self.referenced.add(name)
            found = self.sections["default"].get(name)
        return found

    def fault(self, rule: str, line: int, text: str, remedy: str = "") -> None:
        """Remember one fault with its file and line; `text` is shown as it is.

        Raises: ProfileMalformed with what was found so far, when it is too much to go on.
        """
        self.faults.append(Violation(rule, f"{self.source}:{line}: {text}", remedy))
        if len(self.faults) > MAX_FAULTS:
            raise ProfileMalformed(
                f"{visible(self.source)!r} has more than {MAX_FAULTS} faults",
                remedy="give a profile: `homeca profile new NAME --from vpn-client` makes one",
                violations=tuple(self.faults),
            )


class _BadLineError(Exception):
    """Internal to this module: what is wrong with the line being read."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy


def read_cnf(text: str, *, source: str) -> Cnf:
    """The configuration in `text`; what is wrong with it is in `faults`, all of it.

    Raises: ProfileMalformed when more than MAX_FAULTS lines are wrong.
    """
    cnf = Cnf(source)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        cnf.fault("profile.size", 1, f"the file has more than {MAX_TEXT} octets", "shorten it")
        return cnf
    reader = _Reader(cnf)
    for number, line in _logical_lines(text.removeprefix("\ufeff")):
        try:
            reader.take(line, number)
        except _BadLineError as error:
            cnf.fault("profile.syntax", number, error.text, error.remedy)
            if reader.spent > MAX_EXPANDED:
                break
    return cnf


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined, and the number each begins at.

    A last backslash joins unless another one stands before it: also in a comment, as OpenSSL.
    """
    joined, start = "", 1
    for number, raw in enumerate(text.split("\n"), 1):
        joined += raw.rstrip("\r")
        if joined.endswith("\\") and not joined.endswith("\\\\"):
            joined = joined[:-1]
            continue
        yield start, joined
        joined, start = "", number + 1
    if joined:
        yield start, joined


class _Reader:
    """The state between lines: which section is open, how much has been expanded."""

    def __init__(self, cnf: Cnf) -> None:
        self.cnf = cnf
        self.section = "default"
        self.spent = 0

    def take(self, line: str, number: int) -> None:
        for character in line:
            if character != "\t" and not character.isprintable():
                raise _BadLineError(
                    f"{visible(character)!r} is a control or invisible character", "delete it"
                )
        line = _without_comment(line).strip(_WHITE)
        if not line:
            return
        if line.startswith("["):
            self._open(line, number)
        else:
            self._assign(line, number)

    def _open(self, line: str, number: int) -> None:
        inside, closing, rest = line[1:].partition("]")
        if not closing:
            raise _BadLineError(f"{visible(line)!r} has no ']'", "write it like [ section ]")
        if rest.strip(_WHITE):
            raise _BadLineError(
                f"{visible(rest.strip())!r} stands behind the ']'", "put it on its own line"
            )
        name = inside.strip(_WHITE)
        if not re.fullmatch(r"(?:[A-Za-z0-9_!.%&*+,/;?@^~|-]| )+", name):
            raise _BadLineError(
                f"{visible(name)!r} is not the name of a section",
                "use letters, digits, '_', '-' and '.'",
            )
        self.section = name
        self.cnf.sections.setdefault(name, {})
        self.cnf.lines.setdefault(name, number)

    def _assign(self, line: str, number: int) -> None:
        section = self.section
        name, rest = _take_name(line)
        if rest.startswith("::"):
            section, (name, rest) = name, _take_name(rest[2:])
        rest = rest.lstrip(_WHITE)
        if name.startswith((".include", ".pragma")):
            raise _BadLineError(
                f"{name.split('=')[0]!r} has no place in a profile",
                "write the whole profile in one file",
            )
        if not rest.startswith("="):
            raise _BadLineError(f"{visible(line)!r} has no '='", "write it like name = value")
        if not name:
            raise _BadLineError(f"{visible(line)!r} has no name before its '='", "name the key")
        value = self._expand(rest[1:].strip(_WHITE), section)
        entries = self.cnf.sections.setdefault(section, {})
        self.cnf.lines.setdefault(section, number)
        if name in entries:
            self.cnf.replaced.append(entries.pop(name))
        entries[name] = Entry(section, name, value, number)

    def _expand(self, raw: str, section: str) -> str:
        """Quotes, escapes and variables undone, from left to right as OpenSSL does."""
        out: list[str] = []
        size = index = 0
        while index < len(raw):
            character = raw[index]
            if character in "'\"":
                end = _closing_quote(raw, index)
                piece = re.sub(r"\\(.)", r"\1", raw[index + 1 : end])
                index = end + 1
            elif character == "\\":
                piece = self._escaped(raw[index + 1 : index + 2])
                index += 2
            elif character == "$":
                piece, index = self._variable(raw, index, section)
            else:
                piece = character
                index += 1
            out.append(piece)
            size += len(piece)
            self.spent += len(piece)
            if size > MAX_VALUE or self.spent > MAX_EXPANDED:
                raise _BadLineError("the variables expand to more than is read", "shorten them")
        return "".join(out)

    @staticmethod
    def _escaped(character: str) -> str:
        if character in ("r", "n", "b"):
            raise _BadLineError(
                f"'\\{character}' would put a control character into the value", "delete it"
            )
        return _ESCAPES.get(character, character)

    def _variable(self, raw: str, index: int, section: str) -> tuple[str, int]:
        """The value of the variable at `index`, and where the text goes on."""
        start = index + 1
        closing = _CLOSING.get(raw[start : start + 1], "")
        name = _at(_WORD, raw, start + len(closing))
        end = start + len(closing) + len(name)
        where = section
        if raw.startswith("::", end):
            where = name
            name = _at(_WORD, raw, end + 2)
            end += 2 + len(name)
        if closing:
            if raw[end : end + 1] != closing:
                raise _BadLineError(
                    f"the variable in {visible(raw)!r} has no {closing!r}", "close the brace"
                )
            end += 1
        if where == "ENV":
            raise _BadLineError(
                f"'$ENV::{name}' would take a value from the environment",
                "write the value itself into the file",
            )
        if where == "default":
            self.cnf.referenced.add(name)
        found = self.cnf.get(where, name)
        if found is None:
            raise _BadLineError(
                f"the variable '${name}' has no value here",
                "define it above, or write \\$ for the character itself",
            )
        return found.value, end


def _take_name(line: str) -> tuple[str, str]:
    name = _at(_NAME, line, 0)
    return name, line[len(name) :]


def _at(pattern: re.Pattern[str], text: str, start: int) -> str:
    found = pattern.match(text, start)
    return found.group() if found else ""


def _closing_quote(raw: str, start: int) -> int:
    index = start + 1
    while index < len(raw):
        if raw[index] == raw[start]:
            return index
        index += 2 if raw[index] == "\\" else 1
    raise _BadLineError(f"a quote in {visible(raw)!r} is not closed", "close it or escape it")


def _without_comment(line: str) -> str:
    """Everything before the first `#` that is neither quoted nor escaped."""
    index = 0
    while index < len(line):
        character = line[index]
        if character == "#":
            return line[:index]
        if character in "'\"":
            try:
                index = _closing_quote(line, index)
            except _BadLineError:
                return line  # `_expand` says so, with the value in hand
        elif character == "\\":
            index += 1
        index += 1
    return line


def escape(value: str) -> str:
    """`value` as it must stand behind `=` so that config(5) reads exactly it back.

    For values that hold no control character; leading and trailing spaces are kept, and nothing
    in it is a mark of jinja2 afterwards.
    """
    if value != value.strip(_WHITE):
        return '"' + re.sub(r"""(["\\]|(?<=\{)[{%#])""", r"\\\1", value) + '"'
    return re.sub(r"""(["'#$\\]|(?<=\{)[{%])""", r"\\\1", value)
