"""Rules on a CRL (RFC 5280 §5, CA/B BR 7.2), and on what it says after the one before it."""

from __future__ import annotations

from datetime import timedelta

from ca.encoding.inspect_extensions import (
    AUTHORITY_KEY_IDENTIFIER,
    CRL_NUMBER,
    DELTA_CRL_INDICATOR,
    ISSUING_DISTRIBUTION_POINT,
)
from ca.lint.crl_survey import CrlSurvey
from ca.lint.field_rules import (
    broken_algorithm,
    unknown_algorithm,
    wrong_form,
    wrong_parameters,
    wrong_type,
)
from ca.lint.rule import CRL_AFTER, CRL_BEFORE_AND_AFTER, Chapter, LintContext, few

MAX_NUMBER = 20  # octets
LONGEST = timedelta(days=367)  # CA/B BR 4.9.7: 12 months for a CRL of CA certificates

RULES: Chapter[CrlSurvey] = Chapter(CRL_BEFORE_AND_AFTER)


# ---------------------------------------------------------------- fields


@RULES.error("rfc5280.5.1.2.1.version-2", "RFC 5280 §5.1.2.1; CA/B BR 7.2.1")
def version_2(looked: CrlSurvey, _context: LintContext) -> str | None:
    """The version is 2."""
    return None if looked.crl.version == 2 else f"the version is {looked.crl.version}"


@RULES.error("rfc5280.5.1.1.2.algorithms-equal", "RFC 5280 §5.1.1.2", applies=CRL_AFTER)
def algorithms_equal(looked: CrlSurvey, _context: LintContext) -> str | None:
    """The algorithm outside equals the one inside, octet for octet."""
    if looked.whole is None or looked.whole.algorithm.der == looked.crl.algorithm.der:
        return None
    return "the signature's algorithm is not the one the list names"


@RULES.error("rfc6194.3.crl-signature-not-broken", "RFC 6194 §3, RFC 6151 §2; CA/B BR 7.1.3.2")
def signature_not_broken(looked: CrlSurvey, _context: LintContext) -> str | None:
    """The signature is not over MD2, MD5 or SHA-1, and not DSA."""
    return broken_algorithm(looked.crl.algorithm)


@RULES.error("br.7.1.3.2.crl-signature-algorithm", "CA/B BR 7.1.3.2; RFC 5758 §3.2")
def signature_known(looked: CrlSurvey, _context: LintContext) -> str | None:
    """The signature algorithm is RSA or ECDSA with SHA-2, or Ed25519, with its parameters."""
    return unknown_algorithm(looked.crl.algorithm) or wrong_parameters(looked.crl.algorithm)


@RULES.error("rfc5280.5.1.2.3.issuer-octets", "RFC 5280 §5.1.2.3, §7.1; reliability §3 (NSS)")
def issuer_octets(looked: CrlSurvey, context: LintContext) -> str | None:
    """The issuer is the issuer's subject, octet for octet."""
    if not looked.crl.issuer:
        return "the issuer is empty"
    if context.issuer is None or context.issuer.tbs.subject.der == looked.crl.issuer.der:
        return None
    expected = str(context.issuer.tbs.subject)
    return f"the issuer is {str(looked.crl.issuer)!r}, not the octets of {expected!r}"


@RULES.error("rfc5280.5.issuer-may-sign", "RFC 5280 §4.2.1.3, §6.3.3 (f)")
def issuer_may_sign(looked: CrlSurvey, context: LintContext) -> str | None:
    """The issuer's certificate has cRLSign."""
    usage = context.issuer.tbs.key_usage if context.issuer is not None else None
    return "the issuer's certificate lacks cRLSign" if usage and "cRLSign" not in usage else None


@RULES.error("rfc5280.5.1.2.4.times", "RFC 5280 §5.1.2.4, §5.1.2.5, §5.1.2.6")
def times(looked: CrlSurvey, _context: LintContext) -> str | None:
    """Times are UTCTime through 2049 and GeneralizedTime from 2050, in seconds and Z."""
    for moment in (looked.crl.this_update, looked.crl.next_update):
        wrong = moment and (wrong_form(moment) or wrong_type(moment))
        if wrong:
            return wrong
    return f"a revocation date in the wrong form: {looked.bad_time}" if looked.bad_time else None


@RULES.error("rfc5280.5.1.2.4.not-in-future", "RFC 5280 §5.1.2.4; client-rules OV7")
def this_update_not_in_future(looked: CrlSurvey, context: LintContext) -> str | None:
    """thisUpdate is not in the future: OpenVPN would refuse every client."""
    if looked.crl.this_update.moment <= context.now:
        return None
    return f"it is made on {looked.crl.this_update.moment:%Y-%m-%d %H:%M:%SZ}, in the future"


@RULES.error("rfc5280.5.1.2.5.next-update", "RFC 5280 §5.1.2.5")
def next_update(looked: CrlSurvey, _context: LintContext) -> str | None:
    """nextUpdate is there, and later than thisUpdate."""
    if looked.crl.next_update is None:
        return "nextUpdate is missing"
    if looked.crl.next_update.moment > looked.crl.this_update.moment:
        return None
    return "nextUpdate is not later than thisUpdate"


@RULES.warning("br.4.9.7.lifetime", "CA/B BR 4.9.7; reliability §3 (pkilint BR)")
def lifetime(looked: CrlSurvey, _context: LintContext) -> str | None:
    """A CRL is good for a year at most."""
    if looked.crl.next_update is None:
        return None
    apart = looked.crl.next_update.moment - looked.crl.this_update.moment
    return f"it is good for {apart.days} days" if apart > LONGEST else None


@RULES.error(
    "OV7.crl-over", "OpenVPN 2.6 tls-options.rst; client-rules OV7, 2026", applies=CRL_AFTER
)
def not_over(looked: CrlSurvey, context: LintContext) -> str | None:
    """nextUpdate is in the future: with an old CRL OpenVPN refuses every client."""
    end = looked.crl.next_update
    if end is None or end.moment > context.now:
        return None
    return f"it ended {end.moment:%Y-%m-%d %H:%M:%SZ}"


# ---------------------------------------------------------------- entries


@RULES.error("rfc5280.5.1.2.6.absent-when-empty", "RFC 5280 §5.1.2.6")
def absent_when_empty(looked: CrlSurvey, _context: LintContext) -> str | None:
    """With nothing revoked, revokedCertificates is absent."""
    if looked.count or not looked.crl.has_entries_field:
        return None
    return "revokedCertificates is an empty list"


@RULES.error("rfc5280.5.1.2.6.once", "RFC 5280 §5.1.2.6; reliability §3")
def entries_once(looked: CrlSurvey, _context: LintContext) -> str | None:
    """No serial is listed twice."""
    return f"listed twice: {looked.twice}" if looked.twice else None


@RULES.error("rfc5280.5.1.2.6.serial", "RFC 5280 §5.1.2.6, §4.1.2.2")
def entries_serial(looked: CrlSurvey, _context: LintContext) -> str | None:
    """Serials are positive and have at most 20 octets."""
    return f"{looked.no_serial.count} entries have none" if looked.no_serial else None


@RULES.error("rfc5280.5.1.2.6.not-in-future", "RFC 5280 §5.1.2.6; reliability §3")
def entries_not_in_future(looked: CrlSurvey, _context: LintContext) -> str | None:
    """Nothing was revoked in the future."""
    return f"revoked in the future: {looked.in_future}" if looked.in_future else None


@RULES.warning("rfc5280.5.3.2.not-in-future", "RFC 5280 §5.3.2")
def invalidity_not_in_future(looked: CrlSurvey, _context: LintContext) -> str | None:
    """invalidityDate is not in the future."""
    found = looked.invalid_in_future
    return f"invalid from a day in the future: {found}" if found else None


@RULES.error("rfc5280.5.3.1.unspecified-absent", "RFC 5280 §5.3.1; CA/B BR 7.2.2")
def unspecified_absent(looked: CrlSurvey, _context: LintContext) -> str | None:
    """reasonCode is left out when it is unspecified."""
    return f"reason unspecified: {looked.unspecified}" if looked.unspecified else None


@RULES.error("rfc5280.5.3.1.reason-known", "RFC 5280 §5.3.1")
def reason_known(looked: CrlSurvey, _context: LintContext) -> str | None:
    """reasonCode is one of those there are: 7 is not, nor anything above 10."""
    return f"an unknown reason: {looked.unknown_reason}" if looked.unknown_reason else None


@RULES.error("rfc5280.5.3.1.no-removal", "RFC 5280 §5.3.1")
def no_removal(looked: CrlSurvey, _context: LintContext) -> str | None:
    """removeFromCRL stands only in a delta CRL."""
    return f"removeFromCRL: {looked.removal}" if looked.removal else None


@RULES.error("rfc5280.5.3.reason-not-critical", "RFC 5280 §5.3.1, §5.3.2")
def reason_not_critical(looked: CrlSurvey, _context: LintContext) -> str | None:
    """reasonCode and invalidityDate are not critical."""
    found = looked.critical_reason
    return f"a critical reason or invalidity date: {found}" if found else None


@RULES.error("rfc5280.5.3.critical-known", "RFC 5280 §5.3, §5.3.3")
def entries_critical_known(looked: CrlSurvey, _context: LintContext) -> str | None:
    """No entry has a critical extension: certificateIssuer would make the CRL indirect."""
    found = looked.critical_unknown
    return f"a critical extension: {found}" if found else None


@RULES.notice("br.7.2.2.hold", "RFC 5280 §5.3.1; CA/B BR 4.9.13, 7.2.2")
def hold(looked: CrlSurvey, _context: LintContext) -> str | None:
    """certificateHold is known: it can be taken back, and may not outlast a decision."""
    return f"on hold: {looked.hold}" if looked.hold else None


# ---------------------------------------------------------------- extensions


@RULES.error("rfc5280.5.2.no-duplicates", "RFC 5280 §4.2, §5.2")
def no_duplicates(looked: CrlSurvey, _context: LintContext) -> str | None:
    """No extension is there twice."""
    oids = [e.oid for e in looked.crl.extensions]
    return None if len(set(oids)) == len(oids) else "an extension is there more than once"


@RULES.error("rfc5280.5.2.extension-value", "RFC 5280 §5.2; X.690 §11.5")
def extension_value(looked: CrlSurvey, _context: LintContext) -> str | None:
    """Every known extension is what its OID says, in DER."""
    return "; ".join(fault.text for fault in looked.crl.faults) or None


@RULES.error("rfc5280.5.2.critical-known", "RFC 5280 §5.2")
def critical_known(looked: CrlSurvey, _context: LintContext) -> str | None:
    """Only issuingDistributionPoint is critical."""
    allowed = (ISSUING_DISTRIBUTION_POINT, DELTA_CRL_INDICATOR)
    strange = [e.oid for e in looked.crl.extensions if e.critical and e.oid not in allowed]
    return f"critical: {few(strange)}" if strange else None


@RULES.error("rfc5280.5.2.1.aki", "RFC 5280 §5.2.1")
def aki(looked: CrlSurvey, context: LintContext) -> str | None:
    """authorityKeyIdentifier is there and is the issuer's subjectKeyIdentifier."""
    if looked.crl.extension(AUTHORITY_KEY_IDENTIFIER) is None:
        return "authorityKeyIdentifier is missing"
    named = looked.crl.aki.key_id if looked.crl.aki is not None else None
    expected = context.issuer.tbs.ski if context.issuer is not None else None
    if named is None:
        return "authorityKeyIdentifier names no key"
    if expected is None or named == expected:
        return None
    return f"authorityKeyIdentifier is {named.hex()}, the issuer's key {expected.hex()}"


@RULES.error("rfc5280.5.2.3.number", "RFC 5280 §5.2.3")
def number(looked: CrlSurvey, _context: LintContext) -> str | None:
    """cRLNumber is there, not negative, and has at most 20 octets."""
    if looked.crl.extension(CRL_NUMBER) is None:
        return "cRLNumber is missing"
    if looked.crl.number is None:
        return None  # unreadable: said by rfc5280.5.2.extension-value
    if looked.crl.number < 0:
        return "cRLNumber is negative"
    count = len(looked.crl.number_octets)
    return None if count <= MAX_NUMBER else f"cRLNumber has {count} octets"


@RULES.error("rfc5280.5.2.4.no-delta", "RFC 5280 §5.2.4")
def no_delta(looked: CrlSurvey, _context: LintContext) -> str | None:
    """It is a complete CRL: nothing at home reads deltas."""
    return "it is a delta CRL" if looked.crl.extension(DELTA_CRL_INDICATOR) is not None else None


@RULES.error("rfc5280.5.2.5.idp-critical", "RFC 5280 §5.2.5")
def idp_critical(looked: CrlSurvey, _context: LintContext) -> str | None:
    """issuingDistributionPoint is critical."""
    extension = looked.crl.extension(ISSUING_DISTRIBUTION_POINT)
    if extension is None or extension.critical:
        return None
    return "issuingDistributionPoint is not critical"


@RULES.error("rfc5280.5.2.5.idp-complete", "RFC 5280 §5.2.5; CA/B BR 7.2.2.1")
def idp_complete(looked: CrlSurvey, _context: LintContext) -> str | None:
    """issuingDistributionPoint says something, and neither indirect nor only some reasons."""
    idp = looked.crl.idp
    if idp is None:
        return None
    if idp.indirect or idp.has_reasons or idp.only_attribute:
        return "the CRL is indirect, for some reasons or for attribute certificates only"
    if idp.only_user and idp.only_ca:
        return "the CRL is for leaves only and for CAs only at once"
    if idp.point is None and not (idp.only_user or idp.only_ca):
        return "issuingDistributionPoint is empty"
    return None


@RULES.error("d7.crl-3.idp-is-cdp", "OpenSSL 3.0, Schannel; client-rules d.7 CRL 3 and WI7, 2026")
def idp_is_cdp(looked: CrlSurvey, context: LintContext) -> str | None:
    """issuingDistributionPoint is the CDP of the certificates, or there is neither."""
    if looked.crl.idp is None or looked.crl.idp.point is None or context.crl_urls is None:
        return None
    if set(looked.crl.idp.urls) & set(context.crl_urls):
        return None
    return (
        f"issued for {', '.join(map(ascii, looked.crl.idp.urls))}, "
        f"while certificates name {', '.join(map(ascii, context.crl_urls)) or 'no CRL'}: "
        "every good certificate would be refused"
    )


# ---------------------------------------------------------------- after the one before


@RULES.error("rfc5280.5.2.3.number-increases", "RFC 5280 §5.2.3; CA/B BR 7.2.2")
def number_increases(looked: CrlSurvey, context: LintContext) -> str | None:
    """cRLNumber is greater than that of the CRL before."""
    before = context.previous.number if context.previous is not None else None
    if before is None or looked.crl.number is None or looked.crl.number > before:
        return None
    return "cRLNumber is not greater than that of the CRL before"


@RULES.error("d7.crl-2.this-update-increases", "OpenSSL 3.0; client-rules d.7 CRL 2, 2026")
def this_update_increases(looked: CrlSurvey, context: LintContext) -> str | None:
    """thisUpdate is later than that of the CRL before: OpenSSL goes by it, not by the number."""
    if context.previous is None:
        return None
    if looked.crl.this_update.moment > context.previous.this_update.moment:
        return None
    return "thisUpdate is not later than that of the CRL before"


@RULES.error("L12.no-unexplained-removal", "RFC 5280 §3.3; reliability L12")
def no_unexplained_removal(looked: CrlSurvey, _context: LintContext) -> str | None:
    """Who was on the CRL before stays until a CRL made after the certificate's end listed it."""
    return f"no longer listed: {looked.vanished}" if looked.vanished else None
