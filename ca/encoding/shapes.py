"""What a DER structure from outside is, by the tags of its first two levels.

A guess for the sake of a good sentence: "this is a certificate, not a request". Whether it is a
sound one is for its own reader.
"""

from __future__ import annotations

from itertools import islice

from ca.encoding import tlv
from ca.errors import EncodingError

#: Structures that say in an OID what they are: the arc above it.
_TYPED = {
    "1.2.840.113549.1.7": "pkcs7",  # ContentInfo (RFC 5652 §3)
    "1.2.840.113549.1.9.16.1": "pkcs7",
    "2.23.133.10.1": "tpm-key",  # TSS2 PRIVATE KEY
}


def is_whole_element(octets: bytes) -> bool:
    """Is it one SEQUENCE from the first octet to the last? Then it is DER, whatever is inside."""
    if not octets.startswith(b"\x30"):
        return False
    try:
        return tlv.read(octets)[2] == len(octets)
    except EncodingError:
        return False


def shape_of(der: bytes) -> str | None:
    """One of the words below, None when it is none of them.

    request, certificate, crl, spkac, pkcs7, crmf, private-key, tpm-key, pkcs12, public-key
    """
    try:
        top = list(islice(tlv.elements(tlv.read(der)[1]), 9)) if der[:1] == b"\x30" else []
        tags = [tag for tag, _ in top]
        if tags[:1] == [tlv.OID]:
            return _TYPED.get(tlv.read_oid(top[0][1]).rpartition(".")[0])
        if tags == [tlv.SEQUENCE, tlv.SEQUENCE, tlv.BIT_STRING]:
            return _signed_shape(top[0][1])
        return _unsigned_shape(tags, top)
    except (EncodingError, IndexError):
        return None


def _signed_shape(info: bytes) -> str | None:
    """Of what X.509's SIGNED{} macro wraps: certificate, CRL, request, SPKAC."""
    parts = list(islice(tlv.elements(info), 8))
    tags = [tag for tag, _ in parts]
    if tags == [tlv.SEQUENCE, tlv.IA5_STRING]:
        return "spkac"
    if tags[:1] == [0xA0]:
        return "certificate"
    if tags[:1] == [tlv.INTEGER]:
        body = tags[1:]
        if body[:3] == [tlv.SEQUENCE] * 3:
            return "certificate"  # v1: serial, algorithm, issuer, validity
        if body[:3] in (
            [tlv.SEQUENCE, tlv.SEQUENCE, tlv.UTC_TIME],
            [tlv.SEQUENCE, tlv.SEQUENCE, tlv.GENERALIZED_TIME],
        ):
            return "crl"
        return "request"
    return "crl" if tlv.UTC_TIME in tags[:3] or tlv.GENERALIZED_TIME in tags[:3] else None


def _unsigned_shape(tags: list[int], top: list[tuple[int, bytes]]) -> str | None:
    match tags:
        case [tlv.INTEGER, tlv.SEQUENCE, tlv.OCTET_STRING, *_]:
            return "private-key"  # PKCS#8
        case [tlv.INTEGER, tlv.OCTET_STRING, *_]:
            return "private-key"  # SEC 1
        case [tlv.INTEGER, tlv.INTEGER, tlv.INTEGER, *_]:
            return "private-key"  # PKCS#1, or DSA's own form
        case [tlv.SEQUENCE, tlv.OCTET_STRING]:
            return "private-key"  # PKCS#8, encrypted
        case [tlv.INTEGER, tlv.SEQUENCE, *_] if top[0][1] == b"\x03":
            return "pkcs12"
        case [tlv.SEQUENCE, tlv.BIT_STRING]:
            return "public-key"
        case [tlv.INTEGER, tlv.INTEGER]:
            return "public-key"  # PKCS#1
        case [tlv.SEQUENCE, *_]:
            first = list(islice(tlv.elements(top[0][1]), 1))
            if first and first[0][0] == tlv.SEQUENCE and first[0][1][:1] == b"\x02":
                return "crmf"
    return None
