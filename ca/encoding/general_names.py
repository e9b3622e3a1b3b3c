"""GeneralName and GeneralNames as DER (RFC 5280 §4.2.1.6)."""

from __future__ import annotations

from collections.abc import Iterable

from ca.encoding import tlv
from ca.errors import EncodingError
from ca.names.general import DNSName, EmailName, GeneralName, IPName, UPNName, URIName
from ca.names.showing import visible

#: Context tags of the CHOICE; directoryName is explicit, its type being a CHOICE itself.
OTHER_NAME, EMAIL, DNS, DIRECTORY_NAME, URI, IP, RID = 0, 1, 2, 4, 6, 7, 8

#: id-ms-san-sc-logon-upn (MS-WCCE).
UPN = "1.3.6.1.4.1.311.20.2.3"


def encode_general_name(name: GeneralName) -> bytes:
    """DER of a checked name. Raises: EncodingError for a kind homeca does not grant."""
    match name:
        case DNSName():
            return ia5_name(DNS, name.value)
        case EmailName():
            return ia5_name(EMAIL, name.value)
        case URIName():
            return ia5_name(URI, name.value)
        case IPName():
            return ip_name(name.value.packed)
        case UPNName():
            return other_name(UPN, tlv.tlv(tlv.UTF8_STRING, name.value.encode()))
    raise EncodingError(
        f"{str(name)!r} is a kind of name that homeca does not certify",
        remedy="leave it out; a profile may hold it as a fixed name",
    )


def general_names(names: Iterable[bytes]) -> bytes:
    """GeneralNames of names encoded already: SEQUENCE OF, in their order."""
    return tlv.sequence(*names)


def ia5_name(tag: int, value: str) -> bytes:
    """rfc822Name, dNSName or uniformResourceIdentifier. Raises: EncodingError beyond ASCII."""
    if not value.isascii() or not value:
        raise EncodingError(
            f"{visible(value)!r} must be ASCII and not empty (IA5String)",
            remedy="write a host in its xn-- form and everything else percent-encoded",
        )
    return tlv.tagged(tag, value.encode("ascii"), constructed=False)


def ip_name(octets: bytes) -> bytes:
    """iPAddress: 4 or 16 octets, in name constraints twice as many with the mask."""
    return tlv.tagged(IP, octets, constructed=False)


def registered_id(oid: str) -> bytes:
    """registeredID. Raises: EncodingError when `oid` is not dotted."""
    return tlv.tagged(RID, tlv.read_only(tlv.oid(oid), tlv.OID), constructed=False)


def directory_name(name_der: bytes) -> bytes:
    """directoryName from a DER Name."""
    return tlv.tagged(DIRECTORY_NAME, name_der)


def other_name(oid: str, value_der: bytes) -> bytes:
    """otherName: type-id and [0] EXPLICIT value. Raises: EncodingError when `oid` is none."""
    return tlv.tagged(OTHER_NAME, tlv.oid(oid) + tlv.tagged(0, value_der))
