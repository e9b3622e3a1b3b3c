"""Every request vector gets its verdict, for exactly its reasons, and none is skipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ca.encoding.containers import read_request
from ca.encoding.requests import parse_request
from ca.errors import RequestMalformed, RequestRefused
from ca.names.showing import visible
from tests.policy.worlds import CONSTRAINED, FREE, PROFILES, judge
from tests.vectors.requests import make

HERE = Path(make.__file__).parent
MADE = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
REAL = json.loads((HERE / "real" / "manifest.json").read_text(encoding="utf-8"))
VECTORS = [("made", e) for e in MADE["vectors"]] + [("real", e) for e in REAL["vectors"]]


@pytest.mark.parametrize(
    ("directory", "entry"), VECTORS, ids=[f"{d}/{entry['file']}" for d, entry in VECTORS]
)
def test_a_vector_gets_its_verdict_and_its_reasons(directory: str, entry: dict[str, Any]) -> None:
    octets = (HERE / directory / entry["file"]).read_bytes()
    profile = PROFILES[entry.get("profile", "any")]
    issuer = CONSTRAINED if entry.get("constrained") else FREE
    rules: list[str] = []
    said: list[str] = []
    verdict, subject, names = "refuse", None, None
    try:
        request = parse_request(read_request(octets))
        said += request.notes
        grant = judge(request, profile, issuer=issuer)
        verdict, subject, names = "take", str(grant.subject), [str(name) for name in grant.names]
        said += grant.warnings
    except RequestMalformed as error:
        said += [error.problem, error.remedy]
    except RequestRefused as error:
        rules = [violation.rule for violation in error.violations]
        said += [violation.text + violation.remedy for violation in error.violations]
    assert {
        "verdict": verdict,
        "rules": rules,
        "subject": subject if "subject" in entry else None,
        "names": names if "names" in entry else None,
        "says": entry.get("says", "") in " ".join(said),
        "harmless": all(visible(text) == text for text in said),
    } == {
        "verdict": entry["verdict"],
        "rules": entry.get("rules", []),
        "subject": entry.get("subject"),
        "names": entry.get("names"),
        "says": True,
        "harmless": True,
    }, said


def test_there_are_at_least_250_vectors_and_each_file_has_its_entry() -> None:
    made = {path.name for path in (HERE / "made").iterdir()}
    real = {path.name for path in (HERE / "real").iterdir()} - {"manifest.json"}
    assert made == {entry["file"] for entry in MADE["vectors"]}
    assert real == {entry["file"] for entry in REAL["vectors"]}
    assert REAL["count"] == len(real) == 20
    assert MADE["count"] == len(MADE["vectors"]) == len(made) >= 250


@pytest.mark.parametrize(
    ("area", "taken", "refused"),
    [
        ("keys and signatures", 30, 101),
        ("structure and encoding", 6, 68),
        ("files", 24, 59),
        ("subjects", 30, 58),
        ("subject alternative names", 41, 103),
        ("extensions and attributes", 43, 37),
        ("shapes of programs", 32, 3),
    ],
)
def test_each_area_has_what_is_taken_and_what_is_refused(
    area: str, taken: int, refused: int
) -> None:
    verdicts = [entry["verdict"] for entry in MADE["vectors"] if entry["area"] == area]
    assert (verdicts.count("take"), verdicts.count("refuse")) == (taken, refused)


def test_the_script_makes_exactly_the_octets_that_are_checked_in() -> None:
    cases = make.all_cases()
    assert make.manifest(cases) == MADE
    differing = [c.file for c in cases if (HERE / "made" / c.file).read_bytes() != c.octets]
    assert differing == []


@pytest.mark.parametrize(
    "entry",
    [entry for entry in REAL["vectors"] if entry["verdict"] == "take"],
    ids=lambda entry: entry["file"],
)
def test_a_real_request_with_one_bit_changed_is_refused(entry: dict[str, Any]) -> None:
    der = bytearray(read_request((HERE / "real" / entry["file"]).read_bytes()))
    der[-1] ^= 1
    with pytest.raises(RequestRefused) as refused:
        judge(bytes(der), PROFILES[entry.get("profile", "any")])
    assert [v.rule for v in refused.value.violations] == ["signature.invalid"]
