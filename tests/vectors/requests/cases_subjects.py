"""Subjects: any string type and order of honest text; nothing that deceives a reader."""

from __future__ import annotations

from tests.vectors.requests.build import GOOD, attribute, name, rdn, request
from tests.vectors.requests.case import Area, Case
from tests.vectors.requests.octets import (
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


def cases() -> list[Case]:
    area = Area("subjects")
    _taken(area)
    _deceiving(area)
    _malformed(area)
    _under_profiles(area)
    return area.cases


def _taken(area: Area) -> None:
    full = name(
        ("C", printable("DE")),
        ("ST", "Bayern"),
        ("L", "München"),
        ("O", "Zuhause"),
        ("OU", "Keller"),
        ("CN", "nas.home.arpa"),
        ("email", ia5("me@home.arpa")),
    )
    area.take(
        "dn-full",
        request(full, [GOOD]),
        "the attributes openssl req asks for",
        subject="C=DE,ST=Bayern,L=München,O=Zuhause,OU=Keller,CN=nas.home.arpa,"
        "emailAddress=me@home.arpa",
    )
    area.take("dn-empty", request(seq(), [GOOD]), "an empty subject, as certbot sends", subject="")
    strings = {
        "utf8": utf8("Höhle"),
        "printable": printable("Hoehle"),
        "bmp": bmp("Höhle"),
        "teletex": tlv(0x14, "Höhle".encode("latin-1")),
        "universal": tlv(0x1C, "Höhle".encode("utf-32-be")),
        "ia5": ia5("Hoehle"),
        "numeric": tlv(0x12, b"0815"),
        "visible": tlv(0x1A, b"Hoehle"),
    }
    for kind, value in strings.items():
        area.take(f"dn-{kind}", request(name(("CN", value)), [GOOD]), f"CN as {kind}")
    area.take(
        "dn-printable-star",
        request(name(("CN", printable("nas_1@home"))), [GOOD]),
        "PrintableString with characters it cannot have, as old tools write",
        says="PrintableString",
    )
    area.take(
        "dn-multivalued",
        request(seq(rdn(("CN", "nas"), ("UID", "4711"))), [GOOD]),
        "two attributes in one RDN",
        subject="CN=nas,UID=4711",
    )
    area.take(
        "dn-two-ou",
        request(name(("OU", "a"), ("OU", "b"), ("CN", "nas")), [GOOD]),
        "two OUs",
        subject="OU=a,OU=b,CN=nas",
    )
    area.take(
        "dn-reversed",
        request(name(("CN", "nas"), ("O", "Home"), ("C", printable("DE"))), [GOOD]),
        "most specific first: the policy's order is restored",
        subject="C=DE,O=Home,CN=nas",
    )
    area.take("dn-64", request(name(("CN", "x" * 64)), [GOOD]), "a commonName at the upper bound")
    area.take(
        "dn-quotes",
        request(name(("CN", 'Anna\'s "phone", + <x> #1; a=b')), [GOOD]),
        "punctuation that RFC 4514 escapes",
    )
    for slug, text in {
        "greek": "Ωμέγα",
        "cjk": "網路硬碟",
        "emoji": "nas 🏠",
        "combining": "e\u0301",
    }.items():
        area.take(f"dn-{slug}", request(name(("CN", text)), [GOOD]), "letters of the world")
    area.take(
        "dn-markup",
        request(name(("CN", "[bold]nas")), [GOOD]),
        "markup of a terminal library is text",
    )
    area.take("dn-formula", request(name(("CN", "=1+1")), [GOOD]), "a spreadsheet formula is text")
    area.take(
        "dn-template",
        request(name(("CN", "{{ 7*7 }}")), [GOOD]),
        "a template is text",
        subject="CN={{ 7*7 }}",
    )
    area.take(
        "dn-unknown-attribute",
        request(seq(rdn(("CN", "nas")), rdn(("1.2.3.4.5", "x"))), [GOOD]),
        "an attribute nobody knows is dropped",
        subject="CN=nas",
    )
    area.take(
        "dn-dc",
        request(name(("DC", ia5("arpa")), ("DC", ia5("home")), ("CN", "nas")), [GOOD]),
        "domainComponent is not in the policy",
        subject="CN=nas",
    )


def _deceiving(area: Area) -> None:
    texts = {
        "nul": "nas.home.arpa\0.evil.example",
        "newline": "nas\nCN=root",
        "cr": "nas\r",
        "tab": "nas\t1",
        "escape": "nas\x1b[31mred\x1b[0m",
        "bell": "nas\x07",
        "delete": "nas\x7f",
        "c1-csi": "nas\x9b31m",
        "osc": "nas\x1b]8;;http://x\x07link",
        "bidi-override": "nas\u202eapra.emoh",
        "bidi-isolate": "nas\u2066x\u2069",
        "zero-width-space": "nas\u200bhome",
        "zero-width-joiner": "nas\u200dhome",
        "soft-hyphen": "na\u00ads",
        "bom-inside": "nas\ufeff",
        "line-separator": "nas\u2028x",
        "paragraph-separator": "nas\u2029x",
        "no-break-space": "nas\u00a0home",
        "private-use": "nas\ue000",
        "unassigned": "nas\U000e0fff",
        "noncharacter": "nas\uffff",
        "tag-characters": "nas\U000e0041",
        "empty": "",
        "space": "   ",
        "path": "../../etc/passwd",
        "slash": "home/nas",
        "backslash": "..\\nas",
        "dots": "..",
        "65": "x" * 65,
        "4000": "x" * 4000,
    }
    for slug, text in texts.items():
        area.refuse(
            f"cn-{slug}",
            request(name(("CN", text)), [GOOD]),
            f"commonName: {slug}",
            "subject.illegal",
        )
    area.refuse(
        "o-escape",
        request(name(("O", "a\x1b[2J"), ("CN", "nas")), [GOOD]),
        "an escape sequence in another attribute",
        "subject.illegal",
    )
    area.refuse(
        "unknown-escape",
        request(seq(rdn(("1.2.3.4.5", "\x1b[2J")), rdn(("CN", "nas"))), [GOOD]),
        "an escape sequence in an attribute nobody knows",
        "subject.illegal",
    )
    area.refuse(
        "two-faults",
        request(name(("O", "a\0b"), ("CN", "x\ny")), [GOOD]),
        "two faults, both reported",
        "subject.illegal",
        "subject.illegal",
    )


def _malformed(area: Area) -> None:
    area.refuse(
        "c-three-letters",
        request(name(("C", printable("DEU")), ("CN", "nas")), [GOOD]),
        "countryName of three letters",
        "subject.illegal",
    )
    area.refuse(
        "c-digits",
        request(name(("C", printable("49")), ("CN", "nas")), [GOOD]),
        "countryName of digits",
        "subject.illegal",
    )
    area.refuse(
        "cn-integer",
        request(name(("CN", integer(5))), [GOOD]),
        "an INTEGER as value",
        "subject.illegal",
    )
    area.refuse(
        "cn-octets",
        request(name(("CN", octet_string(b"nas"))), [GOOD]),
        "an OCTET STRING as value",
        "subject.illegal",
    )
    area.refuse(
        "cn-bad-utf8",
        request(name(("CN", tlv(0x0C, b"nas\xff"))), [GOOD]),
        "octets that are not UTF-8",
        "subject.illegal",
    )
    area.refuse(
        "cn-surrogate-utf8",
        request(name(("CN", tlv(0x0C, b"\xed\xa0\x80"))), [GOOD]),
        "a surrogate in UTF-8",
        "subject.illegal",
    )
    area.refuse(
        "cn-overlong-utf8",
        request(name(("CN", tlv(0x0C, b"\xc0\xae"))), [GOOD]),
        "an overlong dot",
        "subject.illegal",
    )
    area.refuse(
        "cn-odd-bmp",
        request(name(("CN", tlv(0x1E, b"\0n\0"))), [GOOD]),
        "a BMPString of three octets",
        "subject.illegal",
    )
    area.refuse(
        "cn-surrogate-bmp",
        request(name(("CN", tlv(0x1E, b"\xd8\x00"))), [GOOD]),
        "half a surrogate pair",
        "subject.illegal",
    )
    area.refuse(
        "cn-latin1-printable",
        request(name(("CN", tlv(0x13, b"H\xf6hle"))), [GOOD]),
        "Latin-1 in a PrintableString",
        "subject.illegal",
    )
    area.refuse(
        "cn-latin1-ia5",
        request(name(("CN", tlv(0x16, b"H\xf6hle"))), [GOOD]),
        "Latin-1 in an IA5String",
        "subject.illegal",
    )
    area.refuse(
        "rdn-empty",
        request(seq(set_(), rdn(("CN", "nas"))), [GOOD]),
        "an empty RDN",
        "subject.illegal",
    )
    area.refuse(
        "rdn-sequence",
        request(seq(seq(attribute("CN", utf8("nas")))), [GOOD]),
        "a SEQUENCE as RDN",
        "subject.illegal",
    )
    area.refuse(
        "attribute-three",
        request(seq(set_(seq(oid("2.5.4.3"), utf8("nas"), utf8("x")))), [GOOD]),
        "an attribute of three fields",
        "subject.illegal",
    )
    area.refuse(
        "attribute-no-value",
        request(seq(set_(seq(oid("2.5.4.3")))), [GOOD]),
        "an attribute without value",
        "subject.illegal",
    )
    area.refuse(
        "attribute-no-oid",
        request(seq(set_(seq(utf8("CN"), utf8("nas")))), [GOOD]),
        "a string as type",
        "subject.illegal",
    )
    area.refuse(
        "attributes-33",
        request(seq(*(rdn(("OU", f"u{i}")) for i in range(33))), [GOOD]),
        "33 attributes",
        "subject.too-many-attributes",
    )


def _under_profiles(area: Area) -> None:
    area.refuse(
        "device-no-cn",
        request(name(("O", "Home")), [GOOD]),
        "no commonName",
        "subject.attribute-missing",
        profile="device",
    )
    area.take(
        "device-bare",
        request(name(("CN", "alice-phone"))),
        "a bare device name, no SAN",
        profile="device",
        says="no subjectAltName",
        subject="CN=alice-phone",
    )
    area.take(
        "device-drops-o",
        request(name(("O", "Evil Corp"), ("CN", "alice-phone"))),
        "what the policy does not list is dropped",
        profile="device",
        subject="CN=alice-phone",
    )
    area.refuse(
        "cn-public",
        request(name(("CN", "www.example.com"))),
        "a public host name hidden in the commonName",
        "name.not-permitted",
    )
    area.refuse(
        "cn-public-address",
        request(name(("CN", "8.8.8.8"))),
        "a public address hidden in the commonName",
        "name.not-permitted",
    )
    area.take("cn-private-address", request(name(("CN", "192.168.1.1"))), "an address of the LAN")
    area.refuse(
        "cn-dotted-constrained",
        request(name(("CN", "alice.phone"))),
        "OpenSSL applies DNS constraints to a dotted commonName",
        "name.not-permitted",
        "name.constrained",
        constrained=True,
    )
    area.refuse(
        "cn-underscore-constrained",
        request(name(("CN", "alice_1.phone"))),
        "dotted, though no host name",
        "subject.dotted-common-name",
        constrained=True,
    )
    area.take(
        "cn-within-constraints",
        request(name(("CN", "alice.home.arpa"))),
        "dotted, and inside the constraints",
        constrained=True,
    )
    area.take(
        "cn-bare-constrained",
        request(name(("CN", "alice-phone"))),
        "no dot, so no constraint applies",
        constrained=True,
    )
    area.refuse(
        "subject-of-issuer",
        request(name(("CN", "Test Root"))),
        "the subject of an issuer",
        "subject.of-an-issuer",
    )
    area.refuse(
        "subject-of-issuer-case",
        request(name(("CN", "TEST  root"))),
        "the subject of an issuer but for case and spaces (RFC 5280 §7.1)",
        "subject.of-an-issuer",
    )
    area.refuse(
        "email-public",
        request(name(("CN", "nas"), ("email", ia5("me@example.com"))), [GOOD]),
        "an e-mail address outside the permitted domains",
        "name.not-permitted",
    )
