"""`homeca revoke`: taking certificates back, and holds."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

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
from ca.cli.output import day, document, good, result, say, warn
from ca.cli.selecting import find_certificate, parse_moment
from ca.errors import UsageError
from ca.failpoints import failpoint
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.revocation import Reason
from ca.interfaces.values import serial_text
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.services.crl.cutting import Cut
    from ca.services.facility import Facility

_REASONS = ", ".join(reason.value for reason in Reason)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("revoke")(revoke)


def revoke(
    certificate: Annotated[
        str, typer.Argument(metavar="SERIAL|FILE", help="A serial number or a certificate file.")
    ],
    reason: Annotated[
        str, typer.Option("--reason", help=f"Why: {_REASONS}; or removeFromCRL to end a hold.")
    ] = Reason.UNSPECIFIED.value,
    moment: Annotated[
        str | None,
        typer.Option(
            "--when",
            metavar="TIME",
            help="Since when the key is suspected lost: 2026-11-20 or 2026-11-20T18:00Z. "
            "The revocation itself is always dated now.",
        ),
    ] = None,
    cut: Annotated[bool, typer.Option("--crl", help="Cut new CRLs at once.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, and change nothing.")] = False,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a certificate. The next CRL tells the world.

    A lost phone or a stolen key: --reason keyCompromise; its key is then never certified again.
    certificateHold can be taken back later with --reason removeFromCRL, nothing else can.
    What was revoked for another reason can still become keyCompromise; its date stays.

    Example: homeca revoke alice-phone.crt --reason keyCompromise && homeca crl
    """
    from ca.policy.revoking import check_releasing
    from ca.services.revocation import revoking as service

    wanted = _reason(reason)
    invalidity = parse_moment(moment) if moment is not None else None
    with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
        record = find_certificate(certificate, found.store)
        failpoint("certificate.found")
        if dry_run:
            if wanted is None:
                check_releasing(record.serial, record.revocation)
            else:
                service.check_revocable(
                    record, wanted, found, invalidity=invalidity, now=found.clock()
                )
            _preview(record, wanted, as_json=as_json, invalidity=invalidity)
            return
        keys = [issuer for issuer in found.store.issuers() if issuer.has_key] if cut else []
        with found.changing(*keys, although_unreachable=wanted is not None):
            if wanted is None:
                service.release(record, found)
            else:
                service.revoke(record, wanted, found, invalidity=invalidity)
            what = "the revocation" if wanted is not None else "the release"
            cuts = cut_after(found, what) if cut else []
        _report(record, wanted, found, cuts, as_json=as_json, invalidity=invalidity)


def _reason(text: str) -> Reason | None:
    """Any case; None for removeFromCRL (RFC 5280 §5.3.1, code 8)."""
    if text.lower() == "removefromcrl":
        return None
    for reason in Reason:
        if reason.value.lower() == text.lower():
            return reason
    raise UsageError(
        f"{visible(text)!r} is not a reason", remedy=f"use one of {_REASONS}, removeFromCRL"
    )


def _named(record: CertificateRecord) -> str:
    return f"{serial_text(record.serial)} {visible(record.subject)}"


def _done(record: CertificateRecord, reason: Reason, new: str, changed: str) -> str:
    """What is done to it, in these words; record: as it was before."""
    from ca.policy.revoking import worsens

    if worsens(record.revocation, reason):
        return f"{changed} {worsening(record, reason)}"
    return f"{new} {_named(record)} ({reason.value})"


def _preview(
    record: CertificateRecord,
    reason: Reason | None,
    *,
    as_json: bool,
    invalidity: datetime | None,
) -> None:
    if as_json:
        document(
            dry_run=True,
            serial=serial_text(record.serial),
            subject=record.subject,
            revoked=reason is not None,
            reason=reason.value if reason is not None else None,
            invalidity=invalidity,
        )
    elif reason is None:
        say(f"would release {_named(record)}; nothing was changed")
    else:
        say(f"would {_done(record, reason, 'revoke', 'change')}; nothing was changed")


def _report(
    record: CertificateRecord,
    reason: Reason | None,
    found: Facility,
    cuts: list[Cut],
    *,
    as_json: bool,
    invalidity: datetime | None,
) -> None:
    from ca.services.revocation.revoking import still_live

    live = still_live(record, found, now=found.clock()) if reason is not None else ()
    if as_json:
        document(
            serial=serial_text(record.serial),
            subject=record.subject,
            revoked=reason is not None,
            reason=reason.value if reason is not None else None,
            invalidity=invalidity,
            also_live=[serial_text(other.serial) for other in live],
            crls=[crl_fields(one) for one in cuts],
        )
    elif reason is None:
        result(f"released {_named(record)}")
    else:
        result(_done(record, reason, "revoked", "changed"))
    for other in live:
        warn(
            f"the same key has another live certificate, {_named(other)} until "
            f"{day(other.not_after)}: revoke it too if the device is lost"
        )
    owner = next((i.node for i in found.store.issuers() if i.id == record.issuer_id), "")
    if owner:
        say(f"next: `homeca crl` on node {visible(owner)}; until then nobody outside knows")
    elif not cuts:
        say("next: `homeca crl`; until then nobody outside knows")
    elif not as_json:
        from ca.services.crl.files import JOINED

        for one in cuts:
            result(f"{visible(one.authority.issuer.subject)}: {good(numbers_text(one))}")
        say(f"next: copy {found.home.crl / JOINED} to your VPN servers, whole")
