"""How homeca speaks: results on stdout, everything else on stderr, JSON when asked.

Every string that may come from a request, a certificate or a file name goes through `visible`
before it reaches a terminal; JSON escapes by itself and keeps the true value.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from ca.errors import HomecaError, Refused, VerificationFailed
from ca.names.showing import visible

#: Version of the JSON documents; raised when a key changes its meaning or goes.
JSON_SCHEMA = 1


#: Characters of a column that is broken as often as it must be, and between two columns.
_NARROWEST, _GAP = 8, 2


class Tone(StrEnum):
    """SGR parameters; the word itself carries the meaning, the colour only helps the eye."""

    GOOD = "32"
    WARN = "33"
    BAD = "31"
    STRONG = "1"
    FAINT = "2"


def colours(stream: TextIO) -> bool:
    """NO_COLOR (any value), TERM=dumb and pipes mean plain text."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def toned(text: str, tone: Tone, stream: TextIO) -> str:
    """`text` in a tone, where the stream takes colours."""
    return f"\x1b[{tone.value}m{text}\x1b[0m" if colours(stream) else text


def say(text: str) -> None:
    """A message for the person, on stderr."""
    print(text, file=sys.stderr)


def warn(text: str) -> None:
    """Something to know that does not stop the work."""
    say(f"{toned('warning:', Tone.WARN, sys.stderr)} {text}")


def result(text: str) -> None:
    """What the command was asked for, on stdout."""
    print(text)


def result_file(path: Path) -> None:
    """A file that was made, on stdout: as it is called for a pipe, harmless on a terminal."""
    if sys.stdout.isatty():
        result(visible(str(path)))
        return
    sys.stdout.flush()  # a name is octets: it need not be text of any locale
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.buffer.flush()


def good(text: str) -> str:
    return toned(text, Tone.GOOD, sys.stdout)


def bad(text: str) -> str:
    return toned(text, Tone.BAD, sys.stdout)


def strong(text: str) -> str:
    return toned(text, Tone.STRONG, sys.stdout)


def document(**fields: Any) -> None:
    """One JSON document on stdout, keys in the order given."""
    print(_escaped(json.dumps({"schema": JSON_SCHEMA, **fields}, default=_plain, indent=2)))


def compact(fields: Mapping[str, Any]) -> str:
    """One JSON object on one line, for an element of a document that is written as it comes."""
    return _escaped(json.dumps(fields, default=_plain))


def _escaped(text: str) -> str:
    """`json` escapes every control character but DEL."""
    return text.replace("\x7f", "\\u007f")


def _plain(value: object) -> str:
    match value:
        case datetime():
            return when(value)
        case bytes():
            return value.hex()
    return str(value)


def when(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds: "2026-11-22T06:37:35Z"."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(moment: datetime) -> str:
    """ "2026-11-22", UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def fields(pairs: Iterable[tuple[str, str | Iterable[str]]], *, indent: str = "  ") -> str:
    """Label and value lines, values aligned; a value of several lines hangs below itself."""
    listed = [(label, [value] if isinstance(value, str) else list(value)) for label, value in pairs]
    width = max((len(label) for label, _ in listed), default=0)
    lines = []
    for label, values in listed:
        head, *rest = values or [""]
        lines.append(f"{indent}{label:<{width}}  {head}".rstrip())
        lines += [f"{indent}{'':<{width}}  {more}" for more in rest]
    return "\n".join(lines)


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, whole: Collection[str] = ()
) -> None:
    """Columns on a terminal, tab-separated values in a pipe; cells must be `visible` already.

    whole: headings of columns that are never broken, however narrow the terminal: what is copied
    from them has to be in one piece.
    """
    if not sys.stdout.isatty():
        print("\t".join(headings).lower())
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    tone = "bold" if colours(sys.stdout) else ""
    drawn = Table(box=None, pad_edge=False, header_style=tone)
    listed = [tuple(row) for row in rows]
    narrowest = 0
    for number, heading in enumerate(headings):
        drawn.add_column(heading, overflow="fold", no_wrap=heading in whole)
        cells = (heading, *(row[number] for row in listed)) if heading in whole else ("",)
        narrowest += max(_NARROWEST, *map(len, cells)) + _GAP
    for row in listed:
        # Text, never str: a certificate's name must not be read as markup
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False, no_color=not tone)
    # where even this is too much the terminal breaks the line: Rich would cut what is to be whole
    console.width = max(console.width, narrowest)
    console.print(drawn)


def show_error(error: HomecaError, *, as_json: bool) -> None:
    """Two lines for one thing wrong, a list for many; nothing is said twice."""
    name = toned("homeca:", Tone.BAD, sys.stderr)
    violations = error.violations if isinstance(error, Refused | VerificationFailed) else ()
    codes = error.code
    if [violation.text for violation in violations] == [error.problem]:
        codes, violations = f"{error.code}, {violations[0].rule}", ()
    say(f"{name} {error.problem} [{codes}]")
    remedies = set()
    for violation in violations:
        say(f"   - {visible(violation.text)} [{violation.rule}]")
        if violation.remedy and violation.remedy not in remedies:
            say(f"     try: {visible(violation.remedy)}")
        remedies.add(violation.remedy)
    if not violations or not all(violation.remedy for violation in violations):
        say(f"   try: {error.remedy}")
    if as_json:
        document(error=error_fields(error))


def error_fields(error: HomecaError) -> dict[str, Any]:
    """An error as JSON: code, problem, remedy, violations."""
    described: dict[str, Any] = {
        "code": error.code,
        "problem": error.problem,
        "remedy": error.remedy,
    }
    if isinstance(error, Refused | VerificationFailed):
        described["violations"] = [
            {"rule": v.rule, "text": v.text, "remedy": v.remedy} for v in error.violations
        ]
    return described
