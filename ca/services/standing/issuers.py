"""How the issuers stand: their tree, which wait, which end, and which may certify anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from ca.errors import HomecaError
from ca.home import NEW_CA
from ca.interfaces.issuing import IssuerRecord, IssuerState, Role
from ca.interfaces.revocation import Revocation
from ca.names.showing import many, visible
from ca.services.crl.standing import CrlStanding
from ca.services.premises import Concern

#: An issuer with less left than this can soon not sign a certificate of the usual length.
ISSUER_LOOKAHEAD = timedelta(days=400)

#: What `init-intermediate` takes when nothing is said.
USUAL_DAYS = 3650

#: An intermediate for less than this is not worth its ceremony: its root must be succeeded.
WORTH_MAKING = timedelta(days=90)


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


def has_successor(issuer: IssuerRecord, records: Sequence[IssuerRecord]) -> bool:
    """Does a newer one sign where it signed, and lasts longer?

    Only the same hand can take over: what another node has, this one cannot sign with, and an
    intermediate whose key is in a home abroad is succeeded there.
    """
    return any(
        other.id > issuer.id
        and other.role is issuer.role
        and other.state is IssuerState.ACTIVE
        and (other.has_key, other.node) == (issuer.has_key, issuer.node)
        and issuer.not_after is not None
        and other.not_after is not None
        and other.not_after > issuer.not_after
        for other in records
        if not issuer.is_abroad
    )


def succession(issuer: IssuerRecord, records: Sequence[IssuerRecord], *, at: datetime) -> str:
    """What to do about an end: the command that makes the successor, as it works here."""
    if issuer.role is Role.ROOT:
        return f"{NEW_CA}, and bring its root to the devices beside this one"
    parent = _parent(issuer, records)
    if parent is None or issuer.not_after is None or parent.not_after is None:
        return "run `homeca init-intermediate` for the next one"
    if parent.not_after <= max(issuer.not_after, at) + WORTH_MAKING:
        return f"its root ends then too, or soon after: {NEW_CA}"
    if issuer.is_abroad or not parent.has_key:
        return (
            "make the next one: `homeca init-intermediate --csr-out FILE` in the home that has the "
            "intermediates, `--sign-request FILE` in that of the root"
        )
    left = (parent.not_after - at).days
    days = f" --days {left}" if left < USUAL_DAYS else ""
    return f"run `homeca init-intermediate{days}` for the next one"


def _parent(issuer: IssuerRecord, records: Sequence[IssuerRecord]) -> IssuerRecord | None:
    return next((one for one in records if one.id == issuer.parent_id), None)


def concerns_of_issuer(
    issuer: IssuerRecord, records: Sequence[IssuerRecord], *, at: datetime
) -> Iterator[Concern]:
    """Waits for its certificate; or has ended, or ends too soon for what it signs, and no other
    one has taken over."""
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
    if issuer.not_after is None or has_successor(issuer, records):
        return
    parent = _parent(issuer, records)
    if parent is not None and parent.not_after is not None and parent.not_after < at:
        return  # of its root that is said, and nothing can stand on it
    # of an intermediate abroad only its own home knows whether it was succeeded, and says so
    is_ours = issuer.state is IssuerState.ACTIVE and not (
        issuer.is_abroad and issuer.role is Role.INTERMEDIATE
    )
    if issuer.not_after < at:
        yield Concern(
            "issuer.expired",
            f"{subject} expired on {issuer.not_after:%Y-%m-%d}: nothing it signed is accepted any "
            "more",
            succession(issuer, records, at=at),
            needs_attention=is_ours,
        )
    elif issuer.state is IssuerState.ACTIVE and at >= succeed_by(issuer, issuer.not_after):
        days = many((issuer.not_after - at).days, "day")
        yield Concern(
            "issuer.expiring",
            f"{subject} ends in {days}: what it signs must end before that",
            succession(issuer, records, at=at),
            needs_attention=is_ours,
        )


def succeed_by(issuer: IssuerRecord, end: datetime) -> datetime:
    """When its successor should be made: early enough to sign what lasts the usual time."""
    lifetime = end - issuer.not_before if issuer.not_before is not None else ISSUER_LOOKAHEAD
    return end - min(lifetime / 4, ISSUER_LOOKAHEAD)


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
