"""`homeca kit`: what the record knows of a device, and how it becomes a folder to carry.

A kit never holds a key of the CA, and a device's own only when its owner gives it for that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from ca.encoding.containers import MAX_CRLS_FILE, read_crls
from ca.encoding.facts import TbsFacts
from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import KitRefused
from ca.files import read_bounded
from ca.interfaces.issuing import CertificateRecord, IssuerState, Role, State
from ca.interfaces.values import serial_text
from ca.kits.building import build
from ca.kits.facts import Kit, KitFacts, Server
from ca.kits.kinds import CLIENT, KINDS, SERVER, Kind, Lists, Need
from ca.lint.gate import lint_certificate, role_of, rules
from ca.lint.rule import LintContext, Severity
from ca.names.distinguished import COMMON_NAME
from ca.names.general import DNSName, IPName, parse_general_name
from ca.names.showing import visible
from ca.services.crl.files import JOINED
from ca.services.crl.publication import compare
from ca.services.facility import Authority, Facility, authorities, root_of
from ca.services.kits.absence import absence, absence_noted, withdrawal
from ca.services.kits.device import live_certificates
from ca.services.kits.pkcs12 import Pkcs12Wish, device_pkcs12
from ca.services.kits.signing import sign_profile

#: What can still be done about a rule that the CA itself breaks, said once.
_REMEDIES = {
    "[SS5]": "where strongSwan says so, try a newer one, or begin another CA for it, without "
    "--permit-ip: `homeca init-root --home DIR --name NAME --permit-dns DOMAIN`",
}


class KitOrder(Struct, frozen=True, kw_only=True):
    """What the person asked for.

    record:  the certificate; None when there is none yet, or none is needed.
    name:    the device, in words. servers: hosts as typed.
    unsigned: leave Apple profiles without the CA's signature.
    """

    kind: str
    record: CertificateRecord | None
    name: str
    servers: tuple[str, ...] = ()
    port: int = 1194
    proto: str = "udp"
    ssid: str = ""
    machine: bool = True
    key: str = "ec-p256"
    url: str | None = None
    pkcs12: Pkcs12Wish | None = None
    unsigned: bool = False


def make_kit(order: KitOrder, facility: Facility) -> Kit:
    """Everything that goes into the folder; nothing is written here.

    Raises: KitRefused, NotFound, PrivateKeyUnusable; what signing a profile raises.
    """
    now = facility.check_clock()
    about = KINDS[order.kind]
    found = authorities(facility.store)
    authority = _authority(order, found, facility, now=now)
    root = authority.chain[-1] if authority is not None else root_of(found).chain[-1]
    alive = _alive(found, authority, root, facility, now=now)
    warnings: list[str] = []
    for one in alive:
        warnings += _lint(one.chain[0], about, found, now=now, what=visible(one.issuer.subject))
    record = order.record
    if record is not None and record.der is not None:
        warnings += _lint(record.der, about, found, now=now, what=visible(order.name))
    servers = tuple(
        _server(host, about, found, facility, warnings, now=now) for host in order.servers
    )
    for rule, remedy in _REMEDIES.items():
        if any(one.endswith(rule) for one in warnings):
            warnings.append(remedy)
    facts = KitFacts(
        kind=order.kind,
        name=order.name,
        root=root,
        intermediates=tuple(one.chain[0] for one in alive if one.issuer.role is not Role.ROOT),
        certificate=record.der if record is not None else None,
        servers=servers,
        port=order.port,
        proto=order.proto,
        ssid=order.ssid,
        machine=order.machine,
        key=order.key,
        url=order.url or _url(alive),
    )
    if about.lists is not Lists.NONE:
        facts = replace(facts, crls=_crls(alive, about, facility, warnings, now=now))
    if order.pkcs12 is not None:
        facts = replace(facts, pkcs12=device_pkcs12(order.pkcs12, facts, about))
    if about.tpm and record is None:
        warnings.append(absence_noted(order.name, order.kind, facility, now=now))
    sign = (lambda octets: octets) if order.unsigned else _signing(facility)
    return build(replace(facts, warnings=tuple(warnings)), sign)


def _signing(facility: Facility) -> Callable[[bytes], bytes]:
    return lambda document: sign_profile(document, facility)


# ---------------------------------------------------------------- its issuers


def _authority(
    order: KitOrder, found: tuple[Authority, ...], facility: Facility, *, now: datetime
) -> Authority | None:
    """Who issued the certificate. Raises: KitRefused, NotFound."""
    record = order.record
    if record is None:
        if KINDS[order.kind].need is Need.CERTIFICATE:
            raise absence(order.name, order.kind, facility, now=now)
        return None
    serial = serial_text(record.serial)
    if record.state is not State.ISSUED or record.der is None:
        raise KitRefused(
            f"serial {serial} was never finished",
            remedy="make the kit of another certificate: `homeca list`",
        )
    if record.revocation is not None:
        raise withdrawal(record, record.revocation, order.name, order.kind)
    if record.not_after <= now:
        raise KitRefused(
            f"serial {serial} ended on {record.not_after:%Y-%m-%d}",
            remedy=f"run `homeca renew {serial}` first",
        )
    return next(one for one in found if one.issuer.id == record.issuer_id)


def _alive(
    found: tuple[Authority, ...],
    own: Authority | None,
    root: bytes,
    facility: Facility,
    *,
    now: datetime,
) -> list[Authority]:
    """The issuers of this root that a device may meet: the device's own first, the newest next."""

    def revoked(one: Authority) -> bool:
        serial = one.issuer.serial
        records = facility.store.by_serial(serial) if serial is not None else ()
        return any(record.der == one.chain[0] and record.is_revoked for record in records)

    alive = [
        one
        for one in reversed(found)
        if one.chain[-1] == root and one.not_after > now and (one == own or not revoked(one))
    ]
    active = [one for one in alive if one.issuer.state is IssuerState.ACTIVE]
    rest = [one for one in alive if one not in active]
    return sorted([*active, *rest], key=lambda one: own is None or one.issuer.id != own.issuer.id)


# ---------------------------------------------------------------- the server


def _server(
    host: str,
    about: Kind,
    found: tuple[Authority, ...],
    facility: Facility,
    warnings: list[str],
    *,
    now: datetime,
) -> Server:
    """A host to dial, and the name in its certificate. Raises: IllegalName, KitRefused."""
    name = parse_general_name(host)
    if not isinstance(name, DNSName | IPName) or "*" in str(name):
        raise KitRefused(
            f"{visible(host)!r} is not a host that a device could reach",
            remedy="give a host name or an address with --server",
        )
    value = str(name).partition(":")[2]
    newest: tuple[CertificateRecord, TbsFacts] | None = None
    for record, tbs in live_certificates(value, SERVER, facility, now=now):
        if name in tbs.names:
            newest = (record, tbs)
    if newest is None:
        warnings.append(
            f"this CA has issued no valid server certificate for {value}, so devices will refuse "
            "that server until it has"
        )
        return Server(value, value, isinstance(name, IPName))
    record, tbs = newest
    warnings += _lint(record.der or b"", about, found, now=now, what=f"the server {value}")
    common = tbs.subject.values(COMMON_NAME)
    return Server(value, common[0] if common else value, isinstance(name, IPName))


def _lint(
    der: bytes, about: Kind, found: tuple[Authority, ...], *, now: datetime, what: str
) -> list[str]:
    """What the rules of the kit's own consumers say of a certificate."""
    tbs = read_certificate(der).tbs
    issuer = next((a for a in found if a.certificate.tbs.subject.der == tbs.issuer.der), None)
    in_tpm = about.tpm and CLIENT in (tbs.eku or ())
    context = LintContext(
        now=now,
        role=role_of(tbs),
        issuer=issuer.certificate if issuer is not None else None,
        constraints=issuer.above if issuer is not None else (),
        consumers=about.consumers,
        key_in_tpm=in_tpm,
    )
    own = {rule.id for rule in rules() if rule.consumers}
    return [
        f"{what}: {finding.text} [{finding.rule}]"
        for finding in lint_certificate(der, context=context)
        if finding.rule in own and finding.severity is not Severity.NOTICE
    ]


def _url(alive: list[Authority]) -> str | None:
    """Where the root is published, if its ceremony was told."""
    return next((one.issuer.issuer_url for one in alive if one.issuer.role is Role.ROOT), None)


# ---------------------------------------------------------------- revocation lists


def _crls(
    alive: list[Authority],
    about: Kind,
    facility: Facility,
    warnings: list[str],
    *,
    now: datetime,
) -> tuple[bytes, ...]:
    """The published lists of every issuer, all rungs of a ladder or those in force (OV6, d.7 CRL
    1, 4 and 6).

    Raises: KitRefused when one is missing, over, or lacks a revocation: a server without it lets
            revoked clients in, one with an expired list nobody.
    """
    published = _published(alive, facility)
    for authority in alive:
        issuer = authority.issuer
        valid = any(_is_valid(der, issuer.subject_der, now=now) for der in published)
        if not issuer.has_key:
            if not valid:
                warnings.append(
                    f"the list of {issuer.subject} is made elsewhere: add it to {about.lists_in}, "
                    "or what it revokes still comes in"
                )
            continue
        last = facility.store.last_crl(issuer.id)
        problem = None
        if last is None:
            problem = "has cut no CRL yet"
        elif compare(issuer, last, facility.store).missing:
            problem = "has revoked since its last CRL"
        elif not valid:
            problem = "has no CRL that is valid now: with it nobody would come in"
        if problem is not None:
            raise KitRefused(f"{issuer.subject} {problem}", remedy="run `homeca crl`, then again")
    return published if about.lists is Lists.ALL else _in_force(published, now=now)


def _in_force(published: tuple[bytes, ...], *, now: datetime) -> tuple[bytes, ...]:
    """Of each issuer the newest list that is valid now."""
    newest: dict[bytes, tuple[datetime, bytes]] = {}
    for der in published:
        tbs = read_crl(der).tbs
        found = newest.get(tbs.issuer.der)
        moment = tbs.this_update.moment
        if _is_valid(der, tbs.issuer.der, now=now) and (found is None or moment > found[0]):
            newest[tbs.issuer.der] = (moment, der)
    return tuple(der for _, der in newest.values())


def _published(alive: list[Authority], facility: Facility) -> tuple[bytes, ...]:
    """What `homeca crl` wrote: the file for OpenVPN, else each issuer's newest list."""
    joined = facility.home.crl / JOINED
    if joined.exists():
        return read_crls(read_bounded(joined, MAX_CRLS_FILE))
    lists = (facility.store.last_crl(authority.issuer.id) for authority in alive)
    return tuple(one.der for one in lists if one is not None)


def _is_valid(der: bytes, issuer: bytes, *, now: datetime) -> bool:
    tbs = read_crl(der).tbs
    end = tbs.next_update
    begun = tbs.issuer.der == issuer and tbs.this_update.moment <= now
    return begun and end is not None and now < end.moment
