"""Is this CRL one of this CA's, and good now? Every reason against it, at once.

A file may hold a whole ladder of every issuer, as crl/openvpn.pem does. Servers use the list that
is valid now and began last (client-rules d.7, CRL 1), so that one is judged; one that is to come
is no reason against the file, nor is one that another in it has taken the place of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from ca.encoding.facts import CrlFacts
from ca.encoding.inspect import read_crl
from ca.errors import VerificationFailed, Violation
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial, serial_text
from ca.names.showing import visible
from ca.services.trust import is_signed_by


class Turn(StrEnum):
    """When a list of a file speaks: now, later, or no more because another does."""

    NOW = "now"
    TO_COME = "to-come"
    OVER = "over"


class VerifiedCrl(Struct, frozen=True, kw_only=True):
    """A CRL with nothing against it, and who signed it."""

    facts: CrlFacts
    issuer: IssuerRecord
    turn: Turn
    warnings: tuple[str, ...]


class _Signed(Struct, frozen=True):
    """A list that an issuer of this home signed."""

    facts: CrlFacts
    issuer: IssuerRecord

    @property
    def begins(self) -> datetime:
        return self.facts.tbs.this_update.moment

    def has_ended(self, at: datetime) -> bool:
        end = self.facts.tbs.next_update
        return end is None or end.moment < at

    def __str__(self) -> str:
        return f"CRL {self.facts.tbs.number} of {visible(self.issuer.subject)}"


def verify_crls(
    ders: Sequence[bytes], store: CertificateStore, *, at: datetime
) -> tuple[VerifiedCrl, ...]:
    """The lists of one file, in their order, against this home's issuers and record.

    Of each issuer one that is valid now is enough.
    Raises: VerificationFailed with every reason; CertificateMalformed.
    """
    reasons: list[Violation] = []
    lists: list[_Signed] = []
    for der in ders:
        facts = read_crl(der)
        found = _signer(facts, store)
        if isinstance(found, Violation):
            reasons.append(found)
        else:
            lists.append(_Signed(facts, found))
    verified: dict[int, VerifiedCrl] = {}
    for issuer_id in dict.fromkeys(one.issuer.id for one in lists):
        ladder = [one for one in lists if one.issuer.id == issuer_id]
        verified |= _judge(ladder, store, reasons, at=at, alone=len(ders) == 1)
    if reasons:
        raise _bad_crl(reasons)
    return tuple(verified[id(one)] for one in lists)


def _signer(facts: CrlFacts, store: CertificateStore) -> IssuerRecord | Violation:
    named = [one for one in store.issuers() if one.subject_der == facts.tbs.issuer.der]
    issuer = next((one for one in named if is_signed_by(facts, one.spki)), None)
    if issuer is not None:
        return issuer
    if named:
        return Violation("crl.signature", f"its signature is not by {named[0].subject}")
    return Violation("chain.unknown-issuer", f"no issuer of this home is called {facts.tbs.issuer}")


def _judge(
    ladder: Sequence[_Signed],
    store: CertificateStore,
    reasons: list[Violation],
    *,
    at: datetime,
    alone: bool,
) -> dict[int, VerifiedCrl]:
    """All lists of one issuer. alone: there is no other in the file, so a text need not name it."""
    valid = [one for one in ladder if one.begins <= at and not one.has_ended(at)]
    used = max(valid, key=lambda one: one.begins, default=None)
    if used is None:
        reasons.append(_none_valid(ladder, at=at, alone=alone))
        return {}
    last = store.last_crl(used.issuer.id)
    verified: dict[int, VerifiedCrl] = {}
    said: set[Serial] = set()
    for one in ladder:
        turn = Turn.NOW if one is used else Turn.TO_COME if one.begins > at else Turn.OVER
        warnings: list[str] = []
        if turn is not Turn.OVER:
            reasons.extend(_beside_the_record(one, store, said, alone=alone))
        number = one.facts.tbs.number
        if turn is Turn.NOW and last is not None and number is not None and number < last.number:
            warnings.append(f"it is not the newest: CRL {last.number} was cut since")
        verified[id(one)] = VerifiedCrl(
            facts=one.facts, issuer=one.issuer, turn=turn, warnings=tuple(warnings)
        )
    return verified


def _none_valid(ladder: Sequence[_Signed], *, at: datetime, alone: bool) -> Violation:
    """Why servers that have these lists refuse everybody now."""
    ended = [one for one in ladder if one.begins <= at]
    one = max(ended, key=lambda one: one.begins) if ended else min(ladder, key=lambda o: o.begins)
    its, it = ("its", "it") if alone else (f"the {one}:", f"the {one}")
    if not ended:
        return Violation("dates.not-yet", f"{its} thisUpdate has not come yet")
    end = one.facts.tbs.next_update
    if end is None:
        return Violation("dates.no-end", f"{it} has no nextUpdate (RFC 5280 §5.1.2.5)")
    return Violation(
        "dates.expired",
        f"{it} expired on {end.moment:%Y-%m-%d %H:%M} UTC: servers refuse everybody",
        "run `homeca crl`, and bring the new one to your servers",
    )


def _beside_the_record(
    one: _Signed, store: CertificateStore, said: set[Serial], *, alone: bool
) -> Iterator[Violation]:
    """What it lacks. said: what another list of the issuer was found to lack already."""
    listed = {entry.serial for entry in one.facts.tbs.entries}
    missing = [
        line.serial
        for line in store.revoked(one.issuer.id, expired_since=one.begins)
        if line.serial not in listed and line.serial not in said
    ]
    said.update(missing)
    if missing:
        shown = ", ".join(serial_text(serial) for serial in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield Violation(
            "crl.missing",
            f"{'it' if alone else one} does not list {shown}{more}, revoked in the record",
            "run `homeca crl`, and bring the new one to your servers",
        )


def _bad_crl(reasons: list[Violation]) -> VerificationFailed:
    return VerificationFailed(
        f"the CRL is not good: {reasons[0].text}",
        remedy=reasons[0].remedy or "do not use it; `homeca crl` cuts a new one",
        violations=tuple(reasons),
    )
