"""Distinguished names: attributes, RDNs, and their text (RFC 5280 §4.1.2.4, RFC 4514)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from ca.errors import IllegalName
from ca.names.showing import is_harmless, visible


class AttributeType(Struct, frozen=True):
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
HIDDEN_OR_BROKEN = "it holds a control, bidi, zero-width or unassigned character"


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


class Attribute(Struct, frozen=True):
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
        if not all(map(is_harmless, self.value)):
            raise IllegalName(
                f"{kind.name} {shown!r}: {HIDDEN_OR_BROKEN}", remedy="write it without"
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


class DistinguishedName(Struct, frozen=True):
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
