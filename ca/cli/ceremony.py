"""`homeca init-root`, `homeca init-intermediate`: making issuers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.algorithms import KEY_KINDS, KeyKind
from ca.cli.opening import facility, mention_custody
from ca.cli.options import (
    BelieveClockOption,
    HomeOption,
    JsonOption,
    OwnerFileOption,
    PinFileOption,
    TpmOption,
    chosen_home,
    new_pin,
)
from ca.cli.output import day, document, fields, good, result, say, strong, when
from ca.errors import ConfigurationError, UsageError
from ca.files import PUBLIC_FILE, read_bounded, write_whole
from ca.interfaces.custody import Custody
from ca.interfaces.issuing import IssuerRecord, IssuerState, Role
from ca.interfaces.values import Secret
from ca.names.constraints import NameConstraints
from ca.names.distinguished import ORGANIZATION, Attribute, DistinguishedName, attribute_type
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.services.ceremony.plan import Plan
    from ca.services.facility import Facility

#: Kinds a CA key may have; Ed25519 is not a TPM algorithm, RSA-4096 rarely one.
_CA_KINDS = ("ec-p256", "ec-p384", "ec-p521", "rsa-2048", "rsa-3072", "rsa-4096")
#: Attributes that say whose an issuer is and where: an intermediate takes them from its root.
_PLACE = frozenset(attribute_type(short).oid for short in ("C", "ST", "L", "O", "OU"))
_CERTIFICATE_LIMIT = 1 << 20

KeyOption = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="KIND",
        help=f"The kind of key: {', '.join(_CA_KINDS)}. "
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
PinOption = Annotated[
    bool,
    typer.Option(
        "--pin", help="Protect the key with a PIN, asked for twice or taken from --pin-file."
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
        typer.Option("--permit-ip", metavar="NETWORK", help="The same for addresses (repeatable)."),
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
    disk is a blob only this TPM can use. Next: `homeca init-intermediate`.

    Example: homeca init-root --name "Smith family" --permit-dns home.arpa --permit-ip fd00::/8
    """
    constraints = NameConstraints.parse(dns=permit_dns or (), ip=permit_ip or ())
    secret = new_pin(pin_file) if pin else None
    with facility(
        home,
        tpm=tpm,
        pin_file=pin_file,
        create=True,
        believe_clock=believe_clock,
        owner_file=owner_file,
    ) as found:
        from ca.services.ceremony.root import init_root as make_root

        above = _checked_subject(subject)
        plan = _plan(
            name or _organisation(above) or "homeca",
            key,
            days,
            secret,
            above=above,
            constraints=constraints,
            base_url=base_url or found.settings.base_url,
        )
        _announce(plan.kind)
        issuer = make_root(plan, found)
        _show(issuer, found, as_json=as_json, constraints=constraints)
        if not as_json:
            _next_after_root(plan, issuer)


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
    sign_request: Annotated[
        Path | None,
        typer.Option(
            "--sign-request",
            metavar="FILE",
            help="On the root's machine: certify another home's --csr-out; writes FILE.crt.",
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
    from ca.services.ceremony import foreign_root, intermediate

    secret = new_pin(pin_file) if pin else None
    fresh = csr_out is not None and not (chosen_home(home) / "homeca.db").exists()
    with facility(
        home,
        tpm=tpm,
        pin_file=pin_file,
        create=fresh,
        believe_clock=believe_clock,
        owner_file=owner_file,
    ) as found:
        above = _checked_subject(subject)
        if above is None:
            above = _above_root(found, name)
        plan = _plan(
            name or _organisation(above) or "homeca",
            key,
            days,
            secret,
            above=above,
            base_url=base_url or found.settings.base_url or _same_base(found),
        )
        if csr_out is not None:
            _announce(plan.kind)
            issuer, request = foreign_root.request_intermediate(plan, found)
            _write_request(csr_out, request, issuer, as_json=as_json)
            return
        if give_up is not None:
            forgotten = foreign_root.give_up_intermediate(give_up, found)
            say(f"{visible(forgotten.subject)} is given up; its request must not be signed")
            return
        if certificate is not None:
            issuer = foreign_root.accept_intermediate(_certificates(certificate), found)
        elif sign_request is not None:
            issuer = _certify_foreign(sign_request, plan, found)
        else:
            _announce(plan.kind)
            issuer = intermediate.init_intermediate(plan, found)
        _show(issuer, found, as_json=as_json, constraints=None)
        if not as_json:
            say("next: sign a request: `homeca sign request.csr --profile vpn-client`")


def _plan(
    name: str,
    key: str,
    days: int,
    pin: Secret | None,
    *,
    above: DistinguishedName | None,
    constraints: NameConstraints | None = None,
    base_url: str | None,
) -> Plan:
    from ca.services.ceremony.plan import Plan

    kind = KEY_KINDS.get(key)
    if kind is None or key not in _CA_KINDS:
        raise UsageError(
            f"{visible(key)!r} is not a kind of CA key", remedy=f"use one of {', '.join(_CA_KINDS)}"
        )
    return Plan(
        name=name,
        kind=kind,
        days=days,
        constraints=constraints or NameConstraints(),
        base_url=_checked_url(base_url),
        pin=pin,
        above=above,
    )


def _checked_subject(text: str | None) -> DistinguishedName | None:
    """Raises: UsageError for a subject with a common name: a ceremony numbers those."""
    if text is None:
        return None
    above = DistinguishedName.parse(text)
    if above.common_name is not None:
        raise UsageError(
            f"the subject {visible(text)!r} has a common name, and homeca makes it from --name",
            remedy='write what stands before it: --subject "C=GB,ST=England,O=Alice Ltd"',
        )
    return above if above.rdns else None


def _organisation(above: DistinguishedName | None) -> str | None:
    return next(iter(above.values("O")), None) if above is not None else None


def _checked_url(url: str | None) -> str | None:
    """Plain HTTP: a client that must verify TLS to fetch a CRL would need the CRL first."""
    if url is None:
        return None
    from ca.names.general import URIName

    parsed = URIName.parse(url).value
    if not parsed.startswith("http://"):
        raise UsageError(
            f"the base URL {visible(url)!r} does not begin with http://",
            remedy="use plain http: CRLs and certificates are signed by themselves (RFC 5280 §8)",
        )
    return parsed


def _above_root(found: Facility, name: str | None) -> DistinguishedName | None:
    """Where the root stands, C to OU of its DN, with this name as the organisation if given."""
    from ca.encoding.dn import decode_name

    for issuer in found.store.issuers():
        if issuer.role is Role.ROOT:
            above = [a for a in decode_name(issuer.subject_der) if a.oid in _PLACE]
            if name is not None:
                own = Attribute(ORGANIZATION, name)
                above = [own if a.oid == ORGANIZATION else a for a in above]
                above += [own] * (own not in above)
            return DistinguishedName(tuple((a,) for a in above)) if above else None
    return None


def _same_base(found: Facility) -> str | None:
    """The base URL the root was given: one server publishes for all issuers."""
    for issuer in found.store.issuers():
        if issuer.role is Role.ROOT and issuer.crl_url is not None:
            return issuer.crl_url.rpartition("/")[0]
    return None


def _announce(kind: KeyKind) -> None:
    if kind.family == "rsa":
        say(f"making an {kind} key in the TPM; an RSA prime search may take a minute …")


def _certificates(path: Path) -> tuple[bytes, ...]:
    from ca.encoding.containers import read_certificates

    return read_certificates(_octets(path))


def _octets(path: Path) -> bytes:
    try:
        return read_bounded(path, _CERTIFICATE_LIMIT)
    except ValueError as error:
        raise ConfigurationError(
            f"{visible(str(path))!r} is longer than a certificate can be",
            remedy="give the right file",
        ) from error


def _write_request(path: Path, request: bytes, issuer: IssuerRecord, *, as_json: bool) -> None:
    from ca.encoding.containers import pem

    write_whole(path, pem("CERTIFICATE REQUEST", request), mode=PUBLIC_FILE)
    if as_json:
        document(issuer=issuer.slug, subject=issuer.subject, request=str(path))
        return
    result(str(path))
    say(f"{issuer.subject} waits for its certificate.")
    say(
        "next: have the request signed where the root lives "
        f"(`homeca init-intermediate --sign-request {path.name}` there), append the root's "
        "certificate to the answer, then run `homeca init-intermediate --certificate FILE` here"
    )


def _certify_foreign(path: Path, plan: Plan, found: Facility) -> IssuerRecord:
    from ca.encoding.containers import pem, read_request
    from ca.encoding.requests import parse_request
    from ca.services.ceremony.intermediate import certify_foreign_intermediate
    from ca.services.facility import authorities, root_of

    request = parse_request(read_request(_octets(path)))
    issuer = certify_foreign_intermediate(request, plan, found)
    root = root_of(authorities(found.store))
    answer = path.with_suffix(".crt")
    chain = [issuer.certificate or b"", root.issuer.certificate or b""]
    write_whole(answer, b"".join(pem("CERTIFICATE", der) for der in chain), mode=PUBLIC_FILE)
    say(f"wrote {answer}: carry it back, and run `homeca init-intermediate --certificate` there")
    return issuer


def _show(
    issuer: IssuerRecord, found: Facility, *, as_json: bool, constraints: NameConstraints | None
) -> None:
    from ca.encoding.containers import fingerprint

    der = issuer.certificate or b""
    custody = found.store.custody()
    pem_path = found.home.certs / f"{issuer.slug}.pem"
    if as_json:
        document(
            issuer=issuer.slug,
            subject=issuer.subject,
            role=issuer.role.value,
            key=issuer.key_kind,
            fingerprint_sha256=fingerprint(der),
            not_before=when(issuer.not_before) if issuer.not_before else None,
            not_after=when(issuer.not_after) if issuer.not_after else None,
            custody=custody.kind.value if custody and issuer.has_key else None,
            key_file=str(found.home.path / issuer.key_file) if issuer.has_key else None,
            certificate=str(pem_path),
            crl_url=issuer.crl_url,
        )
    else:
        made = good("active") if issuer.state is IssuerState.ACTIVE else issuer.state.value
        result(f"{strong(visible(issuer.subject))} is {made}")
        lines: list[tuple[str, str | list[str]]] = [
            ("fingerprint", f"SHA-256 {fingerprint(der)}"),
            ("valid until", day(issuer.not_after) if issuer.not_after else "unknown"),
            ("certificate", str(pem_path)),
        ]
        if issuer.has_key:
            lines.append(("key", f"{issuer.key_kind}, in the {_place(custody)}"))
            lines.append(("key blob", str(found.home.path / issuer.key_file)))
        if constraints is not None and not constraints.is_empty:
            permitted = [*constraints.permitted_dns, *map(str, constraints.permitted_ip)]
            lines.append(("permits only", ", ".join(permitted)))
        if issuer.crl_url:
            lines.append(("CRL", issuer.crl_url))
        result(fields(lines))
    sys.stdout.flush()
    if custody is not None and issuer.has_key:
        mention_custody(custody.kind)


def _place(custody: Custody | None) -> str:
    if custody is None:
        return "TPM"
    name = " ".join(f"{custody.manufacturer} {custody.model}".split())
    return f"{custody.kind.value.replace('-', ' ').replace('tpm', 'TPM')} ({visible(name)})"


def _next_after_root(plan: Plan, issuer: IssuerRecord) -> None:
    if plan.constraints.is_empty:
        say(
            "note: this root may certify any name in the world; --permit-dns and --permit-ip at "
            "init-root would have constrained it"
        )
    if issuer.crl_url is None:
        say(
            "note: without --base-url, certificates carry no address for CRLs; give the CRL to "
            "your servers as a file"
        )
    say("next: `homeca init-intermediate`, then keep the fingerprint where you can compare it")
