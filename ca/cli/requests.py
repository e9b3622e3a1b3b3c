"""What `homeca request …` does: options to a plan, the service asked, its answer shown."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from msgspec import Struct
from msgspec.structs import replace

from ca.algorithms import KEY_KINDS, Family, KeyKind
from ca.cli.opening import mention_custody, opening
from ca.cli.options import new_pin
from ca.cli.output import day, document, fields, good, result, say, strong, table, warn, when
from ca.errors import ConfigurationError, NotFound, OutputExists, UsageError
from ca.files import PUBLIC_FILE, read_bounded, write_whole
from ca.names.distinguished import DistinguishedName
from ca.names.general import parse_general_name
from ca.names.showing import visible
from ca.wiring import open_device, system_clock

if TYPE_CHECKING:
    from ca.encoding.facts import CertificateFacts
    from ca.encoding.inf_request import InfRequest
    from ca.services.device import DeviceRequest
    from ca.services.requesting import Device, Plan

_FILE_LIMIT = 1 << 20
_STANDARD_STREAM = "-"
_SOON = 30  # days before the end that `list` begins to speak of renewal


class Wanted(Struct, frozen=True, kw_only=True):
    """What the options of `request new` say."""

    subject: str | None
    san: tuple[str, ...]
    key: str | None
    pin: bool
    name: str | None


# ---------------------------------------------------------------- new, renew


def make(
    inf: Path | None,
    wanted: Wanted,
    out: Path | None,
    *,
    force: bool,
    tpm: str | None,
    pin_file: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """`homeca request new`."""
    from ca.services import requesting

    read = _read_inf(inf) if inf is not None else None
    plan = _plan(wanted, read)
    device = open_device(opening(home, tpm, pin_file))
    existing = read.existing_key if read is not None else None
    if existing is not None and (wanted.key is not None or wanted.pin):
        raise UsageError(
            "UseExistingKeySet = TRUE takes a key that is there; --key and --pin want another",
            remedy="leave --key and --pin out, or UseExistingKeySet",
        )
    name = existing or wanted.name or requesting.name_of(plan)
    target = _target(out, inf, name, force=force)
    if wanted.pin:
        plan = replace(plan, pin=new_pin(pin_file))
    if plan.kind.family is Family.RSA and existing is None:
        _announce_rsa()
    if existing is not None:
        made = requesting.renew(existing, device, new_key=False, plan=plan)
    else:
        made = requesting.new(plan, device)
    _hand_over(made, target, device, force=force, as_json=as_json, inf=read)


def again(
    name: str,
    out: Path | None,
    *,
    new_key: bool,
    key: str | None,
    pin: bool,
    force: bool,
    tpm: str | None,
    pin_file: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """`homeca request renew`."""
    from ca.services import requesting

    if (pin or key is not None) and not new_key:
        raise UsageError(
            "a key keeps its kind and its PIN", remedy="add --new-key, or leave --key and --pin out"
        )
    kind = _kind(key) if key is not None else None
    device = open_device(opening(home, tpm, pin_file))
    last = device.home.require(name)[-1]
    target = _target(out, None, name, force=force)
    # a key that had a PIN is not silently followed by one that has none
    secret = new_pin(pin_file) if new_key and (pin or last.has_pin) else None
    if new_key and (kind or KEY_KINDS[last.kind]).family is Family.RSA:
        _announce_rsa()
    made = requesting.renew(name, device, new_key=new_key, kind=kind, pin=secret)
    _hand_over(made, target, device, force=force, as_json=as_json, inf=None)


def _read_inf(path: Path) -> InfRequest:
    from ca.encoding.inf_request import parse_inf

    return parse_inf(_octets(path), source=path.name)


def _plan(wanted: Wanted, inf: InfRequest | None) -> Plan:
    """Options first, then the INF, then what is usual."""
    import os

    from ca.services.requesting import Plan

    names = tuple(dict.fromkeys(map(parse_general_name, wanted.san)))
    subject = DistinguishedName.parse(wanted.subject) if wanted.subject is not None else None
    kind = _kind(wanted.key) if wanted.key is not None else None
    as_root = os.geteuid() == 0
    if inf is None:
        return Plan(
            name=wanted.name,
            subject=subject or DistinguishedName(),
            names=names,
            kind=kind or KEY_KINDS["ec-p256"],
            machine=as_root,
        )
    return Plan(
        name=wanted.name,
        subject=subject if subject is not None else inf.subject,
        names=names or inf.names,
        kind=kind or inf.kind,
        machine=inf.machine if inf.machine is not None else as_root,
        extensions=inf.extensions,
        san_critical=inf.san_critical,
        friendly_name=inf.friendly_name,
    )


def _kind(text: str) -> KeyKind:
    kind = KEY_KINDS.get(text)
    if kind is None:
        raise UsageError(
            f"{visible(text)!r} is not a kind of key",
            remedy=f"use one of {', '.join(k for k in KEY_KINDS if k != 'ed25519')}",
        )
    return kind


def _announce_rsa() -> None:
    say("making an RSA key in the TPM; the search for primes may take a minute …")
    warn(
        "several TPMs cannot sign with RSA in TLS 1.3 (their PSS salt is not what TLS wants): "
        "prefer --key ec-p256 [OV12]"
    )


def _target(out: Path | None, inf: Path | None, name: str, *, force: bool) -> Path | None:
    """Where the request goes, None for stdout; checked before anything is made."""
    if out is not None and str(out) == _STANDARD_STREAM:
        return None
    if out is None:
        out = inf.with_suffix(".csr") if inf is not None else Path(f"{name}.csr")
    elif out.is_dir():
        out = out / f"{name}.csr"
    if out.exists() and not force:
        raise OutputExists(
            f"{visible(str(out))!r} exists already",
            remedy="choose another name with --out, or add --force",
        )
    if not out.parent.is_dir():
        raise UsageError(
            f"there is no directory {visible(str(out.parent))!r}", remedy="make it first"
        )
    return out


def _hand_over(
    made: DeviceRequest,
    target: Path | None,
    device: Device,
    *,
    force: bool,
    as_json: bool,
    inf: InfRequest | None,
) -> None:
    from ca.services.device import REQUEST

    csr = made.path(REQUEST).read_bytes()
    if target is not None:
        try:
            write_whole(target, csr, mode=PUBLIC_FILE, replace=force)
        except ConfigurationError:
            warn(f"the request was made; it lies in {visible(str(made.path(REQUEST)))}")
            raise
    ignored = inf.ignored if inf is not None else ()
    if as_json:
        document(
            **_as_json(made, device),
            file=str(target) if target is not None else None,
            pem=csr.decode("ascii"),
            ignored=[
                {"line": one.line, "key": one.key, "value": one.value, "why": one.why}
                for one in ignored
            ],
        )
        return
    if target is not None:
        result(str(target))
    else:
        sys.stdout.write(csr.decode("ascii"))
        sys.stdout.flush()
    say(fields(_described(made)))
    if ignored:
        say("  ignored in the INF:")
        for one in ignored:
            say(f"    {one}")
    _mention(device)
    file = target.name if target is not None else "REQUEST"
    say(
        f"next: have it signed (on the CA: `homeca sign {visible(file)} --profile vpn-client`), "
        "then run `homeca request accept CERTIFICATE` here"
    )


def _mention(device: Device) -> None:
    custody = device.home.custody()
    if custody is not None:
        mention_custody(custody.kind)


# ---------------------------------------------------------------- accept


def take(
    certificate: Path,
    root: Path | None,
    *,
    fingerprint: str | None,
    machine: bool | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """`homeca request accept`."""
    from ca.encoding import containers
    from ca.services import accepting

    device = open_device(opening(home, None, None))
    octets = _octets(certificate)
    root_octets = _octets(root) if root is not None else b""
    if fingerprint is None and not device.home.roots() and sys.stdin.isatty():
        _, top = accepting.certificate_and_root(octets, device, root=root_octets)
        if top is not None:
            fingerprint = _confirmed(top)
    done = accepting.accept(octets, device, trusted=fingerprint, root=root_octets, machine=machine)
    if as_json:
        document(
            **_as_json(done.request, device),
            again=done.again,
            root=str(done.root.tbs.subject),
            root_fingerprint_sha256=containers.fingerprint(done.root.der),
        )
        return
    request = done.request
    result(f"{strong(request.name)} is {good('active')}")
    say(fields([*_described(request), *_places(request, device)]))
    if done.new_root:
        say(f"  this device trusts {done.root.tbs.subject} from now on, for its own requests only")
    if str(done.certificate.tbs.subject) != visible(request.subject):
        say(f"  note: the CA certified {done.certificate.tbs.subject}, not what was asked for")
    say(f"next: `homeca request use {request.name} --for openvpn`")


def _confirmed(root: CertificateFacts) -> str:
    """Shown, compared by a person, and only then believed."""
    from ca.encoding import containers

    shown = containers.fingerprint(root.der)
    say(f"the chain leads to {root.tbs.subject}")
    say(f"  SHA-256 {shown}")
    say("compare it with what `homeca show certs/root.pem` says in the CA's home")
    if not typer.confirm("Is it the same?", err=True):
        raise typer.Abort
    return shown


# ---------------------------------------------------------------- list, show, remove


def show_all(*, home: Path | None, as_json: bool) -> None:
    """`homeca request list`."""
    device = open_device(opening(home, None, None))
    device.home.check()
    found = device.home.all()
    if as_json:
        document(requests=[_as_json(one, device) for one in found])
        return
    if not found:
        say("there are no requests in this home; `homeca request new` makes one")
        return
    rows = []
    for one in found:
        certificate = _certificate(one)
        end = certificate.tbs.not_after.moment if certificate is not None else None
        rows.append(
            (
                one.name,
                str(one.generation),
                one.standing.value,
                one.kind,
                visible(one.subject) or "(empty)",
                day(end) if end is not None else "",
            )
        )
    table(("Name", "No", "State", "Key", "Subject", "Until"), rows)
    for one in found:
        certificate = _certificate(one)
        if certificate is not None and one.standing == "active":
            left = (certificate.tbs.not_after.moment - system_clock()).days
            if left < _SOON:
                told = f"ends in {left} days" if left >= 0 else "has ended"
                warn(f"{one.name} {told}: run `homeca request renew {one.name}`")


def show_one(name: str, *, home: Path | None, as_json: bool) -> None:
    """`homeca request show`."""
    device = open_device(opening(home, None, None))
    device.home.check()
    found = device.home.require(name)
    if as_json:
        document(requests=[_as_json(one, device) for one in found])
        return
    custody = device.home.custody()
    for one in found:
        result(f"{strong(one.name)} {one.generation}: {one.standing.value}")
        lines = [*_described(one), *_places(one, device)]
        if custody is not None:
            kind = custody.kind.value.replace("-", " ").replace("tpm", "TPM")
            lines.append(("in", f"{kind}, {visible(custody.tcti)}"))
        result(fields(lines))
    sys.stdout.flush()
    _mention(device)


def drop(name: str, *, replaced: bool, yes: bool, home: Path | None) -> None:
    """`homeca request remove`."""
    from ca.services import requesting

    device = open_device(opening(home, None, None))
    device.home.check()
    device.home.require(name)
    if replaced:
        count = requesting.forget_replaced(name, device)
        say(f"removed {count} replaced {'pair' if count == 1 else 'pairs'} of {name}")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"removing {name!r} destroys its key", remedy="add --yes if that is meant"
            )
        if not typer.confirm(f"Remove {name} with its key, for good?", err=True):
            raise typer.Abort
    requesting.remove(name, device)
    say(f"removed {name}")


def instruct(name: str | None, program: str, *, home: Path | None, as_json: bool) -> None:
    """`homeca request use`."""
    from ca.services.using import instructions

    device = open_device(opening(home, None, None))
    device.home.check()
    told = instructions(_chosen(name, device), program, device)
    if as_json:
        document(program=program, configuration=told.configuration, caveats=list(told.caveats))
        return
    result(told.configuration.rstrip("\n"))
    sys.stdout.flush()
    for caveat in told.caveats:
        warn(caveat)


def _chosen(name: str | None, device: Device) -> DeviceRequest:
    """The pair in use of the request named, or of the only one there is."""
    active = [one for one in device.home.all() if one.standing == "active"]
    if name is None:
        if len(active) != 1:
            listed = ", ".join(one.name for one in active)
            raise UsageError(
                "several certificates are in use here" if active else "none is in use here yet",
                remedy=f"name one: {listed}" if active else "run `homeca request accept` first",
            )
        return active[0]
    device.home.require(name)
    for one in active:
        if one.name == name:
            return one
    raise NotFound(
        f"{name} has no certificate yet", remedy="run `homeca request accept CERTIFICATE` first"
    )


# ---------------------------------------------------------------- showing


def _described(one: DeviceRequest) -> list[tuple[str, str | list[str]]]:
    lines: list[tuple[str, str | list[str]]] = [
        ("subject", visible(one.subject) or "(empty)"),
        ("names", [visible(name) for name in one.names] or "none"),
        ("key", f"{one.kind}{', with a PIN' if one.has_pin else ''}, cannot leave the TPM"),
        ("for", "the machine" if one.machine else "the user"),
    ]
    if one.friendly_name:
        lines.append(("called", visible(one.friendly_name)))
    certificate = _certificate(one)
    if certificate is not None:
        tbs = certificate.tbs
        lines.append(("valid", f"{day(tbs.not_before.moment)} to {day(tbs.not_after.moment)}"))
        lines.append(("issuer", str(tbs.issuer)))
    return lines


def _places(one: DeviceRequest, device: Device) -> list[tuple[str, str]]:
    from ca.services.device import CHAIN, KEY, REQUEST, ROOT

    if one.standing != "active":
        return [("request", visible(str(one.path(REQUEST))))]
    return [
        (label, visible(str(device.home.stable(one, file))))
        for label, file in (("key blob", KEY), ("certificate", CHAIN), ("root", ROOT))
    ]


def _certificate(one: DeviceRequest) -> CertificateFacts | None:
    from ca.encoding.containers import read_certificates
    from ca.encoding.inspect import read_certificate
    from ca.services.device import CERTIFICATE

    with contextlib.suppress(FileNotFoundError):
        return read_certificate(read_certificates(one.path(CERTIFICATE).read_bytes())[0])
    return None


def _as_json(one: DeviceRequest, device: Device) -> dict[str, Any]:
    from ca.encoding.spki import spki_sha256
    from ca.services.device import CHAIN, KEY, ROOT

    certificate = _certificate(one)
    custody = device.home.custody()
    active = one.standing == "active"
    return {
        "name": one.name,
        "generation": one.generation,
        "state": one.standing.value,
        "key": one.kind,
        "pin": one.has_pin,
        "machine": one.machine,
        "friendly_name": one.friendly_name,
        "subject": one.subject,
        "names": list(one.names),
        "created_at": when(one.created_at),
        "spki_sha256": spki_sha256(one.spki).hex(),
        "custody": custody.kind.value if custody is not None else None,
        "tpm": custody.tcti if custody is not None else None,
        "certified_subject": str(certificate.tbs.subject) if certificate else None,
        "not_after": when(certificate.tbs.not_after.moment) if certificate else None,
        "directory": str(one.directory),
        "key_file": str(device.home.stable(one, KEY)) if active else None,
        "chain_file": str(device.home.stable(one, CHAIN)) if active else None,
        "root_file": str(device.home.stable(one, ROOT)) if active else None,
    }


def _octets(path: Path) -> bytes:
    try:
        return read_bounded(path, _FILE_LIMIT)
    except ValueError as error:
        raise ConfigurationError(
            f"{visible(str(path))!r} is longer than such a file can be",
            remedy="give the right file",
        ) from error
