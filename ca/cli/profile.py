"""`homeca profile`: what certificates can be made for, and how each kind is made."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ca.cli import profile_files
from ca.cli.completing import complete_issuer, complete_profile
from ca.cli.options import HomeOption, JsonOption, chosen_home
from ca.cli.output import bad, document, fields, good, result, say, strong, table
from ca.errors import HomecaError, HomeMissing, UsageError
from ca.home import Home
from ca.names.showing import many, visible

if TYPE_CHECKING:
    from ca.errors import Violation
    from ca.profiles.library import Library
    from ca.profiles.profile import Profile
    from ca.profiles.render import RenderContext

app = typer.Typer(
    help="What certificates can be for: the profiles, built in and your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    program.add_typer(app, name="profile")


class Key(StrEnum):
    """What --key takes."""

    EC = "ec"
    RSA = "rsa"
    ED25519 = "ed25519"


NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A profile's name.", autocompletion=complete_profile),
]
KeyOption = Annotated[
    Key, typer.Option("--key", help="For a request with this kind of key.", show_default=True)
]
NamesOption = Annotated[
    str,
    typer.Option(
        "--names",
        metavar="KINDS",
        help='For these kinds of names: dns, ip, email, uri, upn, with commas; "" for none.',
    ),
]


def _library(home: Path | None) -> Library:
    from ca.wiring.opening import open_library

    return open_library(Home(chosen_home(home)))


@app.command("list")
def list_profiles(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say what each profile is for, how long its certificates last and whom they suit.

    Your own profiles are files in the home's profiles/ directory; `profile new` begins one.

    Example: homeca profile list
    """
    library = _library(home)
    entries = [(name, *_read(library, name)) for name in library.names()]
    if as_json:
        document(profiles=[_entry_json(name, found, error) for name, found, error in entries])
        return
    table(
        ("Name", "For", "Days", "At most", "Suits", "From"),
        [_entry_cells(name, found, error) for name, found, error in entries],
        whole=("Name",),
    )


def _read(library: Library, name: str) -> tuple[Profile | None, HomecaError | None]:
    """The profile in its plainest situation, or why it cannot be read."""
    from ca.profiles.parse import parse_profile
    from ca.profiles.render import render

    try:
        template = library.template(name)
        text = render(template, _context(name))
        return parse_profile(text, name=name, source=template.source), None
    except HomecaError as error:
        return None, error


def _context(name: str) -> RenderContext:
    from ca.profiles.render import RenderContext

    is_intermediate = name == "intermediate-ca"
    return RenderContext(names=frozenset({"dns"}), pathlen=0 if is_intermediate else None)


def _entry_cells(name: str, found: Profile | None, error: HomecaError | None) -> list[str]:
    if found is None:
        return [visible(name), f"unusable: {visible(error.problem if error else '')}", *[""] * 4]
    return [
        visible(name),
        visible(found.purpose),
        str(found.default_days),
        str(found.max_days),
        visible(", ".join(found.consumers)),
        visible(Path(found.source).name),
    ]


def _entry_json(name: str, found: Profile | None, error: HomecaError | None) -> dict[str, Any]:
    if found is None:
        return {"name": name, "usable": False, "problem": error.problem if error else ""}
    return {
        "name": name,
        "usable": True,
        "purpose": found.purpose,
        "default_days": found.default_days,
        "max_days": found.max_days,
        "consumers": list(found.consumers),
        "source": found.source,
    }


@app.command("show")
def show(name: NameArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say what a profile decides: keys, names, subject, lifetime, uses.

    For the openssl.cnf itself see `profile render`.

    Example: homeca profile show vpn-client
    """
    from ca.profiles.parse import parse_profile
    from ca.profiles.render import render

    template = _library(home).template(name)
    found = parse_profile(render(template, _context(name)), name=name, source=template.source)
    described = _profile_json(found)
    if as_json:
        document(**described)
        return
    result(strong(visible(found.name)))
    result(fields(_profile_pairs(found)))


def _profile_pairs(found: Profile) -> list[tuple[str, str | list[str]]]:
    from ca.cli.describing.words import EXTENDED_KEY_USAGES
    from ca.names.distinguished import attribute_type

    subject = [f"{attribute_type(one.oid).name}: {one.rule.value}" for one in found.policy]
    subject += [
        f"{attribute_type(oid).name} is always {visible(value)!r}"
        for oid, value in found.subject_fixed
    ]
    subject += [
        f"{attribute_type(oid).name} is {visible(value)!r} unless asked otherwise"
        for oid, value in found.subject_defaults
    ]
    kinds = ", ".join(sorted(found.san_kinds)) or "none"
    return [
        ("for", visible(found.purpose)),
        ("suits", visible(", ".join(found.consumers)) or "not said"),
        ("days", f"{found.default_days}, at most {found.max_days}"),
        ("keys", ", ".join(found.keys)),
        ("names", kinds + (", at least one" if found.san_required else "")),
        ("common name", "the first name" if found.cn_from_san else "as asked, by the policy"),
        ("subject", subject or ["nothing"]),
        ("CA", "yes" if found.is_ca else "no"),
        ("key usage", ", ".join(sorted(found.key_usage)) or "any"),
        ("purposes", ", ".join(EXTENDED_KEY_USAGES.get(oid, oid) for oid in found.eku) or "any"),
        ("from", visible(found.source)),
    ]


def _profile_json(found: Profile) -> dict[str, Any]:
    return {
        "name": found.name,
        "purpose": found.purpose,
        "consumers": list(found.consumers),
        "source": found.source,
        "default_days": found.default_days,
        "max_days": found.max_days,
        "keys": list(found.keys),
        "san": sorted(found.san_kinds),
        "san_required": found.san_required,
        "cn_from_san": found.cn_from_san,
        "policy": [{"oid": one.oid, "rule": one.rule.value} for one in found.policy],
        "subject_fixed": [list(pair) for pair in found.subject_fixed],
        "subject_defaults": [list(pair) for pair in found.subject_defaults],
        "ca": found.is_ca,
        "key_usage": sorted(found.key_usage),
        "eku": list(found.eku),
    }


@app.command("render")
def render_profile(
    name: NameArgument,
    request: Annotated[
        Path | None,
        typer.Option(
            "--request",
            metavar="FILE",
            help="Exactly as it would be used for this request, its granted names included.",
        ),
    ] = None,
    key: KeyOption = Key.EC,
    names: NamesOption = "dns",
    issuer: Annotated[
        str | None,
        typer.Option(
            "--issuer",
            metavar="SLUG",
            help="For this issuer. Default: the one `sign` would take.",
            autocompletion=complete_issuer,
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the openssl.cnf a profile becomes.

    With --request it is whole: the request is judged as `sign` would and nothing is signed, its
    names stand in [ alt_names ], and `openssl x509 -req -extfile FILE -extensions extensions`
    makes the same extensions. Without, that section is for you to write: it holds the names.

    Example: homeca profile render vpn-client --request alice.csr
    """
    from ca.profiles.x509v3_syntax import ALT_NAMES

    text = (
        _for_request(name, request, issuer, home)
        if request is not None
        else _for_kind(name, key, names, issuer, home)
    )
    if as_json:
        document(name=name, text=text)
        return
    result(text.rstrip("\n"))
    if request is None and f"@{ALT_NAMES}" in text:
        sys.stdout.flush()
        say(f"note: [ {ALT_NAMES} ] is left out: --request FILE adds it, with the request's names")


def _for_request(name: str, request: Path, issuer: str | None, home: Path | None) -> str:
    from ca.cli.opening import facility
    from ca.cli.showing import read_file
    from ca.encoding.containers import read_request
    from ca.encoding.requests import parse_request
    from ca.policy.terms import Wishes
    from ca.profiles.alt_names import with_names
    from ca.services.facility import authorities, signing_authority
    from ca.services.issuance.preparation import Order, Preparation

    asked = parse_request(read_request(read_file(request)))
    with facility(home) as found:
        authority = signing_authority(authorities(found.store), slug=issuer)
        order = Order(source=str(request), request=asked, profile=name, wishes=Wishes())
        prepared = Preparation(found).prepare(order, authority, now=found.clock())
    return with_names(prepared.profile.text, prepared.grant.names)


def _for_kind(name: str, key: Key, names: str, issuer: str | None, home: Path | None) -> str:
    from ca.profiles.render import RenderContext, render

    template = _library(home).template(name)
    kinds = frozenset(word.strip() for word in names.split(",") if word.strip())
    unknown = kinds - {"dns", "ip", "email", "uri", "upn"}
    if unknown:
        raise UsageError(
            f"{visible(min(unknown))!r} is no kind of name",
            remedy="use dns, ip, email, uri or upn",
        )
    crl_url, issuer_url = _urls(issuer, home)
    context = RenderContext(
        key=key.value,
        names=kinds,
        crl_url=crl_url,
        issuer_url=issuer_url,
        pathlen=_context(name).pathlen,
    )
    return render(template, context)


def _urls(slug: str | None, home: Path | None) -> tuple[str | None, str | None]:
    """Where the issuer publishes; nowhere when there is no CA yet."""
    from ca.cli.opening import record
    from ca.services.facility import authorities, signing_authority

    try:
        with record(home) as (_, store):
            issuer = signing_authority(authorities(store), slug=slug).issuer
    except HomeMissing:
        if slug is not None:
            raise
        say("note: there is no CA here yet, so no URLs of an issuer are shown")
        return None, None
    return issuer.crl_url, issuer.issuer_url


@app.command("check")
def check(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|NAME...", help="Profile files, or names of profiles in the home."
        ),
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say everything that is wrong with a profile: file, line, key, and the nearest known key.

    It is rendered for every kind of key and name, so that no branch of a template stays unread.
    Exit status 3 when something is wrong.

    Example: homeca profile check my-phone.cnf.j2
    """
    checked = [(given, _violations(given, home)) for given in files]
    if as_json:
        document(
            profiles=[
                {
                    "profile": given,
                    "usable": not found,
                    "violations": [
                        {"rule": one.rule, "text": one.text, "remedy": one.remedy} for one in found
                    ],
                }
                for given, found in checked
            ]
        )
    else:
        for given, found in checked:
            result(f"{visible(given)}: {bad(many(len(found), 'fault')) if found else good('good')}")
            for one in found:
                result(f"  - {visible(one.text)} [{one.rule}]")
                if one.remedy:
                    result(f"    try: {visible(one.remedy)}")
    if any(found for _, found in checked):
        raise typer.Exit(3)


def _violations(given: str, home: Path | None) -> tuple[Violation, ...]:
    from ca.profiles.checking import check_template, check_text
    from ca.profiles.library import read_text

    path = Path(given)
    if not path.is_file():
        return check_template(_library(home).template(given))
    return check_text(read_text(path), profile_files.profile_name(path), visible(str(path)))


profile_files.register(app)
