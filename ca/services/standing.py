"""How the CA stands: what `homeca status` says, from the record, the files and the clock.

Nothing is opened here but files of the home; the TPM is not asked. What needs attention is a
`Concern`; what is so by choice and stays so (a software TPM, no name constraints) is one that is
said every time and does not make the CA unwell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from ca.errors import HomecaError
from ca.home import Home
from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import (
    CertificateCounts,
    CertificateQuery,
    CertificateRecord,
    IssuerRecord,
    IssuerState,
    Role,
    State,
)
from ca.interfaces.nodes import NodeRecord
from ca.interfaces.revocation import CrlRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import ONE_SECOND, Serial, serial_text
from ca.names.showing import visible
from ca.services.facility import CLOCK_MAY_LAG
from ca.services.ladder import armed_until
from ca.services.premises import Concern, concerns_of_files
from ca.services.publication import compare
from ca.services.reminding import concerns_to_remind_of, is_renewed

#: TCTI of a software TPM whose state lies in the home.
EMBEDDED = "embedded"

#: How far ahead `status` looks for certificates that end.
LOOKAHEAD = timedelta(days=30)

#: An issuer with less left than this can soon not sign a certificate of the usual length.
ISSUER_LOOKAHEAD = timedelta(days=400)


#: How long another node may be at work on what it has begun: a long batch in a slow TPM.
NODE_MAY_SIGN = timedelta(minutes=10)

#: Expiring certificates that are named one by one; the rest is counted.
NAMED = 10


class CrlStanding(Struct, frozen=True, kw_only=True):
    """The newest CRL of an issuer. missing: revoked serials that are not on it yet.

    until: its nextUpdate, or that of the last of those cut with it.
    """

    crl: CrlRecord
    until: datetime
    missing: int
    superfluous: int

    @property
    def due(self) -> datetime:
        """Half of its life: when the next one should be cut, so that a failure can be mended."""
        return self.crl.this_update + (self.until - self.crl.this_update) / 2


class IssuerStanding(Struct, frozen=True, kw_only=True):
    """An issuer, its newest CRL, and the issuers it signed."""

    issuer: IssuerRecord
    crl: CrlStanding | None
    children: tuple[IssuerStanding, ...]

    def __iter__(self) -> Iterator[IssuerStanding]:
        """Itself and everything below."""
        yield self
        for child in self.children:
            yield from child


class Standing(Struct, frozen=True, kw_only=True):
    """The whole CA at a moment.

    tops:     issuers without a parent here. custody: None before the first ceremony.
    expiring: certificates that end within LOOKAHEAD and have no successor, soonest first, NAMED
              of them; `expiring_count` is how many there are.
    open_serials: signatures begun and not ended, here or in another process.
    nodes:    the homes that share the record; none when it is this one's alone.
    """

    at: datetime
    custody: Custody | None
    tops: tuple[IssuerStanding, ...]
    counts: CertificateCounts
    expiring: tuple[CertificateRecord, ...]
    expiring_count: int
    open_serials: int
    nodes: tuple[NodeRecord, ...]
    last_act: datetime | None
    concerns: tuple[Concern, ...]

    @property
    def is_well(self) -> bool:
        """Nothing needs attention."""
        return not any(concern.needs_attention for concern in self.concerns)

    @property
    def issuers(self) -> tuple[IssuerStanding, ...]:
        return tuple(below for top in self.tops for below in top)


def standing(store: CertificateStore, home: Home, *, at: datetime) -> Standing:
    """Everything `homeca status` says. Raises: StoreError, CertificateMalformed."""
    custody = store.custody()
    records = store.issuers()
    crls = {
        issuer.id: _crl_standing(issuer, store)
        for issuer in records
        if issuer.certificate is not None
    }
    tops = _tree(records, crls)
    own = {issuer.serial for issuer in records}
    named, count = _expiring(store, own, at=at)
    open_serials = len(store.open_serials())
    nodes = store.nodes()
    last_act = store.last_recorded_act()
    counts = store.counts(at=at)
    concerns = (
        *_of_custody(custody, home),
        *_of_clock(last_act, at=at),
        *(concern for issuer in records for concern in _of_issuer(issuer, at=at)),
        *_of_constraints(records),
        *(
            concern
            for issuer in records
            if issuer.certificate is not None and (issuer.has_key or issuer.is_elsewhere)
            for concern in _where_it_is(issuer, _of_crl(issuer, crls[issuer.id], store, at=at))
        ),
        *_of_expiring(count, named, at=at),
        *_of_open(open_serials),
        *_of_nodes(nodes, at=at),
        *concerns_to_remind_of(store, home, at=at),
        *concerns_of_files(home, store),
    )
    return Standing(
        at=at,
        custody=custody,
        tops=tops,
        counts=counts,
        expiring=named,
        expiring_count=count,
        open_serials=open_serials,
        nodes=nodes,
        last_act=last_act,
        concerns=concerns,
    )


# ---------------------------------------------------------------- looking


def _crl_standing(issuer: IssuerRecord, store: CertificateStore) -> CrlStanding | None:
    crl = store.last_crl(issuer.id)
    if crl is None:
        return None
    difference = compare(issuer, crl, store)
    return CrlStanding(
        crl=crl,
        until=armed_until(crl, store),
        missing=len(difference.missing),
        superfluous=len(difference.superfluous),
    )


def _tree(
    records: tuple[IssuerRecord, ...], crls: dict[int, CrlStanding | None]
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
            children=below(issuer.id, path | {issuer.id}),
        )

    return tuple(
        build(issuer, frozenset({issuer.id}))
        for issuer in records
        if issuer.parent_id is None or issuer.parent_id not in known
    )


def _expiring(
    store: CertificateStore, own: set[Serial | None], *, at: datetime
) -> tuple[tuple[CertificateRecord, ...], int]:
    """Certificates of devices that end soon and were not renewed: the first few, and how many."""
    query = CertificateQuery(
        states=(State.ISSUED,),
        revoked=False,
        expires_after=at - ONE_SECOND,
        expires_before=at + LOOKAHEAD,
    )
    found: list[CertificateRecord] = []
    count = 0
    for record in store.certificates(query):
        if record.serial in own or is_renewed(record, store):
            continue
        count += 1
        found.append(record)
        found.sort(key=lambda one: one.not_after)
        del found[NAMED:]
    return tuple(found), count


# ---------------------------------------------------------------- judging


def _of_custody(custody: Custody | None, home: Home) -> Iterator[Concern]:
    if custody is not None and custody.tcti == EMBEDDED and not home.tpm_state.exists():
        yield Concern(
            "custody.state-missing",
            f"the software TPM with the keys is gone: no {str(home.tpm_state)!r}; nothing can be "
            "signed",
            f"put the newest copy of {str(home.tpm)!r} back, or restore a backup made with "
            "--include-software-tpm; without either, begin a new CA in another --home",
        )
    if custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM:
        yield Concern(
            "custody.software-tpm",
            "the keys are in a software TPM: whoever is root on this machine can copy its state",
            "for keys nobody can copy, make the CA on a machine with a TPM",
            needs_attention=False,
        )


def _of_clock(last: datetime | None, *, at: datetime) -> Iterator[Concern]:
    if last is not None and at < last - CLOCK_MAY_LAG:
        yield Concern(
            "clock.behind",
            f"the clock says {at:%Y-%m-%d %H:%M} UTC, before the last recorded act "
            f"({last:%Y-%m-%d %H:%M})",
            "set the clock; nothing is signed until it is right",
        )


def _of_issuer(issuer: IssuerRecord, *, at: datetime) -> Iterator[Concern]:
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
        days = (issuer.not_after - at).days
        yield Concern(
            "issuer.expiring",
            f"{subject} ends in {days} days: what it signs must end before that",
            "begin a new root in another --home and bring it to the devices"
            if issuer.role is Role.ROOT
            else "run `homeca init-intermediate` for the next one",
        )


def _of_constraints(records: tuple[IssuerRecord, ...]) -> Iterator[Concern]:
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
    elif found.due < at:
        yield Concern(
            "crl.due",
            f"the CRL of {subject} has passed half of its life; it expires on "
            f"{found.until:%Y-%m-%d %H:%M} UTC",
            "run `homeca crl`",
        )
    if found.missing:
        yield Concern(
            "crl.behind",
            f"{found.missing} revoked serials of {subject} are on no CRL yet",
            "run `homeca crl`, and bring the files to your servers",
        )
    if found.superfluous:
        yield Concern(
            "crl.behind",
            f"the CRL of {subject} still lists {found.superfluous} serials that are not revoked",
            "run `homeca crl`; if it recurs, `homeca check`",
        )


def _of_expiring(
    count: int, named: tuple[CertificateRecord, ...], *, at: datetime
) -> Iterator[Concern]:
    for record in named:
        yield Concern(
            "certificate.expiring",
            f"{visible(record.subject)} ends in {(record.not_after - at).days} days "
            f"({record.not_after:%Y-%m-%d})",
            f"renew it: `homeca renew {serial_text(record.serial)}`",
        )
    if count > len(named):
        yield Concern(
            "certificate.expiring",
            f"{count - len(named)} more certificates end within {LOOKAHEAD.days} days",
            f"see them: `homeca list --expiring {LOOKAHEAD.days}d`",
        )


def _where_it_is(issuer: IssuerRecord, found: Iterable[Concern]) -> Iterator[Concern]:
    """Only the node that holds the key can do something about its CRL."""
    for concern in found:
        if issuer.is_elsewhere:
            yield replace(concern, remedy=f"on node {visible(issuer.node)}: {concern.remedy}")
        else:
            yield concern


def _of_nodes(nodes: tuple[NodeRecord, ...], *, at: datetime) -> Iterator[Concern]:
    """What other nodes have left open for longer than any signature takes."""
    for node in nodes:
        since = node.open_since
        if not node.is_here and since is not None and at - since > NODE_MAY_SIGN:
            yield Concern(
                "node.open",
                f"node {visible(node.label)} has begun {node.open_serials} signatures and not "
                f"ended them since {since:%Y-%m-%d %H:%M} UTC",
                "run `homeca status` on it: only there they can be settled",
            )


def _of_open(count: int) -> Iterator[Concern]:
    if count:
        yield Concern(
            "serial.open",
            f"{count} signatures were begun and not ended",
            "another homeca is signing, or one was interrupted: the next command that signs "
            "settles them",
        )
