"""Where profiles come from: those that ship, and the user's own files in the CA's home."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from pathlib import Path

from ca.errors import ConfigurationError, NotFound, ProfileMalformed, Violation
from ca.names.showing import visible
from ca.profiles.object_names import meant
from ca.profiles.parse import BUILT_IN
from ca.profiles.render import MAX_TEMPLATE, ProfileTemplate
from ca.resources import resource

_SUFFIXES = (".cnf.j2", ".cnf")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def is_profile_name(name: str) -> bool:
    """May a profile be called so? It becomes a file's name, and a word on command lines."""
    return _NAME.fullmatch(name) is not None and ".." not in name


class Library:
    """Every profile by name. A file is read when its profile is asked for, and once.

    user_dir: the home's `profiles` directory; None, or one that does not exist, is an empty one.
    """

    def __init__(self, user_dir: Path | None = None) -> None:
        self._user_dir = user_dir
        self._read: dict[str, ProfileTemplate] = {}

    def names(self) -> tuple[str, ...]:
        """Built-in ones first, each group in order. Raises: ProfileMalformed, see `template`."""
        return (*sorted(self._built_in), *sorted(self._own))

    def template(self, name: str) -> ProfileTemplate:
        """The source of a profile.

        Raises: NotFound naming the nearest; ProfileMalformed when a file of the user's has the
                name of a built-in profile, or two files have one name; ConfigurationError when
                the file cannot be read.
        """
        if name not in self._read:
            path = self._own.get(name) or self._built_in.get(name)
            if path is None:
                raise NotFound(
                    f"there is no profile {visible(name)!r}{meant(name, self.names())}",
                    remedy="run `homeca profile list` for their names",
                )
            source = BUILT_IN if name in self._built_in else str(path)
            self._read[name] = template_of(read_text(path), name=name, source=source)
        return self._read[name]

    @cached_property
    def _built_in(self) -> dict[str, Path]:
        return _files(resource("templates") / "profiles")

    @cached_property
    def _own(self) -> dict[str, Path]:
        if self._user_dir is None or not self._user_dir.is_dir():
            return {}
        own = _files(self._user_dir)
        for name in sorted(own.keys() & self._built_in.keys()):
            raise _refused(
                own[name],
                f"the profile {name!r} ships with homeca and is not replaced",
                f"give the file another name, for example my-{name}.cnf.j2",
            )
        return own


def template_of(text: str, *, name: str, source: str) -> ProfileTemplate:
    """A profile's text under its name; sha256 over the UTF-8 octets."""
    return ProfileTemplate(name, source, text, hashlib.sha256(text.encode()).digest())


def read_text(path: Path) -> str:
    """The text of a profile's file. Raises: ConfigurationError, ProfileMalformed."""
    try:
        with path.open("rb") as file:
            octets = file.read(4 * MAX_TEMPLATE + 1)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise ConfigurationError(
            f"the profile {visible(str(path))!r} cannot be read: {error.strerror}",
            remedy="give the path of a file"
            if missing
            else "mend its mode and owner, then try again",
        ) from error
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(path, "it is not UTF-8", "save it as UTF-8") from error


def _files(directory: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        suffix = next((s for s in _SUFFIXES if path.name.endswith(s)), None)
        if suffix is None or path.name.startswith("."):
            continue
        name = path.name.removesuffix(suffix)
        if not is_profile_name(name):
            raise _refused(
                path, "its name is none for a profile", "use letters, digits, '-', '_' and '.'"
            )
        if name in found:
            raise _refused(
                path,
                f"{str(found[name].name)!r} has the same name",
                "rename one of the two files",
            )
        found[name] = path
    return found


def _refused(path: Path, text: str, remedy: str) -> ProfileMalformed:
    shown = f"{visible(str(path))}: {text}"
    return ProfileMalformed(
        f"a profile is not usable: {shown}",
        remedy=remedy,
        violations=(Violation("profile.file", shown, remedy),),
    )
