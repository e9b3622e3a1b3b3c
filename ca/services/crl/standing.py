"""How an issuer's newest CRL stands: what it lacks, when it is due, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.revocation import CrlRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import serial_text
from ca.names.showing import many, visible
from ca.services.crl.ladder import Ladder, standing_ladder
from ca.services.crl.publication import compare
from ca.services.premises import Concern


class CrlStanding(Struct, frozen=True, kw_only=True):
    """The newest CRL of an issuer.

    ladder: all that were cut with it, itself among them.
    missing, superfluous, outdated: how many of each in its `Difference` from the record.
    """

    crl: CrlRecord
    ladder: Ladder
    missing: int
    superfluous: int
    outdated: int

    @property
    def until(self) -> datetime:
        """Its nextUpdate, or that of the last rung: then servers refuse everybody."""
        return self.ladder.armed_until

    @property
    def due(self) -> datetime:
        """Half of its life: when the next one should be cut, so that a failure can be mended."""
        return self.crl.this_update + (self.until - self.crl.this_update) / 2


def crl_standing(issuer: IssuerRecord, store: CertificateStore) -> CrlStanding | None:
    """Beside the record; None before the first. Raises: StoreError, CertificateMalformed."""
    crl, ladder = store.last_crl(issuer.id), standing_ladder(store, issuer.id)
    if crl is None or ladder is None:
        return None
    difference = compare(issuer, crl, store)
    return CrlStanding(
        crl=crl,
        ladder=ladder,
        missing=len(difference.missing),
        superfluous=len(difference.superfluous),
        outdated=len(difference.outdated),
    )


def concerns_of_crl(
    issuer: IssuerRecord, found: CrlStanding | None, store: CertificateStore, *, at: datetime
) -> Iterator[Concern]:
    """None yet, over, due, or not what the record says; with where something can be done."""
    for concern in _of_crl(issuer, found, store, at=at):
        if issuer.is_elsewhere:  # only the node that holds the key can
            there = f"on node {visible(issuer.node)}: {concern.remedy}"
            if concern.rule in ("crl.due", "crl.expired") and issuer.serial is not None:
                there += (
                    "; if it is gone for ever, revoke its intermediate here (`homeca revoke "
                    f"{serial_text(issuer.serial)} --reason cessationOfOperation`) and renew what "
                    "it signed"
                )
            yield replace(concern, remedy=there)
        else:
            yield concern


def _of_crl(
    issuer: IssuerRecord, found: CrlStanding | None, store: CertificateStore, *, at: datetime
) -> Iterator[Concern]:
    subject = visible(issuer.subject)
    if found is None:
        if next(iter(store.revoked(issuer.id, expired_since=None)), None) is not None:
            yield Concern(
                "crl.missing",
                f"{subject} has revoked certificates and no CRL: nobody outside knows",
                "run `homeca crl`",
            )
        else:
            yield Concern(
                "crl.none-yet",
                f"{subject} has no CRL yet",
                "run `homeca crl`, and give the file to your servers",
                needs_attention=False,
            )
        return
    if found.until < at:
        yield Concern(
            "crl.expired",
            f"the CRL of {subject} expired on {found.until:%Y-%m-%d %H:%M} UTC: "
            "servers that ask for one refuse every client",
            "run `homeca crl`, and bring the files to your servers",
        )
    elif found.due < at and not found.ladder.lasts_to(issuer.not_after):
        yield Concern(
            "crl.due",
            f"the CRL of {subject} has passed half of its life; it expires on "
            f"{found.until:%Y-%m-%d %H:%M} UTC",
            "run `homeca crl`",
        )
    if found.missing:
        yield Concern(
            "crl.behind",
            f"on no CRL of {subject} yet: {many(found.missing, 'revoked serial')}",
            "run `homeca crl`, and bring the files to your servers",
        )
    if found.superfluous:
        yield Concern(
            "crl.behind",
            f"the CRL of {subject} still lists as revoked what is not: "
            f"{many(found.superfluous, 'serial')}",
            "run `homeca crl`; if it recurs, `homeca check`",
        )
    if found.outdated:
        yield Concern(
            "crl.behind",
            f"the CRL of {subject} does not give the reason that is recorded now: "
            f"{many(found.outdated, 'serial')}",
            "run `homeca crl`, and bring the files to your servers",
        )
