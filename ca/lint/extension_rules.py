"""Rules on extensions at large, basicConstraints and the two key usages (RFC 5280 §4.2, CA/B BR
7.1.2)."""

from __future__ import annotations

from collections import Counter

from ca.algorithms import Family
from ca.encoding import tlv
from ca.encoding.extensions import SERVER_AUTH
from ca.encoding.facts import TbsFacts
from ca.encoding.inspect_extensions import (
    BASIC_CONSTRAINTS,
    CERTIFICATE_EXTENSIONS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
)
from ca.lint.key_rules import family
from ca.lint.rule import Chapter, LintContext, LintRole, few

CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
ANY_EKU = "2.5.29.37.0"
OCSP_NOCHECK = "1.3.6.1.5.5.7.48.1.5"
POLICY_MAPPINGS = "2.5.29.33"
POLICY_CONSTRAINTS = "2.5.29.36"
INHIBIT_ANY_POLICY = "2.5.29.54"
NETSCAPE = {"2.16.840.1.113730.1.1": "nsCertType", "2.16.840.1.113730.1.13": "nsComment"}
#: Critical extensions every verifier of ours understands; others make the certificate useless.
PROCESSED = frozenset(CERTIFICATE_EXTENSIONS) | {POLICY_CONSTRAINTS, INHIBIT_ANY_POLICY}
ENCIPHERMENT = frozenset({"keyEncipherment", "dataEncipherment"})

RULES: Chapter[TbsFacts] = Chapter()


def is_issuer(context: LintContext) -> bool:
    """Is it meant to be a CA's certificate?"""
    return context.role is not LintRole.LEAF


def is_critical(tbs: TbsFacts, oid: str) -> bool | None:
    """None when the extension is absent."""
    extension = tbs.extension(oid)
    return None if extension is None else extension.critical


# ---------------------------------------------------------------- all


@RULES.error("rfc5280.4.2.no-duplicates", "RFC 5280 §4.2")
def no_duplicates(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No extension is there twice."""
    if len({e.oid for e in tbs.extensions}) == len(tbs.extensions):
        return None
    twice = [oid for oid, count in Counter(e.oid for e in tbs.extensions).items() if count > 1]
    return f"there more than once: {few(twice)}"


@RULES.error("rfc5280.4.2.critical-known", "RFC 5280 §4.2")
def critical_known(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Only extensions that verifiers process are critical."""
    strange = [e.oid for e in tbs.extensions if e.critical and e.oid not in PROCESSED]
    return f"critical, and unknown to most: {few(strange)}" if strange else None


@RULES.notice("netscape.obsolete", "OpenSSL x509v3_config(5), Netscape extensions: obsolete")
def netscape(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No extension of Netscape's is there."""
    found = [NETSCAPE[e.oid] for e in tbs.extensions if e.oid in NETSCAPE]
    return f"{', '.join(found)} mean nothing any more" if found else None


# ---------------------------------------------------------------- basicConstraints


@RULES.error("rfc5280.4.2.1.9.issuer-is-ca", "RFC 5280 §4.2.1.9")
def issuer_is_ca(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer's certificate says CA:TRUE."""
    return "an issuer without CA:TRUE" if is_issuer(context) and not tbs.is_ca else None


@RULES.error("rfc5280.4.2.1.9.leaf-is-not-ca", "RFC 5280 §4.2.1.9; homeca invariant 4")
def leaf_is_not_ca(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf does not say CA:TRUE."""
    return "a leaf with CA:TRUE" if not is_issuer(context) and tbs.is_ca else None


@RULES.error("rfc5280.4.2.1.9.critical", "RFC 5280 §4.2.1.9")
def basic_constraints_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """basicConstraints of a CA are critical."""
    if not tbs.is_ca or is_critical(tbs, BASIC_CONSTRAINTS):
        return None
    return "CA:TRUE is not critical"


@RULES.error("rfc5280.4.2.1.9.path-length", "RFC 5280 §4.2.1.9")
def path_length(tbs: TbsFacts, _context: LintContext) -> str | None:
    """pathLenConstraint is 0 or more, and only beside CA:TRUE and keyCertSign."""
    constraints = tbs.basic_constraints
    if constraints is None or constraints.path_len is None:
        return None
    if constraints.path_len < 0:
        return "the path length is negative"
    if not constraints.ca:
        return "a path length without CA:TRUE"
    if "keyCertSign" not in (tbs.key_usage or ()):
        return "a path length without keyCertSign"
    return None


@RULES.error("rfc5280.4.2.1.9.within-issuers-path-length", "RFC 5280 §4.2.1.9, §6.1.4 (l)")
def within_issuers_path_length(tbs: TbsFacts, context: LintContext) -> str | None:
    """Below an issuer whose path length is 0 there is no further CA."""
    if context.issuer is None or context.role is not LintRole.INTERMEDIATE:
        return None
    issuer = context.issuer.tbs.basic_constraints
    if issuer is None or issuer.path_len != 0:
        return None
    return "its issuer's path length is 0: no CA may follow"


# ---------------------------------------------------------------- keyUsage


@RULES.error("rfc5280.4.2.1.3.issuer-key-usage", "RFC 5280 §4.2.1.3")
def issuer_key_usage(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer's certificate has keyUsage with keyCertSign."""
    if not is_issuer(context) or "keyCertSign" in (tbs.key_usage or ()):
        return None
    return "an issuer without keyCertSign"


@RULES.error("rfc5280.4.2.1.3.issuer-crl-sign", "RFC 5280 §4.2.1.3, §5; CA/B BR 7.1.2.10.7")
def issuer_crl_sign(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer that revokes has cRLSign."""
    if not is_issuer(context) or tbs.key_usage is None or "cRLSign" in tbs.key_usage:
        return None
    return "an issuer without cRLSign cannot revoke what it issued"


@RULES.error("rfc5280.4.2.1.3.key-cert-sign", "RFC 5280 §4.2.1.3, §4.2.1.9; homeca invariant 4")
def key_cert_sign(tbs: TbsFacts, _context: LintContext) -> str | None:
    """keyCertSign stands only beside CA:TRUE."""
    if "keyCertSign" not in (tbs.key_usage or ()) or tbs.is_ca:
        return None
    return "keyCertSign without CA:TRUE"


@RULES.error("rfc5280.4.2.1.3.not-empty", "RFC 5280 §4.2.1.3")
def key_usage_not_empty(tbs: TbsFacts, _context: LintContext) -> str | None:
    """At least one bit of keyUsage is set."""
    return "keyUsage allows nothing" if tbs.key_usage == frozenset() else None


@RULES.warning("rfc5280.4.2.1.3.critical", "RFC 5280 §4.2.1.3 (SHOULD); CA/B BR 7.1.2.7.11")
def key_usage_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """keyUsage is critical."""
    return "keyUsage is not critical" if is_critical(tbs, KEY_USAGE) is False else None


@RULES.warning("rfc5280.4.2.1.3.leaf-key-usage", "RFC 5280 §4.2.1.3; client-rules OV2, SS1")
def leaf_key_usage(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf says what its key is for."""
    if is_issuer(context) or tbs.extension(KEY_USAGE) is not None:
        return None
    return "keyUsage is missing"


@RULES.error("rfc8813.3.no-encipherment", "RFC 8813 §3, RFC 9295 §3")
def no_encipherment(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Elliptic curve keys do not claim keyEncipherment or dataEncipherment."""
    claimed = ENCIPHERMENT & (tbs.key_usage or frozenset())
    if not claimed or family(tbs) not in (Family.EC, Family.ED25519):
        return None
    return f"{' and '.join(sorted(claimed))} with a key that cannot encipher"


@RULES.error("rfc9295.3.only-signs", "RFC 9295 §3, RFC 8410 §5")
def ed25519_only_signs(tbs: TbsFacts, _context: LintContext) -> str | None:
    """An Ed25519 key does not claim keyAgreement."""
    if family(tbs) is not Family.ED25519 or "keyAgreement" not in (tbs.key_usage or ()):
        return None
    return "keyAgreement with a key that only signs"


@RULES.error("rfc5280.4.2.1.3.only-with-agreement", "RFC 5280 §4.2.1.3")
def only_with_agreement(tbs: TbsFacts, _context: LintContext) -> str | None:
    """encipherOnly and decipherOnly stand only beside keyAgreement, and no unknown bit is set."""
    usage = tbs.key_usage or frozenset()
    if usage & {"encipherOnly", "decipherOnly"} and "keyAgreement" not in usage:
        return "encipherOnly or decipherOnly without keyAgreement"
    unknown = sorted(bit for bit in usage if bit.startswith("bit "))
    return f"keyUsage has {', '.join(unknown)}" if unknown else None


# ---------------------------------------------------------------- extendedKeyUsage


@RULES.error("rfc5280.4.2.1.12.no-any", "RFC 5280 §4.2.1.12; CA/B BR 7.1.2.7.10")
def no_any_eku(tbs: TbsFacts, _context: LintContext) -> str | None:
    """anyExtendedKeyUsage is not there."""
    return "anyExtendedKeyUsage allows everything" if ANY_EKU in (tbs.eku or ()) else None


@RULES.warning("br.7.1.2.7.10.leaf-eku", "CA/B BR 7.1.2.7.10; client-rules OV1")
def leaf_eku(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf has extendedKeyUsage."""
    if is_issuer(context) or tbs.extension(EXTENDED_KEY_USAGE) is not None:
        return None
    return "extendedKeyUsage is missing: the certificate is good for everything"


@RULES.error("br.7.1.2.7.10.server-alone", "CA/B BR 7.1.2.7.10")
def server_alone(tbs: TbsFacts, context: LintContext) -> str | None:
    """serverAuth does not stand beside code, e-mail, time or OCSP signing."""
    eku = set(tbs.eku or ())
    beside = eku & {CODE_SIGNING, EMAIL_PROTECTION, TIME_STAMPING, OCSP_SIGNING}
    if SERVER_AUTH not in eku or not beside or is_issuer(context):
        return None
    return f"serverAuth beside {', '.join(sorted(beside))}"


@RULES.error("rfc6960.4.2.2.2.issuer-no-ocsp-signing", "RFC 6960 §4.2.2.2; CA/B BR 7.1.2.10.6")
def issuer_no_ocsp_signing(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer has no OCSPSigning: it would make each of its leaves a responder."""
    if not is_issuer(context) or OCSP_SIGNING not in (tbs.eku or ()):
        return None
    return "an issuer with OCSPSigning"


@RULES.warning("rfc6960.4.2.2.2.1.nocheck", "RFC 6960 §4.2.2.2.1; CA/B BR 7.1.2.8.6")
def ocsp_nocheck(tbs: TbsFacts, context: LintContext) -> str | None:
    """A responder's certificate has id-pkix-ocsp-nocheck, whose value is NULL."""
    if is_issuer(context) or OCSP_SIGNING not in (tbs.eku or ()):
        return None
    extension = tbs.extension(OCSP_NOCHECK)
    if extension is None:
        return "a responder whose own revocation clients would ask it for"
    return None if extension.value == tlv.null() else "id-pkix-ocsp-nocheck is not NULL"


@RULES.error("rfc3161.2.3.time-stamping", "RFC 3161 §2.3")
def time_stamping(tbs: TbsFacts, _context: LintContext) -> str | None:
    """timeStamping stands alone, in a critical extendedKeyUsage."""
    eku = tbs.eku or ()
    if TIME_STAMPING not in eku:
        return None
    if len(eku) == 1 and is_critical(tbs, EXTENDED_KEY_USAGE):
        return None
    return "timeStamping is not alone, or its extension not critical"
