"""`homeca profile import`: the sections of somebody's openssl.cnf as profiles.

Each extension section that may certify a leaf becomes a profile under its own name, with the
days and digest of the default CA. Each policy section counts: NAME has the policy of the default
CA, NAME-POLICY any other one. What becomes no profile is named with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from ca.encoding import extensions as ext
from ca.errors import HomecaError, NotFound, ProfileMalformed
from ca.names.showing import visible
from ca.profiles.checking import check_text
from ca.profiles.leaf_law import CRL_ONLY
from ca.profiles.library import is_profile_name
from ca.profiles.object_names import EXTENSIONS, KEY_PURPOSES
from ca.profiles.openssl_cnf import Cnf, Entry, escape, read_cnf
from ca.profiles.parse import CEREMONIES
from ca.profiles.profile import PolicyRule
from ca.profiles.x509v3 import ExtensionDirective
from ca.profiles.x509v3_names import attribute_oid
from ca.profiles.x509v3_syntax import read_extension

#: Keys of a CA section that a profile keeps; `x509_extensions` it says itself.
_KEPT = ("default_days", "default_md", "copy_extensions")
_ENCIPHERMENT = {"keyEncipherment", "dataEncipherment"}
_DEFAULT_DAYS = "375"


class ImportedProfile(Struct, frozen=True):
    """A profile to be written as NAME.cnf, or NAME.cnf.j2 when its text has jinja marks."""

    name: str
    text: str


class NotImported(Struct, frozen=True):
    """A section that looks like extensions and makes no profile, and why."""

    section: str
    line: int
    why: str


class Import(Struct, frozen=True):
    """What a file gave."""

    profiles: tuple[ImportedProfile, ...]
    left_out: tuple[NotImported, ...]


def import_cnf(text: str, source: str) -> tuple[ImportedProfile, ...]:
    """The profiles in an openssl.cnf; `read_import` says also what was left out."""
    return read_import(text, source).profiles


def read_import(text: str, source: str) -> Import:
    """Every section of extensions, as a profile or with the reason why not.

    Raises: ProfileMalformed when the file itself cannot be read; NotFound when no section of it
            becomes a profile.
    """
    cnf = read_cnf(text, source=source)
    if cnf.faults:
        raise ProfileMalformed(
            f"{visible(source)!r} cannot be read: {cnf.faults[0].text}",
            remedy=cnf.faults[0].remedy or "mend the file, then try again",
            violations=tuple(cnf.faults),
        )
    profiles: dict[str, ImportedProfile] = {}
    left_out: list[NotImported] = []
    for section in _extension_sections(cnf):
        try:
            for profile in _profiles_of(cnf, section):
                profiles.setdefault(profile.name, profile)
        except _LeftOutError as reason:
            left_out.append(NotImported(section, cnf.lines.get(section, 1), reason.why))
    if not profiles:
        reasons = "; ".join(f"[{visible(one.section)}] {one.why}" for one in left_out)
        raise NotFound(
            f"no section of {visible(source)!r} becomes a profile"
            + (f": {reasons}" * bool(reasons)),
            remedy="give the openssl.cnf that `openssl ca` or `openssl x509 -extfile` uses",
        )
    return Import(tuple(profiles.values()), tuple(left_out))


class _LeftOutError(Exception):
    """Internal to this module: why a section makes no profile."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _extension_sections(cnf: Cnf) -> list[str]:
    """Sections with at least one extension in them: no other section has such keys."""
    return [name for name, entries in cnf.sections.items() if entries.keys() & EXTENSIONS.keys()]


def _profiles_of(cnf: Cnf, section: str) -> Iterator[ImportedProfile]:
    directives = _directives(cnf, section)
    _refuse_what_is_no_leaf(directives, cnf.sections[section])
    name = section if is_profile_name(section) else re.sub(r"[^A-Za-z0-9_.-]+", "-", section)
    name = name.strip("-.") or "imported"
    if name in CEREMONIES:
        name = f"imported-{name}"
    authority = _default_authority(cnf)
    for count, policy in enumerate(_policies(cnf, authority)):
        own = name if count == 0 else f"{name}-{policy}"
        text = _text(cnf, section, authority, policy, directives)
        faults = check_text(text, own, "imported")
        if faults:
            raise _LeftOutError(f"has a fault: {faults[0].text}")
        yield ImportedProfile(own, text)


def _directives(cnf: Cnf, section: str) -> list[ExtensionDirective]:
    directives = []
    for entry in cnf.sections[section].values():
        try:
            directives.append(read_extension(cnf, entry))
        except HomecaError as error:
            raise _LeftOutError(
                f"line {entry.line}, {visible(entry.name)}: {error.problem}"
            ) from error
    return directives


def _refuse_what_is_no_leaf(
    directives: list[ExtensionDirective], entries: dict[str, Entry]
) -> None:
    if all(d.oid == ext.AUTHORITY_KEY_IDENTIFIER for d in directives) or CRL_ONLY & set(entries):
        raise _LeftOutError("is for CRLs: homeca cuts its own")
    for directive in directives:
        if not isinstance(directive.value, bytes):
            continue
        try:
            ca = directive.oid == ext.BASIC_CONSTRAINTS and ext.says_ca(directive.value)
            signs = directive.oid == ext.KEY_USAGE and "keyCertSign" in ext.usages(directive.value)
        except HomecaError as error:
            raise _LeftOutError(f"{directive.name}: {error.problem}") from error
        if ca or signs:
            raise _LeftOutError(
                "makes a CA: issuers come from `homeca init-root` and `homeca init-intermediate`"
            )


def _default_authority(cnf: Cnf) -> str:
    """The CA section that `openssl ca` takes; the first with a policy otherwise; or ""."""
    default = cnf.get("ca", "default_ca")
    if default is not None and default.value in cnf.sections:
        return default.value
    return next((name for name, entries in cnf.sections.items() if "policy" in entries), "")


def _policies(cnf: Cnf, authority: str) -> list[str]:
    """Sections of nothing but match, supplied and optional; the default one first; else ""."""
    rules = tuple(PolicyRule)
    found = [
        name
        for name, entries in cnf.sections.items()
        if entries and all(entry.value in rules for entry in entries.values())
    ]
    default = cnf.get(authority, "policy") if authority else None
    if default is not None and default.value in found:
        found.remove(default.value)
        found.insert(0, default.value)
    return found or [""]


def _text(
    cnf: Cnf, section: str, authority: str, policy: str, directives: list[ExtensionDirective]
) -> str:
    kept = {key: cnf.get(authority, key) for key in _KEPT} if authority else {}
    values = {key: entry.value for key, entry in kept.items() if entry is not None}
    values.setdefault("default_days", _DEFAULT_DAYS)
    if values.get("default_md", "").lower().replace("-", "") in ("md5", "sha1"):
        values["default_md"] = "default"
    if values.get("copy_extensions") == "copyall":
        values["copy_extensions"] = "copy"
    lines = [
        f"# from the section {section} of an openssl.cnf",
        "[ ca ]",
        "default_ca = profile",
        "",
        "[ profile ]",
        *(f"{key} = {escape(value)}" for key, value in values.items()),
        "policy = subject",
        "x509_extensions = extensions",
        "",
        "[ subject ]",
        *_policy_lines(cnf, policy),
        "",
        "[ extensions ]",
        *(f"{e.name} = {escape(e.value)}" for e in cnf.sections[section].values()),
        *_added_names(directives),
    ]
    for name in _referred(cnf, section):
        lines += ["", f"[ {name} ]"]
        lines += [f"{e.name} = {escape(e.value)}" for e in cnf.sections[name].values()]
    purpose = f"imported from the section {section}" + f", with {policy}" * bool(policy)
    lines += ["", "[ homeca ]", f"purpose = {escape(purpose)}"]
    if any(_encipherment(directive) for directive in directives):
        lines += ["# keyEncipherment goes with RSA keys only (RFC 8813 §3)", "keys = rsa"]
    if _added_names(directives):
        lines += ["san = dns, ip"]
    return "\n".join(lines) + "\n"


def _policy_lines(cnf: Cnf, policy: str) -> list[str]:
    entries = cnf.sections.get(policy, {})
    if not entries:
        return ["commonName = supplied"]
    for entry in entries.values():
        try:
            attribute_oid(entry.name)
        except HomecaError as error:
            raise _LeftOutError(f"its policy, line {entry.line}: {error.problem}") from error
    return [f"{entry.name} = {escape(entry.value)}" for entry in entries.values()]


def _added_names(directives: list[ExtensionDirective]) -> list[str]:
    """A server's certificate without names is of no use to any client of today (AP1, CH1)."""
    purposes = [
        d.value
        for d in directives
        if d.oid == ext.EXTENDED_KEY_USAGE and isinstance(d.value, bytes)
    ]
    serves = any(KEY_PURPOSES["serverAuth"] in ext.purposes(value) for value in purposes)
    if not serves or any(d.oid == ext.SUBJECT_ALT_NAME for d in directives):
        return []
    return [
        "# added: names of the request, without which no phone or browser takes a server",
        '{% if names %}subjectAltName = {{ "" if subject else "critical, " }}@alt_names{% endif %}',
    ]


def _encipherment(directive: ExtensionDirective) -> bool:
    value = directive.value
    return (
        directive.oid == ext.KEY_USAGE
        and isinstance(value, bytes)
        and bool(_ENCIPHERMENT & ext.usages(value))
    )


def _referred(cnf: Cnf, section: str) -> list[str]:
    """Sections the values of a section name, and those that these name, each once."""
    found: list[str] = []
    waiting = [section]
    while waiting:
        for entry in cnf.sections.get(waiting.pop(), {}).values():
            for word in re.split(r"[,:;=\s]+", entry.value):
                name = word.removeprefix("@")
                if name in cnf.sections and name not in (*found, section, "default"):
                    found.append(name)
                    waiting.append(name)
    return found
