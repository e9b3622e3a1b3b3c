"""INF files in the shapes people write, each with what it means or why it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ca.encoding.extensions import EXTENDED_KEY_USAGE, KEY_USAGE, purposes, usages
from ca.encoding.inf_request import parse_inf
from ca.errors import InfRefused

VECTORS = Path(__file__).resolve().parents[1] / "vectors/inf"
MANIFEST: dict[str, dict[str, Any]] = json.loads((VECTORS / "manifest.json").read_text("utf-8"))


def test_every_inf_file_is_in_the_manifest_and_there_are_41() -> None:
    files = {path.name for path in VECTORS.glob("*.inf")}
    assert files == {*MANIFEST["accepted"], *MANIFEST["refused"]}
    assert (len(MANIFEST["accepted"]), len(MANIFEST["refused"])) == (21, 20)


@pytest.mark.parametrize("name", MANIFEST["accepted"])
def test_an_inf_file_means_what_its_manifest_says(name: str) -> None:
    read = parse_inf((VECTORS / name).read_bytes(), source=name)
    by_oid = {extension.oid: extension.value for extension in read.extensions}
    expected = MANIFEST["accepted"][name]
    assert {
        "subject": str(read.subject),
        "names": [str(one) for one in read.names],
        "key": read.kind.name,
        "machine": read.machine,
        "friendly_name": read.friendly_name,
        "existing_key": read.existing_key,
        "key_usage": sorted(usages(by_oid[KEY_USAGE])) if KEY_USAGE in by_oid else [],
        "purposes": list(purposes(by_oid[EXTENDED_KEY_USAGE]))
        if EXTENDED_KEY_USAGE in by_oid
        else [],
        "others": [oid for oid in by_oid if oid not in (KEY_USAGE, EXTENDED_KEY_USAGE)],
        "san_critical": read.san_critical,
        "ignored": [one.key for one in read.ignored],
    } == {
        "names": [],
        "machine": None,
        "friendly_name": "",
        "existing_key": None,
        "key_usage": [],
        "purposes": [],
        "others": [],
        "san_critical": False,
        "ignored": [],
        **expected,
    }


@pytest.mark.parametrize("name", MANIFEST["refused"])
def test_a_refused_inf_file_names_every_fault_with_its_line(name: str) -> None:
    with pytest.raises(InfRefused) as caught:
        parse_inf((VECTORS / name).read_bytes(), source=name)
    found = caught.value.violations
    expected = MANIFEST["refused"][name]
    assert [v.rule for v in found] == [rule for rule, _, _ in expected]
    for violation, (_, line, words) in zip(found, expected, strict=True):
        assert violation.text.startswith(f"{name}:{line}: " if line else f"{name}: ")
        assert words in violation.text + violation.remedy
        assert violation.remedy
