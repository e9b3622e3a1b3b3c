"""Whose names a CA may certify: what was said at the ceremony is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import make_request
from tests.interop.homeca import Homeca
from tests.interop.programs import require


@pytest.fixture
def homeca(tmp_path: Path) -> Homeca:
    """A CA for a network that no home has by itself."""
    require("swtpm")
    found = Homeca(tmp_path / "home")
    found.must("init-root", "--name", "A", "--key", "ec-p256", "--permit-ip", "203.0.113.0/24")
    found.must("init-intermediate", "--key", "ec-p256")
    return found


def test_an_address_the_root_was_made_for_needs_no_exception(
    homeca: Homeca, tmp_path: Path
) -> None:
    inside = make_request(tmp_path, "inside", "IP:203.0.113.7", subject="/O=A")
    outside = make_request(tmp_path, "outside", "IP:203.0.114.7", subject="/O=A")

    homeca.must("sign", inside, "--profile", "tls-server")
    refused = homeca.run("sign", outside, "--profile", "tls-server")

    assert (tmp_path / "inside.crt").is_file()
    assert refused.returncode != 0
    assert "name.not-permitted" in refused.stderr
    assert not (tmp_path / "outside.crt").exists()
