"""DER, and what is almost DER, for the vectors: a writer that checks nothing.

Independent of `ca.encoding`, which must not be tested with its own mistakes.
"""

from __future__ import annotations

import base64


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def seq(*parts: bytes) -> bytes:
    return tlv(0x30, b"".join(parts))


def set_(*parts: bytes) -> bytes:
    return tlv(0x31, b"".join(sorted(parts)))


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return tlv(0x06, content)


def bit_string(content: bytes, unused: int = 0) -> bytes:
    return tlv(0x03, bytes([unused]) + content)


def octet_string(content: bytes) -> bytes:
    return tlv(0x04, content)


def utf8(text: str) -> bytes:
    return tlv(0x0C, text.encode("utf-8", "surrogatepass"))


def printable(text: str) -> bytes:
    return tlv(0x13, text.encode("latin-1"))


def ia5(text: str) -> bytes:
    return tlv(0x16, text.encode("latin-1"))


def bmp(text: str) -> bytes:
    return tlv(0x1E, text.encode("utf-16-be", "surrogatepass"))


def context(number: int, content: bytes, *, constructed: bool = True) -> bytes:
    return tlv(0x80 | (0x20 if constructed else 0) | number, content)


NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"
FALSE = b"\x01\x01\x00"


def pem(label: str, der: bytes, *, end: str = "\n", width: int = 64) -> bytes:
    body = base64.b64encode(der).decode()
    lines = [body[i : i + width] for i in range(0, len(body), width)]
    return (end.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"]) + end).encode()
