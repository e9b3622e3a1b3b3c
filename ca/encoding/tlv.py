"""DER by hand: writing and reading one tag-length-value at a time (X.690 §8, §10).

Enough for the structures homeca builds octet for octet; requests and certificates from outside
go through `ca.encoding.der.check_der` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ca.errors import EncodingError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
ENUMERATED = 0x0A
UTF8_STRING = 0x0C
NUMERIC_STRING = 0x12
PRINTABLE_STRING = 0x13
T61_STRING = 0x14
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
VISIBLE_STRING = 0x1A
GENERAL_STRING = 0x1B
UNIVERSAL_STRING = 0x1C
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31


def length(count: int) -> bytes:
    """Length octets, definite and minimal (X.690 §10.1)."""
    if count < 0x80:
        return bytes([count])
    octets = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def tlv(tag: int, content: bytes) -> bytes:
    """One element with a single-octet identifier."""
    return header(tag, len(content)) + content


def header(tag: int, count: int) -> bytes:
    """What stands in front of `count` octets of content."""
    return bytes([tag]) + length(count)


def tagged(number: int, content: bytes, *, constructed: bool = True, bits: int = 0x80) -> bytes:
    """An element of class `bits` (0x80 context, 0x40 application, 0xC0 private) and any number."""
    first = bits | (0x20 if constructed else 0)
    if number < 31:
        return tlv(first | number, content)
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes([first | 31, *reversed(groups)]) + length(len(content)) + content


def sequence(*elements: bytes) -> bytes:
    """SEQUENCE of elements that are encoded already; copied once, for a CRL has megabytes."""
    return b"".join((header(SEQUENCE, sum(map(len, elements))), *elements))


def set_of(elements: Iterable[bytes]) -> bytes:
    """SET OF, its elements in the ascending order DER wants (X.690 §11.6)."""
    return tlv(SET, b"".join(sorted(elements)))


def integer(value: int) -> bytes:
    """INTEGER in the fewest octets of two's complement."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return tlv(INTEGER, value.to_bytes(size, "big", signed=True))


def boolean(value: bool) -> bytes:
    """BOOLEAN, TRUE as FF (X.690 §11.1)."""
    return tlv(BOOLEAN, b"\xff" if value else b"\x00")


def null() -> bytes:
    """NULL."""
    return tlv(NULL, b"")


def octet_string(octets: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTET_STRING, octets)


def named_bits(numbers: Iterable[int]) -> bytes:
    """BIT STRING of a named bit list: bit 0 first, trailing zero bits gone (X.690 §11.2.2)."""
    wanted = set(numbers)
    if not wanted:
        return tlv(BIT_STRING, b"\x00")
    octets = bytearray(max(wanted) // 8 + 1)
    for number in wanted:
        octets[number // 8] |= 0x80 >> number % 8
    return tlv(BIT_STRING, bytes([7 - max(wanted) % 8]) + bytes(octets))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from "1.2.840.113549".

    Raises: EncodingError when the arcs are none (X.660: the first is 0, 1 or 2, and below 0 and
    1 the second is at most 39).
    """
    try:
        arcs = [int(arc) for arc in dotted.split(".") if arc.isascii() and arc.isdigit()]
        first, second, *rest = arcs
    except ValueError:
        first = second = -1
        arcs, rest = [], []
    if dotted.count(".") + 1 != len(arcs) or not ((first in (0, 1) and second < 40) or first == 2):
        raise EncodingError(
            f"{dotted!r} is not an object identifier", remedy="write it like 1.2.840.113549"
        )
    content = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return tlv(OID, content)


def read(octets: bytes, offset: int = 0) -> tuple[int, bytes, int]:
    """The element at `offset`: tag, content, offset of what follows.

    Raises: EncodingError for a tag above 30, a length that is indefinite, not minimal or past
    the end.
    """
    try:
        tag, first = octets[offset], octets[offset + 1]
    except IndexError:
        raise _broken("an element ends too early") from None
    start = offset + 2
    size = first
    if first & 0x80:
        count = first & 0x7F
        field = octets[start : start + count]
        size = int.from_bytes(field, "big")
        start += count
        if not 1 <= count <= 4 or len(field) != count or size < 0x80 or not field[0]:
            raise _broken("a length is indefinite or not minimal")
    if tag & 0x1F == 0x1F:
        raise _broken("a tag has a number above 30")
    if start + size > len(octets):
        raise _broken("an element is longer than what holds it")
    return tag, octets[start : start + size], start + size


def read_only(octets: bytes, tag: int) -> bytes:
    """The content of the one element `octets` are. Raises: EncodingError."""
    found, content, end = read(octets)
    if found != tag:
        raise _broken(f"tag {found:02X} stands where {tag:02X} should")
    if end != len(octets):
        raise _broken(f"{len(octets) - end} octets follow the end")
    return content


def elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in turn. Raises: EncodingError."""
    offset = 0
    while offset < len(content):
        tag, inner, offset = read(content, offset)
        yield tag, inner


def read_oid(content: bytes) -> str:
    """Dotted text of an OBJECT IDENTIFIER's content, at most 64 octets. Raises: EncodingError."""
    if not content or len(content) > 64 or content[-1] & 0x80:
        raise _broken("an object identifier is empty, cut off or longer than 64 octets")
    arcs: list[int] = []
    value = 0
    fresh = True
    for octet in content:
        if fresh and octet == 0x80:
            raise _broken("an object identifier has a padded arc")
        value = value << 7 | octet & 0x7F
        fresh = not octet & 0x80
        if fresh:
            arcs.append(value)
            value = 0
    top = min(arcs[0] // 40, 2)
    return ".".join(map(str, (top, arcs[0] - 40 * top, *arcs[1:])))


def _broken(what: str) -> EncodingError:
    return EncodingError(
        f"not DER: {what}", remedy="ask for the file again, in DER or PEM as it was made"
    )
