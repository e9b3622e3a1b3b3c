"""`homeca request new`, `renew`: options and an INF to a plan, and the request handed over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ca.algorithms import KEY_KINDS, Family, KeyKind
from ca.cli.opening import opening
from ca.cli.options import new_pin
from ca.cli.output import document, fields, result, say, warn
from ca.cli.reading import read_named
from ca.cli.request_showing import described, mention_tpm, request_fields
from ca.cli.targets import request_target
from ca.errors import ConfigurationError, UsageError
from ca.files import PUBLIC_FILE, write_whole
from ca.names.distinguished import DistinguishedName
from ca.names.general import parse_general_names
from ca.names.showing import shell_word, visible
from ca.wiring.device import open_device

if TYPE_CHECKING:
    from ca.encoding.inf_request import InfRequest
    from ca.services.device.home import DeviceRequest
    from ca.services.device.requesting import Device, Plan

#: Of an INF.
_FILE_LIMIT = 1 << 20


class Wanted(Struct, frozen=True, kw_only=True):
    """What the options of `request new` say."""

    subject: str | None
    san: tuple[str, ...]
    key: str | None
    pin: bool
    name: str | None
    one_hash: bool = False


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
    from ca.services.device import requesting

    read = _read_inf(inf) if inf is not None else None
    plan = _plan(wanted, read)
    device = open_device(opening(home, tpm, pin_file))
    existing = read.existing_key if read is not None else None
    if existing is not None and (wanted.key is not None or wanted.pin or wanted.one_hash):
        raise UsageError(
            "UseExistingKeySet = TRUE takes a key that is there; --key, --pin and --one-hash want "
            "another",
            remedy="leave --key, --pin and --one-hash out, or UseExistingKeySet",
        )
    name = existing or wanted.name or requesting.name_of(plan)
    target = request_target(out, inf, name, force=force)
    if wanted.pin or (pin_file is not None and existing is None):
        plan = replace(plan, pin=new_pin(pin_file))  # a file with one can be for no other key
    if plan.kind.family is Family.RSA and existing is None:
        _announce_rsa(one_hash=plan.one_hash)
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
    one_hash: bool,
    force: bool,
    tpm: str | None,
    pin_file: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """`homeca request renew`."""
    from ca.services.device import requesting

    if (pin or one_hash or key is not None) and not new_key:
        raise UsageError(
            "a key keeps its kind, its PIN and its hashes",
            remedy="add --new-key, or leave --key, --pin and --one-hash out",
        )
    kind = _kind(key) if key is not None else None
    device = open_device(opening(home, tpm, pin_file))
    last = device.home.require(name)[-1]
    target = request_target(out, None, name, force=force)
    # a key that had a PIN, or was given one, is not silently followed by one that has none
    has_pin = pin or last.has_pin or pin_file is not None
    secret = new_pin(pin_file) if new_key and has_pin else None
    if new_key and (kind or KEY_KINDS[last.kind]).family is Family.RSA:
        _announce_rsa(one_hash=one_hash)
    made = requesting.renew(name, device, new_key=new_key, kind=kind, pin=secret, one_hash=one_hash)
    _hand_over(made, target, device, force=force, as_json=as_json, inf=None)


def _read_inf(path: Path) -> InfRequest:
    from ca.encoding.inf_request import parse_inf

    return parse_inf(read_named(path, _FILE_LIMIT, "such a file"), source=path.name)


def _plan(wanted: Wanted, inf: InfRequest | None) -> Plan:
    """Options first, then the INF, then what is usual."""
    import os

    from ca.services.device.requesting import Plan

    names = parse_general_names(wanted.san)
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
            one_hash=wanted.one_hash,
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
        one_hash=wanted.one_hash,
    )


def _kind(text: str) -> KeyKind:
    kind = KEY_KINDS.get(text)
    if kind is None:
        raise UsageError(
            f"{visible(text)!r} is not a kind of key",
            remedy=f"use one of {', '.join(k for k in KEY_KINDS if k != 'ed25519')}",
        )
    return kind


def _announce_rsa(*, one_hash: bool) -> None:
    say("making an RSA key in the TPM; the search for primes may take a minute …")
    if one_hash:
        warn("with --one-hash it signs by PKCS#1 v1.5, which TLS 1.3 does not take")
        return
    warn(
        "several TPMs cannot sign with RSA in TLS 1.3 (their PSS salt is not what TLS wants): "
        "prefer --key ec-p256 [OV12]"
    )


def _hand_over(
    made: DeviceRequest,
    target: Path | None,
    device: Device,
    *,
    force: bool,
    as_json: bool,
    inf: InfRequest | None,
) -> None:
    from ca.services.device.home import REQUEST

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
            **request_fields(made, device),
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
    say(fields(described(made)))
    if ignored:
        say("  ignored in the INF:")
        for one in ignored:
            say(f"    {one}")
    mention_tpm(device)
    _say_next(target, device)


def _say_next(target: Path | None, device: Device) -> None:
    """With the file that the CA's `homeca sign` makes, and the root it is to be believed by."""
    from ca.services.device.accepting import ROOT_FROM_CA

    request, answer = (
        (shell_word(target.name), shell_word(f"{target.stem}.crt"))
        if target is not None
        else ("REQUEST", "CERTIFICATE")
    )
    say(f"next: have it signed (on the CA: `homeca sign {request} --profile vpn-client`)")
    if device.home.roots():
        say(f"then run `homeca request accept {answer}` here")
        return
    say(
        f"and fetch the CA's root (there: {ROOT_FROM_CA}, which tells its fingerprint), then run "
        f"`homeca request accept {answer} --root root.pem --fingerprint SHA256` here"
    )
