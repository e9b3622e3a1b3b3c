"""Rules on subject and subjectAltName (RFC 5280 §4.1.2.6, §4.2.1.6; RFC 9549; CA/B BR 7.1.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from ca.encoding import tlv
from ca.encoding.extensions import CLIENT_AUTH, SERVER_AUTH
from ca.encoding.facts import AttributeFacts, GeneralNameFacts, NameFacts, TbsFacts
from ca.encoding.inspect_extensions import SUBJECT_ALT_NAME
from ca.errors import IllegalName
from ca.lint.rule import Chapter, LintContext, LintRole, few
from ca.names.distinguished import COMMON_NAME, COUNTRY, attribute_type, is_printable_string
from ca.names.showing import visible

EMAIL_ADDRESS = "1.2.840.113549.1.9.1"
DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25"
SERIAL_NUMBER = "2.5.4.5"
DN_QUALIFIER = "2.5.4.46"
_PRINTABLE_ONLY = frozenset({COUNTRY, SERIAL_NUMBER, DN_QUALIFIER})
_IA5_ONLY = frozenset({EMAIL_ADDRESS, DOMAIN_COMPONENT})
OTHER, MAIL, DNS, URI, IP = 0, 1, 2, 6, 7

RULES: Chapter[TbsFacts] = Chapter()


def _names(tbs: TbsFacts, tag: int) -> Iterator[GeneralNameFacts]:
    return (name for name in tbs.san or () if name.tag == tag)


def _is_server(tbs: TbsFacts) -> bool:
    return SERVER_AUTH in (tbs.eku or ())


# ---------------------------------------------------------------- subject


@RULES.error("rfc5280.4.1.2.6.issuer-subject", "RFC 5280 §4.1.2.6")
def issuer_subject(tbs: TbsFacts, context: LintContext) -> str | None:
    """The subject of an issuer is not empty."""
    if context.role is LintRole.LEAF or tbs.subject:
        return None
    return "an issuer without a name"


@RULES.error("rfc5280.4.1.2.6.empty-subject", "RFC 5280 §4.1.2.6")
def empty_subject(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Without a subject there is a subjectAltName, and it is critical."""
    if tbs.subject:
        return None
    extension = tbs.extension(SUBJECT_ALT_NAME)
    if extension is None:
        return "neither subject nor subjectAltName"
    return None if extension.critical else "the subject is empty, subjectAltName not critical"


@RULES.warning("rfc5280.4.2.1.6.not-critical", "RFC 5280 §4.2.1.6 (SHOULD); CA/B BR 7.1.2.7.12")
def san_not_critical(tbs: TbsFacts, _context: LintContext) -> str | None:
    """Beside a subject, subjectAltName is not critical."""
    extension = tbs.extension(SUBJECT_ALT_NAME)
    if extension is None or not extension.critical or not tbs.subject:
        return None
    return "subjectAltName is critical beside a subject"


def _faulty(name: NameFacts, wrong: str, attributes: Iterator[AttributeFacts]) -> str | None:
    found = [str(attribute) for attribute in attributes]
    return f"{wrong}: {few(found)}" if found else None


@RULES.error("rfc5280.4.1.2.4.string-type", "RFC 5280 §4.1.2.4, appendix A.1")
def string_type(tbs: TbsFacts, _context: LintContext) -> str | None:
    """DN values are UTF8String or PrintableString, IA5String for emailAddress and DC, and valid."""
    return _faulty(
        tbs.subject, "of a string type it may not have", filter(_is_mistyped, tbs.subject)
    )


def _is_mistyped(attribute: AttributeFacts) -> bool:
    text = attribute.text
    if text is None:
        return True
    if attribute.oid in _IA5_ONLY:
        return attribute.tag != tlv.IA5_STRING
    if attribute.tag == tlv.PRINTABLE_STRING:
        return not is_printable_string(text)
    return attribute.tag != tlv.UTF8_STRING or attribute.oid in _PRINTABLE_ONLY


@RULES.error("rfc5280.a.1.upper-bound", "RFC 5280 appendix A.1; X.520")
def upper_bound(tbs: TbsFacts, _context: LintContext) -> str | None:
    """DN values are not empty and not longer than their upper bound."""
    return _faulty(tbs.subject, "empty or too long", filter(_is_misfit, tbs.subject))


def _is_misfit(attribute: AttributeFacts) -> bool:
    text = attribute.text
    try:
        bound = attribute_type(attribute.oid).upper_bound
    except IllegalName:
        bound = 32768
    return text is not None and not 0 < len(text.strip()) <= len(text) <= bound


@RULES.error("x520.6.3.1.country", "X.520 §6.3.1; RFC 5280 appendix A.1")
def country(tbs: TbsFacts, _context: LintContext) -> str | None:
    """countryName is two letters, upper case."""
    for value in tbs.subject.values(COUNTRY):
        if not re.fullmatch(r"[A-Z]{2}", value):
            return f"countryName is {visible(value)!r}"
    return None


@RULES.error("homeca.10.visible-names", "homeca invariant 10; Unicode TR 36")
def visible_names(tbs: TbsFacts, _context: LintContext) -> str | None:
    """DN values hold no control, bidi or zero-width characters."""
    return _faulty(tbs.subject, "hidden characters", filter(_hides, tbs.subject))


def _hides(attribute: AttributeFacts) -> bool:
    text = attribute.text
    return text is not None and visible(text.replace("\\", "/")) != text.replace("\\", "/")


@RULES.warning("br.7.1.4.2.once", "CA/B BR 7.1.4.2; client-rules OV5")
def common_name_once(tbs: TbsFacts, _context: LintContext) -> str | None:
    """There is at most one commonName: programs differ on which of two they take."""
    count = len(tbs.subject.values(COMMON_NAME))
    return f"{count} commonNames" if count > 1 else None


# ---------------------------------------------------------------- subjectAltName


@RULES.warning("d7.4.no-san", "cryptography 48 verifier, 2026; RFC 9525 §2; client-rules d.7 row 4")
def no_san(tbs: TbsFacts, context: LintContext) -> str | None:
    """A leaf for TLS clients has a subjectAltName: some verifiers refuse one without."""
    if context.role is not LintRole.LEAF or tbs.extension(SUBJECT_ALT_NAME) is not None:
        return None
    return "subjectAltName is missing" if CLIENT_AUTH in (tbs.eku or ()) else None


@RULES.warning("br.7.1.2.7.12.server-san", "CA/B BR 7.1.2.7.12; RFC 9525 §2")
def server_san(tbs: TbsFacts, context: LintContext) -> str | None:
    """A TLS server is named by dNSName or iPAddress; OpenVPN alone does without."""
    if context.role is not LintRole.LEAF or not _is_server(tbs):
        return None
    if any(name.tag in (DNS, IP) for name in tbs.san or ()):
        return None
    return "a TLS server without dNSName and iPAddress"


@RULES.error("br.7.1.4.3.cn-in-san", "CA/B BR 7.1.4.3; client-rules WF1, WI6")
def common_name_in_san(tbs: TbsFacts, context: LintContext) -> str | None:
    """Where a TLS server has a subjectAltName, it holds its commonName, if that is a host's."""
    if context.role is not LintRole.LEAF or not _is_server(tbs):
        return None
    if tbs.extension(SUBJECT_ALT_NAME) is None:
        return None
    listed = {n.text.lower() for n in _names(tbs, DNS)}
    listed |= {str(n.name).removeprefix("IP:") for n in _names(tbs, IP)}
    for value in tbs.subject.values(COMMON_NAME):
        if ("." in value or ":" in value) and _canonical(value) not in listed:
            return f"commonName {visible(value)!r} is not in subjectAltName"
    return None


def _canonical(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        return value.lower()


@RULES.error("rfc5280.4.2.1.6.dns", "RFC 5280 §4.2.1.6; RFC 1034 §3.5; RFC 1123 §2.1")
def dns_syntax(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A dNSName is labels of letters, digits and inner hyphens, without a dot at the end."""
    for name in _names(tbs, DNS):
        if name.name is None and not (
            "*" in name.text or "_" in name.text or _is_address(name.text)
        ):
            return f"dNSName {visible(name.text)!r} is not a host name"
    return None


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


@RULES.error(
    "d7.6.ip-as-dns", "RFC 5280 §4.2.1.6; CA/B BR 7.1.2.7.12; client-rules d.7 row 6, 2026"
)
def ip_as_dns(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No address stands in a dNSName: DNS name constraints refuse it."""
    for name in _names(tbs, DNS):
        if _is_address(name.text):
            return f"dNSName {visible(name.text)!r} is an address"
    return None


@RULES.error("rfc6125.6.4.3.wildcard", "RFC 6125 §6.4.3, RFC 9525 §6.3")
def wildcard(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A wildcard is the whole first label, above two labels or more, in a dNSName."""
    for name in _names(tbs, DNS):
        if "*" in name.text and (name.name is None or name.text.count(".") < 2):
            return f"dNSName {visible(name.text)!r} is not a wildcard of the right form"
    return None


@RULES.warning("br.7.1.2.7.12.underscore", "CA/B BR 7.1.2.7.12 (LDH labels), ballot SC12")
def underscore(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No dNSName holds an underscore."""
    for name in _names(tbs, DNS):
        if "_" in name.text:
            return f"dNSName {visible(name.text)!r} holds an underscore"
    return None


@RULES.error("rfc9549.4.a-label", "RFC 9549 §4, RFC 5891 §5.4")
def a_label(tbs: TbsFacts, _context: LintContext) -> str | None:
    """An xn-- label is an A-label: it decodes to the U-label it encodes."""
    for name in (*_names(tbs, DNS), *_names(tbs, MAIL)):
        host = name.text.rpartition("@")[2]
        for label in host.lower().split("."):
            if label.startswith("xn--") and not _is_a_label(label):
                return f"{visible(label)!r} in {visible(name.text)!r} is not an A-label"
    return None


def _is_a_label(label: str) -> bool:
    import idna  # only names that need them pay for the tables

    try:
        return idna.alabel(idna.ulabel(label)).decode("ascii") == label
    except (idna.IDNAError, UnicodeError):
        return False


@RULES.error("rfc5280.4.2.1.6.ip", "RFC 5280 §4.2.1.6")
def ip_octets(tbs: TbsFacts, _context: LintContext) -> str | None:
    """An iPAddress has 4 or 16 octets."""
    for name in _names(tbs, IP):
        if len(name.octets) not in (4, 16):
            return f"an iPAddress has {len(name.octets)} octets"
    return None


@RULES.error("rfc5280.4.2.1.6.email", "RFC 5280 §4.2.1.6, RFC 5321 §4.1.2")
def email_syntax(tbs: TbsFacts, _context: LintContext) -> str | None:
    """An rfc822Name is a mailbox without a display name, in ASCII."""
    for name in _names(tbs, MAIL):
        if name.name is None:
            return f"rfc822Name {visible(name.text)!r} is not a mailbox"
    return None


@RULES.error("rfc5280.4.2.1.6.uri", "RFC 5280 §4.2.1.6, RFC 3986 §4.3")
def uri_syntax(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A URI is absolute and in ASCII."""
    for name in _names(tbs, URI):
        if name.name is None:
            return f"URI {visible(name.text)!r} is not absolute"
    return None


@RULES.error("ms-wcce.upn", "MS-WCCE; learn.microsoft.com KB814394 (client-rules WI5)")
def upn_syntax(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A userPrincipalName is a UTF8String like me@home.arpa."""
    for name in _names(tbs, OTHER):
        if name.name is None:
            return "an otherName that should be a user principal name is none"
    return None


@RULES.notice("rfc5280.4.2.1.6.once", "RFC 5280 §4.2.1.6")
def san_once(tbs: TbsFacts, _context: LintContext) -> str | None:
    """No name stands twice in subjectAltName."""
    names = [(n.tag, n.octets.lower() if n.tag == DNS else n.octets) for n in tbs.san or ()]
    return None if len(set(names)) == len(names) else "a name stands there twice"
