"""A file that a person named, read up to the length such a file can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ca.errors import ConfigurationError
from ca.files import read_bounded
from ca.names.showing import visible

if TYPE_CHECKING:
    from pathlib import Path

    from ca.encoding.facts import CrlFacts


def read_named(path: Path, limit: int, what: str) -> bytes:
    """At most `limit` octets. what: "a certificate". Raises: ConfigurationError, OutputFailed."""
    try:
        return read_bounded(path, limit)
    except ValueError as error:
        raise ConfigurationError(
            f"{visible(str(path))!r} is longer than {what} can be",
            remedy="give the right file",
        ) from error


def read_lists(path: Path) -> tuple[CrlFacts, ...]:
    """Every CRL in a file, PEM or DER. Raises: CrlMalformed, ConfigurationError, OutputFailed."""
    from ca.encoding.containers import MAX_CRLS_FILE, read_crls
    from ca.encoding.inspect import read_crl

    return tuple(read_crl(der) for der in read_crls(read_named(path, MAX_CRLS_FILE, "a CRL")))
