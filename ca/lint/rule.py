"""What a rule is, what it is asked about, and what it finds.

A rule is a small value: an id that carries its clause, where that is written, how grave a breach
is, and one function that answers None or what is wrong. Rules look and never mend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

from ca.encoding.facts import CertificateFacts, CrlTbsFacts
from ca.names.constraints import NameConstraints

Looked = TypeVar("Looked")
LONGEST_TEXT = 600


class Severity(StrEnum):
    """error: not signed. warning: signed, and said. notice: said when asked."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Artefact(StrEnum):
    """What a rule can be about; `tbs` and `crl-tbs` mean: before the signature only."""

    TBS = "tbs"
    CERTIFICATE = "certificate"
    CRL_TBS = "crl-tbs"
    CRL = "crl"


BEFORE_AND_AFTER = frozenset({Artefact.TBS, Artefact.CERTIFICATE})
BEFORE = frozenset({Artefact.TBS})
AFTER = frozenset({Artefact.CERTIFICATE})
CRL_BEFORE_AND_AFTER = frozenset({Artefact.CRL_TBS, Artefact.CRL})
CRL_AFTER = frozenset({Artefact.CRL})


class LintRole(StrEnum):
    """What a certificate is meant to be; not what it says it is."""

    LEAF = "leaf"
    INTERMEDIATE = "intermediate"
    ROOT = "root"


class LintContext(Struct, frozen=True, kw_only=True):
    """What a certificate or CRL is measured against. Rules that miss their part do not speak.

    now:         the clock; UTC.
    role:        of the certificate; CRLs do not look at it.
    issuer:      who signs it. None: itself (root), or not known.
    constraints: name constraints of the issuers above `issuer`, whose own are taken from it.
    consumers:   what the certificate is for, in the words of `ca.lint.consumers`.
    key_in_tpm:  the subject's key is known to live in a TPM (OV12).
    crl_urls:    for a CRL: the CDP of the certificates it covers; None: not known.
    previous:    for a CRL: the one it follows.
    expired:     for a CRL: serials that may leave it, because their certificates had expired
                 before `previous` was made (RFC 5280 §3.3), or because they were released.
    """

    now: datetime
    role: LintRole = LintRole.LEAF
    issuer: CertificateFacts | None = None
    constraints: tuple[NameConstraints, ...] = ()
    consumers: tuple[str, ...] = ()
    key_in_tpm: bool = False
    crl_urls: tuple[str, ...] | None = None
    previous: CrlTbsFacts | None = None
    expired: Container[int] = ()


class Finding(Struct, frozen=True):
    """A breach. rule: id; text: what is wrong, harmless to show; clause: where the rule stands."""

    rule: str
    severity: Severity
    text: str
    clause: str


class Rule(Struct, Generic[Looked], frozen=True):
    """One demand.

    id:        "rfc5280.4.1.2.2.serial-positive", "br.6.1.5.rsa-size", "OV1", "d7.1".
    clause:    document and section, or the vendor's page with its date.
    demand:    the rule in one sentence.
    applies:   artefacts it can be about.
    consumers: it is asked only for these; empty: always.
    check:     None, or what is wrong.
    """

    id: str
    clause: str
    severity: Severity
    demand: str
    applies: frozenset[Artefact]
    consumers: frozenset[str]
    check: Callable[[Looked, LintContext], str | None]

    def __call__(self, looked: Looked, context: LintContext) -> Finding | None:
        text = self.check(looked, context)
        if text is None:
            return None
        if len(text) > LONGEST_TEXT:  # a hostile name may have a mebibyte
            text = text[: LONGEST_TEXT - 1] + "…"
        return Finding(self.id, self.severity, text, self.clause)


def few(texts: Sequence[str]) -> str:
    """The first three, each cut at 100 characters, and how many more: findings stay short."""
    shown = ", ".join(text if len(text) <= 100 else text[:99] + "…" for text in texts[:3])
    return shown if len(texts) <= 3 else f"{shown} and {len(texts) - 3} more"


Check = Callable[[Looked, LintContext], str | None]


class Chapter(Generic[Looked]):
    """The rules of one module, in the order they are written there."""

    def __init__(self, applies: frozenset[Artefact] = BEFORE_AND_AFTER) -> None:
        self._applies = applies
        self._rules: list[Rule[Looked]] = []

    def __iter__(self) -> Iterator[Rule[Looked]]:
        return iter(self._rules)

    def error(
        self,
        rule_id: str,
        clause: str,
        *,
        consumers: Collection[str] = (),
        applies: frozenset[Artefact] | None = None,
    ) -> Callable[[Check[Looked]], Check[Looked]]:
        """A breach of the decorated check is not signed. Its docstring is the demand."""
        return self._add(rule_id, clause, Severity.ERROR, consumers, applies)

    def warning(
        self,
        rule_id: str,
        clause: str,
        *,
        consumers: Collection[str] = (),
        applies: frozenset[Artefact] | None = None,
    ) -> Callable[[Check[Looked]], Check[Looked]]:
        """A breach of the decorated check is signed and said."""
        return self._add(rule_id, clause, Severity.WARNING, consumers, applies)

    def notice(
        self,
        rule_id: str,
        clause: str,
        *,
        consumers: Collection[str] = (),
        applies: frozenset[Artefact] | None = None,
    ) -> Callable[[Check[Looked]], Check[Looked]]:
        """A breach of the decorated check is said when asked for."""
        return self._add(rule_id, clause, Severity.NOTICE, consumers, applies)

    def _add(
        self,
        rule_id: str,
        clause: str,
        severity: Severity,
        consumers: Collection[str],
        applies: frozenset[Artefact] | None,
    ) -> Callable[[Check[Looked]], Check[Looked]]:
        def register(check: Check[Looked]) -> Check[Looked]:
            demand = " ".join((check.__doc__ or "").split())
            where = self._applies if applies is None else applies
            self._rules.append(
                Rule(rule_id, clause, severity, demand, where, frozenset(consumers), check)
            )
            return check

        return register
