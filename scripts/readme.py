"""Writes the README's command reference from `--help`; with --check only compares.

scripts/readme.py           rewrite README.md between the two markers
scripts/readme.py --check   exit 1, with the difference, when README.md is not what this would write
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from ca.cli.app import app

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN = "<!-- commands: written by `make readme` from `homeca --help` -->\n"
END = "<!-- end of commands -->\n"


def commands() -> Iterator[tuple[str, ...]]:
    """Every command that --help shows, depth first, in its order; () is homeca itself."""

    def below(path: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
        yield path
        if not hasattr(command, "list_commands"):
            return
        for name in command.list_commands(None):
            child = command.get_command(None, name)
            if not child.hidden:
                yield from below((*path, name), child)

    yield from below((), typer.main.get_command(app))


def help_text(path: tuple[str, ...]) -> str:
    """What `homeca PATH --help` prints on a terminal of 100 columns."""
    arguments = [*path, "--help"]
    result = CliRunner().invoke(app, arguments, prog_name="homeca", terminal_width=100)
    if result.exit_code != 0:
        raise SystemExit(f"error: `homeca {' '.join(path)} --help` fails: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def reference() -> str:
    """A fold for each command: its name to see, its help to open."""
    parts = []
    for path in commands():
        name = " ".join(("homeca", *path))
        fold = f"<details><summary><code>{name}</code></summary>"
        parts.append(f"\n{fold}\n\n```\n{help_text(path)}\n```\n\n</details>\n")
    return "".join(parts) + "\n"


def rewritten(text: str) -> str:
    """`text` with what lies between the markers replaced."""
    try:
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
    except ValueError:
        raise SystemExit("error: README.md has not exactly one pair of command markers") from None
    return before + BEGIN + reference() + END + after


def main() -> int:
    found = README.read_text(encoding="utf-8")
    wanted = rewritten(found)
    if "--check" not in sys.argv[1:]:
        README.write_text(wanted, encoding="utf-8")
        return 0
    if found == wanted:
        return 0
    sys.stderr.writelines(
        difflib.unified_diff(
            found.splitlines(keepends=True), wanted.splitlines(keepends=True), "README.md", "--help"
        )
    )
    sys.stderr.write("error: README.md does not show the commands as they are\n")
    sys.stderr.write("help: run `make readme`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
