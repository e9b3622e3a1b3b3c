"""`homeca lost`: a device is gone, and nothing of it works any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct

from ca.cli.cutting import crl_fields, cut_after, numbers_text
from ca.cli.describing.words import worsening
from ca.cli.opening import facility
from ca.cli.options import (
    BelieveClockOption,
    HomeOption,
    JsonOption,
    PinFileOption,
    TpmOption,
)
from ca.cli.output import day, document, good, result, say
from ca.cli.selecting import find_certificate, parse_moment
from ca.errors import NotFound, UsageError
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.revocation import Reason
from ca.interfaces.values import serial_text
from ca.names.showing import many, visible

if TYPE_CHECKING:
    from ca.services.crl.cutting import Cut
    from ca.services.facility import Facility
    from ca.services.revocation.lost import Effect

_REASONS = tuple(reason for reason in Reason if reason is not Reason.CERTIFICATE_HOLD)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("lost")(lost)


def lost(
    device: Annotated[
        str,
        typer.Argument(
            metavar="NAME|SERIAL|FILE",
            help="The device: its common name, one of its names, or a certificate of it.",
        ),
    ],
    reason: Annotated[
        str,
        typer.Option("--reason", help=f"Why: {', '.join(_REASONS)}."),
    ] = Reason.KEY_COMPROMISE.value,
    moment: Annotated[
        str | None,
        typer.Option("--when", metavar="TIME", help="Since when it is gone: 2026-11-20T18:00Z."),
    ] = None,
    cut: Annotated[
        bool,
        typer.Option("--crl/--no-crl", help="Cut the new CRLs at once, the whole ladder."),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, and change nothing.")] = False,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke everything a lost device has, cut new CRLs, and say who refuses it from when.

    All live certificates with its name, and all with the same keys, are revoked in one step or
    none is. Their keys are never certified again, nor are those of what the device had before and
    was revoked for another reason. `--dry-run` first shows what that is.

    Example: homeca lost alice-phone.home.arpa
    """
    why = _reason(reason)
    invalidity = parse_moment(moment) if moment is not None else None
    with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
        going = _find(device, why, found)
        if dry_run:
            _preview(going, why, invalidity, as_json=as_json)
            return
        from ca.services.revocation.lost import effects, lose

        old_lists, copies = _old_lists(going.records, found)
        keys = [issuer for issuer in found.store.issuers() if issuer.has_key] if cut else []
        with found.changing(*keys, although_unreachable=True):
            going = _find(device, why, found)  # whoever typed a PIN gave others time to sign
            lose(going.records, why, found, invalidity=invalidity, replaced=going.replaced)
            cuts = cut_after(found, f"the loss of {_counted(going)}") if cut else []
        consequences = effects(going.records, old_lists_until=old_lists, copies_until=copies)
        if as_json:
            _print_json(going, why, cuts, consequences, invalidity)
        else:
            _print(going, why, cuts, consequences, found)


class Going(Struct, frozen=True, kw_only=True):
    """What goes. by_key: ids of those that go only because they have the same key.

    replaced: revoked already, for a reason that says nothing against their keys.
    """

    records: tuple[CertificateRecord, ...]
    by_key: Collection[int]
    replaced: tuple[CertificateRecord, ...]


def _reason(text: str) -> Reason:
    for reason in _REASONS:
        if reason.value.lower() == text.lower():
            return reason
    raise UsageError(
        f"{visible(text)!r} is not a reason to lose a device",
        remedy=f"use one of {', '.join(_REASONS)}; `homeca revoke` puts on hold",
    )


def _find(device: str, reason: Reason, found: Facility) -> Going:
    """By name; else by a certificate file or a serial, and then by that one's name and key."""
    from ca.services.revocation.lost import by_key_only, certificates_of, common_name, replaced_of

    store = found.store
    name: str | CertificateRecord = device
    if Path(device).is_file():
        name = find_certificate(device, store)
    else:
        try:
            records = certificates_of(device, store, at=found.clock())
        except NotFound as unknown:
            try:
                name = find_certificate(device, store)
            except (NotFound, UsageError):
                raise unknown from None
    if not isinstance(name, str):
        records = _with_its_name(name, found)
    called = name if isinstance(name, str) else common_name(name)
    return Going(
        records=records,
        by_key=by_key_only(records, name),
        replaced=replaced_of(records, called, store) if reason.is_compromise else (),
    )


def _with_its_name(record: CertificateRecord, found: Facility) -> tuple[CertificateRecord, ...]:
    from ca.services.revocation.lost import certificates_of, common_name, with_their_keys

    if any(record.serial == issuer.serial for issuer in found.store.issuers()):
        raise NotFound(
            f"{_named(record)} is an issuer of this CA, not a device",
            remedy=f"take an intermediate back with `homeca revoke {serial_text(record.serial)}`",
        )
    name = common_name(record)
    by_key = with_their_keys([record], found.store, at=found.clock())
    if not name:
        named: tuple[CertificateRecord, ...] = ()
    else:
        try:
            named = certificates_of(name, found.store, at=found.clock())
        except NotFound:
            named = ()
    both = {one.id: one for one in (*by_key, *named)}
    if not both:
        raise NotFound(
            f"{_named(record)} and its keys have no live certificate any more",
            remedy="nothing needs doing; `homeca show` tells what became of it",
        )
    return tuple(one for _, one in sorted(both.items()))


def _old_lists(
    records: tuple[CertificateRecord, ...], found: Facility
) -> tuple[datetime | None, datetime | None]:
    """When the lists end that do not name these: the last that servers have, one fetched now."""
    from ca.services.crl.ladder import standing_ladder

    issuers = {record.issuer_id for record in records}
    ladders = [one for id_ in issuers if (one := standing_ladder(found.store, id_)) is not None]
    now = found.clock()
    copies = [end for one in ladders if (end := one.current(now).next_update) is not None]
    return max((one.armed_until for one in ladders), default=None), max(copies, default=None)


def _named(record: CertificateRecord) -> str:
    who = record.subject or ", ".join(record.names)
    return f"{serial_text(record.serial)} {visible(who)}, until {day(record.not_after)}"


def _because(record: CertificateRecord, by_key: Collection[int]) -> str:
    return ", for it has the same key" if record.id in by_key else ""


def _preview(going: Going, reason: Reason, invalidity: datetime | None, *, as_json: bool) -> None:
    if as_json:
        document(
            dry_run=True,
            would_revoke=[_fields(record, going.by_key) for record in going.records],
            would_change=[_fields(record, ()) for record in going.replaced],
            reason=reason.value,
            invalidity=invalidity,
        )
        return
    for record in going.records:
        result(f"would revoke {_named(record)}{_because(record, going.by_key)}")
    for record in going.replaced:
        result(f"would change {worsening(record, reason)}")
    say(f"{_counted(going)}; nothing was changed")


def _counted(going: Going) -> str:
    return many(len(going.records) + len(going.replaced), "certificate")


def _print(
    going: Going,
    reason: Reason,
    cuts: list[Cut],
    consequences: tuple[Effect, ...],
    found: Facility,
) -> None:
    from ca.services.crl.files import JOINED

    for record in going.records:
        result(f"revoked {_named(record)} ({reason.value}){_because(record, going.by_key)}")
    for record in going.replaced:
        result(f"changed {worsening(record, reason)}")
    for one in cuts:
        result(f"{visible(one.authority.issuer.subject)}: {good(numbers_text(one))}")
    result("")
    result("who refuses it, from when:")
    for effect in consequences:
        result(f"  {effect.service}: {effect.refuses}")
    if cuts:
        say(f"next: copy {found.home.crl / JOINED} to your VPN servers, whole")
    else:
        say("next: `homeca crl`; until then nobody outside knows")


def _fields(record: CertificateRecord, by_key: Collection[int]) -> dict[str, Any]:
    return {
        "serial": serial_text(record.serial),
        "subject": record.subject,
        "names": list(record.names),
        "not_after": record.not_after,
        "by_key_only": record.id in by_key,
    }


def _print_json(
    going: Going,
    reason: Reason,
    cuts: list[Cut],
    consequences: tuple[Effect, ...],
    invalidity: datetime | None,
) -> None:
    document(
        revoked=[_fields(record, going.by_key) for record in going.records],
        changed=[_fields(record, ()) for record in going.replaced],
        reason=reason.value,
        invalidity=invalidity,
        crls=[crl_fields(one) for one in cuts],
        effects=[{"service": one.service, "refuses": one.refuses} for one in consequences],
    )
