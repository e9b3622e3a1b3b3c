"""Subject and SAN of a request, read gently: what is legal as values, what is not as violations.

Values go through the constructors of `ca.names`, once; here is only what DER adds to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import TypeVar

from ca.encoding import tlv
from ca.errors import EncodingError, IllegalName, Violation
from ca.names.distinguished import Attribute, DistinguishedName, is_printable_string
from ca.names.general import (
    DNSName,
    EmailName,
    GeneralName,
    IPName,
    OtherGeneralName,
    UPNName,
    URIName,
)
from ca.names.showing import visible

MAX_ATTRIBUTES = 32
MAX_NAMES = 100
UPN_OID = "1.3.6.1.4.1.311.20.2.3"

_STRINGS: dict[int, str] = {
    tlv.UTF8_STRING: "utf-8",
    tlv.PRINTABLE_STRING: "ascii",
    tlv.IA5_STRING: "ascii",
    tlv.NUMERIC_STRING: "ascii",
    tlv.VISIBLE_STRING: "ascii",
    tlv.T61_STRING: "latin-1",
    tlv.BMP_STRING: "utf-16-be",
    tlv.UNIVERSAL_STRING: "utf-32-be",
}


def shorten(text: str, limit: int = 120) -> str:
    """Text from outside for one line of a message: `visible`, and not longer than `limit`."""
    return visible(text if len(text) <= limit else text[: limit - 1] + "…")


def read_string(tag: int, content: bytes) -> str:
    """Any of the ASN.1 string types as text. Raises: EncodingError."""
    codec = _STRINGS.get(tag)
    if codec is None:
        raise EncodingError(
            f"a value of type {tag:02X} stands where a string should",
            remedy="make the request again with text there",
        )
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        raise EncodingError(
            f"a string is not valid {codec}", remedy="make the request again with UTF-8"
        ) from error


# ---------------------------------------------------------------- subject


def read_subject(
    content: bytes, violations: list[Violation], notes: list[str]
) -> DistinguishedName:
    """The legal attributes of a Name, in order; `content` is inside its SEQUENCE."""
    rdns: list[tuple[Attribute, ...]] = []
    count = 0
    for tag, rdn in tlv.elements(content):
        if tag != tlv.SET or not rdn:
            violations.append(_subject("an RDN is not a SET with at least one attribute"))
            continue
        attributes: list[Attribute] = []
        for inner_tag, inner in tlv.elements(rdn):
            count += 1
            if count > MAX_ATTRIBUTES:
                violations.append(
                    Violation(
                        "subject.too-many-attributes",
                        f"the subject has more than {MAX_ATTRIBUTES} attributes",
                        "give a short subject: `--subject CN=nas.home.arpa`",
                    )
                )
                return DistinguishedName(tuple(rdns))
            attribute = _attribute(inner_tag, inner, violations, notes)
            if attribute is not None:
                attributes.append(attribute)
        if attributes:
            rdns.append(tuple(attributes))
    return DistinguishedName(tuple(rdns))


def _attribute(
    tag: int, content: bytes, violations: list[Violation], notes: list[str]
) -> Attribute | None:
    try:
        parts = list(tlv.elements(content)) if tag == tlv.SEQUENCE else []
        if [part[0] for part in parts[:1]] != [tlv.OID] or len(parts) != 2:
            raise EncodingError(
                "an attribute of the subject is not a SEQUENCE of type and value",
                remedy="make the request again",
            )
        text = read_string(*parts[1])
        attribute = Attribute(tlv.read_oid(parts[0][1]), text)
        _refuse_path(attribute)
    except EncodingError as error:
        violations.append(_subject(error.problem, error.remedy))
        return None
    kind = parts[1][0]
    if kind == tlv.PRINTABLE_STRING and not is_printable_string(text):
        notes.append(f"{attribute.short} is a PrintableString with characters that are none; taken")
    if kind == tlv.T61_STRING and not text.isascii():
        notes.append(f"{attribute.short} is a TeletexString, read as Latin-1")
    return attribute


def _refuse_path(attribute: Attribute) -> None:
    """A commonName ends up in file names of other programs; none of ours (threat T4)."""
    if attribute.short == "CN" and (
        set(attribute.value) & set("/\\") or set(attribute.value) <= {".", " "}
    ):
        raise IllegalName(
            f"commonName {shorten(attribute.value)!r} reads as a path",
            remedy="use a name without slashes: `--subject CN=alice-phone`",
        )


def _subject(text: str, remedy: str = "") -> Violation:
    return Violation("subject.illegal", f"subject: {text}", remedy or "give `--subject`")


# ---------------------------------------------------------------- subjectAltName


def read_names(content: bytes, violations: list[Violation]) -> tuple[GeneralName, ...]:
    """The legal names of a GeneralNames (RFC 5280 §4.2.1.6); `content` is inside its SEQUENCE."""
    names: dict[GeneralName, None] = {}
    count = 0
    for tag, octets in tlv.elements(content):
        count += 1
        if count > MAX_NAMES:
            violations.append(
                Violation(
                    "san.too-many",
                    f"the request asks for more than {MAX_NAMES} names",
                    "split it into several requests",
                )
            )
            break
        try:
            names[_general_name(tag, octets)] = None
        except EncodingError as error:
            violations.append(Violation("san.illegal", f"SAN: {error.problem}", error.remedy))
    if not count:
        violations.append(
            Violation("san.empty", "the SAN extension holds no name", "name at least one host")
        )
    return tuple(names)


def _general_name(tag: int, octets: bytes) -> GeneralName:
    match tag:
        case 0x81:
            return _exact(EmailName.parse, octets, "an e-mail address")
        case 0x82:
            return _exact(DNSName.parse, octets, "a DNS name")
        case 0x86:
            return _exact(URIName.parse, octets, "a URI")
        case 0x87:
            return _address(octets)
        case 0x88:
            return OtherGeneralName("RID", tlv.read_oid(octets))
        case 0xA0:
            return _other_name(octets)
        case 0xA3:
            return OtherGeneralName("x400", f"{len(octets)} octets")
        case 0xA4:
            return _directory_name(octets)
        case 0xA5:
            return OtherGeneralName("ediParty", f"{len(octets)} octets")
    raise EncodingError(
        f"a name has the tag {tag:02X}, which is none of RFC 5280's nine kinds",
        remedy="make the request again",
    )


_Name = TypeVar("_Name", DNSName, EmailName, URIName)


def _exact(parse: Callable[[str], _Name], octets: bytes, what: str) -> _Name:
    """An IA5String, without what the constructors forgive a person who types."""
    if not octets.isascii():
        raise IllegalName(
            f"{shorten(octets.decode('utf-8', 'replace'))!r} is not {what}: it is not ASCII",
            remedy="write international names in their xn-- form (RFC 9549)",
        )
    text = octets.decode("ascii")
    if len(text) > 2048:
        raise IllegalName(f"{shorten(text)!r} is not {what}: too long", remedy="shorten it")
    if text != text.strip(" "):
        raise IllegalName(
            f"{shorten(text)!r} is not {what}: spaces stand around it", remedy="remove them"
        )
    name = parse(text)
    if isinstance(name, DNSName):
        check_a_labels(name.value)
    elif isinstance(name, EmailName):
        check_a_labels(name.host)
    return name


def check_a_labels(host: str) -> None:
    """Every label that begins with xn-- decodes (RFC 5890 §2.3.2.1). Raises: IllegalName."""
    labels = [label for label in host.split(".") if label.startswith("xn--")]
    if not labels:
        return
    import idna  # only such names pay for the tables

    for label in labels:
        try:
            idna.decode(label)
        except (idna.IDNAError, UnicodeError) as error:
            raise IllegalName(
                f"{label!r} in {host!r} is not the ASCII form of an international name",
                remedy="convert the name with IDNA 2008, or use letters, digits and hyphens",
            ) from error


def _address(octets: bytes) -> IPName:
    if len(octets) not in (4, 16):
        raise IllegalName(
            f"an IP address has {len(octets)} octets, not 4 or 16",
            remedy="give the address without a mask",
        )
    return IPName(ip_address(octets))


def _other_name(content: bytes) -> GeneralName:
    parts = list(tlv.elements(content))
    if [tag for tag, _ in parts] != [tlv.OID, 0xA0]:
        raise EncodingError("an otherName is malformed", remedy="make the request again")
    oid = tlv.read_oid(parts[0][1])
    values = list(tlv.elements(parts[1][1]))
    if oid == UPN_OID:
        if len(values) != 1 or values[0][0] != tlv.UTF8_STRING:
            raise EncodingError(
                "the UPN is not a UTF8String (MS-WCCE)", remedy="make the request again"
            )
        return UPNName.parse(read_string(*values[0]))
    return OtherGeneralName(f"otherName:{oid}", f"{len(parts[1][1])} octets")


def _directory_name(content: bytes) -> GeneralName:
    inner = list(tlv.elements(content))
    if [tag for tag, _ in inner] != [tlv.SEQUENCE]:
        raise EncodingError("a directoryName is malformed", remedy="make the request again")
    faults: list[Violation] = []
    name = read_subject(inner[0][1], faults, [])
    return OtherGeneralName("dirName", shorten("illegal" if faults else str(name)))


def each(content: bytes, limit: int) -> Iterator[tuple[int, bytes]]:
    """The first `limit` elements. Raises: EncodingError when there are more."""
    for count, element in enumerate(tlv.elements(content)):
        if count == limit:
            raise EncodingError(f"there are more than {limit} of them", remedy="ask for fewer")
        yield element
