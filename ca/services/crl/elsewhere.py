"""Lists of a root whose key is in another home: taken in, published beside ours, and believed.

They lie where our own lists lie, so whoever can write there may have put others in their place:
what they say of our intermediates counts only with the root's signature, asked for each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from ca.encoding.containers import read_crls
from ca.encoding.facts import CrlFacts
from ca.encoding.inspect import read_crl
from ca.errors import EncodingError, VerificationFailed
from ca.home import Home
from ca.interfaces.issuing import IssuerRecord, IssuerState
from ca.interfaces.revocation import Revocation
from ca.interfaces.store import CertificateStore
from ca.services.crl.files import lists_in, publishing, rungs_file, write_crls
from ca.services.crl.publication import revocation_of
from ca.services.facility import CLOCK_MAY_LAG, Facility
from ca.services.trust import is_list_of


def take_in(
    octets: bytes,
    home: Home,
    store: CertificateStore,
    *,
    at: datetime,
    on_wait: Callable[[str], None],
) -> list[Path]:
    """Lists that another home cut for an issuer of this one, its root: verified, then published.

    octets: PEM or DER; every list in it must be by an issuer whose key is not here.
    Raises: VerificationFailed naming the first that does not belong here, where none is valid
            yet, where a time between them has none, where one is older than what is here;
            CertificateMalformed. Nothing is changed then.
    """
    elsewhere = [one for one in store.issuers() if one.certificate and not one.has_key]
    taken: dict[int, list[CrlFacts]] = {}
    for der in read_crls(octets):
        facts = read_crl(der)
        issuer = next((one for one in elsewhere if is_list_of(facts, one)), None)
        if issuer is None:
            raise VerificationFailed(
                f"a list by {facts.tbs.issuer} is not by an issuer of this home whose key is "
                "elsewhere",
                remedy="give the CRLs that `homeca crl` wrote in the home of your root",
            )
        taken.setdefault(issuer.id, []).append(facts)
    written: list[Path] = []
    with publishing(home, on_wait):
        for issuer in elsewhere:
            lists = sorted(taken.get(issuer.id, ()), key=lambda one: one.tbs.this_update.moment)
            if not lists:
                continue
            _check_unbroken(issuer, lists)
            # a list that was cut right after another begins a second later
            current = _begun(lists, at) or _begun(lists, at + CLOCK_MAY_LAG)
            if current is None:
                raise VerificationFailed(
                    f"no list of {issuer.slug!r} among these is valid yet",
                    remedy="bring the one that is valid now as well, or set the clock",
                )
            there = [*_signed(issuer, home)]
            _check_not_older(issuer, current, _begun(there, at))
            _check_not_older(issuer, max(lists, key=_number), max(there, key=_number, default=None))
            ders = [facts.der for facts in lists]
            written += write_crls(issuer.slug, ders, home.crl, current=current.der)
    return written


def _begun(lists: Sequence[CrlFacts], at: datetime) -> CrlFacts | None:
    """The one that clients are to have now."""
    begun = [facts for facts in lists if facts.tbs.this_update.moment <= at]
    return max(begun, key=lambda facts: facts.tbs.this_update.moment, default=None)


def _check_unbroken(issuer: IssuerRecord, lists: Sequence[CrlFacts]) -> None:
    """Between two lists that do not meet, servers would refuse everybody. lists: by date."""
    for before, after in pairwise(lists):
        end = before.tbs.next_update
        if end is not None and end.moment < after.tbs.this_update.moment:
            raise VerificationFailed(
                f"no list of {issuer.slug!r} among these is valid between "
                f"{end.moment:%Y-%m-%d %H:%M} and {after.tbs.this_update.moment:%Y-%m-%d %H:%M} "
                "UTC",
                remedy="bring the whole ladder, as `homeca crl` wrote it in the home of your root",
            )


def _check_not_older(issuer: IssuerRecord, brought: CrlFacts, there: CrlFacts | None) -> None:
    if there is not None and _number(brought) < _number(there):
        raise VerificationFailed(
            f"the lists of {issuer.slug!r} are older than CRL {_number(there)}, which is here "
            "already",
            remedy="fetch the newest from the home of your root",
        )


def newest_list(issuer: IssuerRecord, home: Home) -> CrlFacts | None:
    """The last of those here, whether it is over or not: what is on it was revoked."""
    return max(_signed(issuer, home), key=_number, default=None)


def _signed(issuer: IssuerRecord, home: Home) -> Iterator[CrlFacts]:
    for der in lists_in(rungs_file(issuer, home)).values():
        try:
            facts = read_crl(der)
        except EncodingError:
            continue
        if is_list_of(facts, issuer):
            yield facts


def _number(facts: CrlFacts) -> int:
    return facts.tbs.number or 0


def revoked_abroad(issuers: Sequence[IssuerRecord], home: Home) -> Mapping[int, Revocation]:
    """By id: the issuers that the lists of a root abroad name."""
    found: dict[int, Revocation] = {}
    for root in (one for one in issuers if one.is_abroad):
        below = [one for one in issuers if one.parent_id == root.id and one.serial is not None]
        said = newest_list(root, home) if below else None
        entries = {entry.serial: entry for entry in said.tbs.entries} if said is not None else {}
        found |= {
            one.id: revocation_of(entries[one.serial]) for one in below if one.serial in entries
        }
    return found


def retire_revoked(facility: Facility) -> tuple[IssuerRecord, ...]:
    """What a root abroad has revoked signs no more, as if it had been revoked here.

    Raises: StoreError, CustodyError, StateConflict when another process was first.
    """

    def due() -> tuple[IssuerRecord, ...]:
        issuers = facility.store.issuers()
        revoked = revoked_abroad(issuers, facility.home)
        return tuple(
            one
            for one in issuers
            if one.id in revoked and one.state is IssuerState.ACTIVE and not one.is_elsewhere
        )

    if not due():
        return ()
    with facility.changing(although_unreachable=True):
        retired = due()
        for issuer in retired:
            facility.store.set_issuer_state(issuer.id, IssuerState.RETIRED, at=facility.clock())
    return retired
