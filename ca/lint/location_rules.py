"""Rules on where a certificate sends its verifier (RFC 5280 §4.2.1.13, §4.2.2.1, §8)."""

from __future__ import annotations

from ca.encoding.facts import TbsFacts
from ca.encoding.inspect_extensions import AUTHORITY_INFORMATION_ACCESS, CRL_DISTRIBUTION_POINTS
from ca.lint.extension_rules import is_critical
from ca.lint.rule import Chapter, LintContext

RULES: Chapter[TbsFacts] = Chapter()


@RULES.error("rfc5280.4.2.1.13.not-critical", "RFC 5280 §4.2.1.13 (SHOULD)")
def cdp_not_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """cRLDistributionPoints are not critical."""
    critical = is_critical(tbs, CRL_DISTRIBUTION_POINTS)
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
    critical = is_critical(tbs, AUTHORITY_INFORMATION_ACCESS)
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
