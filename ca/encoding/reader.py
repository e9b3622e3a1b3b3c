"""A cursor over DER that takes nothing on trust (X.690 §8, §10, §11).

For reading certificates and CRLs from outside: no recursion, no copies but those asked for, and
one exception, in the words of a certificate, for everything that is not DER. `ca.encoding.tlv`
has the tags.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NoReturn

from ca.encoding import tlv
from ca.errors import CertificateMalformed, EncodingError

MAX_OID = 64  # octets


def malformed(what: str, why: str) -> NoReturn:
    """The one way these octets are refused. Raises: CertificateMalformed."""
    raise CertificateMalformed(
        f"the {what} cannot be read: {why}",
        remedy="get the file again from where it was made; do not repair it by hand",
    )


class Reader:
    """A stretch of DER and how far it has been read.

    what: names the stretch in errors, "certificate", "subjectAltName".
    """

    __slots__ = ("_end", "_octets", "_position", "what")

    def __init__(self, octets: bytes, what: str, *, start: int = 0, end: int | None = None) -> None:
        self._octets = octets
        self._position = start
        self._end = len(octets) if end is None else end
        self.what = what

    def _header(self, tag: int) -> tuple[int, int]:
        """First and last+1 index of the content at the cursor; the cursor moves behind it."""
        octets, position, end = self._octets, self._position, self._end
        if position + 2 > end:
            self.refuse("it ends too early")
        if octets[position] != tag:
            self.refuse(f"tag 0x{octets[position]:02x} stands where 0x{tag:02x} belongs")
        length = octets[position + 1]
        start = position + 2
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or start + count > end:
                self.refuse("a length is indefinite, oversized or cut off")
            length = int.from_bytes(octets[start : start + count], "big")
            if length < 0x80 or not octets[start]:
                self.refuse("a length is not in its shortest form")
            start += count
        if start + length > end:
            self.refuse("an element is longer than what holds it")
        self._position = start + length
        return start, start + length

    @property
    def tag(self) -> int:
        """The tag at the cursor; 0 at the end. Tag 0 (end of contents) is not DER."""
        if self._position >= self._end:
            return 0
        tag = self._octets[self._position]
        if tag & 0x1F == 0x1F or tag == 0:
            self.refuse(f"tag 0x{tag:02x} has no place in X.509")
        return tag

    @property
    def position(self) -> int:
        """Index of the cursor in the octets the outermost reader was given."""
        return self._position

    def enter(self, tag: int = tlv.SEQUENCE) -> Reader:
        """A reader over the content of the constructed element at the cursor."""
        start, end = self._header(tag)
        return Reader(self._octets, self.what, start=start, end=end)

    def content(self, tag: int) -> bytes:
        """The content octets of the element at the cursor."""
        start, end = self._header(tag)
        return self._octets[start:end]

    def skip(self, tag: int) -> tuple[int, int]:
        """First and last+1 index of the content at the cursor, which is not copied."""
        return self._header(tag)

    def element(self, tag: int | None = None) -> bytes:
        """The whole element at the cursor, tag and length included; any tag when None."""
        begin = self._position
        self._header(self.tag if tag is None else tag)
        return self._octets[begin : self._position]

    def rest(self) -> bytes:
        """All that is left, unread."""
        return self._octets[self._position : self._end]

    def done(self) -> None:
        """Raises: CertificateMalformed when something is left."""
        if self._position != self._end:
            self.refuse("something follows where nothing may")

    def refuse(self, why: str) -> NoReturn:
        """Raises: CertificateMalformed naming this stretch."""
        malformed(self.what, why)

    # ------------------------------------------------------------ primitives

    def integer_octets(self, tag: int = tlv.INTEGER) -> bytes:
        """Two's complement content, shortest form (X.690 §8.3.2)."""
        octets = self.content(tag)
        if not octets or (
            len(octets) > 1 and octets[0] in (0x00, 0xFF) and octets[0] >> 7 == octets[1] >> 7
        ):
            self.refuse("an INTEGER is not in its shortest form")
        return octets

    def integer(self, tag: int = tlv.INTEGER) -> int:
        return int.from_bytes(self.integer_octets(tag), "big", signed=True)

    def boolean(self, tag: int = tlv.BOOLEAN) -> bool:
        octets = self.content(tag)
        if octets not in (b"\x00", b"\xff"):
            self.refuse("a BOOLEAN is neither 00 nor FF")
        return octets == b"\xff"

    def bits(self, tag: int = tlv.BIT_STRING) -> tuple[int, bytes]:
        """Number of unused bits and the octets; unused bits are zero (X.690 §11.2.1)."""
        octets = self.content(tag)
        if not octets or octets[0] > 7 or (octets[0] and len(octets) == 1):
            self.refuse("a BIT STRING has an impossible number of unused bits")
        if octets[0] and octets[-1] & ((1 << octets[0]) - 1):
            self.refuse("a BIT STRING has unused bits that are not zero")
        return octets[0], octets[1:]

    def oid(self, tag: int = tlv.OID) -> str:
        octets = self.content(tag)
        dotted = dotted_oid(octets) if len(octets) <= MAX_OID else None
        if dotted is None:
            self.refuse("an OBJECT IDENTIFIER is not one")
        return dotted


@lru_cache(maxsize=512)
def dotted_oid(content: bytes) -> str | None:
    """ "1.2.840.113549" from content octets (X.690 §8.19); None when they are not an OID."""
    try:
        return tlv.read_oid(content)
    except EncodingError:
        return None
