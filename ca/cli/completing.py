"""What the shell offers after TAB. A completion that cannot look stays silent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ca.cli.opening import record
from ca.errors import HomecaError
from ca.interfaces.values import serial_text
from ca.names.showing import visible

#: More than this nobody reads.
_MOST = 50


def complete_serial(incomplete: str) -> list[tuple[str, str]]:
    """Serials of the record that begin so, with their subjects."""
    digits = incomplete.replace(":", "").upper()

    def found() -> Iterator[tuple[str, str]]:
        from ca.interfaces.issuing import CertificateQuery, State

        with record(None) as (_, store):
            for one in store.certificates(CertificateQuery(states=(State.ISSUED,))):
                serial = serial_text(one.serial)
                if serial.startswith(digits):
                    yield serial, visible(one.subject)

    return _first(found())


def complete_issuer(incomplete: str) -> list[tuple[str, str]]:
    """Slugs of issuers, with their subjects."""

    def found() -> Iterator[tuple[str, str]]:
        with record(None) as (_, store):
            for one in store.issuers():
                if one.slug.startswith(incomplete):
                    yield one.slug, visible(one.subject)

    return _first(found())


def complete_profile(incomplete: str) -> list[str]:
    """Names of profiles, the user's own included."""
    from ca.cli.options import chosen_home
    from ca.home import Home
    from ca.wiring.opening import open_library

    try:
        library = open_library(Home(chosen_home(None)))
        return [name for name in library.names() if name.startswith(incomplete)]
    except (HomecaError, OSError):
        return []


def _first(found: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    try:
        return list(islice(found, _MOST))
    except (HomecaError, OSError):
        return []
