"""The values of certificate extensions: plain values to DER (RFC 5280 §4.2, RFC 7633)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from msgspec import Struct

from ca.encoding import general_names as gn
from ca.encoding import tlv
from ca.errors import CertificateMalformed, EncodingError
from ca.names.constraints import IPNetwork, NameConstraints

SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
KEY_USAGE = "2.5.29.15"
SUBJECT_ALT_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
NAME_CONSTRAINTS = "2.5.29.30"
AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"
EXTENDED_KEY_USAGE = "2.5.29.37"
NS_CERT_TYPE = "2.16.840.1.113730.1.1"

#: Purposes of extendedKeyUsage (RFC 5280 §4.2.1.12).
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"

#: KeyUsage bits in order (§4.2.1.3), spelled as OpenSSL spells them.
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


class Extension(Struct, frozen=True):
    """An Extension ready for the TBS. value: the DER that extnValue holds."""

    oid: str
    critical: bool
    value: bytes


def key_identifier(spki: bytes) -> bytes:
    """SHA-1 of the BIT STRING's content, 20 octets (§4.2.1.2 method 1). Raises: EncodingError."""
    parts = list(tlv.elements(tlv.read_only(spki, tlv.SEQUENCE)))
    if len(parts) != 2 or parts[1][0] != tlv.BIT_STRING or parts[1][1][:1] != b"\x00":
        raise EncodingError(
            "not a SubjectPublicKeyInfo", remedy="give the key as openssl pkey -pubout writes it"
        )
    return hashlib.sha1(parts[1][1][1:], usedforsecurity=False).digest()


def basic_constraints(*, ca: bool, path_length: int | None = None) -> bytes:
    """BasicConstraints; FALSE is the default and so not encoded (§4.2.1.9)."""
    body = tlv.boolean(True) if ca else b""
    return tlv.sequence(body, b"" if path_length is None else tlv.integer(path_length))


def key_purposes(oids: Iterable[str]) -> bytes:
    """ExtKeyUsageSyntax, in the order given (§4.2.1.12). Raises: EncodingError."""
    return tlv.sequence(*map(tlv.oid, oids))


def authority_key_identifier(
    keyid: bytes | None, issuer_der: bytes | None = None, serial: int | None = None
) -> bytes:
    """AuthorityKeyIdentifier (§4.2.1.1).

    issuer_der: the Name in the issuer field *of the issuer's own certificate*, with its serial.
    """
    body = b"" if keyid is None else tlv.tagged(0, keyid, constructed=False)
    if issuer_der is not None:
        body += tlv.tagged(1, gn.directory_name(issuer_der))
    if serial is not None:
        content = tlv.read_only(tlv.integer(serial), tlv.INTEGER)
        body += tlv.tagged(2, content, constructed=False)
    return tlv.sequence(body)


def access_description(method: str, location: bytes) -> bytes:
    """AccessDescription: OID and a GeneralName in DER (§4.2.2.1). Raises: EncodingError."""
    return tlv.sequence(tlv.oid(method), location)


def full_name(names: Iterable[bytes]) -> bytes:
    """DistributionPointName of GeneralNames in DER (§4.2.1.13)."""
    return tlv.tagged(0, b"".join(names))


def relative_name(rdn_der: bytes) -> bytes:
    """DistributionPointName relative to the CRL issuer: one RDN, implicitly tagged."""
    return tlv.tagged(1, tlv.read_only(rdn_der, tlv.SET))


def distribution_point(
    name: bytes = b"", reasons: Iterable[int] | None = None, crl_issuer: Sequence[bytes] = ()
) -> bytes:
    """DistributionPoint; `name` from `full_name` or `relative_name`; `reasons` as bit numbers."""
    body = tlv.tagged(0, name) if name else b""
    if reasons is not None:
        body += _reason_flags(1, reasons)
    if crl_issuer:
        body += tlv.tagged(2, b"".join(crl_issuer))
    return tlv.sequence(body)


def issuing_distribution_point(
    name: bytes = b"",
    *,
    only_user: bool = False,
    only_ca: bool = False,
    only_attribute: bool = False,
    indirect: bool = False,
    reasons: Iterable[int] | None = None,
) -> bytes:
    """IssuingDistributionPoint of a CRL (§5.2.5); FALSE is the default everywhere."""
    body = tlv.tagged(0, name) if name else b""
    body += _flag(1, only_user) + _flag(2, only_ca)
    if reasons is not None:
        body += _reason_flags(3, reasons)
    return tlv.sequence(body + _flag(4, indirect) + _flag(5, only_attribute))


def _flag(tag: int, value: bool) -> bytes:
    return tlv.tagged(tag, b"\xff", constructed=False) if value else b""


def _reason_flags(tag: int, bits: Iterable[int]) -> bytes:
    content = tlv.read_only(tlv.named_bits(bits), tlv.BIT_STRING)
    return tlv.tagged(tag, content, constructed=False)


def policy_constraints(require_explicit: int | None, inhibit_mapping: int | None) -> bytes:
    """PolicyConstraints (§4.2.1.11)."""
    body = b""
    for tag, skip in enumerate((require_explicit, inhibit_mapping)):
        if skip is not None:
            content = tlv.read_only(tlv.integer(skip), tlv.INTEGER)
            body += tlv.tagged(tag, content, constructed=False)
    return tlv.sequence(body)


def subtrees(permitted: Iterable[bytes], excluded: Iterable[bytes]) -> bytes:
    """NameConstraints from bases, GeneralNames in DER (§4.2.1.10); minimum 0 is the default."""
    body = b""
    for tag, bases in enumerate((permitted, excluded)):
        content = b"".join(tlv.sequence(base) for base in bases)
        body += tlv.tagged(tag, content) if content else b""
    return tlv.sequence(body)


# ---------------------------------------------------------------- name constraints as values


def name_constraints(constraints: NameConstraints) -> bytes:
    """NameConstraints: DNS names, then networks, then mailboxes (§4.2.1.10)."""

    def bases(
        dns: tuple[str, ...], ip: tuple[IPNetwork, ...], email: tuple[str, ...]
    ) -> list[bytes]:
        return [
            *(gn.ia5_name(gn.DNS, tree) for tree in dns),
            *(gn.ip_name(n.network_address.packed + n.netmask.packed) for n in ip),
            *(gn.ia5_name(gn.EMAIL, mailbox) for mailbox in email),
        ]

    c = constraints
    return subtrees(
        bases(c.permitted_dns, c.permitted_ip, c.permitted_email),
        bases(c.excluded_dns, c.excluded_ip, c.excluded_email),
    )


def read_name_constraints(der: bytes) -> NameConstraints:
    """What a NameConstraints extension says of DNS names, networks and mailboxes.

    Raises: CertificateMalformed for other DER, minimum or maximum (which §4.2.1.10 forbids), a
            network that is none, and kinds of names homeca cannot judge: nobody must believe a
            constraint is kept that was not read.
    """
    found: dict[tuple[int, int], list[bytes]] = {}
    try:
        for tag, content in tlv.elements(tlv.read_only(der, tlv.SEQUENCE)):
            if tag not in (0xA0, 0xA1):
                raise _constraints_malformed("it holds more than permitted and excluded trees")
            for inner_tag, subtree in tlv.elements(content):
                parts = list(tlv.elements(subtree))
                if inner_tag != tlv.SEQUENCE or len(parts) != 1:
                    raise _constraints_malformed("a tree has a minimum or maximum, or no base")
                kind, base = parts[0]
                found.setdefault((tag, kind), []).append(base)
    except EncodingError as error:
        if isinstance(error, CertificateMalformed):
            raise
        raise _constraints_malformed(error.problem) from error

    def texts(tag: int, kind: int) -> tuple[str, ...]:
        return tuple(_ascii(base) for base in found.pop((tag, 0x80 | kind), ()))

    def networks(tag: int) -> tuple[IPNetwork, ...]:
        return tuple(map(_read_network, found.pop((tag, 0x80 | gn.IP), ())))

    constraints = NameConstraints(
        permitted_dns=texts(0xA0, gn.DNS),
        permitted_ip=networks(0xA0),
        permitted_email=texts(0xA0, gn.EMAIL),
        excluded_dns=texts(0xA1, gn.DNS),
        excluded_ip=networks(0xA1),
        excluded_email=texts(0xA1, gn.EMAIL),
    )
    if found:
        raise _constraints_malformed("it constrains a kind of name homeca cannot judge")
    return constraints


def _ascii(octets: bytes) -> str:
    try:
        return octets.decode("ascii")
    except UnicodeDecodeError as error:
        raise _constraints_malformed("a base is not ASCII") from error


def _read_network(octets: bytes) -> IPNetwork:
    if len(octets) not in (8, 32):
        raise _constraints_malformed(f"a network has {len(octets)} octets, not 8 or 32")
    half = len(octets) // 2
    mask = int.from_bytes(octets[half:], "big")
    prefix = mask.bit_count()
    try:
        network: IPNetwork = ip_network((octets[:half], prefix))
    except ValueError as error:
        raise _constraints_malformed("a network has host bits set") from error
    if int(network.netmask) != mask:
        raise _constraints_malformed("a network mask has holes")
    return network


def _constraints_malformed(what: str) -> CertificateMalformed:
    return CertificateMalformed(
        f"the name constraints cannot be read: {what}",
        remedy="have the issuer certified again with DNS and IP constraints only",
    )


# ---------------------------------------------------------------- what a value says


def says_ca(der: bytes) -> bool:
    """Does this BasicConstraints assert cA? Raises: EncodingError unless it is strict DER."""
    parts = list(tlv.elements(tlv.read_only(der, tlv.SEQUENCE)))
    ca = bool(parts) and parts[0][0] == tlv.BOOLEAN
    lengths = parts[1:] if ca else parts
    well_formed = (
        len(lengths) <= 1
        and all(tag == tlv.INTEGER and octets for tag, octets in lengths)
        and (not ca or parts[0][1] == b"\xff")
    )
    if not well_formed:
        raise EncodingError(
            f"{der.hex()!r} is not BasicConstraints in DER",
            remedy="write CA:TRUE or CA:FALSE (RFC 5280 §4.2.1.9)",
        )
    return ca


def usages(der: bytes) -> frozenset[str]:
    """The KeyUsage bits that are set. Raises: EncodingError unless it is strict DER."""
    bits = set_bits(der)
    if not bits or max(bits) >= len(KEY_USAGES):
        raise EncodingError(
            f"{der.hex()!r} is not KeyUsage in DER",
            remedy="name the usages: digitalSignature, keyEncipherment (RFC 5280 §4.2.1.3)",
        )
    return frozenset(KEY_USAGES[bit] for bit in bits)


def set_bits(der: bytes) -> frozenset[int]:
    """Numbers of the bits set in a named BIT STRING. Raises: EncodingError."""
    content = tlv.read_only(der, tlv.BIT_STRING)
    bits = frozenset(
        index * 8 + offset
        for index, octet in enumerate(content[1:])
        for offset in range(8)
        if octet & 0x80 >> offset
    )
    if tlv.named_bits(bits) != der:
        raise EncodingError(
            f"{der.hex()!r} is not a named BIT STRING in DER", remedy="name the bits instead"
        )
    return bits


def purposes(der: bytes) -> tuple[str, ...]:
    """The OIDs of an ExtKeyUsageSyntax in order. Raises: EncodingError."""
    found = list(tlv.elements(tlv.read_only(der, tlv.SEQUENCE)))
    if not found or any(tag != tlv.OID for tag, _ in found):
        raise EncodingError(
            f"{der.hex()!r} is not ExtKeyUsageSyntax",
            remedy="name the purposes: serverAuth, clientAuth (RFC 5280 §4.2.1.12)",
        )
    return tuple(tlv.read_oid(content) for _, content in found)
