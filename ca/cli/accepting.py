"""`homeca request accept`: what the CA sent is taken, once its root is believed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ca.cli.opening import opening
from ca.cli.output import document, fields, good, result, say, strong
from ca.cli.reading import read_named
from ca.cli.request_showing import described, places, request_fields
from ca.names.showing import visible
from ca.wiring.device import open_device

if TYPE_CHECKING:
    from ca.encoding.facts import CertificateFacts

#: Of a certificate with its chain.
_FILE_LIMIT = 1 << 20


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
    from ca.services.device import accepting

    device = open_device(opening(home, None, None))
    octets = read_named(certificate, _FILE_LIMIT, "such a file")
    root_octets = read_named(root, _FILE_LIMIT, "such a file") if root is not None else b""
    if fingerprint is None and not device.home.roots() and sys.stdin.isatty():
        _, top = accepting.certificate_and_root(octets, device, root=root_octets)
        if top is not None:
            fingerprint = _confirmed(top)
    done = accepting.accept(octets, device, trusted=fingerprint, root=root_octets, machine=machine)
    if as_json:
        document(
            **request_fields(done.request, device),
            again=done.again,
            root=str(done.root.tbs.subject),
            root_fingerprint_sha256=containers.fingerprint(done.root.der),
        )
        return
    request = done.request
    result(f"{strong(request.name)} is {good('active')}")
    say(fields([*described(request), *places(request, device)]))
    if done.new_root:
        say(f"  this device trusts {done.root.tbs.subject} from now on, for its own requests only")
    if str(done.certificate.tbs.subject) != visible(request.subject):
        say(f"  note: the CA certified {done.certificate.tbs.subject}, not what was asked for")
    say(f"next: `homeca request use {request.name} --for openvpn`")


def _confirmed(root: CertificateFacts) -> str:
    """Shown, compared by a person, and only then believed."""
    from ca.encoding import containers
    from ca.services.device import accepting

    shown = containers.fingerprint(root.der)
    say(f"the chain leads to {root.tbs.subject}")
    say(f"  SHA-256 {shown}")
    say(f"compare it with what {accepting.ROOT_FROM_CA} says where the CA lives")
    if not typer.confirm("Is it the same?", err=True):
        raise typer.Abort
    return shown
