"""What crosses from room to room: the Protocols and the frozen records.

No implementation, no ORM row, no DER. Times are aware, UTC, whole seconds. Serials are ints.
A record says what is so; a Protocol says who may be asked. Everything that touches the world
(clock, entropy, key, store) is one of these, so every service can be driven by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NewType, Protocol

from ca.algorithms import KeyKind, SignatureAlgorithm

#: certificateSerialNumber (RFC 5280 §4.1.2.2): positive, 20 octets when homeca makes it.
Serial = NewType("Serial", int)

#: Aware UTC, whole seconds.
Clock = Callable[[], datetime]

#: n -> n octets from a cryptographic generator.
Entropy = Callable[[int], bytes]

ONE_SECOND = timedelta(seconds=1)


def serial_text(serial: int) -> str:
    """A serial as people and `openssl x509 -serial` write it: upper-case hex, whole octets."""
    digits = f"{serial:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


class Secret:
    """A PIN or passphrase that does not show itself in a repr, a log or a traceback."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def reveal(self) -> bytes:
        """The octets, for the one call that needs them."""
        return self._octets

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._octets == other._octets

    def __hash__(self) -> int:
        return hash(self._octets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """A lifetime in whole seconds, UTC, both ends included (RFC 5280 §4.1.2.5)."""

    not_before: datetime
    not_after: datetime

    @property
    def duration(self) -> timedelta:
        return self.not_after - self.not_before + ONE_SECOND

    @classmethod
    def of_days(cls, not_before: datetime, days: int) -> Validity:
        """N days: notBefore + N days - 1 second (invariant 4)."""
        return cls(
            not_before=not_before,
            not_after=not_before + timedelta(days=days) - ONE_SECOND,
        )


# ---------------------------------------------------------------- custody


class CustodyKind(StrEnum):
    """Where a private key lives. Shown in every status; a software TPM is never silent."""

    HARDWARE_TPM = "hardware-tpm"
    SOFTWARE_TPM = "software-tpm"
    TOKEN = "pkcs11"  # noqa: S105 - a kind of device, not a password
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """The TPM (or token) a CA is bound to, as recorded at its first ceremony.

    tcti:         how it is reached: "embedded", "device:/dev/tpmrm0", "swtpm:path=/run/x".
    manufacturer: TPM_PT_MANUFACTURER as text, "IBM". model: the vendor string, "SW   TPM".
    firmware:     "8217.4131.22.13878" or as the vendor writes it.
    srk_public:   TPM2B_PUBLIC of the storage key at 0x81000001: the pin of invariant 6.
    """

    kind: CustodyKind
    tcti: str
    manufacturer: str
    model: str
    firmware: str
    srk_public: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A new key: `pem` is useless away from its TPM, `spki` is its public half (DER).

    attestation: the TPM's own word that it was made inside, where it gave one.
    """

    kind: KeyKind
    pem: bytes
    spki: bytes
    attestation: KeyAttestation | None = None


class Signer(Protocol):
    """One key, ready to sign. Live only inside `KeyCustody.open`."""

    @property
    def algorithm(self) -> SignatureAlgorithm: ...

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo of the key that signs."""
        ...

    def sign(self, octets: bytes) -> bytes:
        """The content of signatureValue over `octets` (hashed here, one digest to the TPM).

        Raises: SignatureUncertain when the answer was lost; CustodyError when none was made.
        """
        ...


class KeyCustody(Protocol):
    """A TPM or token: makes keys that stay inside, and signs with them."""

    def describe(self) -> Custody:
        """Which TPM this is, asked of the TPM itself. The storage key is made if missing."""
        ...

    def create(self, kind: KeyKind, *, pin: Secret | None, attest: bool = False) -> SealedKey:
        """A new fixedTPM, fixedParent, sensitiveDataOrigin signing key, PIN as authValue.

        attest: have the TPM say so as well (TPM2_CertifyCreation).
        Raises: CustodyError naming the kinds this TPM can make when `kind` is not one.
        """
        ...

    def open(
        self, pem: bytes, *, spki: bytes, pin: Secret | None
    ) -> AbstractContextManager[Signer]:
        """One transaction with the key loaded: 1 command per signature, the rest constant.

        spki: the public key the certificate names; a blob with another one is refused.
        """
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Keep one transaction open: everything asked meanwhile goes through it."""
        ...

    def tpm_name(self) -> bytes:
        """The Name of the storage key (Part 1 §16): which TPM this is. Within `hold`."""
        ...

    def anchor(self, place: AnchorPlace) -> Anchor:
        """The indices where they were placed; the TPM is not asked yet. Within `hold`."""
        ...

    def place_anchor(self, ledger: bytes) -> AnchorPlace:
        """The indices of this ledger, made when they are not there. Within `hold`."""
        ...

    def attestation_key(self) -> bytes | None:
        """TPM2B_PUBLIC of the attestation key; None when this TPM makes none. Within `hold`."""
        ...

    def certify(
        self, pem: bytes, *, spki: bytes, pin: Secret | None, qualifying: bytes
    ) -> KeyAttestation:
        """What the attestation key says of a key that is here: TPM2_Certify."""
        ...


# ---------------------------------------------------------------- the record


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One home that works on a record it shares with others, each with its own TPM and issuers.

    identity: 32 hex digits, drawn when the home was made; "" for a home that holds no key.
    name:     the machine's, for people; two nodes may have the same.
    """

    identity: str
    name: str

    @property
    def label(self) -> str:
        return f"{self.name} ({self.identity[:8]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord(Node):
    """A node as the record knows it.

    is_here:      the one that asks. custody: where its keys live, None before its first.
    open_serials: signatures it has begun and not ended; open_since: the oldest of them.
    """

    joined_at: datetime
    is_here: bool
    custody: Custody | None
    open_serials: int
    open_since: datetime | None


class Role(StrEnum):
    ROOT = "root"
    INTERMEDIATE = "intermediate"


class IssuerState(StrEnum):
    """pending: a ceremony is under way, or waits for a certificate from elsewhere.
    active: signs. retired: signs CRLs only. abandoned: a ceremony that did not end."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"
    ABANDONED = "abandoned"


class State(StrEnum):
    """The life of a serial: reserved → intended → issued | uncertain | failed.

    reserved:  the number is taken; there is no TBS yet, so no signature can exist.
    intended:  the TBS is recorded and the TPM may have been asked.
    issued:    the certificate is recorded octet for octet.
    uncertain: a signature may exist that we do not have: on the CRL, never signed again.
    failed:    the TPM was not asked, or answered that it did not sign.
    """

    RESERVED = "reserved"
    INTENDED = "intended"
    ISSUED = "issued"
    UNCERTAIN = "uncertain"
    FAILED = "failed"


class Reason(StrEnum):
    """CRLReason (RFC 5280 §5.3.1), spelled as OpenSSL and the RFC spell it."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


#: ENUMERATED values of CRLReason; 7 is unused, 8 (removeFromCRL) is for delta CRLs only.
REASON_CODES: dict[Reason, int] = {
    Reason.UNSPECIFIED: 0,
    Reason.KEY_COMPROMISE: 1,
    Reason.CA_COMPROMISE: 2,
    Reason.AFFILIATION_CHANGED: 3,
    Reason.SUPERSEDED: 4,
    Reason.CESSATION_OF_OPERATION: 5,
    Reason.CERTIFICATE_HOLD: 6,
    Reason.PRIVILEGE_WITHDRAWN: 9,
    Reason.AA_COMPROMISE: 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerDraft:
    """An issuer at the start of its ceremony.

    slug:       "root", "intermediate-1": file names and URLs are made of it.
    subject:    RFC 4514 text; subject_der: its DER Name.
    parent_id:  the issuer that signs it; None for a self-signed root or a foreign parent.
    crl_url:    CDP of what it will issue; None: none.
    issuer_url: caIssuers AIA of what it will issue; None: none.
    """

    role: Role
    slug: str
    subject: str
    subject_der: bytes
    parent_id: int | None
    crl_url: str | None = None
    issuer_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRecord(IssuerDraft):
    """An issuer as stored.

    key_kind:    name in `algorithms.KEY_KINDS`; "" while pending.
    key_file:    path relative to the home ("keys/root.tss"); "" when the key lives elsewhere.
    spki:        DER; b"" while pending without a key.
    certificate: DER; None while pending.
    node:        label of the node whose issuer it is, where that is not this one; key_file is
                 then a path in that one's home.
    """

    id: int
    state: IssuerState
    created_at: datetime
    key_kind: str = ""
    key_file: str = ""
    spki: bytes = b""
    certificate: bytes | None = None
    serial: Serial | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    node: str = ""

    @property
    def has_key(self) -> bool:
        """Is its key in this home?"""
        return bool(self.key_file) and not self.node

    @property
    def is_elsewhere(self) -> bool:
        """Is it another node's, so that only that one signs with it, settles it, cuts its CRLs?"""
        return bool(self.node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be signed: recorded durably before the key is asked (invariant 1).

    names:          SAN values as shown, "DNS:nas.home.arpa".
    profile_text:   the rendered openssl.cnf that decided it.
    request_sha256: of the request octets; b"" for ceremonies.
    replaces:       serial this one renews, same issuer or not; None.
    """

    issuer_id: int
    serial: Serial
    tbs: bytes
    profile: str
    profile_text: str
    subject: str
    names: tuple[str, ...]
    spki: bytes
    validity: Validity
    request_sha256: bytes = b""
    replaces: Serial | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Why and since when. invalidity: when the key is suspected to have been lost (§5.3.2)."""

    reason: Reason
    revoked_at: datetime
    invalidity: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """One serial and all that is known of it. `tbs` and `der` are the exact octets.

    note: why it is uncertain or failed; "" otherwise.
    """

    id: int
    issuer_id: int
    serial: Serial
    state: State
    profile: str
    profile_sha256: bytes
    subject: str
    names: tuple[str, ...]
    spki_sha256: bytes
    not_before: datetime
    not_after: datetime
    created_at: datetime
    issued_at: datetime | None
    tbs: bytes
    der: bytes | None
    request_sha256: bytes = b""
    replaces: Serial | None = None
    note: str = ""
    revocation: Revocation | None = None

    @property
    def is_revoked(self) -> bool:
        return self.revocation is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateQuery:
    """Which certificates `list` wants. Unset fields do not filter. Ordered by id."""

    states: tuple[State, ...] = ()
    issuer_id: int | None = None
    profile: str | None = None
    revoked: bool | None = None
    expires_before: datetime | None = None
    expires_after: datetime | None = None
    text: str | None = None  # substring of the subject or a name
    after_id: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedEntry:
    """A line of a CRL. entry: its DER as encoded when it was revoked, kept with the row."""

    serial: Serial
    revoked_at: datetime
    reason: Reason
    invalidity: datetime | None
    entry: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRecord:
    """A CRL as cut. number: CRLNumber (RFC 5280 §5.2.3). entries: how many serials it lists."""

    issuer_id: int
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlTrace:
    """What stays of every CRL number. None: reserved, and no CRL came of it.

    sha256: of the CRL's DER, which is kept of the newest only.
    """

    number: int
    reserved_at: datetime
    this_update: datetime | None
    next_update: datetime | None
    entries: int | None
    sha256: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """An intent or a ceremony that a crash had left open, and what became of it."""

    issuer_id: int
    serial: Serial | None
    subject: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateCounts:
    """Totals for `status`; each serial is counted once."""

    valid: int = 0
    expired: int = 0
    revoked: int = 0
    uncertain: int = 0
    failed: int = 0


# ---------------------------------------------------------------- the ledger


class LedgerEvent(StrEnum):
    """What an entry of the ledger says happened. Entries are for ever: no word changes meaning.

    begun:            the ledger itself; its link names this ledger.
    adopted:          what stood in the record before there was a ledger follows, entry by entry.
    anchor-placed:    the NV indices in a TPM that will hold its head.
    anchored:         a TPM was found holding the head of an earlier entry.
    accepted:         an operator took the record for true although its anchor said otherwise.
    settings:         what homeca.toml says, when it says something else than before.
    node:             a home that shares this record has its first key in it.
    """

    BEGUN = "begun"
    ADOPTED = "adopted"
    CUSTODY = "custody"
    ISSUER_BEGUN = "issuer-begun"
    ISSUER_KEY = "issuer-key"
    ISSUER_ACTIVE = "issuer-active"
    ISSUER_RETIRED = "issuer-retired"
    ISSUER_ABANDONED = "issuer-abandoned"
    RESERVED = "reserved"
    INTENDED = "intended"
    ISSUED = "issued"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    REVOKED = "revoked"
    RELEASED = "released"
    CRL_RESERVED = "crl-reserved"
    CRL = "crl"
    ANCHOR_PLACED = "anchor-placed"
    ANCHORED = "anchored"
    ACCEPTED = "accepted"
    SETTINGS = "settings"
    RESTORED = "restored"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One entry as stored (`ca.encoding.ledger` says how it is hashed).

    at:      seconds since 1970, UTC. event: a LedgerEvent; a newer homeca may know more.
    details: JSON text, exactly as hashed. link: SHA-256 over the entry and the link before it.
    """

    seq: int
    at: int
    event: str
    issuer_id: int | None
    serial: Serial | None
    details: str
    link: bytes

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationLine:
    """A line of the CRL with its whole life. ended_at: released, or replaced; None: open."""

    reason: Reason
    revoked_at: datetime
    ended_at: datetime | None
    invalidity: datetime | None
    entry: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialHistory:
    """One serial: its row, its lines and its entries of the ledger, oldest first.

    record: None when the record has no row for what the ledger knows.
    """

    issuer_id: int
    serial: Serial
    record: CertificateRecord | None
    lines: tuple[RevocationLine, ...]
    entries: tuple[LedgerEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorPlace:
    """Where in a TPM a ledger is anchored: two NV indices (TPM 2.0 Part 1 §37).

    tpm:     the Name of its storage key. ledger: the link of the ledger's first entry.
    head:    handle of the extend index. counter: handle of the counter beside it.
    """

    tpm: bytes
    ledger: bytes
    head: int
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorReading:
    """What the two indices hold."""

    value: bytes
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What an attestation key signed: TPMS_ATTEST and TPMT_SIGNATURE, as the TPM wrote them."""

    attest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAttestation:
    """What a TPM says of a key in it, signed by its attestation key (Part 3 §18).

    attestation_key, public: TPM2B_PUBLIC.
    creation:  TPM2B_CREATION_DATA when TPM2_CertifyCreation signed it, b"" after TPM2_Certify.
    """

    attestation_key: bytes
    public: bytes
    attested: Attested
    creation: bytes = b""


class Anchor(Protocol):
    """The two NV indices of one ledger, within one hold of the TPM."""

    @property
    def place(self) -> AnchorPlace: ...

    def read(self) -> AnchorReading: ...

    def extend(self, link: bytes) -> None:
        """The head index becomes SHA-256(what it holds ‖ link)."""
        ...

    def increment(self, *, last: bool = False) -> None:
        """One more. last: nothing else is asked of the TPM in this hold."""
        ...

    def certify(self, qualifying: bytes) -> tuple[bytes, Attested, Attested]:
        """TPM2B_PUBLIC of the attestation key, and what it signs of head and counter."""
        ...


class Ledger(Protocol):
    """The append-only account of everything the CA did, and its anchor in the TPM."""

    def changing(
        self, *, ceremony: bool = False, although_unreachable: bool = False
    ) -> AbstractContextManager[None]:
        """Around every command that changes the record; within another one it does nothing.

        The TPM is held for as long: its anchor is read and compared at the start, and written
        once at the end when nothing failed.
        ceremony:             the anchor may be made where there is none.
        although_unreachable: go on, and say so, when there is no TPM to ask: for revoking.
        Raises: LedgerMismatch before anything was changed; CustodyError, StoreError.
        """
        ...


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
    def is_key_blocked(self, spki_sha256: bytes) -> bool:
        """Was a certificate for this key ever revoked for keyCompromise?"""
        ...

    def faults(self) -> tuple[str, ...]:
        """What the database itself finds wrong: damage, dangling rows, rules that are gone."""
        ...

    def copy_to(self, path: Path) -> None:
        """All that is committed now, as one SQLite file; a snapshot nobody waits for.

        Raises: ConfigurationError when the record is not in SQLite; StoreError.
        """
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

    def release(self, issuer_id: int, serial: Serial, *, at: datetime) -> None:
        """Take a certificateHold back. Raises RevocationRefused when it is not on hold."""
        ...

    def revoked(self, issuer_id: int, *, expired_since: datetime | None) -> Iterator[RevokedEntry]:
        """Lines for the next CRL, by serial; those whose certificate ended before
        `expired_since` (thisUpdate of the last CRL) have been on one past their expiry."""
        ...

    def revoked_entries(self, issuer_id: int, *, expired_since: datetime | None) -> Iterator[bytes]:
        """`entry` of each line of `revoked`, alone: all that a long CRL needs, much sooner."""
        ...

    def newest_revocation(self, issuer_id: int) -> datetime | None:
        """The latest date among the open lines: no CRL that lists them may be older."""
        ...

    # -- CRLs
    def last_crl(self, issuer_id: int) -> CrlRecord | None:
        """The newest completed one."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCapability:
    """Whether this TPM can make a kind of key, and if not, in a sentence, why."""

    kind: KeyKind
    supported: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmReport:
    """What a TPM says of itself (`homeca tpm info`).

    spec:      "2.0 rev 1.64".
    algorithms, curves: names in the TCG registry's spelling, upper case.
    rsa_sizes: those TPM2_TestParms accepts.
    lockout_counter, max_tries: dictionary attack state; lockout_interval, recovery: seconds.
    transient_free, session_free: slots (-1: not told); persistent: handles in use.
    """

    custody: CustodyKind
    tcti: str
    manufacturer: str
    model: str
    firmware: str
    spec: str
    algorithms: tuple[str, ...]
    curves: tuple[str, ...]
    rsa_sizes: tuple[int, ...]
    hashes: tuple[str, ...]
    in_lockout: bool
    lockout_counter: int
    max_tries: int
    lockout_interval: int
    lockout_recovery: int
    owner_auth_set: bool
    transient_free: int
    session_free: int
    persistent: tuple[int, ...]
    key_kinds: tuple[KeyCapability, ...] = field(default_factory=tuple)
