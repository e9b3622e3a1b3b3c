"""Lists and names in the values of x509v3_config(5)."""

from __future__ import annotations

import re
from ipaddress import ip_address

from msgspec import Struct

from ca.encoding import general_names as gn
from ca.encoding.asn1_generate import Generator
from ca.encoding.dn import encode_name, encode_rdn
from ca.errors import EncodingError, HomecaError, IllegalName
from ca.names.distinguished import Attribute, DistinguishedName
from ca.names.showing import visible
from ca.profiles.object_names import ATTRIBUTES, OTHER_NAMES, meant, object_identifier
from ca.profiles.openssl_cnf import Cnf

_KINDS = ("email", "URI", "DNS", "RID", "IP", "dirName", "otherName")
#: What `openssl` takes in an emailAddress; RFC 5280 has 255.
_MAX_EMAIL = 128


class Item(Struct, frozen=True):
    """One `name` or `name:value` of a list, or one entry of the section that stands for it."""

    name: str
    value: str | None
    line: int


def bad(problem: str, remedy: str) -> EncodingError:
    """A value that has no meaning here."""
    return EncodingError(problem, remedy=remedy)


def list_items(text: str, line: int) -> list[Item]:
    """`name[:value], name[:value], …` as X509V3_parse_list. Raises: EncodingError."""
    items = []
    for part in text.split(","):
        name, colon, value = part.partition(":")
        name, value = _strip(name), _strip(value)
        if not name or (colon and not value):
            raise bad(f"the list {visible(text)!r} has an empty part", "delete the extra comma")
        items.append(Item(name, value if colon else None, line))
    return items


def _strip(text: str) -> str:
    """Without blanks around it. OpenSSL keeps those behind a single character; so do we."""
    text = text.lstrip()
    stripped = text.rstrip()
    return text if len(stripped) == 1 else stripped


def items_or_section(cnf: Cnf, text: str, line: int) -> list[Item]:
    """A list, or `@section`: the section's entries in order. Raises: EncodingError."""
    return section_items(cnf, text[1:]) if text.startswith("@") else list_items(text, line)


def section_items(cnf: Cnf, name: str) -> list[Item]:
    """The entries of a section that must exist and hold something. Raises: EncodingError."""
    entries = cnf.section(name)
    if entries is None:
        raise bad(
            f"there is no section {visible(name)!r}{meant(name, cnf.sections)}",
            f"write [ {visible(name)} ] with its keys",
        )
    if not entries:
        raise bad(f"the section {visible(name)!r} is empty", "write its keys, or do not name it")
    return [Item(entry.name, entry.value, entry.line) for entry in entries]


def plain(item: Item) -> str:
    """The name of an item that takes no value. Raises: EncodingError."""
    if item.value is not None:
        raise bad(
            f"{visible(item.name)!r} has the value {visible(item.value)!r}, which has no meaning",
            "write the word alone",
        )
    return item.name


def valued(item: Item, example: str) -> str:
    """The value of an item that needs one. Raises: EncodingError."""
    if item.value is None:
        raise bad(f"{visible(item.name)!r} has no value", f"write it like {example}")
    return item.value


def generator(cnf: Cnf) -> Generator:
    """The ASN.1 mini-language over this configuration's sections."""

    def values(name: str) -> list[str] | None:
        entries = cnf.section(name)
        return None if entries is None else [entry.value for entry in entries]

    return Generator(values, object_identifier)


def has_name(item: Item, name: str) -> bool:
    """`name` itself, or `name.anything`: how one section says the same key twice."""
    return item.name == name or item.name.startswith(name + ".")


def general_name(cnf: Cnf, item: Item, *, constraint: bool = False) -> bytes:
    """DER of one GeneralName: `DNS:nas.lan`, `IP:10.0.0.1`, `dirName:section`, …

    constraint: a base of nameConstraints, where IP has a mask.
    Raises:     EncodingError.
    """
    kind = next((kind for kind in _KINDS if has_name(item, kind)), None)
    if kind is None:
        raise bad(
            f"{visible(item.name)!r} is not a kind of name{meant(item.name, _KINDS)}",
            f"use one of {', '.join(_KINDS)}",
        )
    if item.value is None:
        raise bad(f"{visible(item.name)!r} has no value", f"write it like {kind}:value")
    match kind:
        case "email":
            return gn.ia5_name(gn.EMAIL, item.value)
        case "URI":
            return gn.ia5_name(gn.URI, item.value)
        case "DNS":
            return gn.ia5_name(gn.DNS, item.value)
        case "RID":
            return gn.registered_id(object_identifier(item.value))
        case "IP":
            return gn.ip_name(_network(item.value) if constraint else _address(item.value))
        case "dirName":
            return gn.directory_name(encode_name(section_name(cnf, item.value)))
        case _:
            oid, semicolon, text = item.value.partition(";")
            if not semicolon:
                raise bad(
                    f"{visible(item.value)!r} has no ';'", "write it like otherName:1.2.3;UTF8:x"
                )
            return gn.other_name(object_identifier(oid, OTHER_NAMES), generator(cnf).generate(text))


def general_name_list(cnf: Cnf, text: str, line: int) -> list[bytes]:
    """DER of each name of a list or `@section`. Raises: EncodingError."""
    return [general_name(cnf, item) for item in items_or_section(cnf, text, line)]


def _address(text: str) -> bytes:
    try:
        if "%" not in text:
            return ip_address(text).packed
    except ValueError:
        pass
    raise bad(f"{visible(text)!r} is not an IP address", "write it like 192.168.1.10 or fd00::1")


def _network(text: str) -> bytes:
    address, slash, mask = text.partition("/")
    octets, ones = _address(address), _address(mask) if slash else b""
    value = int.from_bytes(ones, "big")
    holes = value | (value - 1) if value else 0
    if len(octets) != len(ones) or (value and holes != (1 << len(ones) * 8) - 1):
        raise bad(
            f"{visible(text)!r} is not a network with its mask",
            "write it like 192.168.0.0/255.255.0.0 (RFC 5280 §4.2.1.10: a CIDR mask)",
        )
    return octets + ones


def section_name(cnf: Cnf, section: str) -> DistinguishedName:
    """The DN a section spells: `C = DE`, `1.OU = x`, `+UID = y`. Raises: EncodingError."""
    rdns: list[tuple[Attribute, ...]] = []
    for item in section_items(cnf, section):
        name, joins = _attribute_name(item.name)
        oid = attribute_oid(name)
        try:
            attribute = Attribute(oid, item.value or "")
            if not (item.value or "").isascii() or (
                attribute.short == "emailAddress" and len(attribute.value) > _MAX_EMAIL
            ):
                raise bad(
                    f"{visible(item.value or '')!r} is not ASCII, or too long",
                    "OpenSSL reads each octet as a Latin-1 character here; write ASCII",
                )
            encode_rdn((attribute,))
        except HomecaError as error:
            raise IllegalName(
                f"line {item.line}, {visible(item.name)!r}: {error.problem}", remedy=error.remedy
            ) from error
        if joins and rdns:
            rdns[-1] = (*rdns[-1], attribute)
        else:
            rdns.append((attribute,))
    return DistinguishedName(tuple(rdns))


def _attribute_name(key: str) -> tuple[str, bool]:
    """The attribute of a key, without `1.` in front, and whether `+` joins it to the last RDN.

    Raises: EncodingError for `1.2.3.4`, of which OpenSSL would drop the first arc.
    """
    if re.fullmatch(r"\d+(\.\d+)+", key):
        raise bad(f"OpenSSL reads {key!r} without its first number", f"write it like x.{key}")
    prefix = re.match(r"[^:,.]*[:,.](?=.)", key)
    if prefix:
        key = key[prefix.end() :]
    return key.removeprefix("+"), key.startswith("+")


def attribute_oid(name: str) -> str:
    """Dotted OID of an attribute as OpenSSL spells it: `CN`, `commonName`, not `cn`."""
    oid = ATTRIBUTES.get(name)
    if oid is None and not name[:1].isdigit():
        raise bad(
            f"{visible(name)!r} is not an attribute of a name{meant(name, ATTRIBUTES)}",
            "use C, ST, L, O, OU, CN, emailAddress or a dotted OID",
        )
    return oid or object_identifier(name)
