"""What the page of the kit `trust` tells to type, typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.programs import must, require
from tests.kits.kitfacts import GOLDEN

KIT = GOLDEN / "trust"


@pytest.mark.parametrize("database", [".pki/nssdb", ".local/share/pki/nssdb"])
def test_chromium_of_any_age_gets_the_root_by_the_lines_of_the_page(
    tmp_path: Path, database: str
) -> None:
    """The second is where it keeps its database since 146, unless the first is there."""
    require("certutil")
    place = tmp_path / database
    place.mkdir(parents=True)
    must("certutil", "-d", f"sql:{place}", "-N", "--empty-password")
    lines = (KIT / "README.txt").read_text().splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("Chromium on Linux")) + 1
    must("env", f"HOME={tmp_path}", "sh", "-c", "\n".join(lines[first : first + 2]), cwd=KIT)
    [trusted] = must("certutil", "-d", f"sql:{place}", "-L").splitlines()[-1:]
    assert trusted.split() == ["home", "C,,"]
