"""Certificate policies, their mappings and constraints (RFC 5280 §4.2.1.4, §4.2.1.5, §4.2.1.11)."""

from __future__ import annotations

from ca.encoding import extensions as ext
from ca.encoding import tlv
from ca.encoding.asn1_generate import parse_integer
from ca.names.showing import visible
from ca.profiles.object_names import POLICIES, meant, object_identifier
from ca.profiles.openssl_cnf import Cnf
from ca.profiles.x509v3_names import (
    Item,
    bad,
    has_name,
    items_or_section,
    list_items,
    section_items,
)

CPS = "1.3.6.1.5.5.7.2.1"
USER_NOTICE = "1.3.6.1.5.5.7.2.2"
ANY_POLICY = "2.5.29.32.0"
_MAX_EXPLICIT_TEXT = 200  # characters (§4.2.1.4)
_TEXT_TYPES = {
    "UTF8": tlv.UTF8_STRING,
    "UTF8String": tlv.UTF8_STRING,
    "VISIBLE": tlv.VISIBLE_STRING,
    "VISIBLESTRING": tlv.VISIBLE_STRING,
}


def certificate_policies(cnf: Cnf, text: str, line: int) -> bytes:
    """`[ia5org,] OID, …, @section`. Raises: EncodingError."""
    found: dict[str, bytes] = {}
    ia5 = False
    for item in list_items(text, line):
        if item.value is not None:
            raise bad(
                f"{visible(item.name)!r} has a value", "write the OID alone, or @section for more"
            )
        if item.name == "ia5org":
            ia5 = True
            continue
        if item.name.startswith("@"):
            oid, qualifiers = _policy_section(cnf, item.name[1:], ia5=ia5)
        else:
            oid, qualifiers = object_identifier(item.name, POLICIES), []
        if oid in found:
            raise bad(f"the policy {oid} stands twice", "keep one (RFC 5280 §4.2.1.4)")
        tail = tlv.sequence(*qualifiers) if qualifiers else b""
        found[oid] = tlv.sequence(tlv.oid(oid), tail)
    return tlv.sequence(*found.values())


def _policy_section(cnf: Cnf, section: str, *, ia5: bool) -> tuple[str, list[bytes]]:
    oid, qualifiers = "", []
    for item in section_items(cnf, section):
        value = item.value or ""
        if item.name == "policyIdentifier":
            oid = object_identifier(value, POLICIES)
        elif has_name(item, "CPS"):
            qualifiers.append(tlv.sequence(tlv.oid(CPS), _ascii(tlv.IA5_STRING, value)))
        elif has_name(item, "userNotice"):
            if not value.startswith("@"):
                raise bad(f"{visible(value)!r} is not a section", "write userNotice.1 = @notice")
            notice = _notice(section_items(cnf, value[1:]), ia5=ia5)
            qualifiers.append(tlv.sequence(tlv.oid(USER_NOTICE), notice))
        else:
            known = ("policyIdentifier", "CPS.1", "userNotice.1")
            raise bad(
                f"line {item.line}, {visible(item.name)!r} is not a key of a policy"
                f"{meant(item.name, known)}",
                f"use {', '.join(known)}",
            )
    if not oid:
        raise bad(f"[{section}] has no policyIdentifier", "write policyIdentifier = OID")
    return oid, qualifiers


def _notice(items: list[Item], *, ia5: bool) -> bytes:
    text = organization = None
    numbers: list[bytes] = []
    for item in items:
        value = item.value or ""
        match item.name:
            case "explicitText":
                text = _explicit_text(value)
            case "organization":
                organization = _ascii(tlv.IA5_STRING if ia5 else tlv.VISIBLE_STRING, value)
            case "noticeNumbers":
                numbers = [_number(number) for number in list_items(value, item.line)]
            case key:
                known = ("explicitText", "organization", "noticeNumbers")
                raise bad(
                    f"line {item.line}, {visible(key)!r} is not a key of a notice"
                    f"{meant(key, known)}",
                    f"use {', '.join(known)}",
                )
    if (organization is None) != (not numbers):
        raise bad(
            "organization and noticeNumbers stand only together",
            "write both, or only explicitText",
        )
    reference = b"" if organization is None else tlv.sequence(organization, tlv.sequence(*numbers))
    return tlv.sequence(reference, text or b"")


def _number(item: Item) -> bytes:
    if item.value is not None or (number := parse_integer(item.name)) < 0:
        raise bad(f"{visible(item.name)!r} is not a notice number", "write it like 1, 2, 3")
    return tlv.integer(number)


def _explicit_text(value: str) -> bytes:
    kind, colon, rest = value.partition(":")
    if colon and kind in ("BMP", "BMPSTRING"):
        raise bad("BMP would be filled with single octets by OpenSSL", "write UTF8:text")
    tag = _TEXT_TYPES.get(kind) if colon else None
    text = value if tag is None else rest
    if not 1 <= len(text) <= _MAX_EXPLICIT_TEXT:
        raise bad(
            f"explicitText has {len(text)} characters",
            f"write 1 to {_MAX_EXPLICIT_TEXT} (RFC 5280 §4.2.1.4)",
        )
    if tag == tlv.UTF8_STRING:
        return tlv.tlv(tag, text.encode())
    return _ascii(tlv.VISIBLE_STRING, text)


def _ascii(tag: int, text: str) -> bytes:
    if not text.isascii() or not text:
        raise bad(
            f"{visible(text)!r} is not ASCII, or empty", "write ASCII, or explicitText = UTF8:…"
        )
    return tlv.tlv(tag, text.encode("ascii"))


def policy_mappings(cnf: Cnf, text: str, line: int) -> bytes:
    """`issuerPolicy:subjectPolicy, …`. Raises: EncodingError."""
    pairs = []
    for item in items_or_section(cnf, text, line):
        if item.value is None:
            raise bad(f"{visible(item.name)!r} is mapped to nothing", "write it like 1.2.3:1.2.4")
        oids = object_identifier(item.name, POLICIES), object_identifier(item.value, POLICIES)
        if ANY_POLICY in oids:
            raise bad("anyPolicy is mapped", "map policies of your own (RFC 5280 §4.2.1.5)")
        pairs.append(tlv.sequence(*map(tlv.oid, oids)))
    return tlv.sequence(*pairs)


def policy_constraints(cnf: Cnf, text: str, line: int) -> bytes:
    """`requireExplicitPolicy:N, inhibitPolicyMapping:N`. Raises: EncodingError."""
    skips: dict[str, int] = {}
    known = ("requireExplicitPolicy", "inhibitPolicyMapping")
    for item in items_or_section(cnf, text, line):
        if item.name not in known or item.value is None:
            raise bad(
                f"{visible(item.name)!r} is not a policy constraint{meant(item.name, known)}",
                "write it like requireExplicitPolicy:0",
            )
        number = parse_integer(item.value)
        if number < 0:
            raise bad(f"{number} is negative", "write 0 or more (RFC 5280 §4.2.1.11)")
        skips[item.name] = number
    return ext.policy_constraints(*(skips.get(name) for name in known))
