"""A value as each file's own language writes it, or a refusal. Names come from requests: hostile.

Templates can put out nothing that did not go through one of these (`ca.kits.rendering`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from ca.encoding.containers import pem
from ca.errors import KitRefused
from ca.names.showing import visible

#: PowerShell takes every one of these for a single quote (about_Quoting_Rules).
_POWERSHELL_QUOTES = "'\u2018\u2019\u201a\u201b"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]*\Z")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?\Z", re.IGNORECASE)


class Quoted(str):
    """Text that is harmless where its template puts it."""

    __slots__ = ()


def text(value: str) -> Quoted:
    """For people, and for a comment of one line."""
    return Quoted(visible(value))


def word(value: str) -> Quoted:
    """A host, file or number that no language needs quotes for. Raises: KitRefused."""
    if not _WORD.fullmatch(value):
        raise _unwritable(value)
    return Quoted(value)


def words(values: Iterable[str], separator: str) -> Quoted:
    """Several of them. Raises: KitRefused."""
    return Quoted(separator.join(word(value) for value in values))


def section(value: str) -> Quoted:
    """The name of a section in swanctl.conf, made of a file's."""
    return Quoted(re.sub(r"[^A-Za-z0-9_-]", "-", value))


def openvpn(value: str) -> Quoted:
    """openvpn(8), COMMAND FILE: within double quotes a backslash escapes."""
    return Quoted('"' + re.sub(r'(["\\])', r"\\\1", _one_line(value)) + '"')


def powershell(value: str) -> Quoted:
    """A string that expands nothing; every sort of single quote is doubled."""
    quoted = re.sub(f"([{_POWERSHELL_QUOTES}])", r"\1\1", _one_line(value))
    return Quoted(f"'{quoted}'")


def shell(value: str) -> Quoted:
    """One word of POSIX sh."""
    return Quoted(shlex.quote(_one_line(value)))


def inf(value: str) -> Quoted:
    """A certreq INF string: "" for a quote, %% for a per cent sign, which begins a %string%."""
    return Quoted('"' + _one_line(value).replace('"', '""').replace("%", "%%") + '"')


def swanctl(value: str) -> Quoted:
    """strongswan.conf(5): within double quotes a backslash escapes."""
    return Quoted('"' + re.sub(r'(["\\])', r"\\\1", _one_line(value)) + '"')


def wpa(value: str) -> Quoted:
    """wpa_supplicant.conf(5): "text" has no escapes, so anything unusual goes in hexadecimal."""
    if re.fullmatch(r"[ !#-\[\]-~]+", value):
        return Quoted(f'"{value}"')
    return Quoted(_one_line(value).encode().hex())


def keyfile(value: str) -> Quoted:
    """nm-settings-keyfile(5), a string: a backslash and outer blanks are escaped."""
    escaped = _one_line(value).replace("\\", "\\\\")
    if escaped.startswith(" "):
        escaped = "\\s" + escaped[1:]
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\s"
    return Quoted(escaped)


def octet_list(value: str) -> Quoted:
    """nm-settings-keyfile(5), octets: "72;111;", which no content can break."""
    return Quoted("".join(f"{octet};" for octet in value.encode()))


def certificate(der: bytes) -> Quoted:
    """A PEM block without its last line end."""
    return Quoted(pem("CERTIFICATE", der).decode().rstrip("\n"))


FILTERS = {
    "text": text,
    "word": word,
    "words": words,
    "section": section,
    "openvpn": openvpn,
    "powershell": powershell,
    "shell": shell,
    "inf": inf,
    "swanctl": swanctl,
    "wpa": wpa,
    "keyfile": keyfile,
    "octet_list": octet_list,
    "certificate": certificate,
}


def file_stem(name: str) -> str:
    """A name as that of a file on every system: "Jürgen's phone" becomes "J-rgen-s-phone"."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:64].rstrip("-._")
    return f"device-{stem}".rstrip("-") if not stem or _RESERVED.match(stem) else stem


def _one_line(value: str) -> str:
    """Raises: KitRefused for line ends, controls and what nobody can see."""
    if visible(value) != value:
        raise _unwritable(value)
    return value


def _unwritable(value: str) -> KitRefused:
    return KitRefused(
        f"{visible(value)!r} cannot stand in a configuration file",
        remedy="use a name without control or hidden characters, blanks or quotes",
    )
