"""Structure and encoding: DER has one form, a request has three fields, nothing is nested deep."""

from __future__ import annotations

from tests.vectors.requests.build import (
    GOOD,
    HOST,
    asked,
    attribute,
    attributes,
    extension,
    name,
    rdn,
    request,
    san,
    spki,
)
from tests.vectors.requests.case import Area, Case
from tests.vectors.requests.octets import (
    FALSE,
    NULL,
    bit_string,
    context,
    integer,
    octet_string,
    oid,
    seq,
    set_,
    tlv,
    utf8,
)

CN = name(("CN", "nas.home.arpa"))


def cases() -> list[Case]:
    area = Area("structure and encoding")
    _outer(area)
    _fields(area)
    _not_der(area)
    _bombs(area)
    return area.cases


def _outer(area: Area) -> None:
    good = request(parts=[GOOD])
    area.take(
        "plain", good, "a plain request", subject="CN=nas.home.arpa", names=("DNS:nas.home.arpa",)
    )
    for count in (1, 7, 100):
        area.refuse(
            f"trailing-{count}",
            good + bytes(count),
            "octets after the request",
            says="follow the end",
        )
    area.refuse("twice", good + good, "two requests end to end", says="follow the end")
    for cut in (1, 2, 60, len(good) // 2, len(good) - 2):
        area.refuse(f"cut-{cut}", good[:-cut], f"the last {cut} octets are missing", says="request")
    area.refuse(
        "only-info",
        seq(integer(0), CN, spki("ec-p256"), attributes()),
        "a CertificationRequestInfo alone",
        says="no certificate request",
    )
    area.refuse(
        "fourth-field",
        request(parts=[GOOD], tail=NULL),
        "a field after the signature",
        says="no certificate request",
    )
    area.refuse(
        "octet-string-signature",
        seq(
            seq(integer(0), CN, spki("ec-p256"), attributes()),
            seq(oid("1.2.840.10045.4.3.2")),
            octet_string(bytes(70)),
        ),
        "the signature is an OCTET STRING",
        says="no certificate request",
    )
    area.refuse(
        "set-for-sequence",
        b"\x31" + good[1:],
        "a SET where a SEQUENCE should be",
        says="ascending order",
    )


def _fields(area: Area) -> None:
    for version in (1, 2, 3, -1):
        area.refuse(
            f"version-{version}",
            request(parts=[GOOD], version=integer(version)),
            f"version {version}",
            "request.version",
        )
    area.refuse(
        "version-huge",
        request(parts=[GOOD], version=integer(1 << 400)),
        "a version of 50 octets",
        "request.version",
    )
    area.take(
        "attributes-absent",
        request(attribute_field=b""),
        "no attributes field, as some devices write it",
        says="left out",
    )
    area.take("attributes-empty", request(), "an empty attributes field", says="no subjectAltName")
    area.refuse(
        "attributes-twice",
        request(attribute_field=attributes(GOOD) + attributes(GOOD)),
        "two attributes fields",
        says="more than 4",
    )
    area.refuse(
        "attributes-tag-1",
        request(attribute_field=context(1, GOOD)),
        "attributes tagged [1]",
        says="not a CertificationRequestInfo",
    )
    area.refuse(
        "attributes-set",
        request(attribute_field=set_(GOOD)),
        "attributes as a plain SET",
        says="not a CertificationRequestInfo",
    )
    area.refuse(
        "subject-missing",
        _signed(seq(integer(0), spki("ec-p256"), attributes())),
        "no subject",
        says="not a CertificationRequestInfo",
    )
    area.refuse(
        "subject-set",
        request(set_(rdn(("CN", "x")))),
        "a SET as subject",
        says="not a CertificationRequestInfo",
    )
    area.refuse(
        "spki-octets",
        request(public=octet_string(b"key")),
        "no SEQUENCE as key",
        says="not a CertificationRequestInfo",
    )
    area.refuse(
        "spki-empty", request(parts=[GOOD], public=seq()), "an empty key", "key.unacceptable"
    )
    area.refuse(
        "spki-swapped",
        request(parts=[GOOD], public=seq(bit_string(b"x"), seq(oid("1.2.3")))),
        "BIT STRING before algorithm",
        "key.unacceptable",
    )
    area.refuse(
        "spki-three-algorithm-fields",
        request(
            parts=[GOOD], public=seq(seq(oid("1.2.840.113549.1.1.1"), NULL, NULL), bit_string(b"x"))
        ),
        "three fields in the algorithm",
        "key.unacceptable",
    )
    unsorted = [GOOD, seq(oid("1.2.840.113549.1.9.2"), set_(utf8("nas")))]
    unsorted.sort(reverse=True)
    area.take(
        "attributes-unsorted",
        request(attribute_field=attributes(*unsorted, ordered=False)),
        "attributes not in DER's order, as some tools write them",
        says="order",
    )


def _signed(info: bytes) -> bytes:
    return seq(info, seq(oid("1.2.840.10045.4.3.2")), bit_string(bytes(70)))


def _not_der(area: Area) -> None:
    """Forms that BER allows and DER does not; each inside an otherwise good, signed request."""
    raw_oid = b"\x06\x03\x2a\x03\x04"
    empty_sets = {
        "indefinite": b"\x30\x80" + raw_oid + b"\x31\x80\x00\x00\x00\x00",
        "long-length": b"\x30\x81\x07" + raw_oid + b"\x31\x00",
        "padded-length": b"\x30\x82\x00\x07" + raw_oid + b"\x31\x00",
        "five-length-octets": b"\x30\x85\x00\x00\x00\x00\x07" + raw_oid + b"\x31\x00",
        "length-past-end": b"\x30\x7f" + raw_oid + b"\x31\x00",
        "padded-integer": _value(b"\x02\x02\x00\x01"),
        "padded-negative": _value(b"\x02\x02\xff\x81"),
        "empty-integer": _value(b"\x02\x00"),
        "boolean-01": _value(b"\x01\x01\x01"),
        "boolean-two": _value(b"\x01\x02\xff\xff"),
        "boolean-empty": _value(b"\x01\x00"),
        "null-content": _value(b"\x05\x01\x00"),
        "end-of-contents": _value(b"\x00\x00"),
        "bits-empty": _value(b"\x03\x00"),
        "bits-eight-unused": _value(b"\x03\x02\x08\x00"),
        "bits-unused-set": _value(b"\x03\x02\x01\x01"),
        "bits-only-unused": _value(b"\x03\x01\x04"),
        "constructed-octets": _value(b"\x24\x04\x04\x02ab"),
        "constructed-utf8": _value(b"\x2c\x04\x0c\x02ab"),
        "primitive-sequence": _value(b"\x10\x00"),
        "primitive-set": _value(b"\x11\x00"),
        "oid-empty": _value(b"\x06\x00"),
        "oid-cut": _value(b"\x06\x02\x2a\x83"),
        "oid-padded": _value(b"\x06\x03\x2a\x80\x01"),
        "tag-padded": _value(b"\x9f\x80\x1f\x00"),
        "tag-small": _value(b"\x9f\x1e\x00"),
        "tag-endless": _value(b"\x9f" + b"\xff" * 8),
        "set-unsorted": seq(raw_oid, tlv(0x31, utf8("b") + utf8("a"))),
        "length-cut": _value(b"\x04\x82"),
    }
    for form, octets in empty_sets.items():
        area.refuse(
            f"ber-{form}",
            request(attribute_field=context(0, octets)),
            f"BER, not DER: {form}",
            says="not DER",
        )
    area.refuse(
        "ber-critical-01",
        request(parts=[asked(seq(oid("2.5.29.17"), b"\x01\x01\x01", octet_string(seq(HOST))))]),
        "critical written as 01",
        says="not DER",
    )
    area.refuse(
        "ber-critical-false",
        request(parts=[asked(seq(oid("2.5.29.17"), FALSE, octet_string(seq(HOST))))]),
        "a default value spelled out (X.690 §11.5)",
        "request.default-encoded",
    )
    area.refuse(
        "ber-rdn-unsorted",
        request(seq(tlv(0x31, attribute("O", utf8("Home")) + attribute("CN", utf8("a")))), [GOOD]),
        "an RDN whose attributes are not in order",
        says="not DER",
    )
    area.refuse(
        "ber-version-padded",
        request(parts=[GOOD], version=b"\x02\x02\x00\x00"),
        "version 0 in two octets",
        says="not DER",
    )
    inner = seq(HOST)
    area.refuse(
        "ber-inside-san",
        request(parts=[asked(extension("2.5.29.17", b"\x30\x80" + HOST + b"\0\0"))]),
        "indefinite length inside the extension",
        "san.illegal",
    )
    area.refuse(
        "ber-inside-san-trailing",
        request(parts=[asked(extension("2.5.29.17", inner + b"\0"))]),
        "an octet after the names",
        "san.illegal",
    )


def _value(octets: bytes) -> bytes:
    return seq(oid("1.2.3.4"), tlv(0x31, octets))


def _bombs(area: Area) -> None:
    nested = b""
    for _ in range(40):
        nested = seq(nested)
    area.refuse(
        "deep-40",
        request(attribute_field=context(0, _value(nested))),
        "40 levels of nesting",
        says="too deep",
    )
    nested = b""
    for _ in range(8000):
        nested = seq(nested)
    area.refuse(
        "deep-8000",
        request(attribute_field=context(0, _value(nested))),
        "8000 levels of nesting",
        says="too deep",
    )
    nested = b""
    for _ in range(20):
        nested = seq(nested)
    area.take("deep-20", request(parts=[_value(nested), GOOD]), "20 levels in an unknown attribute")
    big_oid = tlv(0x06, b"\x2a" + b"\xff" * 20000 + b"\x7f")
    area.refuse(
        "oid-20000",
        request(parts=[seq(big_oid, set_())]),
        "an OID of 20 kB is quadratic to print",
        says="OBJECT IDENTIFIER",
    )
    area.refuse(
        "oid-65",
        request(parts=[seq(tlv(0x06, b"\x2a" + b"\x81" * 63 + b"\x01"), set_())]),
        "an OID of 65 octets",
        says="OBJECT IDENTIFIER",
    )
    area.take(
        "oid-64",
        request(parts=[seq(tlv(0x06, b"\x2a" + b"\x81" * 62 + b"\x01"), set_()), GOOD]),
        "an unknown attribute with an OID of 64 octets",
    )
    many = [seq(oid(f"1.2.3.{i}"), set_()) for i in range(40)]
    area.refuse(
        "attributes-40", request(parts=[GOOD, *many]), "41 attributes", "request.attributes"
    )
    many = [extension(f"1.2.3.{i}", NULL) for i in range(40)]
    area.refuse(
        "extensions-40",
        request(parts=[asked(san(HOST), *many)]),
        "41 extensions",
        "request.extensions",
    )
