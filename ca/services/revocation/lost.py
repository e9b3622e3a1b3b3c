"""A lost device: every live certificate of it, revoked in one commit.

A device is known by its common name, by one of its names, or by one of its certificates. What has
the same key belongs to it as well: a renewal whose old certificate still works is the classic way
to have revoked a device and not kept it out (demand 8).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from ca.encoding.crl import crl_entry
from ca.encoding.extensions import CLIENT_AUTH, SERVER_AUTH
from ca.encoding.inspect import read_certificate
from ca.errors import NotFound
from ca.interfaces.issuing import CertificateQuery, CertificateRecord, State
from ca.interfaces.revocation import Reason, Revocation
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import serial_text
from ca.names.distinguished import COMMON_NAME
from ca.names.showing import visible
from ca.policy.revoking import worsens
from ca.services.facility import Facility
from ca.services.revocation.revoking import check_invalidity, revoke

_NEAR = 5
#: What neither RFC 4514, JSON nor a change of case writes in another way, but for ASCII case.
_PLAIN = re.compile(r"[A-Za-z0-9.@_/-]+")


def certificates_of(
    name: str, store: CertificateStore, *, at: datetime
) -> tuple[CertificateRecord, ...]:
    """The live certificates of the device called `name`: by CN, by any SAN value, by its keys.

    name:   "alice-phone.home.arpa", with or without "DNS:", an address, an e-mail; any case.
    Raises: NotFound, naming devices that are called nearly so, or saying that all are revoked.
    """
    candidates, named = _called(name, store)
    found = with_their_keys(named, store, at=at)
    if found:
        return found
    if named:
        raise _nothing_live(name, named)
    near = sorted({visible(called) for one in candidates for called in _names_of(one)})[:_NEAR]
    raise NotFound(
        f"no device is called {visible(name)!r}",
        remedy=f"use its whole name: {', '.join(near)}"
        if near
        else "see the names with `homeca list`, or give a certificate or serial of the device",
    )


def _nothing_live(name: str, named: Sequence[CertificateRecord]) -> NotFound:
    which = "its one is" if len(named) == 1 else f"all {len(named)} are"
    open_keys = [one for one in named if worsens(one.revocation, Reason.KEY_COMPROMISE)]
    return NotFound(
        f"{visible(name)!r} has no live certificate: {which} revoked or expired",
        remedy="if its key was lost as well, say so, and it is never certified again: "
        f"`homeca revoke {serial_text(open_keys[-1].serial)} --reason keyCompromise`"
        if open_keys
        else "nothing needs doing; `homeca list --all --text NAME` shows them",
    )


def with_their_keys(
    records: Sequence[CertificateRecord], store: CertificateStore, *, at: datetime
) -> tuple[CertificateRecord, ...]:
    """Those that are live, and every other live certificate for the same keys; oldest first."""
    own = {issuer.serial for issuer in store.issuers()}
    found = {
        other.id: other
        for key in {record.spki_sha256 for record in records}
        for other in store.by_spki(key)
    }
    found |= {record.id: record for record in records}
    return tuple(
        record
        for _, record in sorted(found.items())
        if is_live(record, at=at) and record.serial not in own
    )


def replaced_of(
    records: Sequence[CertificateRecord], name: str, store: CertificateStore
) -> tuple[CertificateRecord, ...]:
    """What else the device had, by its name or these keys: revoked, and nothing said of the key.

    name: as in `certificates_of`; "" for keys alone.
    """
    found = {other.id: other for one in records for other in store.by_spki(one.spki_sha256)}
    found |= {one.id: one for one in (_called(name, store)[1] if name else ())}
    return tuple(
        one
        for _, one in sorted(found.items())
        if one.state is State.ISSUED and worsens(one.revocation, Reason.KEY_COMPROMISE)
    )


def by_key_only(
    records: Sequence[CertificateRecord], device: str | CertificateRecord
) -> frozenset[int]:
    """Ids of those that share no name with the device, so that only their key makes them go."""
    wanted = {_bare(device)} if isinstance(device, str) else _names_of(device)
    return frozenset(one.id for one in records if not wanted & _names_of(one))


def is_live(record: CertificateRecord, *, at: datetime) -> bool:
    """Issued, not over, and not revoked for good: one on hold can come back."""
    return (
        record.state is State.ISSUED
        and record.not_after >= at
        and (record.revocation is None or record.revocation.reason is Reason.CERTIFICATE_HOLD)
    )


def common_name(record: CertificateRecord) -> str:
    """The CN of a certificate, "" where it has none."""
    values = (
        read_certificate(record.der, tolerant=True).tbs.subject.values(COMMON_NAME)
        if (record.der)
        else ()
    )
    return values[0] if values else ""


def _called(
    name: str, store: CertificateStore
) -> tuple[list[CertificateRecord], list[CertificateRecord]]:
    """(those that the database finds similar, those of exactly this name).

    The database finds octets, folds ASCII alone, and knows subjects as RFC 4514 writes them. So it
    is asked for the longest piece of the name that all of these leave as it is; whoever is not
    found by it, as STRASSE is not by "Straße", is looked for among all.
    """
    wanted = _bare(name)
    similar: list[CertificateRecord] = []
    if piece := max(_PLAIN.findall(_without_kind(name)), key=len, default=""):
        similar = list(store.certificates(CertificateQuery(states=(State.ISSUED,), text=piece)))
        if named := [record for record in similar if wanted in _names_of(record)]:
            return similar, named
    everybody = store.certificates(CertificateQuery(states=(State.ISSUED,)))
    return similar, [record for record in everybody if wanted in _names_of(record)]


def _names_of(record: CertificateRecord) -> set[str]:
    return {_bare(value) for value in (common_name(record), *record.names) if value}


def _bare(name: str) -> str:
    """ "DNS:Alice.Home.Arpa." is alice.home.arpa."""
    return _without_kind(name).casefold()


def _without_kind(name: str) -> str:
    kind, found, value = name.partition(":")
    if found and kind.lower() in ("dns", "ip", "email", "uri", "rid", "dirname", "othername"):
        name = value
    return unicodedata.normalize("NFC", name).strip().rstrip(".")


def lose(
    records: Sequence[CertificateRecord],
    reason: Reason,
    facility: Facility,
    *,
    invalidity: datetime | None = None,
    replaced: Sequence[CertificateRecord] = (),
) -> Revocation:
    """All of them revoked, or none, in one commit; the next CRLs carry them.

    invalidity: since when the device is gone; never in the future.
    replaced:   `replaced_of` it: after these they get this reason, so that no key is left to use.
    Raises:     RevocationRefused, NotFound, ClockSuspect.
    """
    now = facility.check_clock()
    check_invalidity(invalidity, now=now)
    revocation = Revocation(reason=reason, revoked_at=now, invalidity=invalidity)
    lines = [
        (
            record.issuer_id,
            record.serial,
            revocation,
            crl_entry(record.serial, now, reason, invalidity),
        )
        for record in records
    ]
    with facility.changing(although_unreachable=True):
        facility.store.revoke_many(lines)
        for record in replaced:
            revoke(record, reason, facility, invalidity=invalidity)
    return revocation


# ---------------------------------------------------------------- who refuses it, and when


class Effect(Struct, frozen=True):
    """A kind of service that knew the device, and from when it refuses it."""

    service: str
    refuses: str


def effects(
    records: Sequence[CertificateRecord],
    *,
    old_lists_until: datetime | None,
    copies_until: datetime | None,
) -> tuple[Effect, ...]:
    """What happens where, for certificates of these purposes.

    old_lists_until: the end of the lists that servers have now; None: they have none.
    copies_until:    the end of the one that is fetched now: of a ladder the rung whose turn it is.
    """
    read = [read_certificate(record.der, tolerant=True).tbs for record in records if record.der]
    purposes = {oid for tbs in read for oid in tbs.eku or ()}
    urls = sorted({url for tbs in read for url in tbs.crl_urls})
    until, fetched = (
        f"{end:%Y-%m-%d %H:%M} UTC" if end is not None else ""
        for end in (old_lists_until, copies_until)
    )
    found = []
    if CLIENT_AUTH in purposes:
        found.append(
            Effect(
                "OpenVPN",
                "at the next connection after crl/openvpn.pem is on the server; a session that "
                "is up ends when it renegotiates (within the hour, reneg-sec) or the server "
                "restarts",
            )
        )
        found.append(
            Effect(
                "IKEv2 by strongSwan",
                "once the lists of its kit (`homeca kit --for strongswan-server`) are in "
                "/etc/swanctl/x509crl and `swanctl --load-creds --clear` has run: without "
                "--clear it keeps to the list before; a connection that is up stays until "
                "strongSwan is restarted",
            )
        )
        found.append(
            # tried: FreeRADIUS 3.2.1 after SIGHUP; nginx 1.22 with a shared session cache;
            # Mosquitto 2.0.11, PostgreSQL 15, MariaDB 10.11, stunnel 5.68
            Effect(
                "web, Wi-Fi, MQTT, mail and database servers that ask for client certificates",
                "once they have the new crl/openvpn.pem (Wi-Fi: the new ca.pem of its kit) and "
                "were restarted: after a mere reload FreeRADIUS keeps the list before, nginx lets "
                "in who resumes a TLS session, and who is connected to Mosquitto, PostgreSQL or "
                "MariaDB stays",
            )
        )
        found.append(
            # tried: Caddy 2.6.2, Postfix 3.7.11 with the lists in its CAfile
            Effect(
                "servers that read no lists, as Caddy and Postfix",
                "never, before its certificate ends: let in there by name or fingerprint, and "
                "take this one out",
            )
        )
    if SERVER_AUTH in purposes:
        found.append(
            Effect(
                "clients that connect to it",
                "when they fetch the new CRL; browsers ask no private CA, so take its address "
                "out of DNS as well",
            )
        )
    if urls:
        found.append(
            Effect(
                f"whoever fetches {', '.join(visible(url) for url in urls)}",
                f"at the next fetch; a copy may be used until {fetched or 'its nextUpdate'}",
            )
        )
    if until:
        found.append(
            Effect(
                "a server that gets no new list",
                f"never before {until}, when its list ends and it refuses everybody; strongSwan "
                "not even then",
            )
        )
    else:
        found.append(
            Effect("a server that has no list of this CA", "never: it does not ask for one")
        )
    return tuple(found)
