"""The files people have: PEM, DER, PKCS#7, bare base64, in whatever text encoding Windows chose.

Reading finds the DER and says in one sentence why it is not there; what it means is for
`ca.encoding.requests` and its neighbours. Nothing of a file is repeated in a message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from ca.encoding import tlv
from ca.encoding.der import check_der
from ca.encoding.shapes import is_whole_element, shape_of
from ca.errors import CertificateMalformed, EncodingError, RequestMalformed

#: A request has some hundred octets; with 100 names and an RSA-4096 key about 6 KiB.
MAX_REQUEST_FILE = 65536
MAX_CERTIFICATES_FILE = 1 << 20
MAX_CRLS_FILE = 64 << 20

_REQUEST_LABELS = frozenset({"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"})
_CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
_PKCS7_LABELS = frozenset({"PKCS7", "PKCS #7 SIGNED DATA", "CMS"})
_SIGNED_DATA = "1.2.840.113549.1.7.2"

#: Octets encoded at a time: whole lines of 48.
_PIECE = 48 << 10

_BEGIN = re.compile(r"-----BEGIN ([^\r\n-]{1,64})-----")
#: Blanks of its own line alone: lines without end would be looked through from each of them.
_SPKAC = re.compile(r"^[ \t]{0,64}SPKAC[ \t]{0,64}=", re.MULTILINE)
_BASE64_TEXT = re.compile(r"[A-Za-z0-9+/=\s]+\Z")


# ---------------------------------------------------------------- writing


def pem(label: str, der: bytes) -> bytes:
    """Textual encoding with 64 columns and LF (RFC 7468 §2)."""
    return b"".join(pem_pieces(label, der))


def pem_pieces(label: str, der: bytes) -> Iterator[bytes]:
    """The same piece by piece: a CRL of megabytes goes into a file without being held twice."""
    yield f"-----BEGIN {label}-----\n".encode()
    for start in range(0, len(der), _PIECE):
        text = base64.b64encode(der[start : start + _PIECE])
        yield b"".join([text[at : at + 64] + b"\n" for at in range(0, len(text), 64)])
    yield f"-----END {label}-----\n".encode()


def pkcs7_certificates(ders: Sequence[bytes]) -> bytes:
    """Degenerate SignedData: certificates, no signers, no content (RFC 5652 §5, RFC 8551 §3.8).

    Returns: DER ContentInfo; the certificates in the order of a SET OF, not of the chain.
    """
    signed_data = tlv.sequence(
        tlv.integer(1),
        tlv.set_of(()),
        tlv.sequence(tlv.oid("1.2.840.113549.1.7.1")),
        tlv.tagged(0, b"".join(sorted(ders))),
        tlv.set_of(()),
    )
    return tlv.sequence(tlv.oid(_SIGNED_DATA), tlv.tagged(0, signed_data))


def fingerprint(der: bytes) -> str:
    """SHA-256 as people compare it: "AA:BB:…"."""
    return hashlib.sha256(der).digest().hex(":").upper()


# ---------------------------------------------------------------- requests


def read_request(octets: bytes) -> bytes:
    """DER of the one PKCS#10 request in a file (RFC 2986, RFC 7468 §7).

    Takes:   PEM under either label, DER, bare base64; UTF-8 with or without BOM, UTF-16 of either
             order with or without BOM; any line ends; text before and after.
    Raises:  RequestMalformed with a sentence of its own for: nothing, too much, a private key
             beside it (threat T23), a certificate, PKCS#7, CMC, CRMF, SPKAC, two requests.
    """
    if len(octets) > MAX_REQUEST_FILE:
        raise RequestMalformed(
            f"the file has {len(octets)} octets; a request has at most {MAX_REQUEST_FILE}",
            remedy="give the request alone, without what else is in the file",
        )
    if not octets.strip(b"\0 \t\r\n"):
        raise RequestMalformed("the file is empty", remedy="give the file that holds the request")
    if is_whole_element(octets):
        return _request_der(octets)
    text = _text(octets)
    if text is None:
        if octets[0] == tlv.SEQUENCE:
            return _request_der(octets)  # cut off or followed by something: said by the DER check
        raise _nothing_in_it()
    labels = [found.strip() for found in _BEGIN.findall(text)]
    _refuse_private_key(text, labels)
    blocks = _pem_blocks(text, RequestMalformed)
    requests = [block for block in blocks if block.label in _REQUEST_LABELS]
    if len(requests) > 1:
        raise RequestMalformed(
            f"the file holds {len(requests)} requests",
            remedy="put each request in a file of its own, then name them all",
        )
    if requests:
        return _request_der(requests[0].der)
    for block in blocks:
        _refuse_shape(shape_of(block.der) or _LABELS.get(block.label, "unknown"))
    if blocks:
        raise _nothing_in_it()
    return _request_der(_bare_base64(text, RequestMalformed))


def _request_der(der: bytes) -> bytes:
    shape = shape_of(der)
    if shape is not None and shape != "request":
        _refuse_shape(shape)
    try:
        check_der(der, max_size=MAX_REQUEST_FILE)
    except EncodingError as error:
        raise RequestMalformed(
            f"the request cannot be read: {error.problem}", remedy=error.remedy
        ) from error
    if shape != "request":
        raise _nothing_in_it()
    return der


def _nothing_in_it() -> RequestMalformed:
    return RequestMalformed(
        "there is no certificate request in the file",
        remedy="give a PKCS#10 request: PEM with BEGIN CERTIFICATE REQUEST, or DER",
    )


_BURNT = "a private key lies in the same file: it has left its owner's hands, so it is burnt"
_NEW_KEY = "delete the file, make a new key where it will be used, and send only its request"


def _refuse_private_key(text: str, labels: Sequence[str]) -> None:
    if "TSS2 PRIVATE KEY" in labels:
        _refuse_shape("tpm-key")
    if any("PRIVATE KEY" in label for label in labels) or "PRIVATE KEY-----" in text:
        raise RequestMalformed(_BURNT, remedy=_NEW_KEY)
    if _SPKAC.search(text):
        _refuse_shape("spkac")


_SHAPES: dict[str, tuple[str, str]] = {
    "private-key": (_BURNT, _NEW_KEY),
    "tpm-key": (
        "a TPM key blob lies in the same file",
        "keep the blob with its TPM, and give the request alone",
    ),
    "pkcs12": (
        "this is a PKCS#12 file, which holds a private key: the key has travelled, so it is burnt",
        _NEW_KEY,
    ),
    "certificate": (
        "this is a certificate, not a request",
        "give the request; to renew a certificate of this CA use `homeca renew FILE`",
    ),
    "crl": ("this is a certificate revocation list, not a request", "give the request"),
    "pkcs7": (
        "this is a PKCS#7 or CMC message, not a PKCS#10 request",
        "make a PKCS#10 request: `RequestType = PKCS10` in the INF for certreq",
    ),
    "crmf": (
        "this is a CRMF message, not a PKCS#10 request",
        "make a PKCS#10 request: `openssl req -new -key KEY -out FILE`",
    ),
    "spkac": (
        "this is a SPKAC (Netscape) request, not a PKCS#10 request",
        "make a PKCS#10 request: `openssl req -new -key KEY -out FILE`",
    ),
    "public-key": (
        "this is a bare public key, not a request: nothing proves who holds its private key",
        "make a PKCS#10 request: `openssl req -new -key KEY -out FILE`",
    ),
}

#: PEM labels that say what a file is when its octets do not.
_LABELS = {
    **dict.fromkeys(_CERTIFICATE_LABELS, "certificate"),
    **dict.fromkeys(_PKCS7_LABELS, "pkcs7"),
    "X509 CRL": "crl",
    "PUBLIC KEY": "public-key",
    "RSA PUBLIC KEY": "public-key",
}


def _refuse_shape(shape: str) -> None:
    if shape in _SHAPES:
        problem, remedy = _SHAPES[shape]
        raise RequestMalformed(problem, remedy=remedy)


# ---------------------------------------------------------------- certificates and CRLs


def read_certificates(octets: bytes) -> tuple[bytes, ...]:
    """DER of each certificate in a PEM chain, a DER file or a PKCS#7 bundle, in file order.

    Raises: CertificateMalformed.
    """
    found = _read_all(
        octets, "certificate", _CERTIFICATE_LABELS, tag=0, max_size=MAX_CERTIFICATES_FILE
    )
    for der in found:
        try:
            check_der(der, max_size=MAX_CERTIFICATES_FILE)
        except EncodingError as error:
            raise CertificateMalformed(
                f"the certificate cannot be read: {error.problem}", remedy=error.remedy
            ) from error
    return found


def read_crls(octets: bytes) -> tuple[bytes, ...]:
    """DER of each CRL in a PEM file, a DER file or a PKCS#7 bundle; only its outside is checked.

    Raises: CertificateMalformed.
    """
    return _read_all(octets, "crl", frozenset({"X509 CRL"}), tag=1, max_size=MAX_CRLS_FILE)


def _read_all(
    octets: bytes, shape: str, labels: frozenset[str], *, tag: int, max_size: int
) -> tuple[bytes, ...]:
    what = "certificate" if shape == "certificate" else "CRL"
    if len(octets) > max_size:
        raise CertificateMalformed(
            f"the file has {len(octets)} octets, more than the {max_size} that are read",
            remedy="give the right file",
        )
    ders = [octets] if is_whole_element(octets) else _ders_in_text(octets, labels)
    found: list[bytes] = []
    for der in ders:
        match shape_of(der):
            case "pkcs7":
                found.extend(one for one in _in_pkcs7(der, tag) if shape_of(one) == shape)
            case kind if kind == shape:
                found.append(der)
            case _:
                raise CertificateMalformed(
                    f"the file does not hold a {what}",
                    remedy=f"give a {what} as PEM or DER",
                )
    if not found:
        raise CertificateMalformed(
            f"there is no {what} in the file", remedy=f"give a {what} as PEM or DER"
        )
    return tuple(found)


def _ders_in_text(octets: bytes, labels: frozenset[str]) -> list[bytes]:
    text = _text(octets)
    if text is None:
        return []
    blocks = _pem_blocks(text, CertificateMalformed)
    if blocks:
        return [b.der for b in blocks if b.label in labels or b.label in _PKCS7_LABELS]
    return [_bare_base64(text, CertificateMalformed)] if text.strip() else []


def _in_pkcs7(der: bytes, tag: int) -> list[bytes]:
    """The [0] certificates or [1] crls of a SignedData (RFC 5652 §5.1)."""
    try:
        content_type, explicit = list(tlv.elements(tlv.read_only(der, tlv.SEQUENCE)))[:2]
        if content_type[0] != tlv.OID or tlv.read_oid(content_type[1]) != _SIGNED_DATA:
            return []
        signed_data = tlv.read_only(explicit[1], tlv.SEQUENCE)
        for found, content in tlv.elements(signed_data):
            if found == 0xA0 | tag:
                return [tlv.tlv(inner, octets) for inner, octets in tlv.elements(content)]
    except EncodingError as error:
        raise CertificateMalformed(
            f"the PKCS#7 file cannot be read: {error.problem}", remedy=error.remedy
        ) from error
    return []


# ---------------------------------------------------------------- text


class _Block(Struct, frozen=True):
    label: str
    der: bytes


def _text(octets: bytes) -> str | None:
    """The file as text, or None when it is none. Undecodable octets become U+FFFD."""
    if octets.startswith(b"\xef\xbb\xbf"):
        return octets[3:].decode("utf-8", "replace")
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return octets.decode("utf-16", "replace")
    head = octets[:512]
    for codec, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros and zeros.count(0) > len(zeros) * 3 // 4:
            return octets.decode(codec, "replace")
    if b"-----BEGIN " in octets or 0 not in octets:
        return octets.decode("utf-8", "replace")
    return None


def _pem_blocks(text: str, error: Callable[..., EncodingError]) -> list[_Block]:
    """Every PEM block, in order (RFC 7468 §2; white space anywhere between the base64)."""
    blocks: list[_Block] = []
    position = 0
    while found := _BEGIN.search(text, position):
        label = found.group(1).strip()
        end = text.find(f"-----END {found.group(1)}-----", found.end())
        if end < 0:
            raise error(
                "a PEM block begins and does not end",
                remedy="copy the whole file, from -----BEGIN to the -----END line",
            )
        body = text[found.end() : end]
        blocks.append(_Block(label, _from_base64(body, error) if _is_wanted(label) else b""))
        position = end + 1
    return blocks


def _is_wanted(label: str) -> bool:
    return label in _REQUEST_LABELS or label in _LABELS


def _bare_base64(text: str, error: Callable[..., EncodingError]) -> bytes:
    if not _BASE64_TEXT.match(text):
        raise error(
            "the file is neither PEM nor DER nor base64",
            remedy="give PEM, with its -----BEGIN and -----END lines, or DER",
        )
    return _from_base64(text, error)


def _from_base64(text: str, error: Callable[..., EncodingError]) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as cause:
        raise error(
            "the base64 in the file is damaged",
            remedy="copy the file again, whole and unchanged",
        ) from cause
