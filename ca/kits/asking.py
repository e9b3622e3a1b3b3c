"""Requests that a kit's scripts make before there is a certificate."""

from __future__ import annotations

import re

from ca.errors import IllegalName, KitRefused
from ca.names.general import DNSName, EmailName
from ca.names.showing import visible

#: A subject that needs quoting neither in a DN of certreq's, nor in `openssl req -subj`.
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._@-]{0,62}[A-Za-z0-9])?\Z")


def require_plain(name: str) -> str:
    """A name that can be the commonName of such a request. Raises: KitRefused."""
    if not _PLAIN.fullmatch(name):
        raise KitRefused(
            f"{visible(name)!r} cannot be the name in a request that a script makes",
            remedy="use at most 64 letters, digits, and between them blanks, '.', '_', '-', '@'",
        )
    return name


def alternative_name(name: str) -> str:
    """A plain name as it repeats itself in subjectAltName: "DNS:…", "email:…" or "" (d.6)."""
    for kind, label in ((EmailName, "email"), (DNSName, "DNS")):
        try:
            return f"{label}:{str(kind.parse(name)).partition(':')[2]}"
        except IllegalName:
            continue
    return ""
