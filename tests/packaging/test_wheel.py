"""What is shipped: complete, the same however it is built, and working where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest


def shipped(directory: Path) -> set[str]:
    """Files below `directory` that belong into a package, relative to it."""
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def members(wheel: Path, below: str) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {n.removeprefix(below) for n in archive.namelist() if n.startswith(below)}


@pytest.mark.parametrize("name", ["migrations", "templates"])
def test_the_wheel_holds_every_file_of(name: str, wheel: Path, checkout: Path) -> None:
    wanted = shipped(checkout / name)
    assert wanted
    assert members(wheel, f"ca/_{name}/") == wanted


def test_the_wheel_holds_every_module(wheel: Path, checkout: Path) -> None:
    inside = {
        m for m in members(wheel, "ca/") if m.split("/")[0] not in ("_migrations", "_templates")
    }
    assert inside == shipped(checkout / "ca")


def test_the_wheel_puts_nothing_beside_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        roots = {name.split("/")[0] for name in archive.namelist()}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"ca"}


def test_the_sdist_makes_the_same_wheel_octet_for_octet(
    wheel: Path, wheel_of_the_sdist: Path
) -> None:
    assert wheel_of_the_sdist.name == wheel.name
    assert wheel_of_the_sdist.read_bytes() == wheel.read_bytes()


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; what it depends on is seen through a .pth."""
    environment = tmp_path_factory.mktemp("installation") / "venv"
    run = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(run, check=True, timeout=60)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)],
        check=True,
        timeout=120,
    )
    (site,) = (environment / "lib").glob("python3*/site-packages")
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    site.joinpath("dependencies.pth").write_text("\n".join(sorted(dependencies)))
    return environment


def said(installation: Path, elsewhere: Path, program: str, *arguments: str) -> str:
    """What a program of the installation prints when run from another directory."""
    result = subprocess.run(
        [str(installation / "bin" / program), *arguments],
        cwd=elsewhere,
        env={"PATH": os.environ["PATH"], "HOME": str(elsewhere)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_an_installed_homeca_tells_the_version_of_pyproject(
    installation: Path, tmp_path: Path, checkout: Path
) -> None:
    version = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["version"]
    assert version in said(installation, tmp_path, "homeca", "--version").split()


@pytest.mark.parametrize("name", ["migrations", "templates"])
def test_an_installed_homeca_reads_its_own(name: str, installation: Path, tmp_path: Path) -> None:
    source = f"from ca.resources import resource; print(resource({name!r}))"
    place = Path(said(installation, tmp_path, "python", "-c", source))
    assert place.is_relative_to(installation)
    assert place.name == f"_{name}"


def test_an_installed_homeca_runs_none_of_the_checkout(installation: Path, tmp_path: Path) -> None:
    source = "import ca.errors as module; print(module.__file__)"
    assert Path(said(installation, tmp_path, "python", "-c", source)).is_relative_to(installation)
