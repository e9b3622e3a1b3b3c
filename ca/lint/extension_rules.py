"""Rules on the extensions of a certificate (RFC 5280 §4.2, CA/B BR 7.1.2)."""

from __future__ import annotations

import hashlib
from collections import Counter

from ca.algorithms import Family
from ca.encoding.facts import TbsFacts
from ca.encoding.inspect_extensions import (
    AUTHORITY_INFORMATION_ACCESS,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CERTIFICATE_EXTENSIONS,
    CRL_DISTRIBUTION_POINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    NAME_CONSTRAINTS,
    SUBJECT_KEY_IDENTIFIER,
)
from ca.lint.field_rules import family
from ca.lint.rule import BEFORE, Chapter, LintContext, LintRole

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
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


def _is_issuer(context: LintContext) -> bool:
    return context.role is not LintRole.LEAF


def _is_critical(tbs: TbsFacts, oid: str) -> bool | None:
    extension = tbs.extension(oid)
    return None if extension is None else extension.critical


# ---------------------------------------------------------------- all


@RULES.error("rfc5280.4.2.no-duplicates", "RFC 5280 §4.2")
def no_duplicates(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No extension is there twice."""
    if len({e.oid for e in tbs.extensions}) == len(tbs.extensions):
        return None
    twice = [oid for oid, count in Counter(e.oid for e in tbs.extensions).items() if count > 1]
    return f"there more than once: {', '.join(twice)}"


@RULES.error("rfc5280.4.2.critical-known", "RFC 5280 §4.2")
def critical_known(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Only extensions that verifiers process are critical."""
    strange = [e.oid for e in tbs.extensions if e.critical and e.oid not in PROCESSED]
    return f"critical, and unknown to most: {', '.join(strange)}" if strange else None


@RULES.notice("netscape.obsolete", "OpenSSL x509v3_config(5), Netscape extensions: obsolete")
def netscape(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No extension of Netscape's is there."""
    found = [NETSCAPE[e.oid] for e in tbs.extensions if e.oid in NETSCAPE]
    return f"{', '.join(found)} mean nothing any more" if found else None


# ---------------------------------------------------------------- basicConstraints


@RULES.error("rfc5280.4.2.1.9.issuer-is-ca", "RFC 5280 §4.2.1.9")
def issuer_is_ca(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer's certificate says CA:TRUE."""
    return "an issuer without CA:TRUE" if _is_issuer(context) and not tbs.is_ca else None


@RULES.error("rfc5280.4.2.1.9.leaf-is-not-ca", "RFC 5280 §4.2.1.9; homeca invariant 4")
def leaf_is_not_ca(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf does not say CA:TRUE."""
    return "a leaf with CA:TRUE" if not _is_issuer(context) and tbs.is_ca else None


@RULES.error("rfc5280.4.2.1.9.critical", "RFC 5280 §4.2.1.9")
def basic_constraints_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """basicConstraints of a CA are critical."""
    if not tbs.is_ca or _is_critical(tbs, BASIC_CONSTRAINTS):
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
    if not _is_issuer(context) or "keyCertSign" in (tbs.key_usage or ()):
        return None
    return "an issuer without keyCertSign"


@RULES.error("rfc5280.4.2.1.3.issuer-crl-sign", "RFC 5280 §4.2.1.3, §5; CA/B BR 7.1.2.10.7")
def issuer_crl_sign(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer that revokes has cRLSign."""
    if not _is_issuer(context) or tbs.key_usage is None or "cRLSign" in tbs.key_usage:
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
    return "keyUsage is not critical" if _is_critical(tbs, KEY_USAGE) is False else None


@RULES.warning("rfc5280.4.2.1.3.leaf-key-usage", "RFC 5280 §4.2.1.3; client-rules OV2, SS1")
def leaf_key_usage(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf says what its key is for."""
    if _is_issuer(context) or tbs.extension(KEY_USAGE) is not None:
        return None
    return "keyUsage is missing"


@RULES.error("rfc8813.3.no-encipherment", "RFC 8813 §3, RFC 9295 §3")
def no_encipherment(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Elliptic curve keys do not claim keyEncipherment or dataEncipherment."""
    claimed = ENCIPHERMENT & (tbs.key_usage or frozenset())
    if not claimed or family(tbs) not in (Family.EC, Family.ED25519):
        return None
    return f"{' and '.join(sorted(claimed))} with a key that cannot encipher"


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
    if _is_issuer(context) or tbs.extension(EXTENDED_KEY_USAGE) is not None:
        return None
    return "extendedKeyUsage is missing: the certificate is good for everything"


@RULES.error("br.7.1.2.7.10.server-alone", "CA/B BR 7.1.2.7.10")
def server_alone(tbs: TbsFacts, context: LintContext) -> str | None:
    """serverAuth does not stand beside code, e-mail, time or OCSP signing."""
    eku = set(tbs.eku or ())
    beside = eku & {CODE_SIGNING, EMAIL_PROTECTION, TIME_STAMPING, OCSP_SIGNING}
    if SERVER_AUTH not in eku or not beside or _is_issuer(context):
        return None
    return f"serverAuth beside {', '.join(sorted(beside))}"


@RULES.error("rfc6960.4.2.2.2.issuer-no-ocsp-signing", "RFC 6960 §4.2.2.2; CA/B BR 7.1.2.10.6")
def issuer_no_ocsp_signing(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer has no OCSPSigning: it would make each of its leaves a responder."""
    if not _is_issuer(context) or OCSP_SIGNING not in (tbs.eku or ()):
        return None
    return "an issuer with OCSPSigning"


@RULES.warning("rfc6960.4.2.2.2.1.nocheck", "RFC 6960 §4.2.2.2.1; CA/B BR 7.1.2.8.8")
def ocsp_nocheck(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A responder's certificate has id-pkix-ocsp-nocheck."""
    if OCSP_SIGNING not in (tbs.eku or ()) or tbs.extension(OCSP_NOCHECK) is not None:
        return None
    return "a responder whose own revocation clients would ask it for"


@RULES.error("rfc3161.2.3.time-stamping", "RFC 3161 §2.3")
def time_stamping(tbs: TbsFacts, _context: LintContext) -> str | None:
    """timeStamping stands alone, in a critical extendedKeyUsage."""
    eku = tbs.eku or ()
    if TIME_STAMPING not in eku:
        return None
    if len(eku) == 1 and _is_critical(tbs, EXTENDED_KEY_USAGE):
        return None
    return "timeStamping is not alone, or its extension not critical"


# ---------------------------------------------------------------- key identifiers


@RULES.error("rfc5280.4.2.1.2.issuer-ski", "RFC 5280 §4.2.1.2")
def issuer_ski(tbs: TbsFacts, context: LintContext) -> str | None:
    """An issuer's certificate has subjectKeyIdentifier."""
    return "subjectKeyIdentifier is missing" if _is_issuer(context) and tbs.ski is None else None


@RULES.notice("rfc5280.4.2.1.2.leaf-ski", "RFC 5280 §4.2.1.2 (SHOULD)")
def leaf_ski(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf has subjectKeyIdentifier."""
    return "subjectKeyIdentifier is missing" if not _is_issuer(context) and not tbs.ski else None


@RULES.error("rfc5280.4.2.1.2.not-critical", "RFC 5280 §4.2.1.2")
def ski_not_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """subjectKeyIdentifier is not critical."""
    critical = _is_critical(tbs, SUBJECT_KEY_IDENTIFIER)
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
    critical = _is_critical(tbs, AUTHORITY_KEY_IDENTIFIER)
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


# ---------------------------------------------------------------- constraints, policies


@RULES.error("rfc5280.4.2.1.10.only-issuers", "RFC 5280 §4.2.1.10")
def name_constraints_only_issuers(tbs: TbsFacts, _context: LintContext) -> str | None:
    """nameConstraints stand only in a CA's certificate."""
    if tbs.is_ca or tbs.extension(NAME_CONSTRAINTS) is None:
        return None
    return "nameConstraints without CA:TRUE"


@RULES.error("rfc5280.4.2.1.10.critical", "RFC 5280 §4.2.1.10")
def name_constraints_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """nameConstraints are critical."""
    critical = _is_critical(tbs, NAME_CONSTRAINTS)
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


# ---------------------------------------------------------------- where to look


@RULES.error("rfc5280.4.2.1.13.not-critical", "RFC 5280 §4.2.1.13 (SHOULD)")
def cdp_not_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """cRLDistributionPoints are not critical."""
    critical = _is_critical(tbs, CRL_DISTRIBUTION_POINTS)
    return "cRLDistributionPoints are critical" if critical else None


@RULES.error("rfc5280.4.2.1.13.plain", "RFC 5280 §4.2.1.13; CA/B BR 7.1.2.11.2")
def cdp_plain(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A distribution point is a name, without reasons or another CRL issuer."""
    for point in tbs.crl_distribution_points or ():
        if point.relative or point.has_reasons or point.has_crl_issuer or not point.names:
            return "a distribution point has reasons, a CRL issuer, a relative name or no name"
    return None


@RULES.error("rfc5280.8.cdp-http", "RFC 5280 §8, §4.2.1.13; CA/B BR 7.1.2.11.2; client-rules WI7")
def cdp_http(tbs: TbsFacts, _context: LintContext) -> str | None:
    """CRLs are fetched over plain http: over https one would have to be checked first."""
    for point in tbs.crl_distribution_points or ():
        for name in point.names:
            if name.tag != 6 or not _is_plain_http(name.text):
                return f"the distribution point {str(name)!r} is not a plain http URL"
    return None


@RULES.error("rfc5280.4.2.2.1.not-critical", "RFC 5280 §4.2.2.1")
def aia_not_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """authorityInfoAccess is not critical."""
    critical = _is_critical(tbs, AUTHORITY_INFORMATION_ACCESS)
    return "authorityInfoAccess is critical" if critical else None


@RULES.error("rfc5280.8.aia-http", "RFC 5280 §8, §4.2.2.1; CA/B BR 7.1.2.7.7")
def aia_http(tbs: TbsFacts, _context: LintContext) -> str | None:
    """caIssuers and OCSP are reached over plain http."""
    for entry in tbs.authority_information or ():
        if entry.location.tag != 6 or not _is_plain_http(entry.location.text):
            return f"the access location {str(entry.location)!r} is not a plain http URL"
    return None


def _is_plain_http(url: str) -> bool:
    scheme, separator, rest = url.partition("://")
    host = rest.partition("/")[0]
    return (
        separator == "://"
        and scheme.lower() == "http"
        and bool(host)
        and "@" not in host
        and "#" not in url
        and url.isascii()
        and url.isprintable()
        and " " not in url
    )
