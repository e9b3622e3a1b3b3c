"""Distinguished names as DER (RFC 5280 §4.1.2.4, X.501)."""

from __future__ import annotations

from ca.encoding import tlv
from ca.errors import EncodingError, IllegalName
from ca.names.distinguished import Attribute, DistinguishedName, is_printable_string
from ca.names.showing import visible

#: Attributes whose syntax is not DirectoryString (RFC 5280 appendix A.1, RFC 4519 §2.4).
#: Everything else is UTF8String, as OpenSSL writes it under `string_mask = utf8only`.
_PRINTABLE = frozenset(
    {
        "2.5.4.6",  # countryName
        "2.5.4.5",  # serialNumber
        "2.5.4.46",  # dnQualifier
        "1.3.6.1.4.1.311.60.2.1.3",  # jurisdictionCountryName
    }
)
_IA5 = frozenset(
    {
        "1.2.840.113549.1.9.1",  # emailAddress
        "0.9.2342.19200300.100.1.25",  # domainComponent
    }
)

#: tag -> codec. T61String is read as Latin-1: what wrote it in certificates meant that.
_CODECS = {
    tlv.UTF8_STRING: "utf-8",
    tlv.PRINTABLE_STRING: "ascii",
    tlv.IA5_STRING: "ascii",
    tlv.NUMERIC_STRING: "ascii",
    tlv.VISIBLE_STRING: "ascii",
    tlv.T61_STRING: "latin-1",
    tlv.BMP_STRING: "utf-16-be",
    tlv.UNIVERSAL_STRING: "utf-32-be",
}


def encode_name(dn: DistinguishedName) -> bytes:
    """DER Name: RDNs in the order given, several values of one RDN sorted as a SET OF.

    Raises: IllegalName when a value has no encoding in its attribute's string type.
    """
    return tlv.sequence(*(encode_rdn(rdn) for rdn in dn.rdns))


def encode_rdn(rdn: tuple[Attribute, ...]) -> bytes:
    """DER RelativeDistinguishedName, a SET OF AttributeTypeAndValue. Raises: IllegalName."""
    return tlv.set_of(
        tlv.sequence(tlv.oid(attribute.oid), _encode_value(attribute)) for attribute in rdn
    )


def _encode_value(attribute: Attribute) -> bytes:
    if attribute.oid in _PRINTABLE:
        if not is_printable_string(attribute.value):
            raise _unencodable(attribute, "a PrintableString: letters, digits, '()+,-./:=?")
        return tlv.tlv(tlv.PRINTABLE_STRING, attribute.value.encode("ascii"))
    if attribute.oid in _IA5:
        if not attribute.value.isascii():
            raise _unencodable(attribute, "an IA5String: ASCII only")
        return tlv.tlv(tlv.IA5_STRING, attribute.value.encode("ascii"))
    return tlv.tlv(tlv.UTF8_STRING, attribute.value.encode("utf-8"))


def _unencodable(attribute: Attribute, wanted: str) -> IllegalName:
    return IllegalName(
        f"{attribute.short} {visible(attribute.value)!r} must be {wanted}",
        remedy="write it with those characters only, or leave it out",
    )


def decode_name(der: bytes) -> DistinguishedName:
    """The name in DER, RDNs in certificate order.

    Raises: EncodingError when the octets are not a Name; IllegalName when they are one that
    holds an empty, hidden or overlong value (`ca.names.Attribute`).
    """
    return DistinguishedName(
        tuple(
            _decode_rdn(tag, content)
            for tag, content in tlv.elements(tlv.read_only(der, tlv.SEQUENCE))
        )
    )


def _decode_rdn(tag: int, content: bytes) -> tuple[Attribute, ...]:
    if tag != tlv.SET or not content:
        raise _not_a_name("an RDN is not a SET of at least one attribute")
    attributes = []
    for inner_tag, inner in tlv.elements(content):
        parts = list(tlv.elements(inner))
        if inner_tag != tlv.SEQUENCE or len(parts) != 2 or parts[0][0] != tlv.OID:
            raise _not_a_name("an attribute is not a SEQUENCE of type and value")
        attributes.append(Attribute(tlv.read_oid(parts[0][1]), _decode_value(*parts[1])))
    return tuple(attributes)


def _decode_value(tag: int, content: bytes) -> str:
    codec = _CODECS.get(tag)
    if codec is None:
        raise _not_a_name(f"an attribute's value has tag {tag:02X}, which is no string")
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        raise _not_a_name(f"a value is not valid {codec}") from error


def _not_a_name(what: str) -> EncodingError:
    return EncodingError(
        f"not a distinguished name: {what}", remedy="ask for the file again, as it was made"
    )
