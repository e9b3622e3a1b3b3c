"""`homeca check`: findings as they come, those of the ledger last; then how many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ca.cli.audit_verifying import published_lists
from ca.cli.opening import facility
from ca.cli.output import JSON_SCHEMA, bad, compact, good, result
from ca.cli.progress import Progress
from ca.errors import CustodyError, TpmSwapped
from ca.names.showing import many, visible
from ca.services.finding import Finding, Gravity, error, warning
from ca.services.inspection.inspecting import inspect, total_rows
from ca.wiring.ledger import auditor_of

if TYPE_CHECKING:
    from ca.ledger.audit import Audit
    from ca.services.facility import Facility

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
        audit, unasked = _audit(found)
        with Progress(rows, "checking") as progress:
            for finding in chain(
                inspect(found, load_keys=load_keys, on_row=progress.advance),
                unasked,
                _of_ledger(audit),
            ):
                if as_json:
                    sys.stdout.write((",\n" if any(counted.values()) else "") + _as_json(finding))
                else:
                    result(_as_text(finding))
                counted[finding.gravity] += 1
    errors, warnings = counted[Gravity.ERROR], counted[Gravity.WARNING]
    if as_json:
        ledger = f'"ledger": {compact(_ledger_json(audit))}'
        print(f'\n], "rows": {rows}, {ledger}, "errors": {errors}, "warnings": {warnings}}}')
    else:
        seen = f"{many(rows, 'certificate')} and {audit.entries} entries of the ledger checked"
        if errors or warnings:
            result(f"{seen}: {bad(many(errors, 'error'))}, {many(warnings, 'warning')}")
        else:
            result(f"{seen}: {good('nothing is wrong')}")
        if audit.found is not None:
            result(f"the TPM holds entry {audit.found.seq} of the ledger")
    if errors:
        raise typer.Exit(FOUND)


def _audit(found: Facility) -> tuple[Audit, tuple[Finding, ...]]:
    """The walk along the ledger; and that the TPM could not be asked, if so."""
    auditor = auditor_of(found)
    published = published_lists(found.home, found.store)
    make = warning
    try:
        if found.store.custody() is not None:
            return auditor.audit(ask_tpm=True, published=published), ()
        why, remedy = "no TPM is recorded here", "run it where the keys are"
    except TpmSwapped as failure:  # nothing can be signed here either
        make, why, remedy = error, failure.problem, failure.remedy
    except CustodyError as failure:
        why, remedy = failure.problem, failure.remedy
    unasked = make(
        "check.ledger.not-compared",
        "the ledger",
        f"was not compared with its anchor, so an old copy of the database looks as good: {why}",
        f"{remedy}; then `homeca audit verify`",
    )
    return auditor.audit(ask_tpm=False, published=published), (unasked,)


def _of_ledger(audit: Audit) -> Iterator[Finding]:
    for violation in audit.violations():
        text = visible(violation.text)
        yield error(f"check.{violation.rule}", "the ledger", text, violation.remedy)


def _ledger_json(audit: Audit) -> dict[str, Any]:
    found = audit.found
    return {
        "entries": audit.entries,
        "serials": audit.serials,
        "tpm_asked": audit.anchor is not None or audit.refused is not None,
        "anchored": found.seq if found is not None else None,
        "waiting": found.waiting if found is not None else None,
    }


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
