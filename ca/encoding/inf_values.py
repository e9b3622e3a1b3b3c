"""Values in a certreq INF: TRUE and FALSE, numbers, key usages, Windows's way to write a name."""

from __future__ import annotations

import re

from ca.encoding.extensions import KEY_USAGES
from ca.encoding.inf import Entry, Faults
from ca.errors import IllegalName
from ca.names.distinguished import Attribute, DistinguishedName, attribute_type
from ca.names.showing import visible

_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})

#: CERT_*_KEY_USAGE of wincrypt.h: the first octet of the KeyUsage bits, the ninth bit above it.
USAGE_MASKS = {
    0x80: "digitalSignature",
    0x40: "nonRepudiation",
    0x20: "keyEncipherment",
    0x10: "dataEncipherment",
    0x08: "keyAgreement",
    0x04: "keyCertSign",
    0x02: "cRLSign",
    0x01: "encipherOnly",
    0x8000: "decipherOnly",
}
USAGE_WORDS = {
    "CERT_DIGITAL_SIGNATURE_KEY_USAGE": 0x80,
    "CERT_NON_REPUDIATION_KEY_USAGE": 0x40,
    "CERT_KEY_ENCIPHERMENT_KEY_USAGE": 0x20,
    "CERT_DATA_ENCIPHERMENT_KEY_USAGE": 0x10,
    "CERT_KEY_AGREEMENT_KEY_USAGE": 0x08,
    "CERT_KEY_CERT_SIGN_KEY_USAGE": 0x04,
    "CERT_OFFLINE_CRL_SIGN_KEY_USAGE": 0x02,
    "CERT_CRL_SIGN_KEY_USAGE": 0x02,
    "CERT_ENCIPHER_ONLY_KEY_USAGE": 0x01,
    "CERT_DECIPHER_ONLY_KEY_USAGE": 0x8000,
}
_OF_A_CA = frozenset({"keyCertSign", "cRLSign"})

#: Attribute names of CertStrToName that differ from RFC 4514's.
_WINDOWS_NAMES = {"e": "emailAddress", "s": "ST", "g": "GN", "i": "initials", "t": "title"}
_REVERSE_FLAG = 0x02000000  # CERT_NAME_STR_REVERSE_FLAG


def boolean(entry: Entry, faults: Faults) -> bool | None:
    """TRUE, FALSE, yes, no, 1, 0 in any case; a fault and None otherwise."""
    word = entry.value.strip().casefold()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    faults.add(
        "boolean",
        entry.line,
        f"{visible(entry.key)} = {visible(entry.value)!r} is neither TRUE nor FALSE",
        "write TRUE or FALSE",
    )
    return None


def number(entry: Entry, faults: Faults) -> int | None:
    """Decimal or 0x hexadecimal; a fault and None otherwise."""
    text = entry.value.strip()
    if re.fullmatch(r"[0-9]{1,9}|0[xX][0-9A-Fa-f]{1,8}", text):
        return int(text, 16 if text[:2].lower() == "0x" else 10)
    faults.add(
        "number",
        entry.line,
        f"{visible(entry.key)} = {visible(entry.value)!r} is not a number",
        "write it like 384 or 0x80",
    )
    return None


def key_usages(entry: Entry, faults: Faults) -> frozenset[str]:
    """ "0x80", "CERT_DIGITAL_SIGNATURE_KEY_USAGE | 0x20": the usages by their RFC 5280 names."""
    mask = 0
    for word in (part.strip() for part in entry.value.split("|")):
        known = {name.casefold(): name for name in USAGE_WORDS}
        if word.casefold() in known:
            mask |= USAGE_WORDS[known[word.casefold()]]
        elif word[:1].isdigit():
            mask |= number(Entry(entry.key, word, entry.line), faults) or 0
        else:
            faults.unknown("key-usage", entry.line, "a key usage", word, known)
    rest = mask & ~sum(USAGE_MASKS)
    if rest:
        faults.add(
            "key-usage", entry.line, f"KeyUsage has the unknown bits 0x{rest:x}", "write 0x80"
        )
    found = frozenset(name for bit, name in USAGE_MASKS.items() if mask & bit)
    if found & _OF_A_CA:
        faults.add(
            "key-usage",
            entry.line,
            "KeyUsage asks to sign certificates or CRLs, which no device may",
            "write KeyUsage = 0x80",
        )
    return found


def usage_bits(usages: frozenset[str]) -> list[int]:
    """Bit numbers of RFC 5280 §4.2.1.3."""
    return [bit for bit, name in enumerate(KEY_USAGES) if name in usages]


def subject(entry: Entry, flags: Entry | None, faults: Faults) -> DistinguishedName:
    """An X.500 string as CertStrToName reads it: RDNs split at `,` or `;`, "" around a value.

    RDNs keep the order of the text, as certreq does, unless X500NameFlags reverses them.
    """
    rdns: list[tuple[Attribute, ...]] = []
    for part in _split(entry.value, ",;\n"):
        attributes = []
        for pair in _split(part, "+"):
            name, equals, value = pair.partition("=")
            name = name.strip()
            try:
                if not equals:
                    raise IllegalName(f"{visible(pair.strip())!r} has no '='", remedy="write CN=…")
                kind = attribute_type(_WINDOWS_NAMES.get(name.casefold(), name))
                attributes.append(Attribute(kind.oid, _bare(value)))
            except IllegalName as error:
                faults.add("subject", entry.line, f"Subject: {error.problem}", error.remedy)
        if attributes:
            rdns.append(tuple(attributes))
    if flags is not None and _reverses(flags, faults):
        rdns.reverse()
    return DistinguishedName(tuple(rdns))


def _reverses(flags: Entry, faults: Faults) -> bool:
    words = [word.strip() for word in flags.value.split("|")]
    if any(word.upper().endswith("STR_REVERSE_FLAG") for word in words):
        return True
    digits = [word for word in words if word[:1].isdigit()]
    return any(
        (number(Entry(flags.key, word, flags.line), faults) or 0) & _REVERSE_FLAG for word in digits
    )


def _split(text: str, separators: str) -> list[str]:
    """Parts between separators outside quotes, empty ones dropped."""
    parts, quoted = [""], False
    for character in text:
        if character in separators and not quoted:
            parts.append("")
            continue
        quoted ^= character == '"'
        parts[-1] += character
    return [part for part in parts if part.strip()]


def _bare(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('""', '"')
    return value
