"""`homeca init-root`, `homeca init-intermediate`: making issuers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ca.algorithms import KeyKind
from ca.cli.ceremony_planning import (
    CA_KINDS,
    above_root,
    ceremony_plan,
    checked_name,
    checked_subject,
    organisation,
    same_base,
)
from ca.cli.ceremony_showing import (
    say_next_after_intermediate,
    say_next_after_root,
    show_issuer,
    warn_of_addresses,
    warn_of_no_pin,
)
from ca.cli.opening import facility
from ca.cli.options import (
    BelieveClockOption,
    HomeOption,
    JsonOption,
    NewPinFileOption,
    OwnerFileOption,
    PinFileOption,
    PinOption,
    TpmOption,
    chosen_home,
    new_pin,
)
from ca.cli.output import say
from ca.errors import UsageError
from ca.names.constraints import NameConstraints
from ca.names.showing import visible

KeyOption = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="KIND",
        help=f"The kind of key: {', '.join(CA_KINDS)}. "
        "`homeca tpm info` says which ones your TPM can make.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", help='Whose CA it is: "Smith family". Stands in every issuer\'s name.'),
]
SubjectOption = Annotated[
    str | None,
    typer.Option(
        "--subject",
        metavar="DN",
        help="What stands before the common name in its DN, where a policy is to match more than "
        'the organisation: "C=GB,ST=England,O=Alice Ltd". Default: O=NAME; an intermediate has '
        "what its root has.",
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Where clients will fetch CRLs and issuer certificates, for example "
        "http://ca.home.arpa. Decide before the first certificate: it is written into each of "
        "them, and changing it later locks clients out.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("init-root")(init_root)
    app.command("init-intermediate")(init_intermediate)


def init_root(
    name: NameOption = None,
    subject: SubjectOption = None,
    key: KeyOption = "ec-p384",
    days: Annotated[int, typer.Option("--days", min=1, max=9131, help="Lifetime.")] = 7300,
    permit_dns: Annotated[
        list[str] | None,
        typer.Option(
            "--permit-dns",
            metavar="DOMAIN",
            help="Constrain the CA to names in this domain (repeatable). A stolen key can then "
            "not imitate your bank. Name your VPN's public or dynamic-DNS name as well.",
        ),
    ] = None,
    permit_ip: Annotated[
        list[str] | None,
        typer.Option(
            "--permit-ip",
            metavar="NETWORK",
            help="The same for addresses (repeatable). strongSwan 5.9.8, Debian 12's, cannot load "
            "such a CA.",
        ),
    ] = None,
    base_url: BaseUrlOption = None,
    pin: PinOption = False,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    owner_file: OwnerFileOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the root: a key in the TPM and its self-signed certificate.

    Do this once per home. The key is made inside the TPM and never leaves it; what is written to
    disk is a blob only this TPM can use. Next: `homeca init-intermediate`. A CA that follows
    another one needs a --name and a --base-url of its own: both are trusted side by side until
    every device has the new root, and OpenVPN does not start with two roots of one name.

    Example: homeca init-root --name "Smith family" --permit-dns home.arpa
    """
    name = checked_name(name)
    constraints = NameConstraints.parse(dns=permit_dns or (), ip=permit_ip or ())
    # here a file with a PIN can be for no other key: it is not passed over in silence
    secret = new_pin(pin_file) if pin or pin_file is not None else None
    with facility(
        home,
        tpm=tpm,
        pin_file=pin_file,
        create=True,
        believe_clock=believe_clock,
        owner_file=owner_file,
    ) as found:
        from ca.services.ceremony.root import init_root as make_root

        above = checked_subject(subject)
        plan = ceremony_plan(
            name or organisation(above) or "homeca",
            key,
            days,
            secret,
            above=above,
            constraints=constraints,
            base_url=base_url or found.settings.base_url,
        )
        _announce(plan.kind)
        warn_of_addresses(constraints)
        issuer = make_root(plan, found)
        show_issuer(issuer, found, as_json=as_json, constraints=constraints)
        if not as_json:
            say_next_after_root(plan, issuer)


def init_intermediate(
    name: NameOption = None,
    subject: SubjectOption = None,
    key: KeyOption = "ec-p384",
    days: Annotated[int, typer.Option("--days", min=1, max=9131, help="Lifetime.")] = 3650,
    base_url: BaseUrlOption = None,
    csr_out: Annotated[
        Path | None,
        typer.Option(
            "--csr-out",
            metavar="FILE",
            help="Root elsewhere, step 1: make the key here and write a request for it.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="Root elsewhere, step 2: take the certificate that came back, with the root's.",
        ),
    ] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint",
            metavar="SHA256",
            help="With --certificate: the root's, read in its home; another root is refused. "
            "Without it the fingerprint is shown.",
        ),
    ] = None,
    sign_request: Annotated[
        Path | None,
        typer.Option(
            "--sign-request",
            metavar="FILE",
            help="On the root's machine: certify another home's --csr-out. The answer is put "
            "beside it, with the ending .crt.",
        ),
    ] = None,
    give_up: Annotated[
        str | None,
        typer.Option(
            "--give-up",
            metavar="NAME",
            help="Forget an intermediate that still waits after --csr-out, and its key.",
        ),
    ] = None,
    pin: PinOption = False,
    new_pin_file: NewPinFileOption = None,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    owner_file: OwnerFileOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an issuing intermediate, signed by the root.

    Certificates are then signed by it, and the root's key can rest. Run it again for a new key
    generation: it gets a name of its own, and the old one keeps its certificates and CRLs.

    Example: homeca init-intermediate --days 1825
    """
    if sum(step is not None for step in (csr_out, certificate, sign_request, give_up)) > 1:
        raise UsageError(
            "--csr-out, --certificate, --sign-request and --give-up are different steps",
            remedy="give one of them",
        )
    makes_key = certificate is None and sign_request is None and give_up is None
    if (pin or new_pin_file is not None) and not makes_key:
        raise UsageError(
            "this step makes no key that could have a new PIN",
            remedy="leave --pin and --new-pin-file out; --pin-file gives the PIN of the root's key",
        )
    if fingerprint is not None and certificate is None:
        raise UsageError(
            "--fingerprint is that of the root which --certificate brings",
            remedy="leave it out, or give both",
        )
    from ca.cli import root_elsewhere
    from ca.services.ceremony import foreign_root, intermediate
    from ca.services.device.accepting import parse_fingerprint

    trusted = parse_fingerprint(fingerprint) if fingerprint is not None else None
    name = checked_name(name)
    if csr_out is not None:
        root_elsewhere.require_request_place(csr_out)
    answer = root_elsewhere.answer_place(sign_request) if sign_request is not None else None
    # with --csr-out there is no root's key here, so --pin-file too is the new one's
    has_pin = pin or new_pin_file is not None or (csr_out is not None and pin_file is not None)
    secret = new_pin(new_pin_file or pin_file) if has_pin else None
    fresh = csr_out is not None and not (chosen_home(home) / "homeca.db").exists()
    with facility(
        home,
        tpm=tpm,
        pin_file=pin_file,
        create=fresh,
        believe_clock=believe_clock,
        owner_file=owner_file,
    ) as found:
        above = checked_subject(subject)
        if above is None:
            above = above_root(found, name)
        plan = ceremony_plan(
            name or organisation(above) or "homeca",
            key,
            days,
            secret,
            above=above,
            base_url=base_url or found.settings.base_url or same_base(found),
        )
        if csr_out is not None:
            _announce(plan.kind)
            root_elsewhere.make_request(csr_out, plan, found, as_json=as_json)
            return
        if give_up is not None:
            forgotten = foreign_root.give_up_intermediate(give_up, found)
            say(f"{visible(forgotten.subject)} is given up; its request must not be signed")
            return
        if certificate is not None:
            issuer = root_elsewhere.take_answer(certificate, found, trusted=trusted)
        elif sign_request is not None and answer is not None:
            root_elsewhere.certify_foreign(sign_request, answer, plan, found, as_json=as_json)
            return
        else:
            _announce(plan.kind)
            warn_of_no_pin(plan, found, pin_file)
            issuer = intermediate.init_intermediate(plan, found)
        show_issuer(issuer, found, as_json=as_json, constraints=None)
        if not as_json:
            say_next_after_intermediate(found)


def _announce(kind: KeyKind) -> None:
    if kind.family == "rsa":
        say(f"making an {kind} key in the TPM; an RSA prime search may take a minute …")
