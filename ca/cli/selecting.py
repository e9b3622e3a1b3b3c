"""What a person names on the command line: a certificate, a moment, a span of time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ca.errors import NotFound, UsageError
from ca.files import read_bounded
from ca.interfaces.issuing import CertificateRecord, State
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial, serial_text
from ca.names.showing import visible

_HEX = re.compile(r"[0-9A-Fa-f]{1,40}\Z")
_SPAN = re.compile(r"(\d{1,5})([smhdwy])\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_FILE_LIMIT = 1 << 20

#: Digits that stand for a whole serial: to look at it, and to do something to it. The second is
#: what `list` shows on a terminal at least; a slip of the finger does not hit another serial.
_ENOUGH, _SURE = 4, 12
_FEW = 5


def find_certificate(text: str, store: CertificateStore) -> CertificateRecord:
    """A serial (hex, colons and 0x allowed) or a certificate file of this CA.

    A file that exists wins over a serial of the same spelling. Raises: NotFound, UsageError,
    CertificateMalformed.
    """
    path = Path(text)
    if path.is_file():
        return _by_file(path, store)
    found = _by_digits(text, store, least=_SURE)
    if not found and _by_digits(text, store, least=_ENOUGH):
        raise NotFound(
            f"{visible(text)!r} is too little of a serial to act on",
            remedy=f"write {_SURE} digits or more; `homeca show {visible(text)}` shows them all",
        )
    return _one(found, f"serial {serial_text(found[0].serial) if found else text}")


def find_record(text: str, store: CertificateStore) -> CertificateRecord:
    """Any row of the record, by its serial or the first four or more digits of it.

    Raises: NotFound, UsageError when several begin so.
    """
    found = _by_digits(text, store, least=_ENOUGH)
    if not found:
        raise NotFound(
            f"no serial of this CA is or begins with {visible(text)!r}",
            remedy=f"write {_ENOUGH} digits or more; `homeca list --all` shows them",
        )
    if len(found) > 1:
        listed = ", ".join(serial_text(record.serial) for record in found)
        raise UsageError(
            f"{visible(text)!r} stands for more than one serial: {listed}",
            remedy="write more of its digits",
        )
    return found[0]


def _by_digits(text: str, store: CertificateStore, *, least: int) -> tuple[CertificateRecord, ...]:
    """The exact serial first; else those that begin with at least `least` digits."""
    digits = re.sub(r"[:\s]|\A0[xX]", "", text).removesuffix("…")
    if not _HEX.match(digits):
        raise NotFound(
            f"{visible(text)!r} is neither a serial number nor a file",
            remedy="see the serials with `homeca list`",
        )
    exact = store.by_serial(Serial(int(digits, 16)))
    if exact or len(digits) < least:
        return exact
    return store.by_serial_prefix(digits.lower(), limit=_FEW)


def _by_file(path: Path, store: CertificateStore) -> CertificateRecord:
    from ca.encoding.containers import read_certificates
    from ca.encoding.inspect import read_certificate

    try:
        octets = read_bounded(path, _FILE_LIMIT)
    except ValueError as error:
        raise UsageError(
            f"{visible(str(path))!r} is too long to be a certificate",
            remedy="give a certificate or a serial number",
        ) from error
    der = read_certificates(octets)[0]
    serial = Serial(read_certificate(der).tbs.serial)
    ours = tuple(record for record in store.by_serial(serial) if record.der == der)
    return _one(ours, f"the certificate in {visible(str(path))!r}")


def _one(found: tuple[CertificateRecord, ...], what: str) -> CertificateRecord:
    real = [r for r in found if r.state in (State.ISSUED, State.UNCERTAIN)]
    if not real:
        raise NotFound(
            f"{what} was not issued by this CA", remedy="see what was with `homeca list --all`"
        )
    if len(real) > 1:
        raise UsageError(
            f"{what} exists under more than one issuer", remedy="name the certificate file instead"
        )
    return real[0]


def parse_moment(text: str) -> datetime:
    """ "2026-11-20", "2026-11-20T18:00Z", with an offset or UTC. Raises: UsageError."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{visible(text)!r} is not a time", remedy="write it like 2026-11-20T18:00Z"
        ) from error
    return moment.replace(microsecond=0)


def parse_span(text: str) -> timedelta:
    """ "30d", "12h", "2w", "1y" (365 days). Raises: UsageError."""
    found = _SPAN.match(text.strip().lower())
    if found is None:
        raise UsageError(
            f"{visible(text)!r} is not a span of time", remedy="write it like 30d, 12h, 2w or 1y"
        )
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
