"""Where homeca's own files lie: `ca/_NAME` in an installed wheel, the top level in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ca.errors import InstallationIncomplete

PACKAGE = Path(__file__).resolve().parent


def resource(name: Literal["migrations", "templates"], *, package: Path = PACKAGE) -> Path:
    """The directory of shipped files called `name`.

    Outside a checkout only the package's own directory counts: `site-packages/migrations` would
    be somebody else's, and what lies there is run.

    Raises: InstallationIncomplete.
    """
    places = [package / f"_{name}"]
    if (package.parent / "pyproject.toml").is_file():
        places.append(package.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise InstallationIncomplete(
        f"homeca's own {name!r} are not in {str(package)!r}",
        remedy="install homeca again: `pip install --force-reinstall homeca`",
    )
