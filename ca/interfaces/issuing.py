"""Issuers, and the life of a serial from its reservation to its certificate."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from ca.interfaces.revocation import Revocation
from ca.interfaces.values import Serial, Validity


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


class IssuerDraft(Struct, frozen=True, kw_only=True):
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


class IssuerRecord(IssuerDraft, frozen=True, kw_only=True):
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

    @property
    def is_abroad(self) -> bool:
        """Is its key in a home that shares no record with this one?"""
        return self.certificate is not None and not self.has_key and not self.is_elsewhere

    def has_ended(self, at: datetime) -> bool:
        """Is nothing below it valid any more? Never of one that waits for its certificate."""
        return self.not_after is not None and self.not_after <= at


class Intent(Struct, frozen=True, kw_only=True):
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


class CertificateRecord(Struct, frozen=True, kw_only=True):
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


class CertificateQuery(Struct, frozen=True, kw_only=True):
    """Which certificates `list` wants. Unset fields do not filter. Ordered by id."""

    states: tuple[State, ...] = ()
    issuer_id: int | None = None
    profile: str | None = None
    subjects: tuple[str, ...] = ()  # exactly one of these
    revoked: bool | None = None
    begins_before: datetime | None = None
    expires_before: datetime | None = None
    expires_after: datetime | None = None
    text: str | None = None  # substring of the subject or a name
    after_id: int = 0
    limit: int | None = None


class Settlement(Struct, frozen=True, kw_only=True):
    """An intent or a ceremony that a crash had left open, and what became of it."""

    issuer_id: int
    serial: Serial | None
    subject: str
    before: str
    after: str


class CertificateCounts(Struct, frozen=True, kw_only=True):
    """Totals for `status`; each serial is counted once."""

    valid: int = 0
    expired: int = 0
    revoked: int = 0
    uncertain: int = 0
    failed: int = 0
