"""Reading the parts certificates and CRLs share: names, times, algorithms, keys.

Every function takes a `Reader` standing at the part, moves it behind, and raises
CertificateMalformed for octets that are not that part.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address

from ca.encoding import tlv
from ca.encoding.facts import (
    AlgorithmFacts,
    AttributeFacts,
    ExtensionFacts,
    Fault,
    GeneralNameFacts,
    KeyFacts,
    NameFacts,
    TimeFacts,
)
from ca.encoding.reader import Reader
from ca.errors import IllegalName
from ca.names.general import (
    DNSName,
    EmailName,
    GeneralName,
    IPName,
    OtherGeneralName,
    UPNName,
    URIName,
)

RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
UPN = "1.3.6.1.4.1.311.20.2.3"
MAX_RSA_BITS = 16384
MAX_TIME = 32  # octets
MAX_CACHED = 1024  # octets; what is larger is read anew and not kept

_UTC = re.compile(r"(\d\d)(\d{4})(\d{4})(\d\d)?(?:Z|([+-]\d\d)(\d\d))\Z", re.ASCII)
_GENERALIZED = re.compile(
    r"(\d{4})(\d{4})(\d\d)(\d\d)?(\d\d)?(?:[.,]\d+)?(?:Z|([+-]\d\d)(\d\d))?\Z", re.ASCII
)
_PROFILE = {
    tlv.UTC_TIME: re.compile(r"\d{12}Z\Z", re.ASCII),
    tlv.GENERALIZED_TIME: re.compile(r"\d{14}Z\Z", re.ASCII),
}


def algorithm(at: Reader) -> AlgorithmFacts:
    """AlgorithmIdentifier (RFC 5280 §4.1.1.2)."""
    der = at.element(tlv.SEQUENCE)
    return _kept_algorithm(der) if len(der) <= MAX_CACHED else _algorithm(der)


def _algorithm(der: bytes) -> AlgorithmFacts:
    inside = Reader(der, "algorithm identifier").enter()
    oid = inside.oid()
    parameters = inside.element() if inside.tag else b""
    inside.done()
    return AlgorithmFacts(der, oid, parameters)


_kept_algorithm = lru_cache(maxsize=64)(_algorithm)


def name(at: Reader) -> NameFacts:
    """Name (RFC 5280 §4.1.2.4)."""
    der = at.element(tlv.SEQUENCE)
    return _kept_name(der, at.what) if len(der) <= MAX_CACHED else read_name(der, at.what)


def read_name(der: bytes, what: str) -> NameFacts:
    """A Name from its own octets. Raises: CertificateMalformed."""
    whole = Reader(der, what)
    inside = whole.enter()
    whole.done()
    rdns = []
    while inside.tag:
        rdn = inside.enter(tlv.SET)
        attributes: list[AttributeFacts] = []
        previous = b""
        while rdn.tag:
            element = rdn.element(tlv.SEQUENCE)
            if element < previous:
                rdn.refuse("an RDN is not in the order DER wants (X.690 §11.6)")
            previous = element
            pair = Reader(element, what).enter()
            oid = pair.oid()
            tag = pair.tag
            attributes.append(AttributeFacts(oid, tag, pair.content(tag)))
            pair.done()
        if not attributes:
            rdn.refuse("an RDN is empty")
        rdns.append(tuple(attributes))
    return NameFacts(der, tuple(rdns))


_kept_name = lru_cache(maxsize=64)(read_name)  # issuers recur


def time(at: Reader) -> TimeFacts:
    """Time (RFC 5280 §4.1.2.5): any readable form; `in_profile` tells whether it is the right one.

    UTCTime years 50 to 99 are 19xx.
    """
    tag = at.tag
    if tag not in _PROFILE:
        at.refuse(f"tag 0x{tag:02x} stands where a time belongs")
    octets = at.content(tag)
    read = _time(tag, octets) if len(octets) <= MAX_TIME else None
    if read is None:
        at.refuse("a time is none that exists")
    return read


@lru_cache(maxsize=1024)  # the entries of a CRL share theirs
def _time(tag: int, octets: bytes) -> TimeFacts | None:
    text = octets.decode("latin-1")
    if tag == tlv.UTC_TIME:
        found = _UTC.match(text)
        if found is None:
            return None
        year, day, clock, second, hours, minutes = found.groups()
        year = ("19" if year >= "50" else "20") + year
    else:
        found = _GENERALIZED.match(text)
        if found is None:
            return None
        year, day, hour, minute, second, hours, minutes = found.groups()
        clock = hour + (minute or "00")
    try:
        moment = datetime(
            int(year),
            int(day[:2]),
            int(day[2:]),
            int(clock[:2]),
            int(clock[2:]),
            int(second or 0),
            tzinfo=UTC,
        )
        if hours:
            moment -= timedelta(hours=int(hours), minutes=int(hours[0] + minutes))
    except (ValueError, OverflowError):
        return None
    return TimeFacts(tag, text, moment, bool(_PROFILE[tag].match(text)))


def key(at: Reader) -> KeyFacts:
    """SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): shape and size, no arithmetic."""
    der = at.element(tlv.SEQUENCE)
    inside = Reader(der, "public key").enter()
    kind = algorithm(inside)
    unused, octets = inside.bits()
    inside.done()
    if unused:
        at.refuse("the public key is not whole octets")
    if kind.oid == RSA_ENCRYPTION:
        numbers = Reader(octets, "RSA key").enter()
        modulus, exponent = numbers.integer_octets(), numbers.integer_octets()
        numbers.done()
        if max(len(modulus), len(exponent)) * 8 > MAX_RSA_BITS + 8:
            at.refuse(f"the RSA key has more than {MAX_RSA_BITS} bits")
        return KeyFacts(
            der,
            kind,
            octets,
            modulus_bits=int.from_bytes(modulus, "big", signed=True).bit_length(),
            exponent=int.from_bytes(exponent, "big", signed=True),
        )
    curve = None
    if kind.oid == EC_PUBLIC_KEY and kind.parameters[:1] == bytes([tlv.OID]):
        curve = Reader(kind.parameters, "curve").oid()
    return KeyFacts(der, kind, octets, curve_oid=curve)


def extensions(
    at: Reader, faults: list[Fault] | None, *, may_be_empty: bool = False
) -> tuple[ExtensionFacts, ...]:
    """Extensions (RFC 5280 §4.1.2.9): SEQUENCE OF Extension, in order.

    faults: collects written-out DEFAULTs; None: they are refused.
    """
    inside = at.enter()
    found = []
    while inside.tag:
        extension = inside.enter()
        oid = extension.oid()
        critical = False
        if extension.tag == tlv.BOOLEAN:
            critical = extension.boolean()
            if not critical:
                default(extension, faults, f"critical of extension {oid}")
        value = extension.content(tlv.OCTET_STRING)
        extension.done()
        found.append(ExtensionFacts(oid, critical, value))
    if not found and not may_be_empty:
        default(inside, faults, "an empty list of extensions", kind="value")
    return tuple(found)


def default(at: Reader, faults: list[Fault] | None, what: str, *, kind: str = "default") -> None:
    """A DEFAULT value, or an emptiness, that DER leaves out was written (X.690 §11.5)."""
    text = f"{what} is written out" if kind == "default" else what
    if faults is None:
        at.refuse(text)
    faults.append(Fault(kind, at.what, text))


# ---------------------------------------------------------------- general names


def general_names(at: Reader) -> tuple[GeneralNameFacts, ...]:
    """The GeneralNames that are left in `at`; at least one (RFC 5280 §4.2.1.6)."""
    found = []
    while at.tag:
        found.append(general_name(at))
    if not found:
        at.refuse("it names nothing")
    return tuple(found)


def general_name(at: Reader) -> GeneralNameFacts:
    """One GeneralName."""
    tag = at.tag
    number = tag & 0x1F
    constructed = bool(tag & 0x20)
    if tag & 0xC0 != 0x80 or number > 8 or constructed != (number in (0, 3, 4, 5)):
        at.refuse(f"tag 0x{tag:02x} stands where a general name belongs")
    octets = at.content(tag)
    if number == 0:
        return GeneralNameFacts(0, octets, _other_name(octets, at.what))
    if number == 4:
        directory = read_name(octets, at.what)
        return GeneralNameFacts(4, octets, OtherGeneralName("dirName", str(directory)))
    return GeneralNameFacts(number, octets, _as_written(number, octets))


def _as_written(number: int, octets: bytes) -> GeneralName | None:
    """The value behind rfc822Name, dNSName, URI and iPAddress; None for an illegal one."""
    try:
        if number == 7:
            return IPName(ip_address(octets)) if len(octets) in (4, 16) else None
        text = octets.decode("ascii")
        if text != text.strip():
            return None
        if number == 1:
            return EmailName.parse(text)
        if number == 2:
            return DNSName.parse(text)
        return URIName.parse(text) if number == 6 else None
    except (IllegalName, UnicodeDecodeError):
        return None


def _other_name(octets: bytes, what: str) -> GeneralName | None:
    inside = Reader(octets, what)
    oid = inside.oid()
    explicit = inside.enter(0xA0)
    inside.done()
    tag = explicit.tag
    value = explicit.content(tag)
    explicit.done()
    if oid != UPN:
        return OtherGeneralName(f"otherName:{oid}", value.hex())
    try:
        return UPNName.parse(value.decode("utf-8")) if tag == tlv.UTF8_STRING else None
    except (IllegalName, UnicodeDecodeError):
        return None
