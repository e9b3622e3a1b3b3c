"""`homeca sign`, `homeca renew`: what a person asks for, and the requests to be signed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.issuing import issue
from ca.cli.opening import facility
from ca.cli.options import (
    BelieveClockOption,
    HomeOption,
    JsonOption,
    PinFileOption,
    TpmOption,
)
from ca.cli.output import day, say
from ca.cli.selecting import find_certificate, parse_moment
from ca.cli.targets import STANDARD_STREAM, certificate_targets, renewal_target
from ca.errors import UsageError
from ca.failpoints import failpoint
from ca.files import read_bounded
from ca.interfaces.values import serial_text
from ca.names.distinguished import DistinguishedName
from ca.names.general import parse_general_names

if TYPE_CHECKING:
    from ca.encoding.requests import Request
    from ca.interfaces.issuing import CertificateRecord
    from ca.policy.terms import Wishes
    from ca.services.facility import Facility
    from ca.services.issuance.preparation import Order

#: Requests are 0.5 to 8 kB; what is longer is not read.
_REQUEST_LIMIT = 65536

ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        help="What the certificate is for: vpn-client, vpn-server, tls-server, tls-client, or "
        "one of your own. `homeca profile list` shows them all.",
    ),
]
SanOption = Annotated[
    list[str] | None,
    typer.Option(
        "--san",
        metavar="NAME",
        help="Certify these names instead of the ones asked for: DNS:nas.home.arpa, "
        "IP:192.168.1.10, email:me@home.arpa, or just the value (repeatable).",
    ),
]
SubjectOption = Annotated[
    str | None,
    typer.Option(
        "--subject", metavar="DN", help='Instead of the subject asked for: "CN=nas.home.arpa".'
    ),
]
DaysOption = Annotated[
    int | None, typer.Option("--days", min=1, help="Lifetime; the profile has a ceiling.")
]
NotAfterOption = Annotated[
    str | None,
    typer.Option("--not-after", metavar="TIME", help="Last moment, instead of --days."),
]
IssuerOption = Annotated[
    str | None,
    typer.Option(
        "--issuer",
        metavar="NAME",
        help="Sign with this issuer. Default: the newest active intermediate, else the root.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to: a file, a directory, or - for stdout. Default: beside the request, "
        "with the ending .crt.",
    ),
]
RenewalOutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to: a file, a directory, or - for stdout. Default: beside the certificate "
        "that was named, as NAME-renewed.crt; for a serial number, SERIAL.crt here.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be certified; sign nothing.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite a file in the way.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("sign")(sign)
    app.command("renew")(renew)


def sign(
    requests: Annotated[
        list[str],
        typer.Argument(metavar="REQUEST...", help="PKCS#10 files, PEM or DER; - is stdin."),
    ],
    profile: ProfileOption,
    san: SanOption = None,
    subject: SubjectOption = None,
    days: DaysOption = None,
    not_after: NotAfterOption = None,
    issuer: IssuerOption = None,
    out: OutOption = None,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign requests. Each gives its key; the profile decides everything else.

    What was asked for and not granted is shown, never copied. The certificate and its
    intermediates are written beside the request, and recorded before you see them. Many requests
    share one TPM session; a bad one does not stop the others.

    Example: homeca sign alice-phone.csr --profile vpn-client
    """
    from ca.services.issuance.preparation import Order

    if len(requests) > 1 and (subject is not None or san):
        raise UsageError(
            "--subject and --san are for one request", remedy="sign the requests one by one"
        )
    wishes = _wishes(san, subject, days, not_after)
    targets = certificate_targets(requests, out, force=force)
    with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
        piped = _standard_input() if STANDARD_STREAM in requests else b""

        def order(source: str) -> Order:
            request = _read(source, piped)
            return Order(source=source, request=request, profile=profile, wishes=wishes)

        issue(
            found,
            requests,
            order,
            targets,
            issuer=issuer,
            dry_run=dry_run,
            force=force,
            as_json=as_json,
        )


def renew(
    certificate: Annotated[
        str, typer.Argument(metavar="SERIAL|FILE", help="A serial number or a certificate file.")
    ],
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Default: the one it was made with.")
    ] = None,
    days: DaysOption = None,
    not_after: NotAfterOption = None,
    issuer: IssuerOption = None,
    out: RenewalOutOption = None,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Renew a certificate: same key and names, new serial and dates.

    The old one stays valid until it ends, so that a device that is away is not locked out; both
    are shown. Revoke the old one when the device has the new one.

    Example: homeca renew alice-phone.crt
    """
    from ca.services.issuance.renewal import renewal_of

    with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
        record = find_certificate(certificate, found.store)
        order = renewal_of(record, profile=profile, wishes=_wishes(None, None, days, not_after))
        path = Path(certificate) if Path(certificate).is_file() else None
        target = renewal_target(path, serial_text(record.serial), out, force=force)
        done = issue(
            found,
            [order.source],
            lambda _: order,
            {order.source: target},
            issuer=issuer,
            dry_run=dry_run,
            force=force,
            as_json=as_json,
        )
        if done:
            _tell_of_old(record, found)


def _tell_of_old(record: CertificateRecord, found: Facility) -> None:
    from ca.services.revocation.issuers import revoked_issuers

    serial = serial_text(record.serial)
    if record.issuer_id in revoked_issuers(found.store.issuers(), found.store, found.home):
        say(f"note: {serial} is refused already, for its issuer is revoked")
    elif record.not_after < found.clock():
        say(f"note: {serial} ended on {day(record.not_after)}")
    else:
        say(
            f"note: {serial} stays valid until {day(record.not_after)}; "
            f"`homeca revoke {serial} --reason superseded` ends it"
        )


def _wishes(
    san: Sequence[str] | None, subject: str | None, days: int | None, not_after: str | None
) -> Wishes:
    from ca.policy.terms import Wishes

    if days is not None and not_after is not None:
        raise UsageError("--days and --not-after contradict each other", remedy="give one of them")
    return Wishes(
        san=parse_general_names(san) if san else None,
        subject=DistinguishedName.parse(subject) if subject is not None else None,
        days=days,
        not_after=parse_moment(not_after) if not_after is not None else None,
    )


def _standard_input() -> bytes:
    """All that can be a request, and an octet more; read before the TPM is held for us."""
    return sys.stdin.buffer.read(_REQUEST_LIMIT + 1)


def _read(source: str, piped: bytes) -> Request:
    from ca.encoding.containers import read_request
    from ca.encoding.requests import parse_request
    from ca.errors import RequestMalformed

    try:
        if source != STANDARD_STREAM:
            octets = read_bounded(Path(source), _REQUEST_LIMIT)
        elif len(piped) <= _REQUEST_LIMIT:
            octets = piped
        else:
            raise ValueError
    except ValueError as error:
        raise RequestMalformed(
            f"it has more than {_REQUEST_LIMIT} octets", remedy="give the request file"
        ) from error
    failpoint("request.read")
    return parse_request(read_request(octets))
