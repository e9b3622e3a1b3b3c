"""What the extensions of a profile amount to, and what no leaf may have (invariant 4).

Read back from their octets, so that no way of writing an extension gets around it: by name or
OID, as a list, a section, ASN1: or DER:. Octets that a verifier might read in two ways are
refused with the rest.
"""

from __future__ import annotations

from msgspec import Struct

from ca.encoding import extensions as ext
from ca.errors import HomecaError
from ca.profiles.object_names import EXTENSIONS
from ca.profiles.openssl_cnf import Cnf
from ca.profiles.x509v3 import ExtensionDirective

#: Not in any certificate (RFC 5280 §5.2).
CRL_ONLY = frozenset({"crlNumber", "deltaCRL", "issuingDistributionPoint"})
#: Not in a leaf (RFC 5280 §4.2.1.5, §4.2.1.10, §4.2.1.11, §4.2.1.14).
CA_ONLY = frozenset({"nameConstraints", "policyConstraints", "policyMappings", "inhibitAnyPolicy"})
_NS_CA_BITS = frozenset({5, 6, 7})  # sslCA, emailCA, objCA
_NAMES = {oid: name for name, oid in EXTENSIONS.items()}


class ExtensionFacts(Struct, frozen=True):
    """What a verifier will read in them; empty where an extension is absent."""

    is_ca: bool = False
    key_usage: frozenset[str] = frozenset()
    eku: tuple[str, ...] = ()


def judge_extensions(
    cnf: Cnf, extensions: tuple[ExtensionDirective, ...], *, may_certify: bool
) -> ExtensionFacts:
    """The facts; what the law forbids is in `cnf.faults`.

    may_certify: for the two profiles of the ceremonies only.
    """
    is_ca = False
    key_usage: frozenset[str] = frozenset()
    eku: tuple[str, ...] = ()
    for directive in extensions:
        der = directive.value if isinstance(directive.value, bytes) else b""
        try:
            match directive.oid:
                case ext.BASIC_CONSTRAINTS:
                    is_ca = ext.says_ca(der)
                case ext.KEY_USAGE:
                    key_usage = ext.usages(der)
                case ext.EXTENDED_KEY_USAGE:
                    eku = ext.purposes(der)
            forbidden = _forbidden(directive.oid, der, is_ca, key_usage, may_certify=may_certify)
        except HomecaError as error:
            forbidden = ("profile.value", error.problem, error.remedy)
        if forbidden is not None:
            rule, text, remedy = forbidden
            cnf.fault(rule, directive.line, f"{directive.name}: {text}", remedy)
    return ExtensionFacts(is_ca, key_usage, eku)


def _forbidden(
    oid: str, der: bytes, is_ca: bool, key_usage: frozenset[str], *, may_certify: bool
) -> tuple[str, str, str] | None:
    """Rule, text and remedy when this extension may not be there."""
    name = _NAMES.get(oid)
    if name in CRL_ONLY:
        text = "it belongs in a CRL, not in a certificate (RFC 5280 §5.2)"
        return "profile.crl-extension", text, "delete it"
    if name == "proxyCertInfo":
        return _refusal("profile.ca-true", "proxyCertInfo")
    if may_certify:
        return None
    if name in CA_ONLY:
        text = "only a CA's certificate may have it (RFC 5280 §4.2.1)"
        remedy = "delete it; `homeca init-intermediate` sets it where it belongs"
        return "profile.ca-extension", text, remedy
    if oid == ext.BASIC_CONSTRAINTS and is_ca:
        return _refusal("profile.ca-true", "CA:TRUE")
    if oid == ext.KEY_USAGE and "keyCertSign" in key_usage:
        return _refusal("profile.key-cert-sign", "keyCertSign")
    if oid == ext.NS_CERT_TYPE and ext.set_bits(der) & _NS_CA_BITS:
        return _refusal("profile.ca-true", "a CA's nsCertType")
    return None


def _refusal(rule: str, what: str) -> tuple[str, str, str]:
    text = f"{what} would let the holder certify others; a profile makes leaves only"
    return rule, text, "delete it; `homeca init-intermediate` makes an issuer"
