"""Subject alternative names: every kind, every trap, and whose names they are."""

from __future__ import annotations

from tests.vectors.requests.build import (
    HOST,
    asked,
    dns,
    extension,
    ip,
    mail,
    name,
    other,
    request,
    san,
    upn,
    uri,
)
from tests.vectors.requests.case import Area, Case
from tests.vectors.requests.octets import context, ia5, octet_string, oid, seq, tlv, utf8

NAS = name(("CN", "nas"))


def cases() -> list[Case]:
    area = Area("subject alternative names")
    _taken(area)
    _illegal_dns(area)
    _illegal_others(area)
    _structure(area)
    _not_ours(area)
    _under_constraints(area)
    _under_profiles(area)
    return area.cases


def _ask(*names: bytes, subject: bytes = NAS) -> bytes:
    return request(subject, [asked(san(*names))])


def _taken(area: Area) -> None:
    good = {
        "bare": (dns("nas"), "DNS:nas", "a bare device name"),
        "lan": (dns("nas.lan"), "DNS:nas.lan", "a .lan name"),
        "internal": (dns("nas.internal"), "DNS:nas.internal", "ICANN's private-use domain"),
        "local": (dns("printer.local"), "DNS:printer.local", "an mDNS name"),
        "localhost": (dns("localhost"), "DNS:localhost", "localhost"),
        "deep": (dns("a.b.c.d.home.arpa"), "DNS:a.b.c.d.home.arpa", "several levels"),
        "case": (dns("NAS.Home.ARPA"), "DNS:nas.home.arpa", "upper case is lowered"),
        "digits": (dns("3d-printer.lan"), "DNS:3d-printer.lan", "a label that begins with a digit"),
        "idn": (dns("xn--hhle-5qa.home.arpa"), "DNS:xn--hhle-5qa.home.arpa", "an A-label"),
        "wildcard": (dns("*.smith.home.arpa"), "DNS:*.smith.home.arpa", "a wildcard of one's own"),
        "label-63": (dns("a" * 63 + ".lan"), "DNS:" + "a" * 63 + ".lan", "a label of 63 octets"),
        "253": (dns(_long(253)), f"DNS:{_long(253)}", "a name of 253 octets"),
        "ipv4": (ip("c0a80103"), "IP:192.168.1.3", "a LAN address"),
        "loopback": (ip("7f000001"), "IP:127.0.0.1", "loopback"),
        "ipv6-ula": (ip("fd" + "00" * 14 + "01"), "IP:fd00::1", "a ULA"),
        "ipv6-link-local": (ip("fe80" + "00" * 13 + "01"), "IP:fe80::1", "link-local"),
        "cgnat": (ip("64400001"), "IP:100.64.0.1", "the range of overlay networks"),
        "email": (mail("me@home.arpa"), "email:me@home.arpa", "an rfc822Name"),
        "email-plus": (mail("me+vpn@nas.lan"), "email:me+vpn@nas.lan", "a tagged address"),
        "upn": (upn("me@home.arpa"), "UPN:me@home.arpa", "a user principal name"),
        "uri": (uri("https://nas.home.arpa/x"), "URI:https://nas.home.arpa/x", "a URI"),
        "urn": (
            uri("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
            "URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "a URN leads to no host",
        ),
    }
    for slug, (value, shown, why) in good.items():
        area.take(f"san-{slug}", _ask(value), why, names=(shown,))
    area.take(
        "san-several",
        _ask(HOST, dns("nas.lan"), ip("c0a80103"), mail("me@home.arpa")),
        "four names of three kinds, in their order",
        names=("DNS:nas.home.arpa", "DNS:nas.lan", "IP:192.168.1.3", "email:me@home.arpa"),
    )
    area.take(
        "san-twice",
        _ask(HOST, HOST),
        "the same name twice is one name",
        names=("DNS:nas.home.arpa",),
    )
    area.take("san-100", _ask(*(dns(f"h{i}.lan") for i in range(100))), "100 names")
    area.take(
        "san-critical",
        request(NAS, [asked(san(HOST, critical=True))]),
        "a critical SAN",
        names=("DNS:nas.home.arpa",),
    )
    dropped = {
        "dirname": (context(4, name(("CN", "nas"))), "directoryName"),
        "rid": (context(8, b"\x2a\x03\x04", constructed=False), "registeredID"),
        "othername": (other("1.2.3.4", utf8("x")), "another otherName"),
        "x400": (context(3, seq()), "x400Address"),
        "edi": (context(5, context(1, utf8("x"))), "ediPartyName"),
    }
    for slug, (value, why) in dropped.items():
        area.take(
            f"san-{slug}",
            _ask(HOST, value),
            f"{why} is shown and not granted",
            names=("DNS:nas.home.arpa",),
        )


def _long(size: int) -> str:
    """A name of that many octets in home.arpa."""
    tail = ".home.arpa"
    body = ".".join(["a" * 60] * 4)
    return body[: size - len(tail)] + tail


def _illegal_dns(area: Area) -> None:
    texts = {
        "empty": "",
        "dot": ".",
        "trailing-dot": "nas.home.arpa.",
        "leading-dot": ".home.arpa",
        "double-dot": "nas..home.arpa",
        "space": "nas home.arpa",
        "leading-space": " nas.home.arpa",
        "trailing-space": "nas.home.arpa ",
        "nul": "nas.home.arpa\0.example.com",
        "newline": "nas.home.arpa\n",
        "escape": "nas\x1b[31m.lan",
        "underscore": "_acme.nas.home.arpa",
        "leading-hyphen": "-nas.lan",
        "trailing-hyphen": "nas-.lan",
        "port": "nas.home.arpa:443",
        "url": "https://nas.home.arpa/",
        "path": "../../etc/passwd",
        "user": "me@nas.home.arpa",
        "ipv4": "192.168.1.3",
        "ipv4-short": "192.168.1",
        "ipv6": "fd00::1",
        "ipv6-brackets": "[fd00::1]",
        "label-64": "a" * 64 + ".lan",
        "254": "a" + _long(253),
        "wildcard-bare": "*",
        "wildcard-tld": "*.lan",
        "wildcard-inner": "nas.*.home.arpa",
        "wildcard-partial": "n*s.home.arpa",
        "wildcard-suffix": "nas*.smith.home.arpa",
        "wildcard-double": "*.*.smith.home.arpa",
        "wildcard-end": "nas.*",
        "utf8": "höhle.home.arpa",
        "idn-bad": "xn--\x61\x61\x61\x61\x61-\x2d.lan",
        "idn-not-punycode": "xn--zzzzzz99999.lan",
        "idn-empty": "xn--.lan",
        "percent": "nas%2ehome.arpa",
        "comma": "nas.lan,DNS:evil.example",
        "quote": 'nas".lan',
        "4000": "a." * 2000 + "lan",
    }
    for slug, text in texts.items():
        area.refuse(f"dns-{slug}", _ask(dns(text)), f"dNSName: {slug}", "san.illegal")
    area.refuse("dns-position-1", _ask(dns("a b"), HOST, HOST), "the first of three", "san.illegal")
    area.refuse(
        "dns-position-3", _ask(HOST, dns("nas.lan"), dns("a b")), "the last of three", "san.illegal"
    )
    area.refuse(
        "dns-two-faults",
        _ask(dns("a b"), HOST, dns("c d")),
        "two faults, both reported",
        "san.illegal",
        "san.illegal",
    )


def _illegal_others(area: Area) -> None:
    area.refuse("ip-empty", _ask(ip("")), "no octets", "san.illegal")
    area.refuse("ip-3", _ask(ip("c0a801")), "three octets", "san.illegal")
    area.refuse("ip-mask", _ask(ip("c0a80100ffffff00")), "an address with a mask", "san.illegal")
    area.refuse("ip-32", _ask(ip("fd" + "00" * 31)), "an IPv6 network", "san.illegal")
    area.refuse(
        "ip-text",
        _ask(context(7, b"192.168.1.3", constructed=False)),
        "an address as text",
        "san.illegal",
    )
    mails = {
        "empty": "",
        "no-at": "home.arpa",
        "no-local": "@home.arpa",
        "no-host": "me@",
        "space": "me too@home.arpa",
        "name": "Me <me@home.arpa>",
        "nul": "me\0@home.arpa",
        "two": "a@b@home.arpa",
        "dots": "me..too@home.arpa",
        "host-dot": "me@home.arpa.",
        "utf8": "mü@home.arpa",
        "local-65": "m" * 65 + "@home.arpa",
    }
    for slug, text in mails.items():
        area.refuse(f"mail-{slug}", _ask(mail(text)), f"rfc822Name: {slug}", "san.illegal")
    uris = {
        "empty": "",
        "relative": "/x",
        "no-scheme": "nas.home.arpa",
        "space": "http://nas lan/",
        "nul": "http://nas.lan/\0",
        "utf8": "http://nas.lan/ö",
        "quote": 'http://nas.lan/"',
    }
    for slug, text in uris.items():
        area.refuse(f"uri-{slug}", _ask(uri(text)), f"URI: {slug}", "san.illegal")
    area.refuse("upn-no-at", _ask(upn("me")), "a UPN without @", "san.illegal")
    area.refuse("upn-escape", _ask(upn("m\x1be@home.arpa")), "a control in a UPN", "san.illegal")
    area.refuse(
        "upn-ia5",
        _ask(other("1.3.6.1.4.1.311.20.2.3", ia5("me@home.arpa"))),
        "a UPN that is no UTF8String",
        "san.illegal",
    )
    area.refuse(
        "othername-malformed",
        _ask(context(0, oid("1.2.3.4"))),
        "an otherName of one field",
        "san.illegal",
    )


def _structure(area: Area) -> None:
    def value(octets: bytes) -> bytes:
        return request(NAS, [asked(extension("2.5.29.17", octets))])

    area.refuse("san-empty", _ask(), "no name at all", "san.empty")
    area.refuse("san-no-octets", value(b""), "an empty extension", "san.illegal")
    area.refuse("san-set", value(tlv(0x31, HOST)), "a SET of names", "san.illegal")
    area.refuse("san-octets", value(octet_string(HOST)), "an OCTET STRING", "san.illegal")
    area.refuse(
        "san-tag-9", _ask(context(9, b"x", constructed=False)), "a tenth kind", "san.illegal"
    )
    area.refuse(
        "san-universal", _ask(ia5("nas.home.arpa")), "a name without its tag", "san.illegal"
    )
    area.refuse(
        "san-constructed", _ask(context(2, ia5("nas.home.arpa"))), "an explicit tag", "san.illegal"
    )
    area.refuse(
        "san-101", _ask(*(dns(f"h{i}.lan") for i in range(101))), "101 names", "san.too-many"
    )
    area.refuse(
        "san-4000", _ask(*(dns(f"h{i}.lan") for i in range(4000))), "4000 names", "san.too-many"
    )


def _not_ours(area: Area) -> None:
    outside = {
        "public": dns("www.example.com"),
        "suffix-trick": dns("evilhome.arpa"),
        "prefix-trick": dns("home.arpa.example.com"),
        "label-trick": dns("nas.notlan"),
        "ddns": dns("me.duckdns.org"),
        "public-ipv4": ip("08080808"),
        "public-ipv6": ip("2001" + "0db8" + "00" * 11 + "01"),
        "mapped-ipv6": ip("00" * 10 + "ffff" + "08080808"),
        "zero": ip("00000000"),
        "multicast": ip("e0000001"),
        "mail": mail("me@example.com"),
        "upn": upn("me@example.com"),
        "uri": uri("https://example.com/"),
        "uri-address": uri("https://8.8.8.8/"),
        "uri-user": uri("https://nas.lan@example.com/"),
    }
    for slug, value in outside.items():
        area.refuse(
            f"outside-{slug}", _ask(HOST, value), f"not this home's: {slug}", "name.not-permitted"
        )
    area.refuse(
        "wildcard-home-arpa",
        _ask(dns("*.home.arpa")),
        "*.home.arpa is everybody's home",
        "name.wildcard-too-wide",
    )
    area.take(
        "wildcard-below",
        _ask(dns("*.nas.home.arpa")),
        "a wildcard below it",
        names=("DNS:*.nas.home.arpa",),
    )
    area.refuse(
        "wildcard-registry",
        _ask(dns("*.co.uk")),
        "a public suffix",
        "name.wildcard-too-wide",
        "name.not-permitted",
    )
    area.refuse(
        "wildcard-public",
        _ask(dns("*.example.com")),
        "somebody else's domain",
        "name.not-permitted",
    )


def _under_constraints(area: Area) -> None:
    area.take(
        "constrained-inside",
        _ask(HOST, ip("c0a80103")),
        "inside the constraints",
        constrained=True,
        names=("DNS:nas.home.arpa", "IP:192.168.1.3"),
    )
    area.refuse(
        "constrained-bare",
        _ask(dns("nas")),
        "a bare name is outside any DNS constraint",
        "name.constrained",
        constrained=True,
    )
    area.refuse(
        "constrained-lan",
        _ask(dns("nas.lan")),
        "permitted here, constrained above",
        "name.constrained",
        constrained=True,
    )
    area.refuse(
        "constrained-address",
        _ask(HOST, ip("0a000001")),
        "another private network",
        "name.constrained",
        constrained=True,
    )
    area.take(
        "constrained-mail", _ask(mail("me@home.arpa")), "mail is not constrained", constrained=True
    )
    area.refuse(
        "constrained-both",
        _ask(dns("www.example.com")),
        "both rules are named",
        "name.not-permitted",
        "name.constrained",
        constrained=True,
    )


def _under_profiles(area: Area) -> None:
    area.take(
        "server-cn-only",
        request(name(("CN", "nas.home.arpa"))),
        "a server named in its commonName only",
        profile="server",
        names=("DNS:nas.home.arpa",),
        says="commonName only",
    )
    area.take(
        "server-cn-from-san",
        _ask(HOST, dns("nas.lan"), subject=name(("CN", "My NAS"))),
        "the commonName comes from the SAN",
        profile="server",
        subject="CN=nas.home.arpa",
    )
    area.take(
        "server-cn-kept",
        _ask(HOST, dns("nas.lan"), subject=name(("CN", "nas.lan"))),
        "a commonName that is one of the names stays",
        profile="server",
        subject="CN=nas.lan",
    )
    area.take(
        "server-ip-only",
        _ask(ip("c0a80103"), subject=seq()),
        "a server with an address",
        profile="server",
        subject="CN=192.168.1.3",
    )
    area.take(
        "server-drops-mail",
        _ask(HOST, mail("me@home.arpa")),
        "a kind it does not take",
        profile="server",
        names=("DNS:nas.home.arpa",),
    )
    area.refuse(
        "server-no-name", request(NAS), "a server without a name", "san.required", profile="server"
    )
    area.refuse(
        "server-only-mail",
        _ask(mail("me@home.arpa")),
        "no name it takes",
        "san.required",
        profile="server",
    )
    area.take(
        "device-upn",
        _ask(upn("alice@home.arpa"), subject=name(("CN", "alice"))),
        "a UPN for EAP-TLS",
        profile="device",
        names=("UPN:alice@home.arpa",),
    )
    area.take(
        "device-drops-address",
        _ask(HOST, ip("c0a80103")),
        "no addresses for devices",
        profile="device",
        names=("DNS:nas.home.arpa",),
    )
