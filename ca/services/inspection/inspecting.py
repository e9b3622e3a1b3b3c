"""The auditor: every row, CRL, key blob and file held against every other (`homeca check`).

What Boulder's cert-checker does for a public CA, for a home: nothing is believed because it is
recorded. Reads all of it once, in flat memory, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ca.encoding.inspect import read_certificate
from ca.encoding.spki import parse_spki
from ca.encoding.tpm import PublicArea
from ca.errors import EncodingError, HomecaError
from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import CertificateQuery, IssuerRecord, Role
from ca.interfaces.store import RESTORE_RECORD
from ca.interfaces.values import serial_text
from ca.names.showing import visible
from ca.services.facility import CLOCK_MAY_LAG, Facility
from ca.services.finding import Finding, error, warning
from ca.services.inspection.crls import PublishedList, inspect_crls, leftovers
from ca.services.inspection.rows import RowInspector, subject_text
from ca.services.premises import concerns_of_files, inspect_keys
from ca.services.trust import check_signature


def inspect(
    facility: Facility, *, load_keys: bool = False, on_row: Callable[[], None] = lambda: None
) -> Iterator[Finding]:
    """Everything that is not as it should be, as it is found.

    load_keys: open the TPM and load each key that lives here. on_row: called for each certificate.
    Raises:    StoreError when the record cannot be read at all.
    """
    store = facility.store
    issuers = store.issuers()
    for fault in store.faults():
        yield error("check.database", facility.home.database.name, fault.text, fault.remedy)
    yield from _inspect_clock(facility)
    yield from _inspect_custody(facility)
    for issuer in issuers:
        yield from _inspect_issuer(issuer, issuers, facility)
    yield from inspect_keys(facility.home, issuers)
    published = {issuer.id: PublishedList.of(issuer, facility) for issuer in issuers}
    rows = RowInspector(facility, issuers, published)
    for record in store.certificates(CertificateQuery()):
        yield from rows.inspect(record)
        on_row()
    for issuer in issuers:
        yield from inspect_crls(issuer, published[issuer.id], facility)
        yield from leftovers(issuer, published[issuer.id])
    for concern in concerns_of_files(facility.home, store):
        make = error if concern.needs_attention else warning
        yield make(f"check.{concern.rule}", "files", concern.text, concern.remedy)
    if load_keys:
        yield from _load_keys(issuers, facility)


def _inspect_clock(facility: Facility) -> Iterator[Finding]:
    now, last = facility.clock(), facility.store.last_recorded_act()
    if last is not None and last > now + CLOCK_MAY_LAG:
        yield error(
            "check.clock",
            "clock",
            f"the last recorded act is dated {last:%Y-%m-%d %H:%M} UTC, which has not come yet",
            "set the clock; if that is right, a date in the record was changed",
        )


# ---------------------------------------------------------------- custody and issuers


def _inspect_custody(facility: Facility) -> Iterator[Finding]:
    custody = facility.store.custody()
    if custody is None:
        return
    try:
        PublicArea.from_tpm2b(custody.srk_public)
    except EncodingError as fault:
        yield error(
            "check.custody.srk",
            "custody",
            f"the recorded storage key cannot be read: {fault.problem}",
            RESTORE_RECORD,
        )
    is_embedded = custody.tcti == "embedded"
    if is_embedded and custody.kind is not CustodyKind.SOFTWARE_TPM:
        yield error(
            "check.custody.kind",
            "custody",
            f"the embedded TPM is recorded as {custody.kind.value}; it is a software TPM",
            RESTORE_RECORD,
        )


def _inspect_issuer(
    issuer: IssuerRecord, issuers: tuple[IssuerRecord, ...], facility: Facility
) -> Iterator[Finding]:
    """The columns of an issuer against its certificate, and that against its parent."""
    where = f"issuer {visible(issuer.slug)}"
    if issuer.certificate is None:
        return
    try:
        facts = read_certificate(issuer.certificate)
    except EncodingError as fault:
        yield error("check.issuer.certificate", where, fault.problem, RESTORE_RECORD)
        return
    tbs = facts.tbs
    columns = (
        ("subject", issuer.subject, subject_text(tbs.subject)),
        ("subject_der", issuer.subject_der.hex(), tbs.subject.der.hex()),
        ("spki", issuer.spki.hex(), tbs.spki.hex()),
        ("serial", issuer.serial, tbs.serial),
        ("not_before", issuer.not_before, tbs.not_before.moment),
        ("not_after", issuer.not_after, tbs.not_after.moment),
        ("role", issuer.role is Role.ROOT, tbs.is_self_issued),
    )
    for column, recorded, true in columns:
        if recorded != true:
            yield error(
                f"check.issuer.{column.replace('_', '-')}",
                where,
                f"its {column} is recorded as {visible(str(recorded))!r}; its certificate says "
                f"{visible(str(true))!r}",
                RESTORE_RECORD,
            )
    if not tbs.is_ca or "keyCertSign" not in (tbs.key_usage or ()):
        yield error("check.issuer.not-a-ca", where, "its certificate is not a CA's", RESTORE_RECORD)
    if issuer.has_key and issuer.key_file != f"keys/{issuer.slug}.tss":
        yield error(
            "check.issuer.key-file",
            where,
            f"its key is recorded to lie in {visible(issuer.key_file)!r}",
            RESTORE_RECORD,
        )
    yield from _inspect_key_kind(issuer, where)
    yield from _inspect_parent(issuer, issuers, facility, where)


def _inspect_key_kind(issuer: IssuerRecord, where: str) -> Iterator[Finding]:
    if not issuer.key_kind:
        return
    try:
        kind = parse_spki(issuer.spki).kind_name
    except EncodingError as fault:
        yield error("check.issuer.spki", where, fault.problem, RESTORE_RECORD)
        return
    if kind != issuer.key_kind:
        yield error(
            "check.issuer.key-kind",
            where,
            f"its key is recorded as {visible(issuer.key_kind)!r} and is {kind!r}",
            RESTORE_RECORD,
        )


def _inspect_parent(
    issuer: IssuerRecord, issuers: tuple[IssuerRecord, ...], facility: Facility, where: str
) -> Iterator[Finding]:
    by_id = {one.id: one for one in issuers}
    parent = by_id.get(issuer.parent_id) if issuer.parent_id is not None else issuer
    if parent is None or (issuer.parent_id is None) != (issuer.role is Role.ROOT):
        yield error(
            "check.issuer.parent", where, "its parent in the record cannot be", RESTORE_RECORD
        )
        return
    facts = read_certificate(issuer.certificate or b"")
    try:
        check_signature(facts, parent.spki)
    except HomecaError as fault:
        yield error("check.issuer.signature", where, fault.problem, RESTORE_RECORD)
    if facts.tbs.issuer.der != parent.subject_der:
        yield error(
            "check.issuer.chain",
            where,
            f"its certificate names {facts.tbs.issuer} as its issuer, not "
            f"{visible(parent.subject)}",
            RESTORE_RECORD,
        )
    if parent.has_key and issuer.serial is not None:
        rows = facility.store.by_serial(issuer.serial)
        if not any(row.issuer_id == parent.id and row.der == issuer.certificate for row in rows):
            yield error(
                "check.issuer.unrecorded",
                where,
                f"its certificate {serial_text(issuer.serial)} is not among those its parent "
                "issued",
                RESTORE_RECORD,
            )


# ---------------------------------------------------------------- keys in the TPM


def _load_keys(issuers: tuple[IssuerRecord, ...], facility: Facility) -> Iterator[Finding]:
    """Every key that lives here, loaded once; nothing is signed with it."""
    recorded = facility.store.custody()
    try:
        found = facility.custody().describe()
    except HomecaError as fault:
        yield error("check.custody.tpm", "TPM", fault.problem, fault.remedy)
        return
    if recorded is not None:
        yield from _compare_custody(recorded, found)
    for issuer in issuers:
        if not issuer.has_key:
            continue
        try:
            with facility.key_of(issuer):
                pass
        except HomecaError as fault:
            yield error(
                "check.key.load",
                visible(issuer.key_file),
                fault.problem,
                fault.remedy,
            )


def _compare_custody(recorded: Custody, found: Custody) -> Iterator[Finding]:
    """The TPM as it was at the first ceremony and as it answers now; its firmware may be newer."""
    for name, make in (
        ("kind", error),
        ("manufacturer", error),
        ("model", error),
        ("firmware", warning),
    ):
        before, now = str(getattr(recorded, name)), str(getattr(found, name))
        if before != now:
            yield make(
                f"check.custody.{name}",
                "TPM",
                f"its {name} was recorded as {visible(before)!r} and is {visible(now)!r}",
                "see `homeca tpm info`",
            )


def total_rows(facility: Facility) -> int:
    """How many certificates `inspect` will look at, nearly: for a progress bar."""
    counts = facility.store.counts(at=facility.clock())
    return counts.valid + counts.expired + counts.revoked + counts.uncertain + counts.failed
