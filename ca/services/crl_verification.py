"""Is this CRL one of this CA's, and good now? Every reason against it, at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from ca.encoding.facts import CrlFacts
from ca.encoding.inspect import read_crl
from ca.errors import VerificationFailed, Violation
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import serial_text
from ca.services.trust import is_signed_by


class VerifiedCrl(Struct, frozen=True, kw_only=True):
    """A CRL with nothing against it, and who signed it."""

    facts: CrlFacts
    issuer: IssuerRecord
    warnings: tuple[str, ...]


def verify_crl(der: bytes, store: CertificateStore, *, at: datetime) -> VerifiedCrl:
    """A CRL file against this home's issuers and record.

    Raises: VerificationFailed with every reason; CertificateMalformed.
    """
    facts = read_crl(der)
    reasons: list[Violation] = []
    warnings: list[str] = []
    named = [one for one in store.issuers() if one.subject_der == facts.tbs.issuer.der]
    issuer = next((one for one in named if is_signed_by(facts, one.spki)), None)
    if issuer is None:
        text = (
            f"its signature is not by {named[0].subject}"
            if named
            else f"no issuer of this home is called {facts.tbs.issuer}"
        )
        rule = "crl.signature" if named else "chain.unknown-issuer"
        raise _bad_crl([Violation(rule, text)])
    if at < facts.tbs.this_update.moment:
        reasons.append(Violation("dates.not-yet", "its thisUpdate has not come yet"))
    end = facts.tbs.next_update
    if end is None:
        reasons.append(Violation("dates.no-end", "it has no nextUpdate (RFC 5280 §5.1.2.5)"))
    elif at > end.moment:
        reasons.append(
            Violation(
                "dates.expired",
                f"it expired on {end.moment:%Y-%m-%d %H:%M} UTC: servers refuse everybody",
                "run `homeca crl`, and bring the new one to your servers",
            )
        )
    reasons.extend(_beside_the_record(facts, issuer, store))
    last = store.last_crl(issuer.id)
    if last is not None and facts.tbs.number is not None and facts.tbs.number < last.number:
        warnings.append(f"it is not the newest: CRL {last.number} was cut since")
    if reasons:
        raise _bad_crl(reasons)
    return VerifiedCrl(facts=facts, issuer=issuer, warnings=tuple(warnings))


def _beside_the_record(
    facts: CrlFacts, issuer: IssuerRecord, store: CertificateStore
) -> Iterator[Violation]:
    listed = {entry.serial for entry in facts.tbs.entries}
    this_update = facts.tbs.this_update.moment
    missing = [
        line.serial
        for line in store.revoked(issuer.id, expired_since=this_update)
        if line.serial not in listed
    ]
    if missing:
        shown = ", ".join(serial_text(serial) for serial in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield Violation(
            "crl.missing",
            f"it does not list {shown}{more}, revoked in the record",
            "run `homeca crl`, and bring the new one to your servers",
        )


def _bad_crl(reasons: list[Violation]) -> VerificationFailed:
    return VerificationFailed(
        f"the CRL is not good: {reasons[0].text}",
        remedy=reasons[0].remedy or "do not use it; `homeca crl` cuts a new one",
        violations=tuple(reasons),
    )
