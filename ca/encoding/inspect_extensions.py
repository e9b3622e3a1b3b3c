"""Reading the extensions homeca knows (RFC 5280 §4.2, §5.2): content of extnValue to values.

Each function takes a `Reader` over the content and raises CertificateMalformed for anything that
is not the extension; what follows the value is the caller's to refuse (`Reader.done`).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

from ca.encoding import tlv
from ca.encoding.facts import (
    AccessDescription,
    AuthorityKeyIdentifier,
    BasicConstraints,
    DistributionPoint,
    Fault,
    GeneralNameFacts,
    IssuingDistributionPoint,
    NameConstraintsFacts,
    Subtree,
)
from ca.encoding.inspect_fields import default, general_name, general_names
from ca.encoding.reader import Reader
from ca.names.constraints import IPNetwork, NameConstraints

SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
KEY_USAGE = "2.5.29.15"
SUBJECT_ALT_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
CRL_NUMBER = "2.5.29.20"
REASON_CODE = "2.5.29.21"
INVALIDITY_DATE = "2.5.29.24"
DELTA_CRL_INDICATOR = "2.5.29.27"
ISSUING_DISTRIBUTION_POINT = "2.5.29.28"
NAME_CONSTRAINTS = "2.5.29.30"
CRL_DISTRIBUTION_POINTS = "2.5.29.31"
CERTIFICATE_POLICIES = "2.5.29.32"
AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"
EXTENDED_KEY_USAGE = "2.5.29.37"
AUTHORITY_INFORMATION_ACCESS = "1.3.6.1.5.5.7.1.1"

#: Bits of KeyUsage (RFC 5280 §4.2.1.3), in order.
KEY_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)

Faults = list[Fault] | None


def basic_constraints(at: Reader, faults: Faults) -> BasicConstraints:
    inside = at.enter()
    ca = False
    if inside.tag == tlv.BOOLEAN:
        ca = inside.boolean()
        if not ca:
            default(inside, faults, "cA FALSE of basicConstraints")
    path_len = inside.integer() if inside.tag == tlv.INTEGER else None
    inside.done()
    return BasicConstraints(ca, path_len)


def key_usage(at: Reader, faults: Faults) -> frozenset[str]:
    unused, octets = at.bits()
    if octets and not octets[-1] >> unused & 1:
        default(at, faults, "keyUsage ends in zero bits", kind="bits")
    numbers = [n for n in range(len(octets) * 8 - unused) if octets[n // 8] << n % 8 & 0x80]
    return frozenset(KEY_USAGES[n] if n < len(KEY_USAGES) else f"bit {n}" for n in numbers)


def oids(at: Reader, _faults: Faults) -> tuple[str, ...]:
    """SEQUENCE SIZE (1..MAX) OF OBJECT IDENTIFIER: extKeyUsage (RFC 5280 §4.2.1.12)."""
    inside = at.enter()
    found = []
    while inside.tag:
        found.append(inside.oid())
    if not found:
        inside.refuse("it lists nothing")
    return tuple(found)


def subject_key_identifier(at: Reader, _faults: Faults) -> bytes:
    return at.content(tlv.OCTET_STRING)


def authority_key_identifier(at: Reader, _faults: Faults) -> AuthorityKeyIdentifier:
    inside = at.enter()
    key_id = inside.content(0x80) if inside.tag == 0x80 else None
    issuer, has_issuer = b"", inside.tag == 0xA1
    if has_issuer:
        names = general_names(inside.enter(0xA1))
        if len(names) == 1 and names[0].tag == 4:
            issuer = names[0].octets
    serial = inside.integer(0x82) if inside.tag == 0x82 else None
    inside.done()
    return AuthorityKeyIdentifier(key_id, has_issuer, issuer, serial)


def subject_alt_name(at: Reader, _faults: Faults) -> tuple[GeneralNameFacts, ...]:
    return general_names(at.enter())


def name_constraints(at: Reader, faults: Faults) -> NameConstraintsFacts:
    inside = at.enter()
    permitted = _subtrees(inside.enter(0xA0), faults) if inside.tag == 0xA0 else ()
    excluded = _subtrees(inside.enter(0xA1), faults) if inside.tag == 0xA1 else ()
    inside.done()
    constraints = _constraints(permitted, excluded)
    if constraints is None and faults is None:
        inside.refuse("a network has no mask, or one with gaps")
    return NameConstraintsFacts(permitted, excluded, constraints)


def _subtrees(at: Reader, faults: Faults) -> tuple[Subtree, ...]:
    found = []
    while at.tag:
        subtree = at.enter()
        base = general_name(subtree)
        minimum = 0
        if subtree.tag == 0x80:
            minimum = subtree.integer(0x80)
            if minimum == 0:
                default(subtree, faults, "minimum 0 of a subtree")
        has_maximum = subtree.tag == 0x81
        if has_maximum:
            subtree.integer(0x81)
        subtree.done()
        found.append(Subtree(base, minimum, has_maximum))
    if not found:
        at.refuse("a list of subtrees is empty")
    return tuple(found)


def _constraints(
    permitted: tuple[Subtree, ...], excluded: tuple[Subtree, ...]
) -> NameConstraints | None:
    def texts(subtrees: tuple[Subtree, ...], tag: int) -> tuple[str, ...]:
        return tuple(s.base.text.lower() for s in subtrees if s.base.tag == tag)

    def networks(subtrees: tuple[Subtree, ...]) -> tuple[IPNetwork, ...]:
        return tuple(_network(s.base.octets) for s in subtrees if s.base.tag == 7)

    try:
        return NameConstraints(
            permitted_dns=texts(permitted, 2),
            permitted_ip=networks(permitted),
            permitted_email=texts(permitted, 1),
            excluded_dns=texts(excluded, 2),
            excluded_ip=networks(excluded),
            excluded_email=texts(excluded, 1),
        )
    except ValueError:
        return None


def _network(octets: bytes) -> IPNetwork:
    """Address and mask (RFC 5280 §4.2.1.10). Raises: ValueError for a mask with gaps."""
    if len(octets) not in (8, 32):
        raise ValueError("neither 8 nor 32 octets")
    half = len(octets) // 2
    mask = int.from_bytes(octets[half:], "big")
    prefix = mask.bit_count()
    if mask != ((1 << prefix) - 1) << (half * 8 - prefix):
        raise ValueError("the mask has gaps")
    address = IPv4Address(octets[:half]) if half == 4 else IPv6Address(octets[:half])
    return ip_network((address, prefix))


def crl_distribution_points(at: Reader, _faults: Faults) -> tuple[DistributionPoint, ...]:
    inside = at.enter()
    found = []
    while inside.tag:
        point = inside.enter()
        names, relative = _point_name(point.enter(0xA0)) if point.tag == 0xA0 else ((), False)
        has_reasons = point.tag == 0x81
        if has_reasons:
            point.bits(0x81)
        has_crl_issuer = point.tag == 0xA2
        if has_crl_issuer:
            general_names(point.enter(0xA2))
        point.done()
        found.append(DistributionPoint(names, relative, has_reasons, has_crl_issuer))
    if not found:
        inside.refuse("it lists nothing")
    return tuple(found)


def _point_name(at: Reader) -> tuple[tuple[GeneralNameFacts, ...], bool]:
    """DistributionPointName: names of fullName, or that a relative name was used."""
    relative = at.tag == 0xA1
    names: tuple[GeneralNameFacts, ...] = ()
    if relative:
        at.element()
    else:
        names = general_names(at.enter(0xA0))
    at.done()
    return names, relative


def authority_information_access(at: Reader, _faults: Faults) -> tuple[AccessDescription, ...]:
    inside = at.enter()
    found = []
    while inside.tag:
        description = inside.enter()
        found.append(AccessDescription(description.oid(), general_name(description)))
        description.done()
    if not found:
        inside.refuse("it lists nothing")
    return tuple(found)


def certificate_policies(at: Reader, _faults: Faults) -> tuple[str, ...]:
    """policyIdentifiers in order (RFC 5280 §4.2.1.4); qualifiers are passed over."""
    inside = at.enter()
    found = []
    while inside.tag:
        policy = inside.enter()
        found.append(policy.oid())
        if policy.tag == tlv.SEQUENCE:
            policy.element()
        policy.done()
    if not found:
        inside.refuse("it lists nothing")
    return tuple(found)


def issuing_distribution_point(at: Reader, faults: Faults) -> IssuingDistributionPoint:
    inside = at.enter()
    point = None
    if inside.tag == 0xA0:
        point = DistributionPoint(
            *_point_name(inside.enter(0xA0)), has_reasons=False, has_crl_issuer=False
        )
    only_user = _flag(inside, 0x81, faults)
    only_ca = _flag(inside, 0x82, faults)
    has_reasons = inside.tag == 0x83
    if has_reasons:
        inside.bits(0x83)
    indirect = _flag(inside, 0x84, faults)
    only_attribute = _flag(inside, 0x85, faults)
    inside.done()
    return IssuingDistributionPoint(
        point, only_user, only_ca, only_attribute, has_reasons, indirect
    )


def _flag(at: Reader, tag: int, faults: Faults) -> bool:
    """BOOLEAN DEFAULT FALSE."""
    if at.tag != tag:
        return False
    value = at.boolean(tag)
    if not value:
        default(at, faults, "a FALSE of issuingDistributionPoint")
    return value


def crl_number(at: Reader, _faults: Faults) -> bytes:
    """Content of the INTEGER (RFC 5280 §5.2.3)."""
    return at.integer_octets()


#: OID -> (the field of TbsFacts it fills, how it is called, how it is read).
CERTIFICATE_EXTENSIONS: dict[str, tuple[str, str, Callable[[Reader, Faults], object]]] = {
    BASIC_CONSTRAINTS: ("basic_constraints", "basicConstraints", basic_constraints),
    KEY_USAGE: ("key_usage", "keyUsage", key_usage),
    EXTENDED_KEY_USAGE: ("eku", "extendedKeyUsage", oids),
    SUBJECT_KEY_IDENTIFIER: ("ski", "subjectKeyIdentifier", subject_key_identifier),
    AUTHORITY_KEY_IDENTIFIER: ("aki", "authorityKeyIdentifier", authority_key_identifier),
    SUBJECT_ALT_NAME: ("san", "subjectAltName", subject_alt_name),
    NAME_CONSTRAINTS: ("name_constraints", "nameConstraints", name_constraints),
    CRL_DISTRIBUTION_POINTS: (
        "crl_distribution_points",
        "cRLDistributionPoints",
        crl_distribution_points,
    ),
    AUTHORITY_INFORMATION_ACCESS: (
        "authority_information",
        "authorityInfoAccess",
        authority_information_access,
    ),
    CERTIFICATE_POLICIES: ("policies", "certificatePolicies", certificate_policies),
}

#: The same for TBSCertList and CrlTbsFacts.
CRL_EXTENSIONS: dict[str, tuple[str, str, Callable[[Reader, Faults], object]]] = {
    AUTHORITY_KEY_IDENTIFIER: ("aki", "authorityKeyIdentifier", authority_key_identifier),
    CRL_NUMBER: ("number_octets", "cRLNumber", crl_number),
    ISSUING_DISTRIBUTION_POINT: (
        "idp",
        "issuingDistributionPoint",
        issuing_distribution_point,
    ),
}
