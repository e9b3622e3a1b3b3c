"""`homeca profile new`, `diff`, `import`: profiles of one's own, as files in the home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.completing import complete_profile
from ca.cli.options import HomeOption, JsonOption, chosen_home
from ca.cli.output import bad, document, good, result, say
from ca.errors import OutputExists, UsageError
from ca.files import PRIVATE_FILE, write_whole
from ca.home import Home
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.profiles.library import Library
    from ca.profiles.render import ProfileTemplate

ForceOption = Annotated[bool, typer.Option("--force", help="Replace your own file of that name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `homeca profile`."""
    app.command("new")(new)
    app.command("diff")(diff)
    app.command("import")(import_file)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the new profile is called.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PROFILE",
            help="The profile it begins as a copy of.",
            autocompletion=complete_profile,
        ),
    ] = "vpn-client",
    force: ForceOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Begin a profile of your own as a copy of another.

    It is a file in the home's profiles/ directory: change it, then say `profile check`. The form
    is openssl.cnf, with jinja marks where a condition is needed.

    Example: homeca profile new my-phone --from vpn-client
    """
    from ca.profiles.checking import new_from

    place = _place(home)
    library = _library(place)
    template = library.template(source)
    text = new_from(template, name)
    path = _write(place, library, name, text, is_template=template.is_template, force=force)
    if as_json:
        document(name=name, file=str(path))
        return
    result(str(path))
    say(f"next: change it, then `homeca profile check {name}`")


def diff(
    one: Annotated[
        str,
        typer.Argument(metavar="A", help="A name or a file.", autocompletion=complete_profile),
    ],
    other: Annotated[
        str,
        typer.Argument(metavar="B", help="A name or a file.", autocompletion=complete_profile),
    ],
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KIND",
            help="Compare what they become for a key of this kind (ec, rsa, ed25519) and a DNS "
            "name. Default: compare the files as they are written.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two profiles, comments and blank lines left out.

    Example: homeca profile diff vpn-client my-phone
    """
    from ca.profiles.checking import diff_profiles
    from ca.profiles.render import RenderContext

    if key not in (None, "ec", "rsa", "ed25519"):
        raise UsageError(
            f"{visible(str(key))!r} is no kind of key", remedy="use ec, rsa or ed25519"
        )
    context = RenderContext(key=key, names=frozenset({"dns"})) if key is not None else None
    library = _library(Home(chosen_home(home)))
    lines = diff_profiles(_named(one, library), _named(other, library), context)
    if as_json:
        document(a=one, b=other, differences=list(lines))
    elif not lines:
        say("they do not differ")
    else:
        for line in lines:
            result(_coloured(visible(line)))


def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An openssl.cnf, as `openssl ca` uses it.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")
    ] = False,
    force: ForceOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a profile of each extension section of an openssl.cnf.

    For those who come from the OpenSSL guides: `usr_cert` and `server_cert` become profiles that
    `sign --profile usr_cert` takes; policy_strict and policy_loose come with them. What becomes
    no profile is named with its reason. The file is not changed.

    Example: homeca profile import /root/ca/openssl.cnf
    """
    from ca.profiles.importing import read_import
    from ca.profiles.library import read_text, template_of

    place = _place(home) if not dry_run else Home(chosen_home(home))
    library = _library(place)
    found = read_import(read_text(file), str(file))
    written: dict[str, Path | None] = {}
    for one in found.profiles:
        is_template = template_of(one.text, name=one.name, source=str(file)).is_template
        _require_free(place, library, one.name, force=force)
        written[one.name] = place.profiles / _file_name(one.name, is_template=is_template)
    if not dry_run:
        for one in found.profiles:
            is_template = str(written[one.name]).endswith(".j2")
            _write(place, library, one.name, one.text, is_template=is_template, force=force)
    if as_json:
        document(
            profiles=[{"name": name, "file": str(path)} for name, path in written.items()],
            left_out=[
                {"section": one.section, "line": one.line, "why": one.why} for one in found.left_out
            ],
            written=not dry_run,
        )
        return
    for name, path in written.items():
        result(f"{visible(name)}\t{path}")
    for left in found.left_out:
        say(f"not imported: [{visible(left.section)}], line {left.line}, {visible(left.why)}")
    if dry_run:
        say("dry run: nothing was written")


def _coloured(line: str) -> str:
    if line.startswith("+"):
        return good(line)
    return bad(line) if line.startswith("-") else line


def _place(home: Path | None) -> Home:
    """The home, its directories made: a profile may come before the first ceremony."""
    place = Home(chosen_home(home))
    place.make()
    return place


def _library(place: Home) -> Library:
    from ca.wiring.opening import open_library

    return open_library(place)


def _named(given: str, library: Library) -> ProfileTemplate:
    from ca.profiles.library import read_text, template_of

    path = Path(given)
    if path.is_file():
        return template_of(read_text(path), name=profile_name(path), source=str(path))
    return library.template(given)


def profile_name(path: Path) -> str:
    """What a profile is called by its file: vpn.cnf.j2 → vpn."""
    return path.name.removesuffix(".j2").removesuffix(".cnf")


def _file_name(name: str, *, is_template: bool) -> str:
    return f"{name}.cnf.j2" if is_template else f"{name}.cnf"


def _require_free(place: Home, library: Library, name: str, *, force: bool) -> None:
    """Raises: UsageError for a built-in's name, OutputExists for one's own without --force."""
    from ca.profiles.parse import BUILT_IN

    if name not in library.names():
        return
    if library.template(name).source == BUILT_IN:
        raise UsageError(
            f"{visible(name)!r} is the name of a profile that ships with homeca",
            remedy=f"choose another name, for example my-{visible(name)}",
        )
    if not force:
        raise OutputExists(
            f"there is a profile {visible(name)!r} in {str(place.profiles)!r} already",
            remedy="choose another name, or add --force",
        )


def _write(
    place: Home, library: Library, name: str, text: str, *, is_template: bool, force: bool
) -> Path:
    """The profile's file, whole; one of the other form and the same name goes."""
    _require_free(place, library, name, force=force)
    path = place.profiles / _file_name(name, is_template=is_template)
    write_whole(path, text.encode(), mode=PRIVATE_FILE, replace=force)
    (place.profiles / _file_name(name, is_template=not is_template)).unlink(missing_ok=True)
    return path
