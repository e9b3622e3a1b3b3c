"""A profile looked at from outside: every fault it has, and how two differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from itertools import product

from ca.errors import ProfileMalformed, Violation
from ca.profiles.library import is_profile_name, template_of
from ca.profiles.parse import CEREMONIES, parse_profile
from ca.profiles.render import ProfileTemplate, RenderContext, examine, render
from ca.profiles.values import SAN_KINDS

_URL = "http://ca.home.arpa/x"
_NAMES = (frozenset[str](), *(frozenset({kind}) for kind in SAN_KINDS), frozenset(SAN_KINDS))


def check_text(text: str, name: str, source: str) -> tuple[Violation, ...]:
    """Every fault of a profile in any situation, each once; none means it is fit for use."""
    found: dict[Violation, None] = {}
    if not is_profile_name(name):
        found[
            Violation(
                "profile.name",
                f"{source}: {name!r} cannot be the name of a profile",
                "use letters, digits, '-', '_' and '.', at most 64",
            )
        ] = None
    return (*found, *check_template(template_of(text, name=name, source=source)))


def check_template(template: ProfileTemplate) -> tuple[Violation, ...]:
    """As `check_text`, for a template at hand."""
    found: dict[Violation, None] = {}
    seen: set[str] = set()
    try:
        examine(template)
    except ProfileMalformed as error:
        return error.violations
    for context in situations() if template.is_template else (RenderContext(),):
        try:
            text = render(template, context)
            if text not in seen:
                seen.add(text)
                parse_profile(text, name=template.name, source=template.source)
        except ProfileMalformed as error:
            found |= dict.fromkeys(error.violations)
    return tuple(sorted(found, key=lambda violation: _place(violation.text)))


def situations() -> Iterator[RenderContext]:
    """One context for each way a template's conditions can go."""
    for key, kinds, subject, url, owned in product(
        ("ec", "rsa", "ed25519"), _NAMES, (True, False), (None, _URL), (False, True)
    ):
        yield RenderContext(
            key=key,
            names=kinds,
            subject=subject,
            crl_url=url,
            issuer_url=url,
            ocsp_url=url if owned else None,
            permitted_dns=("home.arpa", "lan") if owned else (),
            permitted_ip=("192.168.0.0/16", "fd00::/8") if owned else (),
            pathlen=0 if owned else None,
        )


def _place(text: str) -> tuple[int, str]:
    """The line a fault is at, for sorting."""
    match = re.search(r"(?:^|:|line )(\d+):", text)
    return (int(match.group(1)) if match else 0, text)


def diff_profiles(
    one: ProfileTemplate, other: ProfileTemplate, context: RenderContext | None = None
) -> tuple[str, ...]:
    """What differs between two profiles: lines of a unified diff without blanks and comments.

    context: the situation to compare them in; None compares the files as they are written.
    Raises:  ProfileMalformed when one does not render.
    """
    before, after = (_essence(one, context), _essence(other, context))
    lines = difflib.unified_diff(before, after, one.name, other.name, n=2, lineterm="")
    return tuple(lines)


def _essence(template: ProfileTemplate, context: RenderContext | None) -> list[str]:
    text = template.text if context is None else render(template, context)
    return [line for raw in text.splitlines() if (line := raw.strip()) and line[0] != "#"]


def new_from(template: ProfileTemplate, name: str) -> str:
    """The text of a profile of one's own that begins as a copy of another.

    name:   becomes the file NAME.cnf.j2 (or NAME.cnf, see `ProfileTemplate.is_template`).
    Raises: ProfileMalformed for a name that is none, and for a copy of what only the ceremonies
            may make.
    """
    problem = None
    if not is_profile_name(name):
        problem = f"{name!r} cannot be the name of a profile"
        remedy = "use letters, digits, '-', '_' and '.', at most 64"
    elif template.name in CEREMONIES:
        problem = f"a profile of your own cannot begin as {template.name!r}: it makes leaves only"
        remedy = "begin with a leaf's profile: `homeca profile list`"
    if problem is not None:
        raise ProfileMalformed(
            problem, remedy=remedy, violations=(Violation("profile.name", problem, remedy),)
        )
    return f"# {name}: begun as a copy of {template.name}\n{template.text}"
