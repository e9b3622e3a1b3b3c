"""How the issuers stand: their tree, which wait, which end, and which may certify anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from ca.errors import HomecaError
from ca.interfaces.issuing import IssuerRecord, IssuerState, Role
from ca.interfaces.revocation import Revocation
from ca.names.showing import many, visible
from ca.services.crl_standing import CrlStanding
from ca.services.premises import Concern

#: An issuer with less left than this can soon not sign a certificate of the usual length.
ISSUER_LOOKAHEAD = timedelta(days=400)


class IssuerStanding(Struct, frozen=True, kw_only=True):
    """An issuer, its newest CRL, and the issuers it signed. revoked: it, or one above it."""

    issuer: IssuerRecord
    crl: CrlStanding | None
    revoked: Revocation | None
    children: tuple[IssuerStanding, ...]

    def __iter__(self) -> Iterator[IssuerStanding]:
        """Itself and everything below."""
        yield self
        for child in self.children:
            yield from child


def issuer_tree(
    records: tuple[IssuerRecord, ...],
    crls: Mapping[int, CrlStanding | None],
    revoked: Mapping[int, Revocation],
) -> tuple[IssuerStanding, ...]:
    """By parent; an issuer whose parent is not there (or is itself) stands at the top."""
    known = {issuer.id for issuer in records}

    def below(parent: int, path: frozenset[int]) -> tuple[IssuerStanding, ...]:
        return tuple(
            build(issuer, path)
            for issuer in records
            if issuer.parent_id == parent and issuer.id not in path
        )

    def build(issuer: IssuerRecord, path: frozenset[int]) -> IssuerStanding:
        return IssuerStanding(
            issuer=issuer,
            crl=crls.get(issuer.id),
            revoked=revoked.get(issuer.id),
            children=below(issuer.id, path | {issuer.id}),
        )

    return tuple(
        build(issuer, frozenset({issuer.id}))
        for issuer in records
        if issuer.parent_id is None or issuer.parent_id not in known
    )


def concerns_of_issuer(issuer: IssuerRecord, *, at: datetime) -> Iterator[Concern]:
    """Waits for its certificate, has ended, or ends too soon for what it signs."""
    subject = visible(issuer.subject)
    if issuer.state is IssuerState.PENDING and issuer.is_elsewhere:
        yield Concern(
            "issuer.pending",
            f"{subject} of node {visible(issuer.node)} waits for its certificate",
            "sign its request where the root lives, then bring the answer to that node",
            needs_attention=False,
        )
    elif issuer.state is IssuerState.PENDING:
        yield Concern(
            "issuer.pending",
            f"{subject} waits for its certificate",
            "bring it: `homeca init-intermediate --certificate FILE`",
        )
    if issuer.not_after is None or issuer.not_before is None:
        return
    if issuer.not_after < at:
        yield Concern(
            "issuer.expired",
            f"{subject} expired on {issuer.not_after:%Y-%m-%d}",
            "nothing it signed is accepted any more; make a new "
            + (
                "CA in another --home" if issuer.role is Role.ROOT else "`homeca init-intermediate`"
            ),
            needs_attention=issuer.state is IssuerState.ACTIVE,
        )
        return
    lifetime = issuer.not_after - issuer.not_before
    if issuer.state is IssuerState.ACTIVE and issuer.not_after - at < min(
        lifetime / 4, ISSUER_LOOKAHEAD
    ):
        days = many((issuer.not_after - at).days, "day")
        yield Concern(
            "issuer.expiring",
            f"{subject} ends in {days}: what it signs must end before that",
            "begin a new root in another --home and bring it to the devices"
            if issuer.role is Role.ROOT
            else "run `homeca init-intermediate` for the next one",
        )


def concern_of_revoked(issuer: IssuerRecord, refused: int) -> Concern:
    """refused: certificates it signed that are not over, not revoked and not renewed elsewhere."""
    return Concern(
        "issuer.revoked",
        f"{visible(issuer.subject)} is revoked: {many(refused, 'certificate')} that it signed "
        f"{'is' if refused == 1 else 'are'} refused with it",
        f"see them: `homeca list --issuer {issuer.slug}`; renew each under another issuer: "
        "`homeca renew SERIAL`",
    )


def concerns_of_constraints(records: tuple[IssuerRecord, ...]) -> Iterator[Concern]:
    """A root without any."""
    from ca.encoding.inspect import read_certificate

    for issuer in records:
        if issuer.role is not Role.ROOT or issuer.certificate is None:
            continue
        try:
            unconstrained = read_certificate(issuer.certificate).tbs.name_constraints is None
        except HomecaError:
            continue  # that it cannot be read, `homeca check` says
        if unconstrained:
            yield Concern(
                "issuer.no-constraints",
                f"{visible(issuer.subject)} may certify any name in the world",
                "a new CA can be held to your own names: `homeca init-root --permit-dns …`",
                needs_attention=False,
            )
