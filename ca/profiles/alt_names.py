"""Granted names as a section of openssl.cnf, so that plain `openssl` makes the same certificate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ca.encoding.general_names import UPN
from ca.errors import EncodingError
from ca.names.general import DNSName, EmailName, GeneralName, IPName, UPNName, URIName
from ca.profiles.openssl_cnf import escape
from ca.profiles.x509v3_syntax import ALT_NAMES


def with_names(text: str, names: Iterable[GeneralName]) -> str:
    """A rendered profile with its names: complete for `openssl x509 -req -extfile`.

    Unchanged when there are no names. Raises: EncodingError for a kind homeca does not grant.
    """
    section = alt_names_section(names)
    return f"{text.rstrip()}\n\n{section}" if section else text


def alt_names_section(names: Iterable[GeneralName]) -> str:
    """`[ alt_names ]` with `DNS.1 = …`; "" for no names. Raises: EncodingError."""
    counts: Counter[str] = Counter()
    lines = []
    for name in names:
        key, value = _entry(name)
        counts[key] += 1
        lines.append(f"{key}.{counts[key]} = {escape(value)}")
    return "\n".join([f"[ {ALT_NAMES} ]", *lines, ""]) if lines else ""


def _entry(name: GeneralName) -> tuple[str, str]:
    match name:
        case DNSName(value):
            return "DNS", value
        case IPName(value=address):
            return "IP", str(address)
        case EmailName(value):
            return "email", value
        case URIName(value):
            return "URI", value
        case UPNName(value):
            # without FORMAT OpenSSL takes each octet for a Latin-1 character
            form = "" if value.isascii() else "FORMAT:UTF8,"
            return "otherName", f"{UPN};{form}UTF8:{value}"
    raise EncodingError(
        f"{str(name)!r} is a kind of name that homeca does not certify",
        remedy="leave it out; a profile may hold it as a fixed name",
    )
