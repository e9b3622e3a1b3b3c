"""Lint before the signature and after it: only what passes becomes a `LintedTbs`.

The rules stand in the modules called `*_rules`; this is where they are asked. Pure: no files, no
clock, no key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn, TypeVar, final

from ca.encoding.facts import CertificateFacts, CrlFacts, CrlTbsFacts, TbsFacts
from ca.encoding.inspect import read_certificate, read_crl, read_crl_tbs, read_tbs
from ca.errors import LintRefused, Violation
from ca.lint import (
    constraint_rules,
    consumer_rules,
    crl_rules,
    extension_rules,
    field_rules,
    identifier_rules,
    key_rules,
    location_rules,
    name_rules,
)
from ca.lint.consumers import canonical
from ca.lint.crl_survey import CrlSurvey, survey
from ca.lint.rule import Artefact, Finding, LintContext, LintRole, Rule, Severity

TBS_RULES: tuple[Rule[TbsFacts], ...] = (
    *field_rules.RULES,
    *key_rules.RULES,
    *extension_rules.RULES,
    *identifier_rules.RULES,
    *location_rules.RULES,
    *name_rules.RULES,
    *constraint_rules.RULES,
    *consumer_rules.RULES,
)
CERTIFICATE_RULES: tuple[Rule[CertificateFacts], ...] = tuple(field_rules.CERTIFICATE_RULES)
CRL_RULES: tuple[Rule[CrlSurvey], ...] = tuple(crl_rules.RULES)

_SEAL = object()
_Looked = TypeVar("_Looked")


@final
class LintedTbs:
    """A TBSCertificate that broke no rule of severity error. Made by `lint_tbs` only.

    der:      the very octets that were looked at.
    findings: warnings and notices.
    """

    __slots__ = ("der", "facts", "findings")

    def __init__(
        self, der: bytes, facts: TbsFacts, findings: tuple[Finding, ...], *, seal: object
    ) -> None:
        _only_here(seal)
        self.der = der
        self.facts = facts
        self.findings = findings


@final
class LintedCrlTbs:
    """A TBSCertList that broke no rule of severity error. Made by `lint_crl_tbs` only.

    der:      the very octets that were looked at.
    entries:  how many serials it lists.
    findings: warnings and notices.
    """

    __slots__ = ("der", "entries", "facts", "findings")

    def __init__(
        self,
        der: bytes,
        facts: CrlTbsFacts,
        findings: tuple[Finding, ...],
        *,
        entries: int,
        seal: object,
    ) -> None:
        _only_here(seal)
        self.der = der
        self.facts = facts
        self.findings = findings
        self.entries = entries


def _only_here(seal: object) -> None:
    if seal is not _SEAL:
        raise TypeError("octets become linted by being linted (ca.lint.gate)")


def lint_tbs(der: bytes, *, context: LintContext) -> LintedTbs:
    """The gate in front of the key, for certificates.

    Raises: LintRefused with every finding of severity error; CertificateMalformed for octets
            that are not a TBSCertificate; UsageError for an unknown consumer.
    """
    facts, findings = examine_tbs(der, context=context)
    _refuse("certificate", findings)
    return LintedTbs(der, facts, findings, seal=_SEAL)


def lint_crl_tbs(der: bytes, *, context: LintContext) -> LintedCrlTbs:
    """The gate in front of the key, for CRLs. Raises: as `lint_tbs`."""
    looked, findings = examine_crl_tbs(der, context=context)
    _refuse("CRL", findings)
    return LintedCrlTbs(der, looked.crl, findings, entries=looked.count, seal=_SEAL)


def examine_tbs(der: bytes, *, context: LintContext) -> tuple[TbsFacts, tuple[Finding, ...]]:
    """What `lint_tbs` would say, all of it, without refusing. Raises: CertificateMalformed."""
    facts = read_tbs(der, tolerant=True)
    return facts, _ask(TBS_RULES, facts, context, Artefact.TBS)


def examine_crl_tbs(der: bytes, *, context: LintContext) -> tuple[CrlSurvey, tuple[Finding, ...]]:
    """What `lint_crl_tbs` would say, all of it, without refusing. Raises: CertificateMalformed."""
    looked = survey(read_crl_tbs(der, tolerant=True), context)
    return looked, _ask(CRL_RULES, looked, context, Artefact.CRL_TBS)


def lint_certificate(der: bytes, *, context: LintContext) -> tuple[Finding, ...]:
    """Everything a certificate breaks, its own or another CA's, in the order of the rules.

    Raises: CertificateMalformed, UsageError.
    """
    certificate = read_certificate(der, tolerant=True)
    return (
        *_ask(CERTIFICATE_RULES, certificate, context, Artefact.CERTIFICATE),
        *_ask(TBS_RULES, certificate.tbs, context, Artefact.CERTIFICATE),
    )


def lint_crl(der: bytes, *, context: LintContext) -> tuple[Finding, ...]:
    """Everything a CRL breaks, in the order of the rules. Raises: as `lint_certificate`."""
    crl: CrlFacts = read_crl(der, tolerant=True)
    looked = survey(crl.tbs, context, crl)
    return _ask(CRL_RULES, looked, context, Artefact.CRL)


def role_of(tbs: TbsFacts) -> LintRole:
    """What a certificate from outside says it is."""
    if not tbs.is_ca:
        return LintRole.LEAF
    return LintRole.ROOT if tbs.is_self_issued else LintRole.INTERMEDIATE


def rules() -> Iterable[Rule[TbsFacts] | Rule[CertificateFacts] | Rule[CrlSurvey]]:
    """Every rule there is, for listings."""
    return (*CERTIFICATE_RULES, *TBS_RULES, *CRL_RULES)


def _ask(
    all_rules: tuple[Rule[_Looked], ...],
    looked: _Looked,
    context: LintContext,
    artefact: Artefact,
) -> tuple[Finding, ...]:
    consumers = canonical(context.consumers)
    found = (
        rule(looked, context)
        for rule in all_rules
        if artefact in rule.applies and (not rule.consumers or rule.consumers & consumers)
    )
    return tuple(finding for finding in found if finding is not None)


def _refuse(what: str, findings: tuple[Finding, ...]) -> None:
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        _raise_refusal(what, errors)


def _raise_refusal(what: str, errors: list[Finding]) -> NoReturn:
    first = errors[0]
    others = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    raise LintRefused(
        f"the {what} would break {first.rule} ({first.clause}): {first.text}{others}",
        remedy="change the profile or the request; nothing was signed",
        violations=tuple(Violation(error.rule, error.text) for error in errors),
    )
