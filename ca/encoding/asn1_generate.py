"""The ASN.1 mini-language of ASN1_generate_nconf(3): text to DER.

    [modifier,]type[:value]      modifier: EXPLICIT:n[c], IMPLICIT:n[c], OCTWRAP, SEQWRAP, SETWRAP,
                                           BITWRAP, FORMAT:ASCII|UTF8|HEX|BITLIST

Stricter than OpenSSL where its result would not be DER, or not what was written:

    times            only YYMMDDHHMMSSZ and YYYYMMDDHHMMSSZ (X.690 §11.7, §11.8)
    strings          beyond ASCII only with FORMAT:UTF8: without it OpenSSL reads each octet as a
                     Latin-1 character; VISIBLE and GENERALSTRING never
    class U          refused in EXPLICIT and IMPLICIT: it makes one type look like another
    modifiers        nothing may follow the number and class letter, or the format's name
    bounds           nesting, elements, octets: sections that name each other cannot grow for ever
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from ca.encoding import tlv
from ca.errors import EncodingError
from ca.names.distinguished import is_printable_string
from ca.names.showing import visible

MAX_DEPTH = 50  # nested SEQUENCE and SET, as OpenSSL
MAX_ELEMENTS = 2000
MAX_OCTETS = 64 * 1024
MAX_TAGS = 20  # modifiers around one value, as OpenSSL
MAX_BIT = 1023

_STRINGS = {
    tlv.UTF8_STRING: ("UTF8", "UTF8STRING"),
    tlv.PRINTABLE_STRING: ("PRINTABLE", "PRINTABLESTRING"),
    tlv.IA5_STRING: ("IA5", "IA5STRING"),
    tlv.T61_STRING: ("T61", "T61STRING", "TELETEXSTRING"),
    tlv.BMP_STRING: ("BMP", "BMPSTRING"),
    tlv.UNIVERSAL_STRING: ("UNIV", "UNIVERSALSTRING"),
    tlv.NUMERIC_STRING: ("NUMERIC", "NUMERICSTRING"),
    tlv.VISIBLE_STRING: ("VISIBLE", "VISIBLESTRING"),
    tlv.GENERAL_STRING: ("GENSTR", "GENERALSTRING"),
}
_TYPES = {
    name: tag
    for tag, names in {
        **_STRINGS,
        tlv.BOOLEAN: ("BOOL", "BOOLEAN"),
        tlv.NULL: ("NULL",),
        tlv.INTEGER: ("INT", "INTEGER"),
        tlv.ENUMERATED: ("ENUM", "ENUMERATED"),
        tlv.OID: ("OID", "OBJECT"),
        tlv.UTC_TIME: ("UTC", "UTCTIME"),
        tlv.GENERALIZED_TIME: ("GENTIME", "GENERALIZEDTIME"),
        tlv.OCTET_STRING: ("OCT", "OCTETSTRING"),
        tlv.BIT_STRING: ("BITSTR", "BITSTRING"),
        tlv.SEQUENCE: ("SEQ", "SEQUENCE"),
        tlv.SET: ("SET",),
    }.items()
    for name in names
}
_CODECS = {
    tlv.UTF8_STRING: "utf-8",
    tlv.T61_STRING: "latin-1",
    tlv.BMP_STRING: "utf-16-be",
    tlv.UNIVERSAL_STRING: "utf-32-be",
}
_CLASSES = {"": 0x80, "C": 0x80, "A": 0x40, "P": 0xC0}
_WRAPPERS = {"SEQWRAP": tlv.SEQUENCE, "SETWRAP": tlv.SET, "OCTWRAP": tlv.OCTET_STRING}
_FORMATS = ("ASCII", "UTF8", "HEX", "BITLIST")
_TRUE = ("TRUE", "true", "Y", "y", "YES", "yes")
_FALSE = ("FALSE", "false", "N", "n", "NO", "no")


class Generator(Struct):
    """Where sections and object names come from, and how much has been made of them.

    section: the values of a section in order, or None when there is none.
    oid:     a name or dotted OID to the dotted OID. Raises: EncodingError.
    """

    section: Callable[[str], list[str] | None]
    oid: Callable[[str], str]
    _elements: int = 0

    def generate(self, text: str, *, depth: int = 0) -> bytes:
        """DER of one value. Raises: EncodingError."""
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise _bad(f"the sections make more than {MAX_ELEMENTS} elements", "shorten them")
        modifiers = _Modifiers()
        rest = text
        while True:
            rest = rest.lstrip()
            element, comma, after = rest.partition(",")
            word, colon, value = element.rstrip().partition(":")
            name = word.upper()  # as OpenSSL: utf8 and UTF8, but HEX only as HEX
            if name in _TYPES:
                break
            if not modifiers.take(name, value if colon else None) or not comma:
                raise _bad(
                    f"{visible(word)!r} is neither a type nor a modifier of ASN.1",
                    "use the names of ASN1_generate_nconf(3): UTF8, INTEGER, SEQUENCE, EXPLICIT",
                )
            rest = after
        if not colon and comma:
            raise _bad(f"{visible(rest)!r} has no value", f"write it like {word}:value")
        base = self._base(_TYPES[name], rest[len(word) + 1 :], modifiers.format, depth)
        octets = modifiers.wrap(base)
        if len(octets) > MAX_OCTETS:
            raise _bad(f"the value has more than {MAX_OCTETS} octets", "shorten it")
        return octets

    def _base(self, tag: int, value: str, form: str, depth: int) -> bytes:
        if tag in (tlv.SEQUENCE, tlv.SET):
            return self._collection(tag, value, depth)
        if tag in (tlv.OCTET_STRING, tlv.BIT_STRING):
            return _octets(tag, value, form)
        if tag in _STRINGS:
            return tlv.tlv(tag, _characters(tag, value, form))
        if tag == tlv.NULL:
            if value:
                raise _bad(f"NULL has the value {visible(value)!r}", "write NULL alone")
            return tlv.null()
        if form != "ASCII":
            raise _bad(f"FORMAT:{form} does not go with this type", "leave FORMAT out")
        match tag:
            case tlv.BOOLEAN:
                return tlv.boolean(parse_boolean(value))
            case tlv.OID:
                return tlv.oid(self.oid(value))
            case tlv.UTC_TIME | tlv.GENERALIZED_TIME:
                return tlv.tlv(tag, _time(tag, value))
            case _:
                content = tlv.read_only(tlv.integer(parse_integer(value)), tlv.INTEGER)
                return tlv.tlv(tag, content)

    def _collection(self, tag: int, name: str, depth: int) -> bytes:
        if depth >= MAX_DEPTH:
            raise _bad(f"sections are nested more than {MAX_DEPTH} deep", "flatten them")
        values: list[str] | None = []
        if name:
            values = self.section(name)
        if values is None:
            raise _bad(f"there is no section {visible(name)!r}", f"write [ {visible(name)} ]")
        parts = [self.generate(value, depth=depth + 1) for value in values]
        return tlv.sequence(*parts) if tag == tlv.SEQUENCE else tlv.set_of(parts)


class _Modifiers:
    """The modifiers in front of a type, outermost first."""

    def __init__(self) -> None:
        self.format = "ASCII"
        self._implicit: tuple[int, int] | None = None  # class bits, number
        # (tag octets made by, constructed, leading zero octet)
        self._wraps: list[tuple[int, int, bool, bytes]] = []

    def take(self, word: str, value: str | None) -> bool:
        """Remember one modifier; False when `word` is none. Raises: EncodingError."""
        match word:
            case "IMP" | "IMPLICIT":
                if self._implicit is not None:
                    raise _bad("two IMPLICIT tags for one value", "put a wrapper in between")
                self._implicit = _tag(value)
            case "EXP" | "EXPLICIT":
                if self._implicit is not None:
                    raise _bad("IMPLICIT stands before EXPLICIT", "put IMPLICIT after it")
                self._wraps.append((*_tag(value), True, b""))
            case "SEQWRAP" | "SETWRAP" | "OCTWRAP":
                self._wrapper(_WRAPPERS[word] & 0x1F, word != "OCTWRAP", b"")
            case "BITWRAP":
                self._wrapper(tlv.BIT_STRING, False, b"\x00")
            case "FORM" | "FORMAT":
                if value not in _FORMATS:
                    raise _bad(
                        f"{visible(value or '')!r} is not a format", f"use {', '.join(_FORMATS)}"
                    )
                self.format = value
            case _:
                return False
        if len(self._wraps) > MAX_TAGS:
            raise _bad(f"more than {MAX_TAGS} tags around one value", "use fewer")
        return True

    def _wrapper(self, number: int, constructed: bool, padding: bytes) -> None:
        bits, number = self._implicit or (0, number)
        self._implicit = None
        self._wraps.append((bits, number, constructed, padding))

    def wrap(self, octets: bytes) -> bytes:
        if self._implicit is not None:
            tag, content, _ = tlv.read(octets)
            bits, number = self._implicit
            octets = tlv.tagged(number, content, constructed=bool(tag & 0x20), bits=bits)
        for bits, number, constructed, padding in reversed(self._wraps):
            octets = tlv.tagged(number, padding + octets, constructed=constructed, bits=bits)
        return octets


def _tag(value: str | None) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})([CAP]?)", value or "")
    if match is None:
        raise _bad(
            f"{visible(value or '')!r} is not a tag",
            "write a number and the class C, A or P: EXPLICIT:0, IMPLICIT:1C",
        )
    return _CLASSES[match.group(2)], int(match.group(1))


def parse_boolean(text: str) -> bool:
    """TRUE, true, Y, y, YES, yes and their opposites, as OpenSSL. Raises: EncodingError."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _bad(f"{visible(text)!r} is not a boolean", "write TRUE or FALSE")


def parse_integer(text: str) -> int:
    """Decimal or 0x hexadecimal, a minus in front if need be. Raises: EncodingError."""
    match = re.fullmatch(r"(-?)(?:0[xX]([0-9A-Fa-f]{1,512})|([0-9]{1,512}))", text)
    if match is None:
        raise _bad(f"{visible(text)!r} is not an integer", "write it like 3 or 0x1F")
    sign, digits, decimal = match.groups()
    value = int(digits, 16) if digits else int(decimal)
    return -value if sign else value


def parse_hex(text: str) -> bytes:
    """Octets from pairs of hexadecimal digits, colons between them. Raises: EncodingError."""
    if not re.fullmatch(r":*(?:[0-9A-Fa-f]{2}:*)+", text):
        raise _bad(f"{visible(text)!r} is not hexadecimal", "write pairs of digits: 01:02:0A")
    return bytes.fromhex(text.replace(":", ""))


def _octets(tag: int, value: str, form: str) -> bytes:
    if form == "BITLIST" and tag == tlv.BIT_STRING:
        return tlv.named_bits(map(_bit, value.split(",")))
    if form == "HEX":
        octets = parse_hex(value)
    elif form == "ASCII":
        octets = value.encode()
    else:
        raise _bad(f"FORMAT:{form} does not go with this type", "use ASCII or HEX")
    return tlv.tlv(tag, (b"\x00" if tag == tlv.BIT_STRING else b"") + octets)


def _bit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text.strip()) or int(text) > MAX_BIT:
        raise _bad(f"{visible(text)!r} is not a bit number", f"use 0 to {MAX_BIT}, 0 first")
    return int(text)


def _characters(tag: int, value: str, form: str) -> bytes:
    if form not in ("ASCII", "UTF8"):
        raise _bad(f"FORMAT:{form} does not go with a string", "use ASCII or UTF8")
    if form == "ASCII" and not value.isascii():
        raise _bad(
            f"{visible(value)!r} is not ASCII", "write FORMAT:UTF8, in front of the string's type"
        )
    wrong = {
        tlv.PRINTABLE_STRING: not is_printable_string(value),
        tlv.NUMERIC_STRING: not re.fullmatch(r"[0-9 ]*", value),
        tlv.BMP_STRING: any(ord(character) > 0xFFFF for character in value),
    }.get(tag, False)
    codec = _CODECS.get(tag, "ascii")
    try:
        octets = value.encode(codec)
    except UnicodeEncodeError:
        wrong = True
        octets = b""
    if wrong:
        raise _bad(
            f"{visible(value)!r} has a character that this string type has not",
            "use UTF8, or write it with other characters",
        )
    return octets


def _time(tag: int, value: str) -> bytes:
    short = tag == tlv.UTC_TIME
    if re.fullmatch(r"\d{12}Z" if short else r"\d{14}Z", value):
        try:
            datetime.strptime(value, "%y%m%d%H%M%SZ" if short else "%Y%m%d%H%M%SZ")  # noqa: DTZ007 - only whether it is a time
        except ValueError:
            pass
        else:
            return value.encode("ascii")
    raise _bad(
        f"{visible(value)!r} is not a time in DER",
        "write YYMMDDHHMMSSZ" if short else "write YYYYMMDDHHMMSSZ",
    )


def _bad(problem: str, remedy: str) -> EncodingError:
    return EncodingError(problem, remedy=remedy)
