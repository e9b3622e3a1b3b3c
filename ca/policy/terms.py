"""What goes into a decision and what comes out of it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

from ca.encoding.spki import PublicKey
from ca.errors import Violation
from ca.interfaces.values import Validity
from ca.names.constraints import NameConstraints
from ca.names.distinguished import DistinguishedName
from ca.names.general import GeneralName


class Wishes(Struct, frozen=True, kw_only=True):
    """What the operator typed. It replaces what the request asks for; None leaves it standing."""

    san: tuple[GeneralName, ...] | None = None
    subject: DistinguishedName | None = None
    days: int | None = None
    not_after: datetime | None = None


class IssuerFacts(Struct, frozen=True, kw_only=True):
    """What a decision needs to know of the issuer and of all issuers of this CA.

    constraints:        of the issuer and every certificate above it.
    issuer_subjects:    DER Names of every issuer; issuer_spki_sha256: their keys.
    """

    subject_der: bytes
    subject: DistinguishedName
    not_after: datetime
    constraints: tuple[NameConstraints, ...]
    issuer_subjects: frozenset[bytes]
    issuer_spki_sha256: frozenset[bytes]


class NotGranted(Struct, frozen=True):
    """Something that was asked for and will not stand in the certificate."""

    what: str
    value: str
    why: str


class Grant(Struct, frozen=True, kw_only=True):
    """What may be certified. Whoever holds one need not ask again."""

    subject: DistinguishedName
    names: tuple[GeneralName, ...]
    spki: PublicKey
    validity: Validity
    not_granted: tuple[NotGranted, ...] = ()
    warnings: tuple[str, ...] = ()


class Findings(Struct):
    """Collected while a decision is under way; it leaves as a Grant or a refusal."""

    violations: list[Violation] = field(default_factory=list)
    not_granted: list[NotGranted] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, rule: str, text: str, remedy: str) -> None:
        self.violations.append(Violation(rule, text, remedy))

    def drop(self, what: str, value: object, why: str) -> None:
        self.not_granted.append(NotGranted(what, str(value), why))
