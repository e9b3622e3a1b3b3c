"""`homeca sign`, `homeca renew`: from a request file to a certificate file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct

from ca.cli.opening import facility
from ca.cli.options import (
    BelieveClockOption,
    HomeOption,
    JsonOption,
    PinFileOption,
    TpmOption,
)
from ca.cli.output import day, document, error_fields, fields, say, show_error, warn
from ca.cli.progress import Progress
from ca.cli.selecting import find_certificate, parse_moment
from ca.errors import HomecaError, OutputExists, UsageError
from ca.failpoints import failpoint
from ca.files import read_bounded
from ca.interfaces.custody import CustodyKind
from ca.interfaces.issuing import Role
from ca.interfaces.values import serial_text
from ca.names.distinguished import DistinguishedName
from ca.names.general import parse_general_name
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.cli.delivery import Delivery
    from ca.encoding.requests import Request
    from ca.policy.terms import Wishes
    from ca.services.facility import Authority, Facility
    from ca.services.issuance import NotIssued, Order, Prepared

#: Requests are 0.5 to 8 kB; what is longer is not read.
_REQUEST_LIMIT = 65536
_STANDARD_STREAM = "-"

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
    typer.Option("--subject", metavar="DN", help='Instead of the subject asked for: "CN=nas".'),
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
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be certified; sign nothing.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite a file in the way.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("sign")(sign)
    app.command("renew")(renew)


class Failure(Struct, frozen=True):
    """A request that did not become a certificate, and why."""

    source: str
    error: HomecaError


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
    from ca.services.issuance import Order

    if len(requests) > 1 and (subject is not None or san):
        raise UsageError(
            "--subject and --san are for one request", remedy="sign the requests one by one"
        )
    wishes = _wishes(san, subject, days, not_after)
    targets = _targets(requests, out, force=force)
    with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
        piped = _standard_input() if _STANDARD_STREAM in requests else b""

        def order(source: str) -> Order:
            request = _read(source, piped)
            return Order(source=source, request=request, profile=profile, wishes=wishes)

        _run(
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
    out: OutOption = None,
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
    from ca.services.renewal import renewal_of

    with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
        record = find_certificate(certificate, found.store)
        order = renewal_of(record, profile=profile, wishes=_wishes(None, None, days, not_after))
        path = Path(certificate) if Path(certificate).is_file() else None
        target = _renewal_target(path, serial_text(record.serial), out, force=force)
        done = _run(
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
            say(
                f"note: {serial_text(record.serial)} stays valid until {day(record.not_after)}; "
                f"`homeca revoke {serial_text(record.serial)} --reason superseded` ends it"
            )


def _renewal_target(
    path: Path | None, serial: str, out: Path | None, *, force: bool
) -> Path | None:
    """Beside the old file, marked as renewed: the old one is still in use."""
    if out is not None and str(out) == _STANDARD_STREAM:
        return None
    target = out or (
        path.with_name(f"{path.stem}-renewed{path.suffix}") if path else Path(f"{serial}.crt")
    )
    if target.is_dir():
        target = target / f"{serial}-renewed.crt"
    _require_free(target, force=force)
    return target


def _wishes(
    san: Sequence[str] | None, subject: str | None, days: int | None, not_after: str | None
) -> Wishes:
    from ca.policy.terms import Wishes

    if days is not None and not_after is not None:
        raise UsageError("--days and --not-after contradict each other", remedy="give one of them")
    return Wishes(
        san=tuple(dict.fromkeys(map(parse_general_name, san))) if san else None,
        subject=DistinguishedName.parse(subject) if subject is not None else None,
        days=days,
        not_after=parse_moment(not_after) if not_after is not None else None,
    )


# ---------------------------------------------------------------- where to


def _targets(sources: Sequence[str], out: Path | None, *, force: bool) -> dict[str, Path | None]:
    """Where each certificate will go, None for stdout; checked before any key is asked.

    Raises: UsageError, OutputExists.
    """
    targets: dict[str, Path | None] = {}
    taken: set[Path] = set()
    for source in sources:
        if source in targets:
            name = "standard input" if source == _STANDARD_STREAM else repr(visible(source))
            raise UsageError(f"{name} is given twice", remedy="name each request once")
        target = _target(source, out, many=len(sources) > 1)
        if target is not None:
            _require_free(target, force=force)
            if target in taken:
                raise UsageError(
                    f"two requests would be written to {visible(str(target))!r}",
                    remedy="give --out DIR, or sign them one by one",
                )
            taken.add(target)
        targets[source] = target
    return targets


def _target(source: str, out: Path | None, *, many: bool) -> Path | None:
    if out is not None and str(out) == _STANDARD_STREAM:
        return None
    name = "stdin.crt" if source == _STANDARD_STREAM else Path(source).stem + ".crt"
    if out is not None and out.is_dir():
        return out / name
    if out is not None:
        if many:
            raise UsageError(
                f"{visible(str(out))!r} is not a directory, and there are many requests",
                remedy="give --out a directory",
            )
        return out
    if source == _STANDARD_STREAM:
        return None  # a request from a pipe goes back into the pipe
    return Path(source).with_name(name)


def _require_free(target: Path, *, force: bool) -> None:
    if target.exists() and not force:
        raise OutputExists(
            f"{visible(str(target))!r} exists already",
            remedy="choose another name with --out, or add --force",
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"there is no directory {visible(str(target.parent))!r}", remedy="make it first"
        )


def _standard_input() -> bytes:
    """All that can be a request, and an octet more; read before the TPM is held for us."""
    return sys.stdin.buffer.read(_REQUEST_LIMIT + 1)


def _read(source: str, piped: bytes) -> Request:
    from ca.encoding.containers import read_request
    from ca.encoding.requests import parse_request
    from ca.errors import RequestMalformed

    try:
        if source != _STANDARD_STREAM:
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


# ---------------------------------------------------------------- the run


def _run(
    found: Facility,
    sources: Sequence[str],
    order: Callable[[str], Order],
    targets: Mapping[str, Path | None],
    *,
    issuer: str | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Prepare, sign and show each, one while another is in the TPM; how many were issued.

    order: what is to be done for a source.
    One request that fails raises its own error; of many, the failed ones are told and counted.
    """
    from ca.cli.delivery import Delivery, as_fields
    from ca.services.facility import authorities, signing_authority
    from ca.services.issuance import Issuance, Issued

    authority = signing_authority(authorities(found.store), slug=issuer)
    if authority.issuer.role is Role.ROOT and any(
        issuer.role is Role.INTERMEDIATE for issuer in found.store.issuers()
    ):
        warn("no intermediate is active, so the root itself signs: run `homeca init-intermediate`")
    now = found.check_clock()
    issuance = Issuance(found)
    failures: list[Failure] = []
    alone = len(sources) == 1
    documents: list[dict[str, Any]] = []
    issued = 0

    def prepared() -> Iterator[Prepared]:
        for source in sources:
            try:
                one = issuance.prepare(order(source), authority, now=now)
            except HomecaError as error:
                failures.append(Failure(source, error))
                continue
            if not as_json:
                _describe(one, brief=not alone)
            yield one

    if dry_run:
        documents = [as_fields(one, None, None) for one in prepared()]
        if documents or not alone:
            say("dry run: nothing was signed or recorded")
    else:
        delivery = Delivery(targets, force=force, as_json=as_json)
        try:
            with Progress(len(sources), "signing") as progress, delivery:
                outcome: Issued | NotIssued | None = None
                try:
                    with closing(issuance.issue(prepared())) as outcomes:
                        for outcome in outcomes:
                            if isinstance(outcome, Issued):
                                delivery.begin(outcome)
                                issued += 1
                            else:
                                failures.append(_not_issued(outcome))
                            progress.advance()
                finally:  # Ctrl-C, a full disk: what is recorded is handed over all the same
                    for one in (outcome, *issuance.not_taken):
                        if isinstance(one, Issued):
                            delivery.begin(one)
        except KeyboardInterrupt:
            if as_json:
                _document(delivery.documents, [*failures, *_undelivered(delivery)])
            raise
        documents = delivery.documents
        failures += _undelivered(delivery)
        if issued:
            _mention(found, authority)
    _finish(documents, failures, alone=alone, as_json=as_json)
    return issued


def _not_issued(outcome: NotIssued) -> Failure:
    return Failure(outcome.prepared.order.source, outcome.error)


def _undelivered(delivery: Delivery) -> list[Failure]:
    return [Failure(source, error) for source, error in delivery.failures]


def _mention(found: Facility, authority: Authority) -> None:
    custody = found.store.custody()
    if custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM:
        say(f"signed by {authority.issuer.slug}, whose key is in a software TPM")


def _finish(
    documents: list[dict[str, Any]], failures: Sequence[Failure], *, alone: bool, as_json: bool
) -> None:
    if failures and alone:
        raise failures[0].error
    for failure in failures:
        say(f"{visible(failure.source)}:")
        show_error(failure.error, as_json=False)
    if as_json:
        _document(documents, failures)
    if failures:
        say(f"homeca: {len(failures)} of {len(failures) + len(documents)} requests failed")
        raise typer.Exit(1)


def _document(documents: list[dict[str, Any]], failures: Sequence[Failure]) -> None:
    document(
        certificates=documents,
        failures=[
            {"request": failure.source, **error_fields(failure.error)} for failure in failures
        ],
    )


# ---------------------------------------------------------------- showing


def _describe(prepared: Prepared, *, brief: bool) -> None:
    """What will be certified, and what was asked for and is not."""
    grant = prepared.grant
    source = "standard input" if prepared.order.source == "-" else prepared.order.source
    if brief:
        say(f"{visible(source)}: {visible(str(grant.subject)) or '(no subject)'}")
    else:
        from ca.cli.describing.words import EXTENDED_KEY_USAGES

        purposes = [EXTENDED_KEY_USAGES.get(oid, oid) for oid in prepared.profile.eku]
        usage = [*sorted(prepared.profile.key_usage), *purposes]
        say(f"{visible(source)}, by {prepared.authority.issuer.slug} as {prepared.profile.name}:")
        say(
            fields(
                [
                    ("subject", visible(str(grant.subject)) or "(empty)"),
                    ("names", [visible(str(name)) for name in grant.names] or "none"),
                    ("key", grant.spki.kind_name),
                    ("usage", ", ".join(usage) or "any"),
                    (
                        "valid",
                        f"{day(grant.validity.not_before)} to {day(grant.validity.not_after)}"
                        f" ({grant.validity.duration.days} days)",
                    ),
                    ("serial", serial_text(prepared.serial)),
                ]
            )
        )
    _list("asked for, not granted", _not_granted(prepared))
    if not brief:
        _list("the request says of itself (not certified)", _hints(prepared))
    for text in (*prepared.order.request.notes, *grant.warnings):
        warn(visible(text))
    found = [finding for finding in prepared.tbs.findings if finding.severity == "warning"]
    if brief and found:
        say(f"  {len(found)} lint warnings: see `homeca lint` with the certificate")
    elif found:
        _list("lint warns", (f"{visible(one.text)} [{one.rule}]" for one in found))


def _list(heading: str, lines: Iterable[str]) -> None:
    listed = list(lines)
    if listed:
        say(f"  {heading}:")
        for text in listed:
            say(f"    {text}")


def _not_granted(prepared: Prepared) -> list[str]:
    return [
        f"{visible(one.what)} {visible(one.value)}: {visible(one.why)}"
        for one in prepared.grant.not_granted
    ]


def _hints(prepared: Prepared) -> list[str]:
    return [
        f"{visible(attribute.name)}: {visible(attribute.shown)}"
        for attribute in prepared.order.request.attributes
    ]
