"""Extensions and attributes: asked for, shown, never granted; powers are refused."""

from __future__ import annotations

from tests.vectors.requests.build import (
    GOOD,
    HOST,
    asked,
    extension,
    name,
    request,
    san,
)
from tests.vectors.requests.case import Area, Case
from tests.vectors.requests.octets import (
    FALSE,
    NULL,
    TRUE,
    bit_string,
    bmp,
    ia5,
    integer,
    octet_string,
    oid,
    printable,
    seq,
    set_,
    tlv,
    utf8,
)

KU, BC, EKU = "2.5.29.15", "2.5.29.19", "2.5.29.37"


def cases() -> list[Case]:
    area = Area("extensions and attributes")
    _granted_nothing(area)
    _powers(area)
    _malformed_extensions(area)
    _attributes(area)
    return area.cases


def _with(*extensions: bytes) -> bytes:
    return request(parts=[asked(san(HOST), *extensions)])


def _granted_nothing(area: Area) -> None:
    harmless = {
        "key-usage": (KU, b"\x03\x02\x05\xa0"),
        "eku-server": (EKU, seq(oid("1.3.6.1.5.5.7.3.1"))),
        "eku-any": (EKU, seq(oid("2.5.29.37.0"))),
        "eku-ocsp": (EKU, seq(oid("1.3.6.1.5.5.7.3.9"))),
        "ca-false": (BC, seq()),
        "ski": ("2.5.29.14", octet_string(bytes(20))),
        "aki": ("2.5.29.35", seq()),
        "name-constraints": ("2.5.29.30", seq()),
        "crl-url": ("2.5.29.31", seq()),
        "aia": ("1.3.6.1.5.5.7.1.1", seq()),
        "policies": ("2.5.29.32", seq(seq(oid("2.5.29.32.0")))),
        "must-staple": ("1.3.6.1.5.5.7.1.24", seq(integer(5))),
        "ns-cert-type": ("2.16.840.1.113730.1.1", b"\x03\x02\x06\x40"),
        "ns-comment": ("2.16.840.1.113730.1.13", ia5("\x1b[31m")),
        "smime": ("1.2.840.113549.1.9.15", seq()),
        "template-name": ("1.3.6.1.4.1.311.20.2", bmp("WebServer")),
        "template": ("1.3.6.1.4.1.311.21.7", seq(oid("1.3.6.1.4.1.311.21.8.1"))),
        "sid": ("1.3.6.1.4.1.311.25.2", seq()),
        "unknown": ("1.2.3.4.5", b"any octets"),
        "crl-sign": (KU, b"\x03\x02\x01\x02"),
    }
    for slug, (kind, value) in harmless.items():
        area.take(
            f"ext-{slug}",
            _with(extension(kind, value)),
            f"{slug} is shown, not granted",
            names=("DNS:nas.home.arpa",),
        )
    area.take(
        "ext-unknown-critical",
        _with(extension("1.2.3.4.5", NULL, critical=True)),
        "critical or not, it is not granted",
    )
    area.take("ext-empty", request(parts=[asked()]), "an empty list of extensions")
    area.take(
        "ext-microsoft",
        request(parts=[asked(san(HOST), kind="1.3.6.1.4.1.311.2.1.14")]),
        "the extension request as Windows before Vista calls it",
        names=("DNS:nas.home.arpa",),
    )


def _powers(area: Area) -> None:
    ca = {
        "ca-true": (seq(TRUE), False),
        "ca-true-critical": (seq(TRUE), True),
        "ca-pathlen": (seq(TRUE, integer(0)), True),
    }
    for slug, (value, critical) in ca.items():
        area.refuse(
            f"power-{slug}", _with(extension(BC, value, critical=critical)), slug, "request.ca-true"
        )
    area.refuse(
        "power-cert-sign",
        _with(extension(KU, b"\x03\x02\x02\x04")),
        "keyCertSign",
        "request.key-cert-sign",
    )
    area.refuse(
        "power-all-usages",
        _with(extension(KU, b"\x03\x03\x07\xff\x80")),
        "every usage, keyCertSign among them",
        "request.key-cert-sign",
    )
    area.refuse(
        "power-both",
        _with(extension(BC, seq(TRUE)), extension(KU, b"\x03\x02\x01\x06")),
        "a CA's extensions: both are named",
        "request.ca-true",
        "request.key-cert-sign",
    )
    area.refuse(
        "power-ms",
        request(parts=[asked(extension(BC, seq(TRUE)), san(HOST), kind="1.3.6.1.4.1.311.2.1.14")]),
        "CA:TRUE in Microsoft's attribute",
        "request.ca-true",
    )
    area.refuse(
        "power-second",
        request(parts=[GOOD, asked(extension(BC, seq(TRUE)))]),
        "CA:TRUE hidden in a second extensionRequest",
        "request.two-extension-requests",
        "request.ca-true",
    )
    area.refuse(
        "power-duplicate",
        _with(extension(BC, seq()), extension(BC, seq(TRUE))),
        "CA:TRUE behind a harmless twin",
        "request.duplicate-extension",
        "request.ca-true",
    )


def _malformed_extensions(area: Area) -> None:
    bad = {
        "bc-integer": (BC, integer(1)),
        "bc-string": (BC, seq(utf8("TRUE"))),
        "bc-three": (BC, seq(TRUE, integer(0), integer(0))),
        "bc-trailing": (BC, seq() + b"\0"),
        "ku-octets": (KU, octet_string(b"\xa0")),
        "ku-empty": (KU, b""),
        "ku-long": (KU, bit_string(bytes(9))),
        "eku-oid": (EKU, oid("1.3.6.1.5.5.7.3.1")),
        "ski-sequence": ("2.5.29.14", seq()),
        "template-integer": ("1.3.6.1.4.1.311.20.2", integer(1)),
    }
    for slug, (kind, value) in bad.items():
        area.refuse(
            f"malformed-{slug}", _with(extension(kind, value)), slug, "request.malformed-extension"
        )
    shapes = {
        "no-value": seq(oid("1.2.3")),
        "value-not-octets": seq(oid("1.2.3"), utf8("x")),
        "four-fields": seq(oid("1.2.3"), TRUE, octet_string(b""), NULL),
        "critical-last": seq(oid("1.2.3"), octet_string(b""), TRUE),
        "no-oid": seq(octet_string(b"")),
        "set": set_(oid("1.2.3"), octet_string(b"")),
    }
    for slug, form in shapes.items():
        area.refuse(f"extension-{slug}", _with(form), slug, "request.extensions")
    area.refuse(
        "extension-false",
        _with(seq(oid("1.2.3"), FALSE, octet_string(b""))),
        "critical FALSE spelled out",
        "request.default-encoded",
    )
    area.refuse(
        "duplicate-san",
        request(parts=[asked(san(HOST), san(HOST))]),
        "two SANs",
        "request.duplicate-extension",
    )
    area.refuse(
        "two-requests",
        request(parts=[GOOD, asked(san(HOST), extension(EKU, seq()))]),
        "two extensionRequest attributes",
        "request.two-extension-requests",
        "request.duplicate-extension",
    )
    asking = oid("1.2.840.113549.1.9.14")
    area.refuse(
        "two-values",
        request(parts=[seq(asking, set_(seq(), seq(san(HOST))))]),
        "two lists in one attribute",
        "request.extensions",
    )
    area.refuse("no-values", request(parts=[seq(asking, set_())]), "no list", "request.extensions")
    area.refuse(
        "extensions-set",
        request(parts=[seq(asking, set_(set_()))]),
        "a SET as list",
        "request.extensions",
    )


def _attributes(area: Area) -> None:
    def attribute(kind: str, *values: bytes) -> bytes:
        return seq(oid(kind), set_(*values))

    pin = "1.2.840.113549.1.9.7"
    harmless = {
        "challenge": attribute(pin, utf8("secret-word")),
        "challenge-printable": attribute(pin, printable("secret-word")),
        "challenge-empty": attribute(pin, utf8("")),
        "unstructured-name": attribute("1.2.840.113549.1.9.2", utf8("nas")),
        "unstructured-escape": attribute("1.2.840.113549.1.9.2", utf8("\x1b]0;x\x07")),
        "unstructured-address": attribute("1.2.840.113549.1.9.8", printable("cellar")),
        "unknown": attribute("1.2.3.4.5", utf8("x")),
        "unknown-structure": attribute("1.2.3.4.5", seq(seq(integer(1), seq()))),
        "unknown-no-values": attribute("1.2.3.4.5"),
        "unknown-two-values": attribute("1.2.3.4.5", utf8("a"), utf8("b")),
        "high-tag": attribute("1.2.3.4.5", b"\xbf\x84\x3d\x02\x05\x00"),
        "ms-os": attribute("1.3.6.1.4.1.311.13.2.3", ia5("10.0.19045.2")),
        "ms-os-integer": attribute("1.3.6.1.4.1.311.13.2.3", integer(10)),
        "ms-client": attribute(
            "1.3.6.1.4.1.311.21.20",
            seq(integer(9), utf8("pc.home.arpa"), utf8("HOME\\me"), utf8("certreq.exe")),
        ),
        "ms-client-malformed": attribute("1.3.6.1.4.1.311.21.20", seq(integer(9), integer(1))),
        "ms-san": attribute(
            "1.3.6.1.4.1.311.13.2.1",
            seq(bmp("SAN"), bmp("dns=dc.example.com&upn=administrator@example.com")),
        ),
        "ms-template": attribute(
            "1.3.6.1.4.1.311.13.2.1", seq(bmp("CertificateTemplate"), bmp("SubCA"))
        ),
        "ms-ek": attribute("1.3.6.1.4.1.311.21.23", seq(octet_string(b"ek"))),
        "ms-csp": attribute(
            "1.3.6.1.4.1.311.13.2.2",
            seq(integer(1), bmp("Microsoft Software Key Storage Provider"), b"\x03\x01\x00"),
        ),
    }
    for slug, value in harmless.items():
        area.take(
            f"attr-{slug}",
            request(parts=[value, GOOD]),
            f"{slug} is a hint at most",
            names=("DNS:nas.home.arpa",),
        )
    area.take(
        "attr-rsa-platform",
        request(
            name(("CN", "pc")),
            [
                attribute(
                    "1.3.6.1.4.1.311.13.2.2",
                    seq(integer(1), bmp("Microsoft Platform Crypto Provider"), b"\x03\x01\x00"),
                )
            ],
            key="rsa-2048",
        ),
        "an RSA key in a TPM is taken with a warning",
        says="RSA-PSS",
    )
    shapes = {
        "no-values": seq(oid("1.2.3.4")),
        "sequence-values": seq(oid("1.2.3.4"), seq(utf8("x"))),
        "no-oid": seq(utf8("x"), set_()),
        "three": seq(oid("1.2.3.4"), set_(), NULL),
        "not-sequence": oid("1.2.3.4"),
        "string": tlv(0x0C, b"x"),
    }
    for slug, form in shapes.items():
        area.refuse(f"attribute-form-{slug}", request(parts=[form]), slug, "request.attributes")
