"""Octets from outside are DER all the way down, or they are not read (X.690 §8 to §11).

Parsers are shallow and lenient: they take indefinite lengths, padded integers and nested bombs
until somebody touches the field. So this walk runs first, and what comes after may be simple.
"""

from __future__ import annotations

import re

from ca.encoding import tlv
from ca.errors import EncodingError

#: Universal types whose content is other elements; every other universal type is primitive.
_CONSTRUCTED = frozenset({0x08, 0x0B, 0x10, 0x11, 0x1D})
#: Sub-identifiers, none of which begins with 80; the classes are disjoint, so this is linear.
_OID = re.compile(rb"(?:[\x00-\x7f]|[\x81-\xff][\x80-\xff]*[\x00-\x7f])+\Z")
_REMEDY = "make the file again with the program it came from; DER has exactly one form"


def check_der(
    octets: bytes, *, max_size: int = 65536, max_depth: int = 32, max_oid: int = 64
) -> None:
    """One DER element and nothing after it, within bounds (X.690 §10, §11).

    Lengths are definite and minimal, BOOLEAN is 00 or FF, INTEGER minimal, BIT STRING padding
    zero, OBJECT IDENTIFIER whole, a universal SET in ascending order, strings primitive.
    What OCTET STRING and BIT STRING hold is not looked into.

    max_size:  octets in all. max_depth: nesting. max_oid: octets of one OBJECT IDENTIFIER.
    Raises:    EncodingError naming the offset and the clause.
    """
    if len(octets) > max_size:
        raise EncodingError(
            f"{len(octets)} octets are more than the {max_size} that are read",
            remedy="give the right file; a request has a few hundred octets",
        )
    if not octets:
        raise EncodingError("there are no octets", remedy="give the right file")
    end = _walk(octets, 0, len(octets), max_depth, max_oid)
    if end != len(octets):
        raise EncodingError(
            f"{len(octets) - end} octets follow the end of the structure", remedy=_REMEDY
        )


def _walk(octets: bytes, start: int, limit: int, depth: int, max_oid: int) -> int:
    """Check the element at `start`, which may not pass `limit`; return where it ends."""
    if depth == 0:
        raise _broken(start, "the nesting is too deep")
    identifier = octets[start]
    content = _after_tag(octets, start, limit)
    content, end = _after_length(octets, start, content, limit)
    if identifier & 0xC0 == 0:  # universal: its shape is known
        number = identifier & 0x1F
        if bool(identifier & 0x20) != (number in _CONSTRUCTED):
            raise _broken(start, f"type {number} has the wrong form (§10.2)")
        if not identifier & 0x20:
            _check_primitive(octets, start, number, content, end, max_oid)
    if identifier & 0x20:
        _walk_inside(octets, identifier, content, end, depth - 1, max_oid)
    return end


def _walk_inside(
    octets: bytes, identifier: int, start: int, end: int, depth: int, max_oid: int
) -> None:
    previous = b""
    while start < end:
        after = _walk(octets, start, end, depth, max_oid)
        if identifier == tlv.SET:
            current = octets[start:after]
            if current < previous:
                raise _broken(start, "a SET is not in ascending order (§11.6)")
            previous = current
        start = after


def _after_tag(octets: bytes, start: int, limit: int) -> int:
    """Where the length octets begin. Tag numbers from 31 take more octets (§8.1.2.4)."""
    if octets[start] & 0x1F != 0x1F:
        return start + 1
    number = 0
    for index in range(start + 1, min(start + 5, limit)):
        number = number << 7 | octets[index] & 0x7F
        if not octets[index] & 0x80:
            if number < 31:
                raise _broken(start, "a tag takes more octets than it needs (§8.1.2.2)")
            return index + 1
        if number == 0:
            raise _broken(start, "a tag is padded (§8.1.2.4.2)")
    raise _broken(start, "a tag does not end")


def _after_length(octets: bytes, start: int, index: int, limit: int) -> tuple[int, int]:
    """Where the content begins and ends."""
    if index >= limit:
        raise _broken(start, "an element ends before its length")
    size = octets[index]
    index += 1
    if size & 0x80:
        count = size & 0x7F
        if count == 0:
            raise _broken(start, "a length is indefinite (§10.1)")
        if count > 4 or index + count > limit:
            raise _broken(start, "a length passes the end")
        size = int.from_bytes(octets[index : index + count], "big")
        if size < 0x80 or size >> 8 * (count - 1) == 0:
            raise _broken(start, "a length takes more octets than it needs (§10.1)")
        index += count
    if index + size > limit:
        raise _broken(start, "an element is longer than what holds it")
    return index, index + size


def _check_primitive(
    octets: bytes, start: int, number: int, content: int, end: int, max_oid: int
) -> None:
    size = end - content
    if number == 0:
        raise _broken(start, "an end-of-contents has no place in DER (§10.1)")
    if number == tlv.BOOLEAN and (size != 1 or octets[content] not in (0x00, 0xFF)):
        raise _broken(start, "a BOOLEAN is neither 00 nor FF (§11.1)")
    if number in (tlv.INTEGER, tlv.ENUMERATED):
        if size == 0:
            raise _broken(start, "an INTEGER is empty (§8.3.1)")
        if size > 1 and octets[content] in (0x00, 0xFF):
            padded = octets[content + 1] >= 0x80
            if padded == (octets[content] == 0xFF):
                raise _broken(start, "an INTEGER takes more octets than it needs (§8.3.2)")
    if number == tlv.BIT_STRING:
        _check_bit_string(octets[content:end], start)
    if number == tlv.NULL and size:
        raise _broken(start, "a NULL is not empty (§8.8.2)")
    if number in (tlv.OID, 13):  # 13: RELATIVE-OID
        if size > max_oid:
            raise _broken(start, f"an OBJECT IDENTIFIER has {size} octets, more than {max_oid}")
        if not _OID.match(octets[content:end]):
            raise _broken(start, "an OBJECT IDENTIFIER is empty, padded or cut off (§8.19)")


def _check_bit_string(content: bytes, start: int) -> None:
    if not content or content[0] > 7 or (content[0] and len(content) == 1):
        raise _broken(start, "a BIT STRING counts its unused bits wrong (§8.6.2)")
    if content[-1] & (1 << content[0]) - 1 and len(content) > 1:
        raise _broken(start, "the unused bits of a BIT STRING are not zero (§11.2.1)")


def _broken(offset: int, what: str) -> EncodingError:
    return EncodingError(f"not DER at octet {offset}: {what}", remedy=_REMEDY)
