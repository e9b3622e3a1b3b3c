"""What may stand in a certificate as a name: distinguished names and general names.

Values only, normalised and checked once, when they are made; DER is for `ca.encoding`.
A name from a request is hostile until one of these constructors has accepted it, and even then
it is shown through `visible` and never used as a path or as template source (invariant 10).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from ca.errors import IllegalName

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

# ---------------------------------------------------------------- showing


def _is_harmless(character: str) -> bool:
    # Cc/Cf: controls, bidi, zero width; Zl/Zp: line breaks; Cs/Co/Cn: no glyph anyone agrees on.
    # The no-break space reads as a space and is not one.
    return character.isprintable() and unicodedata.category(character)[0] not in "C"


def visible(text: str) -> str:
    """Text from outside, made harmless for a terminal, a log line or a table cell.

    Controls (C0, C1), bidi and zero-width characters and line separators become `\\xNN` or
    `\\u{NNNN}`; everything printable stays, so doing it twice changes nothing more.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if _is_harmless(character) else _escape(ord(character)) for character in text
    )


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:04x}}}"


# ---------------------------------------------------------------- distinguished names


@dataclass(frozen=True, slots=True)
class AttributeType:
    """An attribute of a DN: OID, long and short name, upper bound in characters (X.520)."""

    oid: str
    name: str
    short: str
    upper_bound: int


#: RFC 5280 appendix A.1 and RFC 4519; the order is the one `openssl` prints help in.
ATTRIBUTE_TYPES: tuple[AttributeType, ...] = (
    AttributeType("2.5.4.6", "countryName", "C", 2),
    AttributeType("2.5.4.8", "stateOrProvinceName", "ST", 128),
    AttributeType("2.5.4.7", "localityName", "L", 128),
    AttributeType("2.5.4.10", "organizationName", "O", 64),
    AttributeType("2.5.4.11", "organizationalUnitName", "OU", 64),
    AttributeType("2.5.4.3", "commonName", "CN", 64),
    AttributeType("1.2.840.113549.1.9.1", "emailAddress", "emailAddress", 255),
    AttributeType("2.5.4.4", "surname", "SN", 32768),
    AttributeType("2.5.4.42", "givenName", "GN", 32768),
    AttributeType("2.5.4.43", "initials", "initials", 32768),
    AttributeType("2.5.4.44", "generationQualifier", "generationQualifier", 32768),
    AttributeType("2.5.4.5", "serialNumber", "serialNumber", 64),
    AttributeType("2.5.4.12", "title", "title", 64),
    AttributeType("2.5.4.41", "name", "name", 32768),
    AttributeType("2.5.4.65", "pseudonym", "pseudonym", 128),
    AttributeType("2.5.4.46", "dnQualifier", "dnQualifier", 64),
    AttributeType("2.5.4.9", "streetAddress", "street", 128),
    AttributeType("2.5.4.17", "postalCode", "postalCode", 40),
    AttributeType("2.5.4.15", "businessCategory", "businessCategory", 128),
    AttributeType("2.5.4.97", "organizationIdentifier", "organizationIdentifier", 256),
    AttributeType("0.9.2342.19200300.100.1.1", "userId", "UID", 256),
    AttributeType("0.9.2342.19200300.100.1.25", "domainComponent", "DC", 63),
)
_BY_NAME = {n.lower(): t for t in ATTRIBUTE_TYPES for n in (t.oid, t.name, t.short)}
COMMON_NAME = "2.5.4.3"
COUNTRY = "2.5.4.6"
ORGANIZATION = "2.5.4.10"
_OID = re.compile(r"[0-2](\.(0|[1-9]\d{0,38})){1,20}\Z")
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*\Z")
_HIDDEN_OR_BROKEN = "it holds a control, bidi, zero-width or unassigned character"


def attribute_type(name: str) -> AttributeType:
    """By short name, long name or dotted OID, in any case. Raises: IllegalName."""
    found = _BY_NAME.get(name.strip().lower())
    if found is not None:
        return found
    oid = name.strip().removeprefix("OID.").removeprefix("oid.")
    if _OID.match(oid):
        return AttributeType(oid, oid, oid, 32768)
    raise IllegalName(
        f"{visible(name)!r} is not an attribute of a distinguished name",
        remedy="use C, ST, L, O, OU, CN, emailAddress, serialNumber, UID, DC or a dotted OID",
    )


def is_printable_string(value: str) -> bool:
    """May `value` be a PrintableString (X.680 §41.4)?"""
    return bool(_PRINTABLE.match(value))


@dataclass(frozen=True, slots=True)
class Attribute:
    """One AttributeTypeAndValue: `oid` dotted, `value` as text.

    Raises: IllegalName when the value is empty, too long (X.520), or would deceive a reader.
    """

    oid: str
    value: str

    def __post_init__(self) -> None:
        kind = attribute_type(self.oid)
        shown = visible(self.value)
        if not self.value.strip():
            raise IllegalName(f"{kind.name} is empty", remedy="leave it out or fill it in")
        if len(self.value) > kind.upper_bound:
            raise IllegalName(
                f"{kind.name} has {len(self.value)} characters; "
                f"at most {kind.upper_bound} may stand there",
                remedy="shorten it",
            )
        if not all(map(_is_harmless, self.value)):
            raise IllegalName(
                f"{kind.name} {shown!r}: {_HIDDEN_OR_BROKEN}", remedy="write it without"
            )
        if kind.oid == COUNTRY and not re.fullmatch(r"[A-Za-z]{2}", self.value):
            raise IllegalName(
                f"countryName {shown!r} is not two letters",
                remedy="use the ISO 3166 code, for example DE",
            )

    @property
    def short(self) -> str:
        return attribute_type(self.oid).short

    def __str__(self) -> str:
        return f"{self.short}={_escape_rfc4514(self.value)}"


def _escape_rfc4514(value: str) -> str:
    """RFC 4514 §2.4; what could hurt a terminal is escaped by `visible` on top."""
    escaped = re.sub(r'([,+"\\<>;=])', r"\\\1", value)
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and not escaped.endswith("\\ "):
        escaped = escaped[:-1] + "\\ "
    return escaped


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """A Name (RFC 5280 §4.1.2.4): RDNs in certificate order, root of the tree first.

    `str()` gives that same order, as `openssl x509 -subject` prints it ("C = DE, CN = x" without
    the spaces); RFC 4514's reversed order confuses more people than it helps.
    """

    rdns: tuple[tuple[Attribute, ...], ...] = ()

    @classmethod
    def of(cls, *pairs: tuple[str, str]) -> DistinguishedName:
        """`of(("O", "Home"), ("CN", "nas"))`: single-valued RDNs in that order."""
        return cls(tuple((Attribute(attribute_type(name).oid, value),) for name, value in pairs))

    @classmethod
    def parse(cls, text: str) -> DistinguishedName:
        """ "CN=nas,O=Home" or "/O=Home/CN=nas", `+` for a multi-valued RDN, backslash escapes.

        The order of the text is kept. Raises: IllegalName.
        """
        text = re.sub(r"(?<!\\)\s+\Z", "", text.lstrip())  # an escaped space at the end stays
        separator = ","
        if text.startswith("/"):
            separator, text = "/", text[1:]
        if not text:
            return cls()
        rdns: list[tuple[Attribute, ...]] = []
        for part in _split(text, separator):
            attributes: list[Attribute] = []
            for pair in _split(part, "+"):
                name, equals, value = pair.partition("=")
                if not equals:
                    raise IllegalName(
                        f"{visible(pair)!r} in the name {visible(text)!r} has no '='",
                        remedy="write it like CN=nas.home.arpa,O=Home",
                    )
                attributes.append(Attribute(attribute_type(name).oid, _unescape(value)))
            rdns.append(tuple(attributes))
        return cls(tuple(rdns))

    def __iter__(self) -> Iterator[Attribute]:
        return (attribute for rdn in self.rdns for attribute in rdn)

    def __bool__(self) -> bool:
        return bool(self.rdns)

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of one attribute, by any of its names."""
        oid = attribute_type(name).oid
        return tuple(a.value for a in self if a.oid == oid)

    @property
    def common_name(self) -> str | None:
        """The last commonName: the most specific one, the one clients look at."""
        found = self.values(COMMON_NAME)
        return found[-1] if found else None

    def __str__(self) -> str:
        return ",".join("+".join(str(a) for a in rdn) for rdn in self.rdns)


def _split(text: str, separator: str) -> list[str]:
    """Split at unescaped separators; escapes stay for `_unescape`."""
    parts, current, escaped = [], "", False
    for character in text:
        if not escaped and character == separator:
            parts.append(current)
            current = ""
            continue
        current += character
        escaped = not escaped and character == "\\"
    return [*parts, current]


def _unescape(value: str) -> str:
    """Undo RFC 4514 escapes: `\\,` and `\\C3\\A9` (UTF-8 octets in hex)."""
    octets = bytearray()
    value = value.lstrip()
    kept = re.sub(r"(?<!\\) +\Z", "", value)
    index = 0
    while index < len(kept):
        if kept[index] == "\\" and index + 1 < len(kept):
            if re.match(r"[0-9A-Fa-f]{2}", kept[index + 1 : index + 3]):
                octets.append(int(kept[index + 1 : index + 3], 16))
                index += 3
                continue
            index += 1
        octets += kept[index].encode("utf-8", "surrogatepass")
        index += 1
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IllegalName(
            f"the escapes in {visible(value)!r} are not UTF-8",
            remedy="write the characters as is",
        ) from error


# ---------------------------------------------------------------- general names

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_MAIL_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")


def dns_labels(text: str) -> tuple[str, ...]:
    """The labels of a host name in A-label form, lower case; no wildcard, no trailing dot.

    Raises: IllegalName for what RFC 1123 §2.1 and RFC 5280 §4.2.1.6 do not allow.
    """
    shown = visible(text)
    name = text.strip(" ")
    if not name.isascii():
        name = _a_labels(name)
    name = name.lower()
    if not name or name.endswith("."):
        raise IllegalName(
            f"{shown!r} is not a DNS name", remedy="write it without a dot at the end"
        )
    if len(name) > 253:
        raise IllegalName(f"{shown!r} is longer than 253 octets", remedy="shorten it")
    labels = tuple(name.split("."))
    for label in labels:
        if not _LABEL.match(label):
            raise IllegalName(
                f"{shown!r} is not a DNS name: {visible(label)!r} is not a label",
                remedy="use letters, digits and inner hyphens, 1 to 63 a label",
            )
    if labels[-1].isdigit():
        raise IllegalName(
            f"{shown!r} looks like an IP address",
            remedy="write it as an address: IP:192.168.1.10",
        )
    return labels


def _a_labels(name: str) -> str:
    """U-labels to A-labels by IDNA 2008 (RFC 5890, RFC 9549: only A-labels in dNSName)."""
    import idna  # only names beyond ASCII pay for the tables

    try:
        if not all(map(_is_harmless, name)):  # UTS 46 would drop some of these in silence
            raise idna.IDNAError(_HIDDEN_OR_BROKEN)
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise IllegalName(
            f"{visible(name)!r} is not an internationalised DNS name",
            remedy="write its xn-- form, or use letters, digits and hyphens",
        ) from error


@dataclass(frozen=True, slots=True, order=True)
class DNSName:
    """A dNSName in A-label form, lower case; `*.` only as the whole first label."""

    value: str

    @classmethod
    def parse(cls, text: str) -> DNSName:
        """Raises: IllegalName."""
        rest = text.strip(" ")
        wildcard = rest.startswith("*.")
        if wildcard:
            rest = rest[2:]
        if "*" in rest:
            raise IllegalName(
                f"the wildcard in {visible(text)!r} is not the whole first label",
                remedy="write *.example.home.arpa, or name each host (RFC 6125 §6.4.3)",
            )
        labels = dns_labels(rest)
        if wildcard and len(labels) < 2:
            raise IllegalName(
                f"{visible(text)!r} would stand for a whole top-level domain",
                remedy="name the hosts, or a wildcard below your own domain",
            )
        return cls(("*." if wildcard else "") + ".".join(labels))

    @property
    def is_wildcard(self) -> bool:
        return self.value.startswith("*.")

    def is_within(self, tree: str) -> bool:
        """Is it `tree` or below it, label by label? "notexample.lan" is not in "example.lan".

        The empty tree holds every name: zero or more labels added (RFC 5280 §4.2.1.10).
        """
        base = tree.lower().lstrip(".")
        return not base or self.value == base or self.value.endswith("." + base)

    def __str__(self) -> str:
        return f"DNS:{self.value}"


@dataclass(frozen=True, slots=True)
class IPName:
    """An iPAddress."""

    value: IPAddress

    @classmethod
    def parse(cls, text: str) -> IPName:
        """Raises: IllegalName; a zone index (`fe80::1%eth0`) has no place in a certificate."""
        try:
            address = ip_address(text.strip(" "))
        except ValueError as error:
            raise IllegalName(
                f"{visible(text)!r} is not an IP address",
                remedy="write it like 192.168.1.10",
            ) from error
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise IllegalName(
                f"{visible(text)!r} has a zone index",
                remedy="write the address without %zone",
            )
        return cls(address)

    def __str__(self) -> str:
        return f"IP:{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class EmailName:
    """An rfc822Name: ASCII local part, host in A-label form (RFC 5280 §4.2.1.6)."""

    value: str

    @classmethod
    def parse(cls, text: str) -> EmailName:
        """Raises: IllegalName."""
        local, at, host = text.strip(" ").rpartition("@")
        if not at or len(local) > 64 or not _MAIL_LOCAL.match(local):
            raise IllegalName(
                f"{visible(text)!r} is not an e-mail address",
                remedy="write it like me@home.arpa",
            )
        return cls(f"{local}@{'.'.join(dns_labels(host))}")

    @property
    def host(self) -> str:
        return self.value.rpartition("@")[2]

    def __str__(self) -> str:
        return f"email:{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class URIName:
    """A uniformResourceIdentifier: absolute, ASCII, with a scheme (RFC 5280 §4.2.1.6)."""

    value: str

    @classmethod
    def parse(cls, text: str) -> URIName:
        """Raises: IllegalName."""
        uri = text.strip(" ")
        fine = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]+", uri) is not None
        if fine:
            try:
                parts = urlsplit(uri)
                fine = bool(parts.netloc or parts.path) and not set(uri) & set('<>"{}|\\^`')
            except ValueError:
                fine = False
        if not fine or len(uri) > 2048:
            raise IllegalName(
                f"{visible(text)!r} is not an absolute URI",
                remedy="write it like https://nas.home.arpa/ with everything else percent-encoded",
            )
        return cls(uri)

    def __str__(self) -> str:
        return f"URI:{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class UPNName:
    """A userPrincipalName: otherName 1.3.6.1.4.1.311.20.2.3 with a UTF8String (MS-WCCE)."""

    value: str

    @classmethod
    def parse(cls, text: str) -> UPNName:
        """Raises: IllegalName."""
        upn = text.strip(" ")
        user, at, domain = upn.rpartition("@")
        if not at or not user or not domain or len(upn) > 255 or not all(map(_is_harmless, upn)):
            raise IllegalName(
                f"{visible(text)!r} is not a user principal name",
                remedy="write it like UPN:me@home.arpa",
            )
        return cls(f"{user}@{'.'.join(dns_labels(domain))}")

    @property
    def host(self) -> str:
        return self.value.rpartition("@")[2]

    def __str__(self) -> str:
        return f"UPN:{self.value}"


@dataclass(frozen=True, slots=True)
class OtherGeneralName:
    """A GeneralName homeca shows and does not grant: directoryName, registeredID, otherName.

    kind:  "dirName", "RID", "otherName:1.2.3", "x400", "ediParty".
    value: for display only, already `visible`.
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


GeneralName = DNSName | IPName | EmailName | URIName | UPNName | OtherGeneralName

_PARSERS: dict[str, Callable[[str], GeneralName]] = {
    "dns": DNSName.parse,
    "ip": IPName.parse,
    "email": EmailName.parse,
    "uri": URIName.parse,
    "upn": UPNName.parse,
}


def kind_of(name: GeneralName) -> str:
    """ "dns", "ip", "email", "uri", "upn" or "other": the words profiles use."""
    match name:
        case DNSName():
            return "dns"
        case IPName():
            return "ip"
        case EmailName():
            return "email"
        case URIName():
            return "uri"
        case UPNName():
            return "upn"
        case _:
            return "other"


def parse_general_name(text: str) -> GeneralName:
    """What a person types after --san: "DNS:nas.lan", "IP:fd00::1", or just the value.

    Without a prefix: an address if it reads as one, an e-mail if it has an @, a URI if it has
    "://", a DNS name otherwise. Raises: IllegalName.
    """
    prefix, colon, rest = text.partition(":")
    parser = _PARSERS.get(prefix.strip().lower()) if colon else None
    if parser is not None:
        return parser(rest)
    bare = text.strip()
    try:
        return IPName(ip_address(bare))
    except ValueError:
        pass
    if "://" in bare:
        return URIName.parse(bare)
    if "@" in bare:
        return EmailName.parse(bare)
    return DNSName.parse(bare)


# ---------------------------------------------------------------- constraints


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """Permitted and excluded trees and networks (RFC 5280 §4.2.1.10), as homeca writes them.

    A kind with no permitted entry is unrestricted, as in the RFC: constraining DNS names says
    nothing of addresses. `is_empty` means the extension is left out.
    """

    permitted_dns: tuple[str, ...] = ()
    permitted_ip: tuple[IPNetwork, ...] = ()
    permitted_email: tuple[str, ...] = ()
    excluded_dns: tuple[str, ...] = ()
    excluded_ip: tuple[IPNetwork, ...] = ()
    excluded_email: tuple[str, ...] = ()

    @classmethod
    def parse(cls, *, dns: Iterable[str] = (), ip: Iterable[str] = ()) -> NameConstraints:
        """From `--permit-dns home.arpa --permit-ip 192.168.0.0/16`. Raises: IllegalName."""
        return cls(
            permitted_dns=tuple(
                dict.fromkeys(".".join(dns_labels(tree.strip().lstrip("."))) for tree in dns)
            ),
            permitted_ip=tuple(dict.fromkeys(_network(text) for text in ip)),
        )

    @property
    def is_empty(self) -> bool:
        return self == NameConstraints()

    def permits(self, name: GeneralName) -> bool:
        """Would a verifier that checks these constraints accept the name?

        OpenSSL's reading for wildcards: the name without its `*.` must lie inside.
        """
        match name:
            case DNSName():
                host = DNSName(name.value.removeprefix("*."))
                return _inside_trees(host, self.permitted_dns, self.excluded_dns)
            case IPName():
                excluded = any(name.value in network for network in self.excluded_ip)
                permitted = not self.permitted_ip or any(
                    name.value in network for network in self.permitted_ip
                )
                return permitted and not excluded
            case EmailName():
                return _inside_mail(name, self.permitted_email, self.excluded_email)
            case _:
                return True


def _inside_trees(host: DNSName, permitted: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    if any(host.is_within(tree) for tree in excluded):
        return False
    return not permitted or any(host.is_within(tree) for tree in permitted)


def _inside_mail(name: EmailName, permitted: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    def matches(constraint: str) -> bool:
        if "@" in constraint:  # one mailbox
            return name.value.lower() == constraint.lower()
        if constraint.startswith("."):  # any host below the domain
            return name.host.endswith(constraint.lower())
        return name.host == constraint.lower()  # that very host

    if any(map(matches, excluded)):
        return False
    return not permitted or any(map(matches, permitted))


def _network(text: str) -> IPNetwork:
    try:
        return ip_network(text.strip(), strict=True)
    except ValueError as error:
        raise IllegalName(
            f"{visible(text)!r} is not an IP network",
            remedy="write it like 192.168.0.0/16 or fd00::/8, host bits zero",
        ) from error
