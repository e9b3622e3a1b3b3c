"""Rules on name constraints, on the names they permit, and on policies (RFC 5280 §4.2.1.10,
§4.2.1.4, §6.1.3; RFC 9618)."""

from __future__ import annotations

import re

from ca.encoding.facts import GeneralNameFacts, TbsFacts
from ca.encoding.inspect_extensions import NAME_CONSTRAINTS
from ca.errors import IllegalName
from ca.lint.extension_rules import is_critical
from ca.lint.rule import Chapter, LintContext, LintRole, few
from ca.names.constraints import NameConstraints
from ca.names.distinguished import COMMON_NAME
from ca.names.general import DNSName, EmailName
from ca.names.showing import visible

EMAIL_ADDRESS = "1.2.840.113549.1.9.1"
POLICY_MAPPINGS = "2.5.29.33"
DNS = 2

RULES: Chapter[TbsFacts] = Chapter()


# ---------------------------------------------------------------- the extensions


@RULES.error("rfc5280.4.2.1.10.only-issuers", "RFC 5280 §4.2.1.10")
def name_constraints_only_issuers(tbs: TbsFacts, _context: LintContext) -> str | None:
    """nameConstraints stand only in a CA's certificate."""
    if tbs.is_ca or tbs.extension(NAME_CONSTRAINTS) is None:
        return None
    return "nameConstraints without CA:TRUE"


@RULES.error("rfc5280.4.2.1.10.critical", "RFC 5280 §4.2.1.10")
def name_constraints_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """nameConstraints are critical."""
    critical = is_critical(tbs, NAME_CONSTRAINTS)
    return (
        "nameConstraints are not critical: some would pass them over" if critical is False else None
    )


@RULES.error("rfc5280.4.2.1.10.shape", "RFC 5280 §4.2.1.10")
def name_constraints_shape(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Subtrees have minimum 0, no maximum, networks with prefixes; there is at least one."""
    constraints = tbs.name_constraints
    if constraints is None:
        return None
    subtrees = constraints.permitted + constraints.excluded
    if not subtrees:
        return "nameConstraints constrain nothing"
    if any(s.minimum or s.has_maximum for s in subtrees):
        return "a subtree has a minimum or maximum"
    if constraints.constraints is None:
        return "a network has no mask, or one with gaps"
    return None


@RULES.error("rfc5280.4.2.1.10.domain-base", "RFC 5280 §4.2.1.10, RFC 9549 §4")
def name_constraints_domain(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The base of a DNS subtree has no dot in front and is ASCII."""
    constraints = tbs.name_constraints
    if constraints is None:
        return None
    for subtree in constraints.permitted + constraints.excluded:
        base = subtree.base
        if base.tag == 2 and (base.text.startswith(".") or not base.text.isascii()):
            return f"the base {base.text!a} has a dot in front, or is not ASCII"
    return None


@RULES.error("rfc5280.4.2.1.4.once", "RFC 5280 §4.2.1.4")
def policies_once(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No policy is named twice."""
    policies = tbs.policies or ()
    return None if len(set(policies)) == len(policies) else "a policy is named twice"


@RULES.error("rfc9618.no-mappings", "RFC 9618 §1.2, §3")
def no_policy_mappings(tbs: TbsFacts, _context: LintContext) -> str | None:
    """policyMappings are not used: verifiers pay for them exponentially."""
    return "policyMappings are there" if tbs.extension(POLICY_MAPPINGS) is not None else None


# ---------------------------------------------------------------- the names below them


@RULES.error("rfc5280.4.2.1.10.names-permitted", "RFC 5280 §4.2.1.10, §6.1.3 (b); d.7 rows 3, 7")
def names_permitted(tbs: TbsFacts, context: LintContext) -> str | None:
    """Every name lies within the name constraints of every issuer: DNS, address, e-mail."""
    if _issuer_is_unreadable(context):
        return "the issuer's name constraints cannot be read, so nothing is known to be permitted"
    every = _constraints(context)
    if not every:
        return None
    outside = [str(name) for name in tbs.san or () if not all(_permits(c, name) for c in every)]
    for value in tbs.subject.values(EMAIL_ADDRESS):
        if not all(_permits_mail(c, value) for c in every):
            outside.append(f"emailAddress={visible(value)}")
    return f"outside the issuers' name constraints: {few(outside)}" if outside else None


@RULES.error(
    "d7.1.common-name", "OpenSSL 3.0 NAME_CONSTRAINTS_check_CN; client-rules d.7 row 1, 2026"
)
def common_name_permitted(tbs: TbsFacts, context: LintContext) -> str | None:
    """Without a dNSName, a commonName with a dot counts as one and must be permitted."""
    every = _constraints(context)
    if not every or context.role is not LintRole.LEAF or any(n.tag == DNS for n in tbs.san or ()):
        return None
    for value in tbs.subject.values(COMMON_NAME):
        if _openssl_takes_for_host(value) and not all(_permits_host(c, value) for c in every):
            return (
                f"commonName {visible(value)!r} has a dot and there is no dNSName: "
                "OpenSSL measures it against the issuers' name constraints, and refuses it"
            )
    return None


def _issuer_is_unreadable(context: LintContext) -> bool:
    if context.issuer is None or context.issuer.tbs.extension(NAME_CONSTRAINTS) is None:
        return False
    own = context.issuer.tbs.name_constraints
    return own is None or own.constraints is None


def _constraints(context: LintContext) -> tuple[NameConstraints, ...]:
    own = context.issuer.tbs.name_constraints if context.issuer is not None else None
    if own is None or own.constraints is None:
        return context.constraints
    return (own.constraints, *context.constraints)


def _permits(constraints: NameConstraints, name: GeneralNameFacts) -> bool:
    if name.name is not None:
        return constraints.permits(name.name)
    # Illegal names are errors of their own, but for an underscore, which is a warning only.
    return not (name.tag == DNS and "_" in name.text) or _permits_host(constraints, name.text)


def _permits_mail(constraints: NameConstraints, value: str) -> bool:
    try:
        return constraints.permits(EmailName.parse(value))
    except IllegalName:
        return not constraints.permitted_email


def _permits_host(constraints: NameConstraints, value: str) -> bool:
    return constraints.permits(DNSName(value.lower()))


def _openssl_takes_for_host(value: str) -> bool:
    """Two labels or more of letters, digits, hyphen and underscore (crypto/x509/v3_ncons.c)."""
    return bool(
        re.fullmatch(
            r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
            r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)+",
            value,
        )
    )
