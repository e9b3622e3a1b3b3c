"""Write every request vector and the manifest: `python -m tests.vectors.requests.make`.

The same octets on every machine; `tests/encoding/test_vectors.py` checks that they are those that
are checked in. Requests of real programs lie in `real/` with `real/manifest.json`, made once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.vectors.requests.case import Case
from tests.vectors.requests.cases_attributes import cases as cases_of_attributes
from tests.vectors.requests.cases_containers import cases as cases_of_containers
from tests.vectors.requests.cases_keys import cases as cases_of_keys
from tests.vectors.requests.cases_names import cases as cases_of_names
from tests.vectors.requests.cases_shapes import cases as cases_of_shapes
from tests.vectors.requests.cases_structure import cases as cases_of_structure
from tests.vectors.requests.cases_subjects import cases as cases_of_subjects

HERE = Path(__file__).parent
AREAS = (
    cases_of_keys,
    cases_of_structure,
    cases_of_containers,
    cases_of_subjects,
    cases_of_names,
    cases_of_attributes,
    cases_of_shapes,
)


def all_cases() -> list[Case]:
    """Every case, names unique."""
    cases = [case for area in AREAS for case in area()]
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SystemExit(f"names used twice: {twice}")
    return cases


def manifest(cases: list[Case]) -> dict[str, Any]:
    return {"count": len(cases), "vectors": [case.as_entry() for case in cases]}


def main() -> None:
    cases = all_cases()
    directory = HERE / "made"
    directory.mkdir(exist_ok=True)
    wanted = {case.file for case in cases}
    for stale in directory.iterdir():
        if stale.name not in wanted:
            stale.unlink()
    for case in cases:
        (directory / case.file).write_bytes(case.octets)
    text = json.dumps(manifest(cases), indent=1, ensure_ascii=False)
    (HERE / "manifest.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(cases)} vectors")


if __name__ == "__main__":
    main()
