"""Rules on the fields of a TBSCertificate (RFC 5280 §4.1.2, CA/B BR 7.1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from ca.algorithms import (
    BROKEN_SIGNATURE_OIDS,
    SIGNATURE_ALGORITHMS,
    Scheme,
)
from ca.encoding import tlv
from ca.encoding.facts import AlgorithmFacts, CertificateFacts, TbsFacts, TimeFacts
from ca.interfaces.values import ONE_SECOND
from ca.lint.rule import AFTER, BEFORE, Chapter, LintContext, LintRole

ED25519 = "1.3.101.112"
MAX_SERIAL = 20  # octets
SMALLEST_RSA = 2048
YEAR_OF_GENERALIZED_TIME = 2050
NEAR_SIGNING = timedelta(hours=48)
DAY = timedelta(days=1)

RULES: Chapter[TbsFacts] = Chapter()
CERTIFICATE_RULES: Chapter[CertificateFacts] = Chapter(AFTER)


# ---------------------------------------------------------------- version, serial


@RULES.error("rfc5280.4.1.2.1.version-3", "RFC 5280 §4.1.2.1")
def version_3(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The version is 3, for there are extensions."""
    return None if tbs.version == 3 else f"the version is {tbs.version}"


@RULES.error("rfc5280.4.1.2.2.serial-positive", "RFC 5280 §4.1.2.2")
def serial_positive(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The serial is a positive integer."""
    return None if tbs.serial > 0 else "the serial is zero or negative"


@RULES.error("rfc5280.4.1.2.2.serial-20-octets", "RFC 5280 §4.1.2.2")
def serial_20_octets(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The serial has at most 20 octets, the one for the sign included."""
    count = len(tbs.serial_octets)
    return None if count <= MAX_SERIAL else f"the serial has {count} octets"


@RULES.error("br.7.1.2.7.serial-64-bits", "CA/B BR 7.1.2.7; CA/B ballot 164")
def serial_64_bits(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The serial has room for 64 random bits: 8 octets or more."""
    count = len(tbs.serial_octets.lstrip(b"\x00"))
    return None if count >= 8 else f"the serial has {count} octets, too few to be random"


@RULES.error("rfc5280.4.1.2.2.serial-not-issuers", "RFC 5280 §4.1.2.2")
def serial_not_issuers(tbs: TbsFacts, context: LintContext) -> str | None:
    """The serial is not that of the issuer's own certificate."""
    if context.issuer is None or context.issuer.tbs.serial != tbs.serial:
        return None
    return "the serial is the one of the issuer's own certificate"


# ---------------------------------------------------------------- algorithms


@CERTIFICATE_RULES.error("rfc5280.4.1.1.2.algorithms-equal", "RFC 5280 §4.1.1.2")
def algorithms_equal(certificate: CertificateFacts, _context: LintContext) -> str | None:
    """The algorithm outside equals the one inside, octet for octet."""
    if certificate.algorithm.der == certificate.tbs.algorithm.der:
        return None
    return (
        f"the signature says {certificate.algorithm.oid}, "
        f"the certificate says {certificate.tbs.algorithm.oid}, or their parameters differ"
    )


@RULES.error("rfc6194.3.signature-not-broken", "RFC 6194 §3, RFC 6151 §2; CA/B BR 7.1.3.2")
def signature_not_broken(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The signature is not over MD2, MD5 or SHA-1, and not DSA."""
    return broken_algorithm(tbs.algorithm)


@RULES.error("br.7.1.3.2.signature-algorithm", "CA/B BR 7.1.3.2; RFC 8410 §3")
def signature_known(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The signature algorithm is RSA or ECDSA with SHA-2, or Ed25519."""
    return unknown_algorithm(tbs.algorithm)


@RULES.error("rfc5758.3.2.signature-parameters", "RFC 5758 §3.2, RFC 4055 §5, RFC 8410 §3")
def signature_parameters(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Parameters are absent for ECDSA and EdDSA, NULL for PKCS#1, given for PSS."""
    return wrong_parameters(tbs.algorithm)


_SCHEMES = {a.oid: a.scheme for a in SIGNATURE_ALGORITHMS.values()}


def broken_algorithm(algorithm: AlgorithmFacts) -> str | None:
    """What is wrong when the algorithm is one that no longer protects anything."""
    name = BROKEN_SIGNATURE_OIDS.get(algorithm.oid)
    return None if name is None else f"the signature is {name}"


def unknown_algorithm(algorithm: AlgorithmFacts) -> str | None:
    """What is wrong when the algorithm is not in `ca.algorithms`."""
    if algorithm.oid in _SCHEMES or algorithm.oid in BROKEN_SIGNATURE_OIDS:
        return None
    return f"the signature algorithm is {algorithm.oid}, which few verify"


@lru_cache(maxsize=64)
def wrong_parameters(algorithm: AlgorithmFacts) -> str | None:
    """What is wrong with the parameters of a known algorithm."""
    scheme = _SCHEMES.get(algorithm.oid)
    null = tlv.null()
    if scheme is Scheme.PKCS1 and algorithm.parameters != null:
        return "RSA has parameters other than NULL"
    if scheme is Scheme.PSS and algorithm.parameters in (b"", null):
        return "PSS names neither hash nor salt length"
    if scheme in (Scheme.ECDSA, Scheme.EDDSA) and algorithm.parameters:
        return "ECDSA and EdDSA have no parameters, and here there are some"
    return None


# ---------------------------------------------------------------- names as octets


@RULES.error("rfc5280.4.1.2.4.issuer-not-empty", "RFC 5280 §4.1.2.4")
def issuer_not_empty(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The issuer is a name that is not empty."""
    return None if tbs.issuer else "the issuer is empty"


@RULES.error("rfc5280.4.1.2.4.issuer-octets", "RFC 5280 §4.1.2.4, §7.1; CA/B BR 7.1.4.1")
def issuer_octets(tbs: TbsFacts, context: LintContext) -> str | None:
    """The issuer is the issuer's subject, octet for octet; a root's is its own."""
    expected = tbs.subject if context.role is LintRole.ROOT else None
    if context.issuer is not None:
        expected = context.issuer.tbs.subject
    if expected is None or expected.der == tbs.issuer.der:
        return None
    if str(expected) == str(tbs.issuer):
        return f"the issuer {str(expected)!r} is encoded otherwise than the issuer's subject"
    return f"the issuer is {str(tbs.issuer)!r}, the issuer's subject is {str(expected)!r}"


@RULES.error("rfc5280.4.1.2.6.subject-not-issuers", "RFC 5280 §4.1.2.6, §6.1")
def subject_not_issuers(tbs: TbsFacts, context: LintContext) -> str | None:
    """Only a root bears its issuer's name."""
    if context.role is LintRole.ROOT or not tbs.is_self_issued:
        return None
    return "the subject is the issuer's own name"


@RULES.error("rfc5280.4.1.2.7.key-not-issuers", "RFC 5280 §4.1.2.7, §4.2.1.2")
def key_not_issuers(tbs: TbsFacts, context: LintContext) -> str | None:
    """Only a root holds the key it is signed with."""
    if context.issuer is None or context.role is LintRole.ROOT:
        return None
    return "the key is the issuer's own" if tbs.spki == context.issuer.tbs.spki else None


@RULES.error("rfc5280.4.1.2.8.no-unique-ids", "RFC 5280 §4.1.2.8")
def no_unique_ids(tbs: TbsFacts, _context: LintContext) -> str | None:
    """There is no issuerUniqueID and no subjectUniqueID."""
    return "a unique identifier is there" if tbs.has_unique_ids else None


# ---------------------------------------------------------------- validity


@RULES.error("rfc5280.4.1.2.5.time-form", "RFC 5280 §4.1.2.5.1, §4.1.2.5.2")
def time_form(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Times have seconds, no fractions, and end in Z."""
    return wrong_form(tbs.not_before) or wrong_form(tbs.not_after)


@RULES.error("rfc5280.4.1.2.5.time-type", "RFC 5280 §4.1.2.5")
def time_type(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Times are UTCTime through 2049 and GeneralizedTime from 2050."""
    return wrong_type(tbs.not_before) or wrong_type(tbs.not_after)


def wrong_form(moment: TimeFacts) -> str | None:
    """What is wrong with the characters of a time."""
    return None if moment.in_profile else f"the time {moment.text!a} is not in seconds and Z"


def wrong_type(moment: TimeFacts) -> str | None:
    """What is wrong with the ASN.1 type of a time."""
    general = moment.tag == tlv.GENERALIZED_TIME
    if general == (moment.moment.year >= YEAR_OF_GENERALIZED_TIME):
        return None
    return f"the time {moment.text!a} is {'GeneralizedTime' if general else 'UTCTime'}"


@RULES.error("rfc5280.4.1.2.5.validity-order", "RFC 5280 §4.1.2.5")
def validity_order(tbs: TbsFacts, _context: LintContext) -> str | None:
    """notBefore is not after notAfter."""
    if tbs.not_before.moment <= tbs.not_after.moment:
        return None
    return f"it ends {_day(tbs.not_after)} before it begins {_day(tbs.not_before)}"


@RULES.error("L6.not-after-within-issuer", "RFC 5280 §6.1; homeca invariant 4")
def not_after_within_issuer(tbs: TbsFacts, context: LintContext) -> str | None:
    """notAfter is not beyond the issuer's."""
    if context.issuer is None:
        return None
    limit = context.issuer.tbs.not_after
    if tbs.not_after.moment <= limit.moment:
        return None
    return f"it ends {_day(tbs.not_after)}, its issuer {_day(limit)}"


@RULES.warning("L6.not-before-within-issuer", "RFC 5280 §6.1")
def not_before_within_issuer(tbs: TbsFacts, context: LintContext) -> str | None:
    """notBefore is not earlier than the issuer's."""
    if context.issuer is None or tbs.not_before.moment >= context.issuer.tbs.not_before.moment:
        return None
    return f"it begins {_day(tbs.not_before)}, its issuer {_day(context.issuer.tbs.not_before)}"


@RULES.warning("br.7.1.2.7.not-before-near-signing", "CA/B BR 7.1.2.7", applies=BEFORE)
def not_before_near_signing(tbs: TbsFacts, context: LintContext) -> str | None:
    """notBefore is within 48 hours of the signature."""
    if abs(tbs.not_before.moment - context.now) <= NEAR_SIGNING:
        return None
    return f"it begins {_day(tbs.not_before)}, more than 48 hours from now"


@RULES.error("rfc5280.4.1.2.5.not-over", "RFC 5280 §4.1.2.5", applies=BEFORE)
def not_over(tbs: TbsFacts, context: LintContext) -> str | None:
    """What is signed now has not ended already."""
    if tbs.not_after.moment > context.now:
        return None
    return f"it would have ended {_day(tbs.not_after)}"


@RULES.notice("L5.whole-days", "RFC 5280 §4.1.2.5; homeca invariant 4", applies=BEFORE)
def whole_days(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Both ends included, the lifetime is a number of whole days: N days − 1 second apart."""
    apart = tbs.not_after.moment - tbs.not_before.moment
    if apart.total_seconds() < 0 or not (apart + ONE_SECOND) % DAY:
        return None
    return f"the lifetime is {apart} and the one second that both ends make"


def _day(moment: TimeFacts) -> str:
    return _shown(moment.moment)


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


# ---------------------------------------------------------------- DER


@RULES.error("x690.11.5.default-left-out", "X.690 §11.5")
def default_left_out(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Values that are their DEFAULT are not encoded."""
    return _faults(tbs, "default")


@RULES.error("x690.11.2.2.named-bits", "X.690 §11.2.2")
def named_bits(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Named bits end with the last one that is set."""
    return _faults(tbs, "bits")


@RULES.error("rfc5280.4.2.extension-value", "RFC 5280 §4.1.2.9, §4.2")
def extension_value(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Every known extension is what its OID says."""
    return _faults(tbs, "value")


def _faults(tbs: TbsFacts, kind: str) -> str | None:
    return "; ".join(fault.text for fault in tbs.faults if fault.kind == kind) or None
