"""How the CA stands: what `homeca status` says, from the record, the files and the clock.

Nothing is opened here but files of the home; the TPM is not asked. What needs attention is a
`Concern`; what is so by choice and stays so (a software TPM, no name constraints) is one that is
said every time and does not make the CA unwell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from ca.home import Home, way_back_of_tpm
from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import (
    CertificateCounts,
    CertificateQuery,
    CertificateRecord,
    IssuerRecord,
    State,
)
from ca.interfaces.nodes import NodeRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import ONE_SECOND, Serial, serial_text
from ca.names.showing import many, visible
from ca.services.crl.standing import concerns_of_crl, crl_standing
from ca.services.facility import CLOCK_MAY_LAG, CLOCK_MAY_LEAD
from ca.services.premises import Concern, concerns_of_files
from ca.services.revocation.issuers import revoked_issuers
from ca.services.standing.issuers import (
    IssuerStanding,
    concern_of_revoked,
    concerns_of_constraints,
    concerns_of_issuer,
    issuer_tree,
)
from ca.services.standing.reminding import concerns_to_remind_of
from ca.services.standing.renewals import (
    RENEW_BEFORE,
    is_renewed,
    is_to_be_renewed,
    let_end,
    renewal_lead,
)

#: TCTI of a software TPM whose state lies in the home.
EMBEDDED = "embedded"

#: How long another node may be at work on what it has begun: a long batch in a slow TPM.
NODE_MAY_SIGN = timedelta(minutes=10)

#: Expiring certificates that are named one by one; the rest is counted.
NAMED = 10


class Standing(Struct, frozen=True, kw_only=True):
    """The whole CA at a moment.

    tops:     issuers without a parent here. custody: None before the first ceremony.
    refused:  of `counts.valid`, those that a revoked issuer signed.
    expiring: certificates that are to be renewed and have no successor, soonest first, NAMED
              of them; `expiring_count` is how many there are.
    open_serials: signatures begun and not ended, here or in another process.
    nodes:    the homes that share the record; none when it is this one's alone.
    """

    at: datetime
    custody: Custody | None
    tops: tuple[IssuerStanding, ...]
    counts: CertificateCounts
    refused: int
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
        issuer.id: crl_standing(issuer, store)
        for issuer in records
        if issuer.certificate is not None
    }
    revoked = revoked_issuers(records, store, home)
    own = {issuer.serial for issuer in records}
    below = [
        (issuer, *_refused_with(issuer, store, own, at=at))
        for issuer in records
        if issuer.id in revoked
    ]
    named, count = _expiring(store, own, at=at)
    open_serials = len(store.open_serials())
    nodes = store.nodes()
    last_act = store.last_recorded_act()
    counts = store.counts(at=at)
    concerns = (
        *_of_rules(store),
        *_of_custody(custody, home),
        *_of_clock(last_act, at=at),
        *(concern for issuer in records for concern in concerns_of_issuer(issuer, records, at=at)),
        *(concern_of_revoked(issuer, left) for issuer, _, left in below if left),
        *concerns_of_constraints(records),
        *(
            concern
            for issuer in records
            if issuer.certificate is not None
            # what another node's revoked issuer signed is refused, with a newer list or without
            and (issuer.has_key or (issuer.is_elsewhere and issuer.id not in revoked))
            # once it has ended itself no list is cut any more, and nobody asks for one
            if not issuer.has_ended(at)
            for concern in concerns_of_crl(issuer, crls[issuer.id], store, at=at)
        ),
        *_of_expiring(count, named, at=at),
        *_of_ended(let_end(store, own, at=at)),
        *_of_open(open_serials),
        *_of_nodes(nodes, [one for one in records if one.id not in revoked], at=at),
        *concerns_to_remind_of(store, home, at=at),
        *concerns_of_files(home, store),
    )
    return Standing(
        at=at,
        custody=custody,
        tops=issuer_tree(records, crls, revoked),
        counts=counts,
        refused=sum(refused for _, refused, _ in below),
        expiring=named,
        expiring_count=count,
        open_serials=open_serials,
        nodes=nodes,
        last_act=last_act,
        concerns=concerns,
    )


def _of_rules(store: CertificateStore) -> Iterator[Concern]:
    """That somebody changed what the database itself watches over; `check` names all of it."""
    changed = store.changed_rules()
    if changed:
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        yield Concern(
            "record.rules", f"in the database {changed[0].text}{more}", "run `homeca check`"
        )


def _of_custody(custody: Custody | None, home: Home) -> Iterator[Concern]:
    if custody is not None and custody.tcti == EMBEDDED and not home.tpm_state.exists():
        yield Concern(
            "custody.state-missing",
            f"the software TPM with the keys is gone: no {str(home.tpm_state)!r}; nothing can be "
            "signed",
            way_back_of_tpm(home.tpm),
        )
    if custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM:
        yield Concern(
            "custody.software-tpm",
            "the keys are in a software TPM: whoever is root where it runs can copy its state",
            "for keys nobody can copy, make the CA on a machine with a TPM",
            needs_attention=False,
        )


def _of_clock(last: datetime | None, *, at: datetime) -> Iterator[Concern]:
    if last is not None and at < last - CLOCK_MAY_LAG:
        yield Concern(
            "clock.behind",
            f"the clock says {at:%Y-%m-%d %H:%M} UTC, before the last recorded act "
            f"({last:%Y-%m-%d %H:%M})",
            "set the clock; nothing is signed until it is right; where the record is what is "
            "wrong, --believe-clock signs all the same",
        )
    elif last is not None and at > last + CLOCK_MAY_LEAD:
        yield Concern(
            "clock.ahead",
            f"the clock says {at:%Y-%m-%d}, more than a year after the last recorded act "
            f"({last:%Y-%m-%d})",
            "check the date; if it is right, the next command that signs wants --believe-clock",
            needs_attention=False,
        )


def _refused_with(
    issuer: IssuerRecord, store: CertificateStore, own: set[Serial | None], *, at: datetime
) -> tuple[int, int]:
    """How many valid ones an issuer that is revoked signed, and how many devices' were not renewed.

    Counted row by row: few homes ever have such an issuer.
    """
    query = CertificateQuery(
        states=(State.ISSUED,), issuer_id=issuer.id, revoked=False, expires_after=at - ONE_SECOND
    )
    refused = left = 0
    for record in store.certificates(query):
        refused += 1
        left += record.serial not in own and not is_renewed(record, store)
    return refused, left


def _expiring(
    store: CertificateStore, own: set[Serial | None], *, at: datetime
) -> tuple[tuple[CertificateRecord, ...], int]:
    """Certificates of devices that end soon and were not renewed: the first few, and how many."""
    query = CertificateQuery(
        states=(State.ISSUED,),
        revoked=False,
        expires_after=at - ONE_SECOND,
        expires_before=at + RENEW_BEFORE,
    )
    found: list[CertificateRecord] = []
    count = 0
    for record in store.certificates(query):
        if record.not_after - at >= renewal_lead(record) or not is_to_be_renewed(record, own):
            continue
        if is_renewed(record, store):
            continue
        count += 1
        found.append(record)
        found.sort(key=lambda one: one.not_after)
        del found[NAMED:]
    return tuple(found), count


def _of_expiring(
    count: int, named: tuple[CertificateRecord, ...], *, at: datetime
) -> Iterator[Concern]:
    for record in named:
        yield Concern(
            "certificate.expiring",
            f"{visible(record.subject)} ends in {many((record.not_after - at).days, 'day')} "
            f"({record.not_after:%Y-%m-%d})",
            f"renew it: `homeca renew {serial_text(record.serial)}`",
        )
    if count > len(named):
        yield Concern(
            "certificate.expiring",
            f"{count - len(named)} more are to be renewed",
            f"see them: `homeca list --expiring {RENEW_BEFORE.days}d`",
        )


def _of_ended(ended: tuple[CertificateRecord, ...]) -> Iterator[Concern]:
    """Else all would be well again on the day after nobody got in any more."""
    for record in ended[:NAMED]:
        serial = serial_text(record.serial)
        yield Concern(
            "certificate.ended",
            f"{visible(record.subject)} ended on {record.not_after:%Y-%m-%d} and nothing came "
            "after it",
            f"renew it: `homeca renew {serial}`; if it is not needed any more, say so: "
            f"`homeca revoke {serial} --reason cessationOfOperation`",
        )
    if len(ended) > NAMED:
        yield Concern(
            "certificate.ended",
            f"{len(ended) - NAMED} more ended and nothing came after them",
            "see them: `homeca list --expired`",
        )


def _of_nodes(
    nodes: tuple[NodeRecord, ...], standing: Sequence[IssuerRecord], *, at: datetime
) -> Iterator[Concern]:
    """What other nodes have left open for longer than any signature takes.

    standing: the issuers that are not revoked; of a node without one nothing is good any more.
    """
    for node in nodes:
        since = node.open_since
        if all(issuer.node != node.label for issuer in standing):
            continue
        if not node.is_here and since is not None and at - since > NODE_MAY_SIGN:
            yield Concern(
                "node.open",
                f"node {visible(node.label)} has begun {many(node.open_serials, 'signature')} and "
                f"ended none since {since:%Y-%m-%d %H:%M} UTC",
                "run `homeca status` on it: only there they are settled; if it is gone for ever, "
                "revoke its intermediate",
            )


def _of_open(count: int) -> Iterator[Concern]:
    if count:
        yield Concern(
            "serial.open",
            f"begun and not ended: {many(count, 'signature')}",
            "another homeca is signing, or one was interrupted: the next command that signs "
            "settles them",
        )
