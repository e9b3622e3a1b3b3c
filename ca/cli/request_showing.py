"""One request of this device with its key and certificate, for a person and as JSON."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ca.cli.opening import mention_custody
from ca.cli.output import day, when
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.encoding.facts import CertificateFacts
    from ca.services.device.home import DeviceRequest
    from ca.services.device.requesting import Device


def described(one: DeviceRequest) -> list[tuple[str, str | list[str]]]:
    """What was asked for, and what was certified."""
    lines: list[tuple[str, str | list[str]]] = [
        ("subject", visible(one.subject) or "(empty)"),
        ("names", [visible(name) for name in one.names] or "none"),
        ("key", f"{one.kind}{', with a PIN' if one.has_pin else ''}, cannot leave the TPM"),
        ("for", "the machine" if one.machine else "the user"),
    ]
    if one.friendly_name:
        lines.append(("called", visible(one.friendly_name)))
    certificate = certificate_of(one)
    if certificate is not None:
        tbs = certificate.tbs
        lines.append(("valid", f"{day(tbs.not_before.moment)} to {day(tbs.not_after.moment)}"))
        lines.append(("issuer", str(tbs.issuer)))
    return lines


def places(one: DeviceRequest, device: Device) -> list[tuple[str, str]]:
    """Where its files lie, by paths that a renewal keeps once it is in use."""
    from ca.services.device.home import CHAIN, KEY, REQUEST, ROOT

    if one.standing != "active":
        return [("request", visible(str(one.path(REQUEST))))]
    return [
        (label, visible(str(device.home.stable(one, file))))
        for label, file in (("key blob", KEY), ("certificate", CHAIN), ("root", ROOT))
    ]


def certificate_of(one: DeviceRequest) -> CertificateFacts | None:
    """What came back for it, if anything has."""
    from ca.encoding.containers import read_certificates
    from ca.encoding.inspect import read_certificate
    from ca.services.device.home import CERTIFICATE

    with contextlib.suppress(FileNotFoundError):
        return read_certificate(read_certificates(one.path(CERTIFICATE).read_bytes())[0])
    return None


def request_fields(one: DeviceRequest, device: Device) -> dict[str, Any]:
    """The same as JSON, with the files' paths."""
    from ca.encoding.spki import spki_sha256
    from ca.services.device.home import CHAIN, KEY, ROOT

    certificate = certificate_of(one)
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


def mention_tpm(device: Device) -> None:
    """A software TPM is never used in silence (invariant 6)."""
    custody = device.home.custody()
    if custody is not None:
        mention_custody(custody.kind)
