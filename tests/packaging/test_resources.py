"""ca.resources: homeca's own files, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ca.errors import InstallationIncomplete
from ca.resources import resource


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A `ca` package with nothing around it, as in site-packages."""
    (tmp_path / "ca").mkdir()
    return tmp_path / "ca"


def test_this_checkout_has_its_templates() -> None:
    assert (resource("templates") / "profiles").is_dir()


def test_a_checkout_reads_the_top_level(package: Path) -> None:
    package.with_name("pyproject.toml").touch()
    package.with_name("templates").mkdir()
    assert resource("templates", package=package) == package.with_name("templates")


def test_an_installed_package_reads_its_own(package: Path) -> None:
    (package / "_migrations").mkdir()
    assert resource("migrations", package=package) == package / "_migrations"


def test_an_installed_package_never_reads_what_lies_beside_it(package: Path) -> None:
    package.with_name("migrations").mkdir()
    with pytest.raises(InstallationIncomplete) as caught:
        resource("migrations", package=package)
    assert "'migrations'" in caught.value.problem
    assert "pip install" in caught.value.remedy
