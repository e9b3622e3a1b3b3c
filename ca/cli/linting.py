"""`homeca lint` of a file: what the rules say of each certificate or CRL in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from msgspec.structs import replace

from ca.cli.opening import record
from ca.cli.output import bad, document, good, result
from ca.cli.showing import read_file, recognised
from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import CertificateMalformed, HomeMissing, SignatureInvalid, UsageError
from ca.interfaces.store import CertificateStore
from ca.lint.gate import lint_certificate, lint_crl, role_of
from ca.lint.rule import Finding, LintContext, Severity
from ca.names.showing import many, shell_word, visible
from ca.services.trust import check_signature
from ca.wiring.opening import system_clock

#: `homeca check` and `verify` end like this too when something is wrong.
FOUND = 6

#: What was found, about what, and who signed that, where it is known.
_Opinion = tuple[tuple[Finding, ...], str, CertificateFacts | None]


def lint_file(
    path: Path,
    *,
    home: Path | None,
    consumers: tuple[str, ...],
    second_opinion: bool,
    as_json: bool,
) -> None:
    """Every finding about every certificate or CRL in a file.

    Raises: typer.Exit(6) when one is an error; UsageError for a request or an unknown consumer.
    """
    kind, ders = recognised(read_file(path))
    if kind == "request":
        raise UsageError(
            "this is a request; the rules are about certificates and CRLs",
            remedy="see what the CA says of it: "
            f"`homeca sign {shell_word(path)} --profile vpn-client --dry-run`",
        )
    now = system_clock()
    known = _issuers(home) + _readable(ders if kind == "certificate" else ())
    context = LintContext(now=now, consumers=consumers)
    items: list[tuple[str, tuple[Finding, ...]]] = []
    for der in ders:
        look = _certificate if kind == "certificate" else _crl
        found, title, issuer = look(der, known, context)
        if second_opinion:
            found = (*found, *_second_opinion(der, kind, issuer))
        items.append((title, found))
    _show(items, as_json=as_json)
    if any(one.severity is Severity.ERROR for _, found in items for one in found):
        raise typer.Exit(FOUND)


def _issuers(home: Path | None) -> list[CertificateFacts]:
    """This home's issuers, where there is a home; linting needs none."""
    try:
        with record(home) as (_, store):
            return _of_store(store)
    except HomeMissing:
        return []


def _of_store(store: CertificateStore) -> list[CertificateFacts]:
    ders = [one.certificate for one in store.issuers() if one.certificate is not None]
    return _readable(ders)


def _readable(ders: Sequence[bytes]) -> list[CertificateFacts]:
    found = []
    for der in ders:
        try:
            found.append(read_certificate(der, tolerant=True))
        except CertificateMalformed:
            continue
    return found


def _certificate(der: bytes, known: list[CertificateFacts], context: LintContext) -> _Opinion:
    facts = read_certificate(der, tolerant=True)
    issuer = None
    if not facts.tbs.is_self_issued:
        issuer = _signer(facts, facts.tbs.issuer.der, known)
    asked = replace(context, role=role_of(facts.tbs), issuer=issuer)
    title = str(facts.tbs.subject) or "(empty subject)"
    return lint_certificate(der, context=asked), title, issuer


def _crl(der: bytes, known: list[CertificateFacts], context: LintContext) -> _Opinion:
    facts = read_crl(der, tolerant=True)
    issuer = _signer(facts, facts.tbs.issuer.der, known)
    asked = replace(context, issuer=issuer)
    return lint_crl(der, context=asked), f"CRL of {facts.tbs.issuer}", issuer


def _signer(signed: Any, name: bytes, known: list[CertificateFacts]) -> CertificateFacts | None:
    """Who is called so and did sign it; else who is called so."""
    called = [one for one in known if one.tbs.subject.der == name]
    for one in called:
        try:
            check_signature(signed, one.tbs.spki)
        except SignatureInvalid:
            continue
        return one
    return called[0] if called else None


def _second_opinion(der: bytes, kind: str, issuer: CertificateFacts | None) -> tuple[Finding, ...]:
    from ca.lint.second_opinion import certificate_opinion, crl_opinion

    if kind == "crl":
        return crl_opinion(der)
    return certificate_opinion(der, issuer=issuer.der if issuer is not None else None)


def _show(items: list[tuple[str, tuple[Finding, ...]]], *, as_json: bool) -> None:
    if as_json:
        document(
            items=[
                {
                    "subject": title,
                    "findings": [
                        {
                            "rule": one.rule,
                            "severity": one.severity.value,
                            "text": one.text,
                            "clause": one.clause,
                        }
                        for one in found
                    ],
                }
                for title, found in items
            ]
        )
        return
    for title, found in items:
        result(f"{visible(title)}: {_summary(found)}")
        for one in found:
            word = one.severity.value
            mark = bad(word) if one.severity is Severity.ERROR else word
            result(f"  {mark}: {visible(one.text)} [{one.rule}]")
            result(f"      {visible(one.clause)}")


def _summary(found: tuple[Finding, ...]) -> str:
    counted = {
        severity: sum(1 for one in found if one.severity is severity) for severity in Severity
    }
    told = [many(number, severity.value) for severity, number in counted.items() if number]
    return ", ".join(told) or good("nothing to say against it")
