"""`homeca check`: findings as they come, then how many."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from ca.cli.opening import facility
from ca.cli.output import JSON_SCHEMA, bad, compact, good, many, result
from ca.cli.progress import Progress
from ca.services.finding import Finding, Gravity
from ca.services.inspection import inspect, total_rows

#: As `verify` and `lint` end when something is wrong.
FOUND = 6


def check_home(
    home: Path | None,
    *,
    tpm: str | None,
    pin_file: Path | None,
    load_keys: bool,
    as_json: bool,
) -> None:
    """Show every finding. Raises: typer.Exit(6) when one is an error."""
    counted = dict.fromkeys(Gravity, 0)
    if as_json:
        print(f'{{"schema": {JSON_SCHEMA}, "findings": [')
    with facility(home, tpm=tpm, pin_file=pin_file) as found:
        rows = total_rows(found)
        with Progress(rows, "checking") as progress:
            for finding in inspect(found, load_keys=load_keys, on_row=progress.advance):
                if as_json:
                    sys.stdout.write((",\n" if any(counted.values()) else "") + _as_json(finding))
                else:
                    result(_as_text(finding))
                counted[finding.gravity] += 1
    errors, warnings = counted[Gravity.ERROR], counted[Gravity.WARNING]
    if as_json:
        print(f'\n], "rows": {rows}, "errors": {errors}, "warnings": {warnings}}}')
    elif errors or warnings:
        told = f"{bad(many(errors, 'error'))}, {many(warnings, 'warning')}"
        result(f"{many(rows, 'certificate')} checked: {told}")
    else:
        result(f"{many(rows, 'certificate')} checked: {good('nothing is wrong')}")
    if errors:
        raise typer.Exit(FOUND)


def _as_text(finding: Finding) -> str:
    word = finding.gravity.value
    mark = bad(word) if finding.gravity is Gravity.ERROR else word
    return f"{mark}: {finding.where}: {finding.text} [{finding.rule}]\n   try: {finding.remedy}"


def _as_json(finding: Finding) -> str:
    return compact(
        {
            "rule": finding.rule,
            "gravity": finding.gravity.value,
            "where": finding.where,
            "text": finding.text,
            "remedy": finding.remedy,
        }
    )
