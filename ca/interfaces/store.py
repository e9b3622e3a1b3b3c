"""The record as services see it: every act one durable commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from ca.interfaces.custody import Custody
from ca.interfaces.issuing import (
    CertificateCounts,
    CertificateQuery,
    CertificateRecord,
    Intent,
    IssuerDraft,
    IssuerRecord,
    IssuerState,
    State,
)
from ca.interfaces.ledger import LedgerEntry, LedgerEvent, SerialHistory
from ca.interfaces.nodes import NodeRecord
from ca.interfaces.revocation import CrlRecord, CrlTrace, KeyBar, Revocation, RevokedEntry
from ca.interfaces.values import Serial, Validity

#: The remedy for a record that was changed behind homeca's back, where no statement mends it.
RESTORE_RECORD = "restore the database from a backup made before this change"


class Fault(Struct, frozen=True):
    """Something wrong with the database itself. remedy: an imperative, as an error's."""

    text: str
    remedy: str


class CertificateStore(Protocol):
    """The list of what was issued. Every `record_*`, `reserve*`, `revoke*` is one durable commit.

    Raises everywhere: StoreLocked, StoreUnwritable, StoreDamaged; nothing is half written.
    """

    # -- nodes: a store opened for one shows that node's custody and open serials, no other's
    def nodes(self) -> tuple[NodeRecord, ...]:
        """Every home that shares this record, in the order they came; else none."""
        ...

    # -- custody
    def custody(self) -> Custody | None: ...
    def record_custody(self, custody: Custody, *, at: datetime) -> None: ...

    # -- issuers
    def issuers(self) -> tuple[IssuerRecord, ...]:
        """All but abandoned ones, oldest first."""
        ...

    def begin_issuer(self, draft: IssuerDraft, *, at: datetime) -> IssuerRecord:
        """A pending row. Raises CeremonyRefused if its slug or subject, or a root, is there."""
        ...

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

        at: for the ledger; when it is not told, the time of the entry before.
        """
        ...

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
        """Its ceremony is over: it has its certificate, and a parent unless it is a root."""
        ...

    def count_intermediates(self) -> int:
        """Every one ever begun, abandoned ones too: a generation's number is used once."""
        ...

    def set_issuer_state(
        self, issuer_id: int, state: IssuerState, *, at: datetime | None = None
    ) -> None: ...

    # -- the life of a serial
    def reserve(self, issuer_id: int, serial: Serial, *, subject: str, at: datetime) -> None:
        """Raises SerialReserved."""
        ...

    def record_intents(self, intents: Sequence[Intent], *, at: datetime) -> None:
        """All or none, one commit. A row that is `reserved` becomes `intended`.

        Raises: SerialReserved when a serial of that issuer has a TBS already.
        """
        ...

    def record_certificates(
        self, issued: Sequence[tuple[int, Serial, bytes]], *, at: datetime
    ) -> None:
        """(issuer_id, serial, der) of intents that were signed and verified; one commit."""
        ...

    def settle(
        self,
        issuer_id: int,
        serial: Serial,
        state: State,
        *,
        note: str,
        at: datetime,
        entry: bytes = b"",
    ) -> None:
        """A reserved or intended serial ends as failed or uncertain, in one commit.

        entry: for uncertain, its CRL line (reason unspecified, dated `at`), recorded with it.
        """
        ...

    def open_serials(self) -> tuple[CertificateRecord, ...]:
        """This node's rows in `reserved` or `intended`."""
        ...

    # -- looking
    def by_serial(self, serial: Serial) -> tuple[CertificateRecord, ...]: ...
    def by_spki(self, spki_sha256: bytes) -> tuple[CertificateRecord, ...]: ...
    def by_serial_prefix(self, digits: str, *, limit: int) -> tuple[CertificateRecord, ...]:
        """Serials whose forty hex digits begin so; at most `limit`, lowest first."""
        ...

    def replacements(self, serial: Serial) -> tuple[CertificateRecord, ...]:
        """The certificates that say they renew this one, oldest first."""
        ...

    def certificates(self, query: CertificateQuery) -> Iterator[CertificateRecord]:
        """Streams in pages; flat memory at any size."""
        ...

    def counts(self, *, at: datetime) -> CertificateCounts: ...
    def profile_text(self, profile_sha256: bytes) -> str | None: ...
    def profile_texts(self) -> Iterator[tuple[bytes, str]]:
        """SHA-256 it is kept under, and the rendered profile: all there are, as they come."""
        ...

    def is_key_blocked(self, spki_sha256: bytes) -> bool:
        """Was a certificate for this key ever revoked for a compromise?"""
        ...

    def key_bar(self, spki_sha256: bytes) -> KeyBar | None:
        """Why this key gets no certificate now; a compromise before a hold."""
        ...

    def faults(self) -> tuple[Fault, ...]:
        """What the database itself finds wrong: damage, dangling rows, and `changed_rules`."""
        ...

    def changed_rules(self) -> tuple[Fault, ...]:
        """Tables, indices, triggers and checks that are not as the migrations make them."""
        ...

    def dump_command(self) -> str | None:
        """What backs up a record that is in no file: a shell command without a password in it.

        None: `copy_to` does it.
        """
        ...

    def copy_to(self, path: Path) -> None:
        """All that is committed now, as one SQLite file; a snapshot nobody waits for.

        Raises: ConfigurationError when the record is not in SQLite; StoreError.
        """
        ...

    def opened_copy(self, path: Path) -> AbstractContextManager[CertificateStore]:
        """What `copy_to` wrote, to be read."""
        ...

    def clock_ahead(self) -> timedelta | None:
        """How far this machine's clock is ahead of the database server's; None: there is none."""
        ...

    def last_recorded_act(self) -> datetime | None:
        """The newest time in the record, for the clock check (threat T25)."""
        ...

    # -- revocation
    def revoke(
        self, issuer_id: int, serial: Serial, revocation: Revocation, *, entry: bytes
    ) -> None:
        """Add or replace the line. Raises RevocationRefused when it is there for good."""
        ...

    def revoke_many(self, lines: Sequence[tuple[int, Serial, Revocation, bytes]]) -> None:
        """(issuer_id, serial, revocation, entry) as `revoke`; all or none, one commit."""
        ...

    def compromise(
        self,
        issuer_id: int,
        serial: Serial,
        revocation: Revocation,
        *,
        entry: bytes,
        at: datetime,
    ) -> None:
        """Make the reason of a line one of a compromise; its date stays.

        Raises RevocationRefused when there is no such line (`ca.policy.revoking`).
        """
        ...

    def release(self, issuer_id: int, serial: Serial, *, at: datetime) -> None:
        """Take a certificateHold back. Raises RevocationRefused when it is not on hold."""
        ...

    def revoked(self, issuer_id: int, *, expired_since: datetime | None) -> Iterator[RevokedEntry]:
        """Lines for the next CRL, by serial; those whose certificate ended before
        `expired_since` (thisUpdate of the last CRL) have been on one past their expiry."""
        ...

    def revoked_entries(self, issuer_id: int, *, expired_since: datetime | None) -> Iterator[bytes]:
        """`entry` of each line of `revoked`, alone: all that a long CRL needs, much sooner.

        Many stand joined in each piece, as they will in the list.
        """
        ...

    def newest_revocation(self, issuer_id: int) -> datetime | None:
        """The latest date among the open lines: no CRL that lists them may be older."""
        ...

    # -- CRLs
    def last_crl(self, issuer_id: int) -> CrlRecord | None:
        """The newest completed one."""
        ...

    def last_cut(self, issuer_id: int) -> tuple[CrlTrace, ...]:
        """It and what was cut with it, one or the rungs of a ladder, lowest number first; what
        stays of them, without the octets. Empty before the first."""
        ...

    def crl_history(self, issuer_id: int) -> Iterator[CrlTrace]:
        """Every number ever reserved, lowest first."""
        ...

    def reserve_crl_number(self, issuer_id: int, *, at: datetime) -> int:
        """Strictly increasing, never given twice, durable before the key is asked."""
        ...

    def record_crl(self, crl: CrlRecord) -> None: ...

    # -- the ledger: every act above appends its entries in its own commit
    def ledger(self, *, after: int = 0, until: int | None = None) -> Iterator[LedgerEntry]:
        """Its entries in order, those after one and until another, from one snapshot."""
        ...

    def ledger_end(self) -> LedgerEntry:
        """The newest entry. Raises: LedgerBroken when there is none."""
        ...

    def ledger_notes(self, event: LedgerEvent) -> Iterator[LedgerEntry]:
        """Entries of one event about anchors or settings, newest first."""
        ...

    def ledger_waiting(self) -> bool:
        """Is something noted for the next act that no act has taken along yet?"""
        ...

    def note_with_next(
        self, event: LedgerEvent, details: Mapping[str, object], *, at: datetime
    ) -> None:
        """An entry that stands before those of the next act, in its commit: it costs none."""
        ...

    def note(
        self, event: LedgerEvent, details: Mapping[str, object], *, at: datetime
    ) -> LedgerEntry:
        """An entry of its own, and what was noted for the next act; one commit."""
        ...

    def histories(self) -> Iterator[SerialHistory]:
        """Every serial of the record or of the ledger, by serial, from one snapshot."""
        ...

    def record_ladder(self, rungs: Sequence[CrlRecord]) -> None:
        """CRLs of one issuer cut together, lowest number first; one commit. `last_crl` is then
        the first of them, and those numbered after it in `crl_history` are the others."""
        ...

    def skip_crl_numbers(self, issuer_id: int, count: int, *, at: datetime) -> int:
        """After a restore: numbers that a forgotten CRL may have are never given again."""
        ...
