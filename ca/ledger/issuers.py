"""What the ledger tells of issuers, their CRLs and the TPMs, beside what the record says."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from ca.encoding import ledger as details
from ca.errors import Violation
from ca.interfaces.issuing import IssuerRecord, IssuerState
from ca.interfaces.ledger import LedgerEntry, LedgerEvent
from ca.interfaces.store import CertificateStore
from ca.ledger.chain import wrong


class ToldIssuer(Struct):
    """An issuer as the ledger tells it. begun, key, active: details of the entries that did so.

    numbers: of reserved CRLs. lists: number → details of the CRL that was cut.
    """

    begun: str = ""
    key: str = ""
    active: str = ""
    state: IssuerState = IssuerState.PENDING
    numbers: set[int] = field(default_factory=set)
    lists: dict[int, str] = field(default_factory=dict)

    def tell(self, entry: LedgerEntry) -> None:
        """Take in what an entry says of this issuer."""
        match entry.event:
            case LedgerEvent.ISSUER_BEGUN:
                self.begun = entry.details
            case LedgerEvent.ISSUER_KEY:
                self.key = entry.details
            case LedgerEvent.ISSUER_ACTIVE:
                self.active, self.state = entry.details, IssuerState.ACTIVE
            case LedgerEvent.ISSUER_RETIRED:
                self.state = IssuerState.RETIRED
            case LedgerEvent.ISSUER_ABANDONED:
                self.state = IssuerState.ABANDONED
            case LedgerEvent.CRL_RESERVED:
                self.numbers.add(_number(entry))
            case LedgerEvent.CRL:
                self.lists[_number(entry)] = entry.details


class Told(Struct):
    """All issuers, by the number of their row, and the custody of each node; "": not shared."""

    issuers: dict[int, ToldIssuer] = field(default_factory=dict)
    custodies: dict[str, str] = field(default_factory=dict)

    def tell(self, entry: LedgerEntry) -> None:
        """Take in what an entry says of an issuer or of a TPM, if it does."""
        if entry.issuer_id is not None:
            self.issuers.setdefault(entry.issuer_id, ToldIssuer()).tell(entry)
        elif entry.event == LedgerEvent.CUSTODY:
            if node := _node(entry):  # a record that was one home's alone became this one's
                self.custodies.pop("", None)
            self.custodies[node] = entry.details

    def contradictions(self, store: CertificateStore) -> Iterator[Violation]:
        """Where the record says something else, or nothing."""
        rows = {issuer.id: issuer for issuer in store.issuers()}
        for number, told in self.issuers.items():
            if not told.begun and number not in rows:
                yield wrong("issuer", f"the ledger knows acts of an issuer {number} that is none")
            elif number not in rows and told.state is not IssuerState.ABANDONED:
                yield wrong("issuer", f"the issuer {number} is gone from the record")
        for row in rows.values():
            issuer = self.issuers.get(row.id)
            if issuer is None:
                yield wrong("issuer", f"the issuer {row.slug!r} is not in the ledger")
                continue
            yield from _issuer_differs(row, issuer)
            yield from _lists_differ(row, issuer, store)
        if _custodies(store) != self.custodies:
            yield wrong("custody", "the recorded TPM is not the one the ledger tells of")


def _issuer_differs(row: IssuerRecord, told: ToldIssuer) -> Iterator[Violation]:
    begun = details.issuer_begun(
        role=row.role.value,
        slug=row.slug,
        subject=row.subject,
        subject_der=row.subject_der,
        crl_url=row.crl_url,
        issuer_url=row.issuer_url,
    )
    # where the key of another node's issuer lies, that node knows alone
    place = _key_file(told.key) if row.is_elsewhere else row.key_file
    key = details.issuer_key(spki=row.spki, key_kind=row.key_kind, key_file=place)
    active = details.issuer_active(
        parent_id=row.parent_id,
        certificate=row.certificate,
        serial=row.serial,
        not_before=row.not_before,
        not_after=row.not_after,
    )
    wanted = (
        (told.begun, begun, True),
        (told.key, key, bool(row.spki)),
        (told.active, active, row.certificate is not None),
    )
    for entry, found, is_there in wanted:
        if entry != (details.details_text(found) if is_there else ""):
            yield wrong("issuer", f"the issuer {row.slug!r} is not as the ledger tells of it")
            return
    if told.state is not row.state:
        yield wrong(
            "issuer",
            f"the issuer {row.slug!r} is {row.state.value!r}, and {told.state.value!r} in the "
            "ledger",
        )


def _lists_differ(
    row: IssuerRecord, told: ToldIssuer, store: CertificateStore
) -> Iterator[Violation]:
    seen: set[int] = set()
    for trace in store.crl_history(row.id):
        seen.add(trace.number)
        entry = told.lists.get(trace.number)
        found = None
        if trace.sha256 is not None:
            said = details.crl(
                number=trace.number,
                this_update=trace.this_update,
                next_update=trace.next_update,
                entries=trace.entries,
                sha256=trace.sha256,
            )
            found = details.details_text(said)
        if trace.number not in told.numbers or found != entry:
            yield wrong(
                "crl", f"CRL {trace.number} of {row.slug!r} is not as the ledger tells of it"
            )
    for number in sorted(told.numbers - seen):
        yield wrong("crl", f"CRL {number} of {row.slug!r} is gone from the record")


def _custodies(store: CertificateStore) -> dict[str, str]:
    """Node → what the entry about its TPM must say."""
    nodes = store.nodes()
    found = {node.identity: node.custody for node in nodes} or {"": store.custody()}
    return {
        node: details.details_text(
            details.custody(
                kind=custody.kind.value,
                tcti=custody.tcti,
                manufacturer=custody.manufacturer,
                model=custody.model,
                firmware=custody.firmware,
                srk_public=custody.srk_public,
                node=node or None,
            )
        )
        for node, custody in found.items()
        if custody is not None
    }


def _key_file(key: str) -> str:
    said = details.read_details(key) or {}
    return str(said.get("key_file", ""))


def _node(entry: LedgerEntry) -> str:
    """Whose custody an entry is about."""
    said = details.read_details(entry.details) or {}
    return str(said.get("node", ""))


def _number(entry: LedgerEntry) -> int:
    said = details.read_details(entry.details) or {}
    try:
        return int(said["number"])
    except (KeyError, OverflowError, TypeError, ValueError):
        return -1
