"""The certificate that came back: taken only if it is ours and leads to a root we were told.

What `certreq -accept` does on Windows, without the step it needs there: no root enters the
system's trust store. A root is believed by its fingerprint, told once by the owner.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from ca.encoding.containers import fingerprint, pem, read_certificates
from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate
from ca.errors import (
    DeviceRefused,
    UsageError,
    VerificationFailed,
    Violation,
)
from ca.names.showing import visible
from ca.services.device.home import CERTIFICATE, REQUEST, DeviceRequest, Standing
from ca.services.device.requesting import Device, key_of
from ca.services.trust import is_signed_by
from ca.services.verification.path import MAX_DEPTH, judge_path

#: On the CA's machine: the root in a file, its fingerprint on the screen.
ROOT_FROM_CA = "`homeca export root --out root.pem`"

_LONGEST_LIST = 16  # certificates in one answer that are looked at


class Accepted(Struct, frozen=True, kw_only=True):
    """A certificate in its place. root: the one it leads to; new_root: told just now."""

    request: DeviceRequest
    certificate: CertificateFacts
    chain: tuple[CertificateFacts, ...]
    root: CertificateFacts
    new_root: bool
    again: bool


def certificate_and_root(
    octets: bytes, device: Device, *, root: bytes = b""
) -> tuple[CertificateFacts, CertificateFacts | None]:
    """This device's certificate in an answer, and the root above it if that is at hand.

    For showing a fingerprint before it is confirmed; nothing is believed yet.
    """
    leaf, _, candidates = _find(octets, device, root)
    chain, _ = _path(leaf, candidates)
    return leaf, chain[-1] if chain[-1].tbs.is_self_issued else None


def accept(
    octets: bytes,
    device: Device,
    *,
    trusted: str | None = None,
    root: bytes = b"",
    machine: bool | None = None,
) -> Accepted:
    """Take the certificate that came back, if it is ours and leads to a trusted root.

    octets:  the answer: this device's certificate and its intermediates, PEM, DER or PKCS#7.
    trusted: SHA-256 fingerprint of the root; None: a root this device was told before.
    root:    the root's certificate, where the answer does not hold it.
    machine: which side the caller means; None: the one the request was made for.
    Raises:  VerificationFailed with every reason; DeviceRefused for another key or side.
    """
    device.home.check()
    leaf, request, candidates = _find(octets, device, root)
    _require_side(request, machine)
    chain, reasons = _path(leaf, candidates)
    top = chain[-1]
    now = device.clock()
    known = [sha256(der).digest() for der in _stored_roots(device)]
    wanted = [parse_fingerprint(trusted)] if trusted is not None else known
    reasons += judge_path(chain, at=now)
    if not top.tbs.is_self_issued:
        pass  # said by _path
    elif not wanted:
        raise UsageError(
            "this device does not know its root yet",
            remedy=f"read its SHA-256 fingerprint where the CA lives ({ROOT_FROM_CA} there tells "
            "it), then give it with --fingerprint",
        )
    elif not any(hmac.compare_digest(sha256(top.der).digest(), one) for one in wanted):
        reasons.insert(
            0,
            Violation(
                "chain.other-root",
                f"it leads to {top.tbs.subject} with the fingerprint {fingerprint(top.der)}, "
                "which is not the root this device trusts",
                "compare the fingerprint with the CA's own, by telephone or on its screen",
            ),
        )
    if chain[0].tbs.is_ca:
        reasons.append(Violation("leaf.is-ca", "it is a CA's certificate, not a device's"))
    if reasons:
        raise VerificationFailed(
            f"the certificate for {leaf.tbs.subject} is not taken: {reasons[0].text}",
            remedy=reasons[0].remedy or "ask the CA for it again; nothing was changed here",
            violations=tuple(reasons),
        )
    with device.changing():
        again = request.standing is Standing.ACTIVE
        if again and not _holds(request, leaf):
            request = _another_generation(request, device)
            again = False
        new_root = sha256(top.der).digest() not in known
        if new_root:
            held = [*_stored_roots(device), top.der]
            device.home.remember_roots(b"".join(pem("CERTIFICATE", der) for der in held))
        device.home.install(
            request,
            certificate=pem("CERTIFICATE", leaf.der),
            chain=b"".join(pem("CERTIFICATE", one.der) for one in chain[:-1] or chain),
            root=pem("CERTIFICATE", top.der),
        )
    [now_active] = [
        one for one in device.home.generations(request.name) if one.generation == request.generation
    ]
    return Accepted(
        request=now_active,
        certificate=leaf,
        chain=chain,
        root=top,
        new_root=new_root,
        again=again,
    )


def parse_fingerprint(text: str) -> bytes:
    """SHA-256 in hex, colons and blanks allowed. Raises: UsageError, naming other digests."""
    digits = re.sub(
        r"\A(sha-?256)?[ :=]*(fingerprint)?[ :=]*|[\s:]", "", text.strip(), flags=re.IGNORECASE
    )
    if re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        return bytes.fromhex(digits)
    known = {40: "a SHA-1", 32: "an MD5"}.get(len(digits))
    what = f"{known} fingerprint" if known else "not a SHA-256 fingerprint"
    raise UsageError(
        f"{visible(text)!r} is {what}", remedy="give all 64 hex digits of the root's SHA-256"
    )


def _find(
    octets: bytes, device: Device, root: bytes
) -> tuple[CertificateFacts, DeviceRequest, list[CertificateFacts]]:
    """The certificate for one of our keys, that request, and every issuer at hand.

    The newest request that waits for this key; else the pair in use, which the CA renewed by
    itself. Raises: DeviceRefused, CertificateMalformed.
    """
    requests = device.home.all()
    in_file = [read_certificate(der) for der in read_certificates(octets)[:_LONGEST_LIST]]
    order = (Standing.PENDING, Standing.ACTIVE)
    for facts in in_file:
        ours = [one for one in requests if one.spki == facts.tbs.spki and one.standing in order]
        if ours:
            ours.sort(key=lambda one: (order.index(one.standing), -one.generation))
            stored = [read_certificate(der) for der in _stored_roots(device)]
            given = [read_certificate(der) for der in read_certificates(root)] if root else []
            return facts, ours[0], [one for one in in_file if one is not facts] + given + stored
    waiting = [one.name for one in requests if one.standing is Standing.PENDING]
    raise DeviceRefused(
        f"the certificate for {in_file[0].tbs.subject} is for another key: no request of this "
        "device has it",
        remedy="give the answer to one of: " + ", ".join(waiting)
        if waiting
        else "run `homeca request new`, and have that request signed",
    )


def _path(
    leaf: CertificateFacts, candidates: Sequence[CertificateFacts]
) -> tuple[tuple[CertificateFacts, ...], list[Violation]]:
    """From the leaf as far up as names and signatures reach, and why not to a root."""
    chain = [leaf]
    while True:
        current = chain[-1]
        if current.tbs.is_self_issued and is_signed_by(current, current.tbs.spki):
            return tuple(chain), []
        above = [one for one in candidates if one.tbs.subject.der == current.tbs.issuer.der]
        signers = [
            one for one in above if one.der != current.der and is_signed_by(current, one.tbs.spki)
        ]
        if signers and len(chain) < MAX_DEPTH:
            chain.append(signers[0])
            continue
        if signers:
            return tuple(chain), [
                Violation("chain.too-long", f"its chain has more than {MAX_DEPTH} certificates")
            ]
        if above:
            return tuple(chain), [
                Violation(
                    "chain.signature",
                    f"the signature on {current.tbs.subject} is not by {above[0].tbs.subject}: it "
                    "was changed, or is another CA's",
                    "fetch the file again from the CA",
                )
            ]
        return tuple(chain), [
            Violation(
                "chain.unknown-issuer",
                f"the certificate of {current.tbs.issuer}, its issuer, is not in the file",
                f"append it, or name the root's certificate ({ROOT_FROM_CA}, where the CA lives, "
                "writes it) with --root FILE",
            )
        ]


def _stored_roots(device: Device) -> tuple[bytes, ...]:
    stored = device.home.roots()
    return read_certificates(stored) if stored else ()


def _require_side(request: DeviceRequest, machine: bool | None) -> None:
    """A certificate goes where its key is, or Windows' 0x80090016 would have company here."""
    if machine is None or machine == request.machine:
        return
    made, said = ("machine", "--user") if request.machine else ("user", "--machine")
    raise DeviceRefused(
        f"the request {request.name!r} was made for the {made}, and {said} was given",
        remedy=f"leave {said} out: the certificate goes where its key is",
    )


def _holds(request: DeviceRequest, leaf: CertificateFacts) -> bool:
    try:
        return read_certificates(request.path(CERTIFICATE).read_bytes())[0] == leaf.der
    except OSError:
        return False


def _another_generation(request: DeviceRequest, device: Device) -> DeviceRequest:
    """The CA renewed by itself: the same key and request, a certificate of its own."""
    number = device.home.require(request.name)[-1].generation + 1
    return device.home.add(
        replace(request, generation=number),
        key_pem=key_of(request),
        csr_pem=request.path(REQUEST).read_bytes(),
    )
