"""Rules on how a certificate says whose key it is, and whose signature (RFC 5280 §4.2.1.1, .2)."""

from __future__ import annotations

import hashlib

from ca.encoding.facts import TbsFacts
from ca.encoding.inspect_extensions import AUTHORITY_KEY_IDENTIFIER, SUBJECT_KEY_IDENTIFIER
from ca.lint.extension_rules import is_critical, is_issuer
from ca.lint.rule import BEFORE, Chapter, LintContext, LintRole

RULES: Chapter[TbsFacts] = Chapter()


@RULES.error("rfc5280.4.2.1.2.issuer-ski", "RFC 5280 §4.2.1.2")
def issuer_ski(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer's certificate has subjectKeyIdentifier."""
    return "subjectKeyIdentifier is missing" if is_issuer(context) and tbs.ski is None else None


@RULES.notice("rfc5280.4.2.1.2.leaf-ski", "RFC 5280 §4.2.1.2 (SHOULD)")
def leaf_ski(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf has subjectKeyIdentifier."""
    return "subjectKeyIdentifier is missing" if not is_issuer(context) and not tbs.ski else None


@RULES.error("rfc5280.4.2.1.2.not-critical", "RFC 5280 §4.2.1.2")
def ski_not_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """subjectKeyIdentifier is not critical."""
    critical = is_critical(tbs, SUBJECT_KEY_IDENTIFIER)
    return "subjectKeyIdentifier is critical" if critical else None


@RULES.error("rfc5280.4.2.1.2.method-1", "RFC 5280 §4.2.1.2 (1)", applies=BEFORE)
def ski_method_1(tbs: TbsFacts, _context: LintContext) -> str | None:
    """subjectKeyIdentifier is the SHA-1 of the key."""
    expected = hashlib.sha1(tbs.key.key, usedforsecurity=False).digest()
    if tbs.ski in (None, expected):
        return None
    return "subjectKeyIdentifier is not the SHA-1 of the key"


@RULES.error("rfc5280.4.2.1.1.present", "RFC 5280 §4.2.1.1; client-rules PY1")
def aki_present(tbs: TbsFacts, context: LintContext) -> str | None:
    """Every certificate but a root has authorityKeyIdentifier with a keyIdentifier."""
    if context.role is LintRole.ROOT or (tbs.aki is not None and tbs.aki.key_id):
        return None
    return "authorityKeyIdentifier is missing, or names no key"


@RULES.error("rfc5280.4.2.1.1.not-critical", "RFC 5280 §4.2.1.1")
def aki_not_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """authorityKeyIdentifier is not critical."""
    critical = is_critical(tbs, AUTHORITY_KEY_IDENTIFIER)
    return "authorityKeyIdentifier is critical" if critical else None


@RULES.error("rfc5280.4.2.1.1.issuers-ski", "RFC 5280 §4.2.1.1")
def aki_is_issuers_ski(tbs: TbsFacts, context: LintContext) -> str | None:
    """The keyIdentifier is the issuer's subjectKeyIdentifier; a root's is its own."""
    expected = tbs.ski if context.role is LintRole.ROOT else None
    if context.issuer is not None:
        expected = context.issuer.tbs.ski
    named = tbs.aki.key_id if tbs.aki is not None else None
    if expected is None or named is None or named == expected:
        return None
    return f"authorityKeyIdentifier is {named.hex()}, the issuer's key {expected.hex()}"


@RULES.error("rfc5280.4.2.1.1.issuer-and-serial", "RFC 5280 §4.2.1.1")
def aki_issuer_and_serial(tbs: TbsFacts, context: LintContext) -> str | None:
    """authorityCertIssuer and authorityCertSerialNumber come together, and are the issuer's."""
    if tbs.aki is None or not (tbs.aki.has_issuer or tbs.aki.serial is not None):
        return None
    if not tbs.aki.has_issuer or tbs.aki.serial is None:
        return "authorityCertIssuer and authorityCertSerialNumber are not both there"
    issuer = context.issuer.tbs if context.issuer is not None else None
    if context.role is LintRole.ROOT:
        issuer = tbs
    if issuer is None or (tbs.aki.issuer, tbs.aki.serial) == (issuer.issuer.der, issuer.serial):
        return None
    return "authorityKeyIdentifier names another certificate than the issuer's"


@RULES.warning("rfc5280.4.2.1.1.key-id-alone", "RFC 5280 §4.2.1.1; CA/B BR 7.1.2.11.1")
def aki_key_id_alone(tbs: TbsFacts, _context: LintContext) -> str | None:
    """authorityKeyIdentifier is the keyIdentifier alone: a renewed issuer keeps its leaves."""
    if tbs.aki is None or not (tbs.aki.has_issuer or tbs.aki.serial is not None):
        return None
    return "authorityKeyIdentifier ties it to one certificate of its issuer"
