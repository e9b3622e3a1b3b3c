"""The device a kit is for: its certificate by what a person calls it, and its name in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ca.encoding.facts import TbsFacts
from ca.encoding.inspect import read_certificate
from ca.errors import NotFound
from ca.interfaces.issuing import CertificateQuery, CertificateRecord, State
from ca.interfaces.values import serial_text
from ca.kits.kinds import KINDS
from ca.names.distinguished import COMMON_NAME
from ca.names.showing import visible
from ca.services.facility import Facility


def find_named(
    name: str, kind: str, facility: Facility, *, now: datetime, revoked: bool = False
) -> CertificateRecord | None:
    """The newest good certificate of the device called so, fit for the kit; None if there is none.

    name:    a value of subjectAltName, the commonName, or the first label of one of them.
    revoked: the newest that would be good, were it not revoked or on hold.
    Raises:  NotFound when the label stands for several devices.
    """
    purpose = KINDS[kind].purpose
    exact: CertificateRecord | None = None
    short: dict[str, CertificateRecord] = {}
    wanted = name.casefold()
    for record, tbs in live_certificates(name, purpose, facility, now=now, revoked=revoked):
        names = _called(tbs)
        if wanted in names:
            exact = record
        elif any(one.partition(".")[0] == wanted for one in names):
            short[str(tbs.subject) or names[0]] = record
    if exact is None and len(short) > 1:
        listed = ", ".join(f"{visible(who)} ({serial_text(r.serial)})" for who, r in short.items())
        raise NotFound(
            f"{visible(name)!r} stands for more than one device: {listed}",
            remedy="write the whole name, or the serial number",
        )
    return exact or next(iter(short.values()), None)


def display_name(record: CertificateRecord) -> str:
    """How a certificate's device is called: its common name, else its first name."""
    tbs = read_certificate(record.der or b"").tbs
    common = tbs.subject.values(COMMON_NAME)
    if common and common[0].strip():
        return visible(common[0])
    if tbs.san:
        return visible(str(tbs.san[0]).partition(":")[2])
    return serial_text(record.serial)


def _called(tbs: TbsFacts) -> list[str]:
    names = [str(name).partition(":")[2].casefold() for name in tbs.names]
    return [*names, *(value.casefold() for value in tbs.subject.values(COMMON_NAME))]


def live_certificates(
    text: str, purpose: str, facility: Facility, *, now: datetime, revoked: bool = False
) -> Iterator[tuple[CertificateRecord, TbsFacts]]:
    """Issued, unexpired certificates of a purpose that mention `text`, oldest first.

    revoked: those that are, for good or on hold; else those that are not.
    """
    query = CertificateQuery(states=(State.ISSUED,), revoked=revoked, expires_after=now, text=text)
    for record in facility.store.certificates(query):
        if record.der is None:
            continue
        tbs = read_certificate(record.der).tbs
        if not tbs.is_ca and purpose in (tbs.eku or ()):
            yield record, tbs
