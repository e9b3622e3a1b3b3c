"""Custody and issuers: which TPM, which CA certificates, and the states they go through."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ca.encoding import ledger as details
from ca.errors import CeremonyRefused, NotFound, StateConflict, Violation
from ca.interfaces.custody import Custody
from ca.interfaces.issuing import IssuerDraft, IssuerRecord, IssuerState, Role
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.nodes import Node
from ca.interfaces.values import Serial, Validity, serial_text
from ca.store.faults import is_duplicate
from ca.store.ledger import Act, LedgerRows
from ca.store.nodes import custody_of, joined, labels, of_node
from ca.store.tables import custody, issuers, nodes

#: Who may still be changed into what by hand; active is reached by its certificate alone.
_STEPS = {
    IssuerState.PENDING: frozenset({IssuerState.ABANDONED}),
    IssuerState.ACTIVE: frozenset({IssuerState.RETIRED}),
    IssuerState.RETIRED: frozenset[IssuerState](),
    IssuerState.ABANDONED: frozenset[IssuerState](),
}


_LEDGER_STEPS = {
    IssuerState.RETIRED: LedgerEvent.ISSUER_RETIRED,
    IssuerState.ABANDONED: LedgerEvent.ISSUER_ABANDONED,
}


class IssuerRows(LedgerRows):
    """The custody and issuer part of the store."""

    def custody(self) -> Custody | None:
        """This node's newest, None before its first ceremony."""
        with self._database.read() as connection:
            return _custody(connection, self._node)

    def record_custody(self, kept: Custody, *, at: datetime) -> None:
        """A new row, unless the newest already says the same."""
        with self._act() as act:
            if _custody(act.connection, self._node) != kept:
                keep_custody(act, kept, self._node, at=at)

    def issuers(self) -> tuple[IssuerRecord, ...]:
        """All but abandoned ones, oldest first."""
        with self._database.read() as connection:
            return _standing(connection, self._node)

    def count_intermediates(self) -> int:
        """Every one ever begun, abandoned ones too: a generation's number is used once."""
        query = select(func.count()).select_from(issuers)
        with self._database.read() as connection:
            return connection.scalars(query.where(issuers.c.role == Role.INTERMEDIATE)).one()

    def begin_issuer(self, draft: IssuerDraft, *, at: datetime) -> IssuerRecord:
        """A pending row.

        Raises: CeremonyRefused with each of slug, subject and root that is taken.
        """
        with self._act() as act:
            connection = act.connection
            taken = _taken(draft, _standing(connection, self._node))
            if taken:
                raise _refusal(draft, taken)
            begun = insert(issuers).values(
                role=draft.role,
                slug=draft.slug,
                state=IssuerState.PENDING,
                subject=draft.subject,
                subject_der=draft.subject_der,
                parent_id=draft.parent_id,
                crl_url=draft.crl_url,
                issuer_url=draft.issuer_url,
                key_kind="",
                key_file="",
                spki=b"",
                created_at=at,
                node_id=joined(act, self._node, at=at),
            )
            try:
                (number,) = connection.execute(begun).inserted_primary_key or (0,)
            except IntegrityError as error:
                if not is_duplicate(error):
                    raise
                raise _refusal(draft, ()) from error
            issuer = _issuer(connection, number, self._node)
            act.note(
                LedgerEvent.ISSUER_BEGUN,
                details.issuer_begun(
                    role=issuer.role.value,
                    slug=issuer.slug,
                    subject=issuer.subject,
                    subject_der=issuer.subject_der,
                    crl_url=issuer.crl_url,
                    issuer_url=issuer.issuer_url,
                ),
                at=at,
                issuer_id=issuer.id,
            )
        return issuer

    def record_issuer_key(
        self,
        issuer_id: int,
        *,
        spki: bytes,
        key_kind: str,
        key_file: str,
        at: datetime | None = None,
    ) -> None:
        """The pending issuer's key; key_file "" when it lives elsewhere.

        Raises: StateConflict when it has one, or is not pending; NotFound.
        """
        with self._act() as act:
            record = _locked(act.connection, issuer_id, self._node)
            if record.state is not IssuerState.PENDING or record.spki:
                raise _conflict(record, "be given a key")
            act.connection.execute(
                update(issuers)
                .where(issuers.c.id == issuer_id)
                .values(spki=spki, key_kind=key_kind, key_file=key_file)
            )
            said = details.issuer_key(spki=spki, key_kind=key_kind, key_file=key_file)
            act.note(LedgerEvent.ISSUER_KEY, said, at=at, issuer_id=issuer_id)

    def activate_issuer(
        self,
        issuer_id: int,
        *,
        parent_id: int | None,
        certificate: bytes,
        serial: Serial,
        validity: Validity,
        at: datetime | None = None,
    ) -> None:
        """Its ceremony is over: it has its certificate, and a parent unless it is a root.

        Raises: StateConflict when it is not pending; NotFound.
        """
        with self._act() as act:
            record = _locked(act.connection, issuer_id, self._node)
            if record.state is not IssuerState.PENDING:
                raise _conflict(record, "become 'active'")
            act.connection.execute(
                update(issuers)
                .where(issuers.c.id == issuer_id)
                .values(
                    state=IssuerState.ACTIVE,
                    parent_id=parent_id,
                    certificate=certificate,
                    serial=serial,
                    not_before=validity.not_before,
                    not_after=validity.not_after,
                )
            )
            act.note(
                LedgerEvent.ISSUER_ACTIVE,
                details.issuer_active(
                    parent_id=parent_id,
                    certificate=certificate,
                    serial=serial,
                    not_before=validity.not_before,
                    not_after=validity.not_after,
                ),
                at=at,
                issuer_id=issuer_id,
            )

    def set_issuer_state(
        self, issuer_id: int, state: IssuerState, *, at: datetime | None = None
    ) -> None:
        """pending → abandoned, active → retired; nothing comes back.

        Raises: StateConflict for any other step; NotFound.
        """
        with self._act() as act:
            record = _locked(act.connection, issuer_id, self._node)
            if state not in _STEPS[record.state]:
                raise _conflict(record, f"become {state.value!r}")
            change = update(issuers).where(issuers.c.id == issuer_id).values(state=state)
            act.connection.execute(change)
            act.note(_LEDGER_STEPS[state], at=at, issuer_id=issuer_id)


def check_may_sign(connection: Connection, issuer_id: int, node: Node | None) -> None:
    """Only a pending issuer (its own ceremony) and an active one take new serials, here.

    Raises: NotFound, StateConflict.
    """
    query = select(issuers.c.state, issuers.c.slug, nodes.c.identity, nodes.c.name)
    query = query.outerjoin(nodes, nodes.c.id == issuers.c.node_id)
    locking = query.where(issuers.c.id == issuer_id).with_for_update(read=True, of=issuers)
    found = connection.execute(locking).one_or_none()
    if found is None:
        raise _missing(issuer_id)
    if node is not None and found.identity != node.identity:
        owner = Node(identity=found.identity or "", name=found.name or "a record of its own")
        raise StateConflict(
            f"the issuer {found.slug!r} is that of {owner.label}: only that one signs with it",
            remedy="sign there, or with an issuer of this node: `homeca status` lists them",
        )
    if found.state not in (IssuerState.PENDING, IssuerState.ACTIVE):
        raise StateConflict(
            f"the issuer {found.slug!r} is {found.state.value!r} and signs no certificates",
            remedy="sign with an active issuer: `homeca status` lists them",
        )


def keep_custody(act: Act, kept: Custody, node: Node | None, *, at: datetime) -> None:
    """Where a node's keys lie from now on, and the entry about it."""
    act.connection.execute(
        insert(custody).values(
            kind=kept.kind,
            tcti=kept.tcti,
            manufacturer=kept.manufacturer,
            model=kept.model,
            firmware=kept.firmware,
            srk_public=kept.srk_public,
            recorded_at=at,
            node_id=joined(act, node, at=at),
        )
    )
    act.note(
        LedgerEvent.CUSTODY,
        details.custody(
            kind=kept.kind.value,
            tcti=kept.tcti,
            manufacturer=kept.manufacturer,
            model=kept.model,
            firmware=kept.firmware,
            srk_public=kept.srk_public,
            node=node.identity if node is not None else None,
        ),
        at=at,
    )


def lock_issuer(connection: Connection, issuer_id: int) -> None:
    """Others that would change this issuer's lines wait for this transaction (PostgreSQL).

    Raises: NotFound.
    """
    _locked(connection, issuer_id, None)


def _locked(connection: Connection, issuer_id: int, node: Node | None) -> IssuerRecord:
    """Its row, which nobody else changes until this transaction ends. Raises: NotFound."""
    locking = select(issuers.c.id).where(issuers.c.id == issuer_id).with_for_update()
    if connection.execute(locking).one_or_none() is None:
        raise _missing(issuer_id)
    return _issuer(connection, issuer_id, node)


def _issuer(connection: Connection, issuer_id: int, node: Node | None) -> IssuerRecord:
    row = connection.execute(select(issuers).where(issuers.c.id == issuer_id)).one()
    return _record(row, node, labels(connection) if node is not None else {})


def _standing(connection: Connection, node: Node | None) -> tuple[IssuerRecord, ...]:
    query = select(issuers).where(issuers.c.state != IssuerState.ABANDONED)
    known = labels(connection) if node is not None else {}
    found = connection.execute(query.order_by(issuers.c.id))
    return tuple(_record(row, node, known) for row in found)


def _record(
    row: Row[*tuple[object, ...]], node: Node | None, known: Mapping[int, Node]
) -> IssuerRecord:
    """The columns are the fields, by name. Another node's key is one that lives elsewhere."""
    columns = dict(row._mapping)
    number = columns.pop("node_id")
    record = IssuerRecord(**columns)
    if node is None:
        return record
    owner = known.get(number, _NOBODY)
    if owner.identity == node.identity:
        return record
    return replace(record, node=owner.label)


#: Whose issuers are that stood in a record before it was shared.
_NOBODY = Node(identity="-", name="no node")


def _custody(connection: Connection, node: Node | None) -> Custody | None:
    query = select(custody).order_by(custody.c.id.desc()).limit(1)
    if node is not None:
        query = query.where(of_node(custody, node))
    row = connection.execute(query).one_or_none()
    return None if row is None else custody_of(row)


def _taken(draft: IssuerDraft, standing: tuple[IssuerRecord, ...]) -> tuple[Violation, ...]:
    """What of a draft is there already. Subjects compare as RFC 5280 §7.1 says: without case
    and runs of spaces."""
    found = []
    for other in standing:
        if draft.role is Role.ROOT and other.role is Role.ROOT:
            found.append(Violation("issuer.root-exists", f"{other.slug!r} is the root already"))
        if draft.slug == other.slug:
            found.append(Violation("issuer.slug-taken", f"the name {draft.slug!r} is taken"))
        if _folded(draft.subject) == _folded(other.subject):
            found.append(
                Violation(
                    "issuer.subject-taken",
                    f"the subject {draft.subject!r} is that of {other.slug!r}",
                )
            )
    return tuple(found)


def _folded(subject: str) -> str:
    return " ".join(subject.casefold().split())


def _refusal(draft: IssuerDraft, taken: tuple[Violation, ...]) -> CeremonyRefused:
    reasons = "; ".join(violation.text for violation in taken) or "another ceremony came first"
    return CeremonyRefused(
        f"the issuer {draft.slug!r} cannot be begun: {reasons}",
        remedy="see `homeca status`, then choose another subject or retire the old issuer",
        violations=taken,
    )


def _conflict(record: IssuerRecord, step: str) -> StateConflict:
    number = f" ({serial_text(record.serial)})" if record.serial is not None else ""
    key = " and has a key" if record.spki else ""
    return StateConflict(
        f"the issuer {record.slug!r}{number} is {record.state.value!r}{key}: it cannot {step}",
        remedy="see `homeca status` for what each issuer can do now",
    )


def _missing(issuer_id: int) -> NotFound:
    return NotFound(
        f"there is no issuer with the number {issuer_id}",
        remedy="run `homeca status` to see the issuers",
    )
