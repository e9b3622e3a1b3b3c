"""Make the lint vectors: for each rule a certificate or CRL that breaks it, and clean ones.

    python tests/vectors/lint/make.py            writes *.pem and manifest.json beside itself
    python tests/vectors/lint/make.py DIRECTORY  writes them there

Keys are derived from fixed numbers and signatures are deterministic (RFC 6979), so the same
script makes the same octets. The keys protect nothing.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ca.encoding import tlv

Parts = Mapping[str, bytes | None]  # extensions by label; None leaves one out
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
SHA256_ECDSA = tlv.sequence(tlv.oid("1.2.840.10045.4.3.2"))
SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
CODE, TIME, OCSP, ANY = "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9", "2.5.29.37.0"
C, ORG, CN, EMAIL, DC = (
    "2.5.4.6",
    "2.5.4.10",
    "2.5.4.3",
    "1.2.840.113549.1.9.1",
    "0.9.2342.19200300.100.1.25",
)
ALL_CONSUMERS = ("openvpn", "windows", "strongswan", "iphone", "android", "chrome", "python")
CDP_URL = "http://ca.home.arpa/home.crl"


# ---------------------------------------------------------------- keys, names, times


def ec_key(number: int, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0xC0FFEE00 + number, curve or ec.SECP256R1())


def spki(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def rsa_spki(bits: int = 2048, exponent: int = 65537, parameters: bytes | None = None) -> bytes:
    """An RSA key of which nobody knows the other half: lint does no arithmetic."""
    stream = b"".join(hashlib.sha256(b"modulus %d" % i).digest() for i in range(bits // 256 + 1))
    modulus = int.from_bytes(stream, "big") >> (len(stream) * 8 - bits) | 1 << (bits - 1) | 1
    algorithm = tlv.sequence(
        tlv.oid("1.2.840.113549.1.1.1"), tlv.null() if parameters is None else parameters
    )
    key = tlv.sequence(tlv.integer(modulus), tlv.integer(exponent))
    return tlv.sequence(algorithm, tlv.tlv(tlv.BIT_STRING, b"\0" + key))


def ec_spki(parameters: bytes, point: bytes) -> bytes:
    algorithm = tlv.sequence(tlv.oid("1.2.840.10045.2.1"), parameters)
    return tlv.sequence(algorithm, tlv.tlv(tlv.BIT_STRING, b"\0" + point))


def key_octets(spki_der: bytes) -> bytes:
    (_, _), (_, bits) = tlv.elements(tlv.read_only(spki_der, tlv.SEQUENCE))
    return bits[1:]


def key_id(spki_der: bytes) -> bytes:
    return hashlib.sha1(key_octets(spki_der), usedforsecurity=False).digest()


def name(*pairs: tuple[str, str] | tuple[str, str, int]) -> bytes:
    """DER Name; the string type is UTF8String unless a third member gives a tag."""
    rdns = []
    for oid, value, *tag in pairs:
        kind = tag[0] if tag else {C: 0x13, EMAIL: 0x16, DC: 0x16}.get(oid, 0x0C)
        codec = {0x1E: "utf-16-be", 0x14: "latin-1"}.get(kind, "utf-8")
        text = tlv.tlv(kind, value.encode(codec))
        rdns.append(tlv.set_of([tlv.sequence(tlv.oid(oid), text)]))
    return tlv.sequence(*rdns)


def time(moment: datetime, *, tag: int | None = None) -> bytes:
    general = moment.year >= 2050 if tag is None else tag == 0x18
    form = "%Y%m%d%H%M%SZ" if general else "%y%m%d%H%M%SZ"
    return tlv.tlv(0x18 if general else 0x17, moment.strftime(form).encode())


# ---------------------------------------------------------------- extensions


def ext(oid: str, value: bytes, *, critical: bool = False, explicit: bool = False) -> bytes:
    flag = tlv.boolean(critical) if critical or explicit else b""
    return tlv.sequence(tlv.oid(oid), flag, tlv.octet_string(value))


def bc(*, ca: bool = False, path: int | None = None, critical: bool = True) -> bytes:
    content = (tlv.boolean(True) if ca else b"") + (b"" if path is None else tlv.integer(path))
    return ext("2.5.29.19", tlv.sequence(content), critical=critical)


def ku(*bits: int, critical: bool = True) -> bytes:
    return ext("2.5.29.15", tlv.named_bits(bits), critical=critical)


def eku(*oids: str, critical: bool = False) -> bytes:
    return ext("2.5.29.37", tlv.sequence(*map(tlv.oid, oids)), critical=critical)


def ski(octets: bytes, *, critical: bool = False) -> bytes:
    return ext("2.5.29.14", tlv.octet_string(octets), critical=critical)


def aki(octets: bytes | None, *, more: bytes = b"", critical: bool = False) -> bytes:
    content = (b"" if octets is None else tlv.tlv(0x80, octets)) + more
    return ext("2.5.29.35", tlv.sequence(content), critical=critical)


def gn(kind: str, value: str | bytes) -> bytes:
    if kind == "ip" and isinstance(value, str):
        value = ipaddress.ip_address(value).packed
    octets = value.encode() if isinstance(value, str) else value
    if kind == "upn":
        return tlv.tlv(0xA0, tlv.oid("1.3.6.1.4.1.311.20.2.3") + tlv.tlv(0xA0, octets))
    return tlv.tlv({"email": 0x81, "dns": 0x82, "dir": 0xA4, "uri": 0x86, "ip": 0x87}[kind], octets)


def san(*names: bytes, critical: bool = False) -> bytes:
    return ext("2.5.29.17", tlv.sequence(*names), critical=critical)


def subtree(base: bytes, more: bytes = b"") -> bytes:
    return tlv.sequence(base, more)


def net(text: str) -> bytes:
    network = ipaddress.ip_network(text)
    return gn("ip", network.network_address.packed + network.netmask.packed)


HOME = (subtree(gn("dns", "home.arpa")), subtree(net("192.168.0.0/16")), subtree(net("fd00::/8")))


def nc(
    permitted: tuple[bytes, ...] = HOME,
    excluded: tuple[bytes, ...] = (),
    *,
    critical: bool = True,
) -> bytes:
    lists = tlv.tlv(0xA0, b"".join(permitted)) if permitted else b""
    lists += tlv.tlv(0xA1, b"".join(excluded)) if excluded else b""
    return ext("2.5.29.30", tlv.sequence(lists), critical=critical)


def cdp(url: bytes | None = None, *, more: bytes = b"", critical: bool = False) -> bytes:
    location = gn("uri", CDP_URL) if url is None else url
    point = tlv.tlv(0xA0, tlv.tlv(0xA0, location)) if location else b""
    return ext("2.5.29.31", tlv.sequence(tlv.sequence(point, more)), critical=critical)


def aia(url: str = "http://ca.home.arpa/home.cer", *, critical: bool = False) -> bytes:
    access = tlv.sequence(tlv.oid("1.3.6.1.5.5.7.48.2"), gn("uri", url))
    return ext("1.3.6.1.5.5.7.1.1", tlv.sequence(access), critical=critical)


# ---------------------------------------------------------------- certificates


@dataclass
class Certificate:
    """A TBSCertificate in parts; `parts` are extensions by label, None leaves one out."""

    subject: bytes
    spki: bytes
    issuer: bytes
    parts: Parts
    serial: bytes = b""
    not_before: bytes = field(default_factory=lambda: time(NOW))
    not_after: bytes = field(default_factory=lambda: time(NOW + 375 * DAY - SECOND))
    version: bytes = field(default_factory=lambda: tlv.tlv(0xA0, tlv.integer(2)))
    algorithm: bytes = SHA256_ECDSA
    outer: bytes | None = None
    unique: bytes = b""
    signer: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec_key(1))

    def tbs(self) -> bytes:
        serial = self.serial or b"\x4a" + hashlib.sha256(self.subject).digest()[:19]
        listed = b"".join(part for part in self.parts.values() if part is not None)
        extensions = tlv.tlv(0xA3, tlv.sequence(listed)) if "none" not in self.parts else b""
        return tlv.sequence(
            self.version,
            tlv.tlv(tlv.INTEGER, serial),
            self.algorithm,
            self.issuer,
            tlv.sequence(self.not_before, self.not_after),
            self.subject,
            self.spki,
            self.unique,
            extensions,
        )

    def der(self) -> bytes:
        return signed(self.tbs(), self.outer or self.algorithm, self.signer)


def signed(tbs: bytes, algorithm: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return tlv.sequence(tbs, algorithm, tlv.tlv(tlv.BIT_STRING, b"\0" + signature))


ROOT_NAME = name((C, "DE"), (ORG, "Home"), (CN, "Home Root"))
CA_NAME = name((C, "DE"), (ORG, "Home"), (CN, "Home Intermediate 1"))
ROOT_KEY, CA_KEY, LEAF_KEY = ec_key(0), ec_key(1), ec_key(2)
ROOT_ID, CA_ID = key_id(spki(ROOT_KEY)), key_id(spki(CA_KEY))
CA_SERIAL = b"\x5b" + hashlib.sha256(CA_NAME).digest()[:19]


def root(parts: Parts | None = None, **changes: Any) -> Certificate:
    base: Parts = {
        "bc": bc(ca=True, path=1),
        "ku": ku(5, 6),
        "ski": ski(ROOT_ID),
        "nc": nc(),
    }
    fields: dict[str, Any] = {
        "subject": ROOT_NAME,
        "issuer": ROOT_NAME,
        "spki": spki(ROOT_KEY),
        "not_after": time(NOW + 7300 * DAY - SECOND),
        "signer": ROOT_KEY,
    }
    return Certificate(parts={**base, **(parts or {})}, **(fields | changes))


def intermediate(parts: Parts | None = None, **changes: Any) -> Certificate:
    base: Parts = {
        "bc": bc(ca=True, path=0),
        "ku": ku(5, 6),
        "ski": ski(CA_ID),
        "aki": aki(ROOT_ID),
        "nc": nc(),
        "cdp": cdp(gn("uri", "http://ca.home.arpa/root.crl")),
    }
    fields: dict[str, Any] = {
        "subject": CA_NAME,
        "issuer": ROOT_NAME,
        "spki": spki(CA_KEY),
        "serial": CA_SERIAL,
        "not_after": time(NOW + 3650 * DAY - SECOND),
        "signer": ROOT_KEY,
    }
    return Certificate(parts={**base, **(parts or {})}, **(fields | changes))


def leaf(parts: Parts | None = None, *, cn: str = "nas.home.arpa", **changes: Any) -> Certificate:
    key = changes.get("spki", spki(LEAF_KEY))
    base: Parts = {
        "bc": bc(),
        "ku": ku(0),
        "eku": eku(SERVER),
        "ski": ski(key_id(key)),
        "aki": aki(CA_ID),
        "san": san(gn("dns", cn), gn("ip", "192.168.1.10")),
        "cdp": cdp(),
        "aia": aia(),
    }
    fields: dict[str, Any] = {"subject": name((CN, cn)), "issuer": CA_NAME, "spki": key}
    return Certificate(parts={**base, **(parts or {})}, **(fields | changes))


def client(parts: Parts | None = None, **changes: Any) -> Certificate:
    cn = changes.pop("cn", "alice-phone.home.arpa")
    base: Parts = {"eku": eku(CLIENT), "san": san(gn("dns", cn))}
    return leaf({**base, **(parts or {})}, cn=cn, **changes)


# ---------------------------------------------------------------- CRLs


def entry(
    serial: int, *extensions: bytes, at: datetime = NOW - DAY, when: bytes | None = None
) -> bytes:
    listed = tlv.sequence(*extensions) if extensions else b""
    return tlv.sequence(tlv.integer(serial), when or time(at), listed)


def reason(code: int, *, critical: bool = False) -> bytes:
    return ext("2.5.29.21", tlv.tlv(tlv.ENUMERATED, bytes([code])), critical=critical)


def idp(content: bytes | None = None, *, critical: bool = True, url: str = CDP_URL) -> bytes:
    point = tlv.tlv(0xA0, tlv.tlv(0xA0, gn("uri", url))) if content is None else content
    return ext("2.5.29.28", tlv.sequence(point), critical=critical)


def number(value: int, *, critical: bool = False) -> bytes:
    return ext("2.5.29.20", tlv.integer(value), critical=critical)


@dataclass
class Crl:
    """A TBSCertList in parts."""

    entries: list[bytes] | None = None
    parts: Parts = field(default_factory=dict)
    issuer: bytes = CA_NAME
    this_update: bytes = field(default_factory=lambda: time(NOW))
    next_update: bytes = field(default_factory=lambda: time(NOW + 30 * DAY))
    version: bytes = field(default_factory=lambda: tlv.integer(1))
    algorithm: bytes = SHA256_ECDSA
    outer: bytes | None = None

    def der(self) -> bytes:
        base: Parts = {"aki": aki(CA_ID), "number": number(2)}
        listed = b"".join(p for p in {**base, **self.parts}.values() if p is not None)
        revoked = b"" if self.entries is None else tlv.sequence(*self.entries)
        extensions = tlv.tlv(0xA0, tlv.sequence(listed)) if listed else b""
        tbs = tlv.sequence(
            self.version,
            self.algorithm,
            self.issuer,
            self.this_update,
            self.next_update,
            revoked,
            extensions,
        )
        return signed(tbs, self.outer or self.algorithm, CA_KEY)


# ---------------------------------------------------------------- the vectors


@dataclass
class Vector:
    """expect: ids found before and after the signature; before, after: those found only then."""

    der: bytes
    kind: str
    role: str
    issuer: str | None
    expect: list[str]
    context: dict[str, Any]


VECTORS: dict[str, Vector] = {}


def add(
    label: str,
    made: Certificate | Crl,
    *expect: str,
    role: str = "leaf",
    issuer: str | None = "default",
    **context: Any,
) -> None:
    if issuer == "default":
        issuer = {"root": None, "intermediate": "clean-root"}.get(role, "clean-intermediate")
    if label in VECTORS:
        raise SystemExit(f"two vectors are called {label}")
    if "L5.whole-days" in expect:  # spoken of before the signature only
        expect = tuple(rule for rule in expect if rule != "L5.whole-days")
        context["before"] = [*context.get("before", ()), "L5.whole-days"]
    kind = "crl" if isinstance(made, Crl) else "certificate"
    VECTORS[label] = Vector(made.der(), kind, role, issuer, sorted(expect), context)


def clean() -> None:
    """What homeca makes, and what no rule may object to for any consumer."""
    # both permit addresses, which old strongSwan cannot read (SS5)
    others = tuple(word for word in ALL_CONSUMERS if word != "strongswan")
    add("clean-root", root(), role="root", consumers=others)
    add("clean-intermediate", intermediate(), role="intermediate", consumers=others)
    add("clean-tls-server", leaf(), consumers=ALL_CONSUMERS)
    add(
        "clean-tls-server-rsa",
        leaf({"ku": ku(0, 2)}, spki=rsa_spki()),
        consumers=ALL_CONSUMERS,
    )
    add("clean-tls-server-p384", leaf(spki=spki(ec_key(3, ec.SECP384R1()))))
    add("clean-tls-server-ed25519", leaf(spki=spki(ed())))
    add(
        "clean-tls-server-wildcard",
        leaf({"san": san(gn("dns", "nas.home.arpa"), gn("dns", "*.nas.home.arpa"))}),
    )
    add(
        "clean-tls-server-without-subject",
        leaf(
            {"san": san(gn("dns", "nas.home.arpa"), gn("ip", "fd00::10"), critical=True)},
            subject=name(),
        ),
    )
    add(
        "clean-tls-server-idn",
        leaf(cn="xn--kche-0ra.home.arpa"),
    )
    add("clean-vpn-client", client(), consumers=("openvpn", "strongswan", "iphone", "python"))
    add(
        "clean-vpn-client-windows",
        client(
            {
                "san": san(
                    gn("dns", "alice-phone.home.arpa"),
                    gn("upn", tlv.tlv(0x0C, b"alice@home.arpa")),
                ),
                "template": ext(
                    "1.3.6.1.4.1.311.21.7", tlv.sequence(tlv.oid("1.3.6.1.4.1.311.21.8.1"))
                ),
            }
        ),
        consumers=("openvpn", "windows"),
        key_in_tpm=True,
    )
    add(
        "clean-wifi-server",
        leaf({"san": san(gn("dns", "nas.home.arpa"))}),
        consumers=("wifi", "android", "windows"),
    )
    add(
        "clean-ocsp-signing",
        leaf(
            {
                "eku": eku(OCSP),
                "san": None,
                "nocheck": ext("1.3.6.1.5.5.7.48.1.5", tlv.null()),
            },
            cn="Home OCSP",
        ),
    )
    add(
        "clean-2050",
        root(not_after=time(datetime(2050, 1, 1, tzinfo=UTC) + DAY - SECOND)),
        role="root",
    )
    add("clean-crl-empty", Crl())
    add("clean-crl", Crl([entry(0x1001), entry(0x1002, reason(1)), entry(0x1003, reason(4))]))
    add("clean-crl-idp", Crl([entry(0x1001)], {"idp": idp()}), crl_urls=[CDP_URL])
    add(
        "clean-crl-before",
        Crl(
            [entry(0x1001), entry(0x1002, reason(6))],
            {"number": number(1)},
            this_update=time(NOW - DAY),
        ),
        "br.7.2.2.hold",
    )
    add(
        "clean-crl-after",  # 1001 had expired, 1002 was released
        Crl([entry(0x1003)]),
        previous="clean-crl-before",
        expired=[0x1001, 0x1002],
    )


def ed() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def certificate_fields() -> None:
    p = "rfc5280.4.1.2."
    add("version-1", leaf(version=b""), p + "1.version-3")
    add(
        "version-1-written-out",
        leaf(version=tlv.tlv(0xA0, tlv.integer(0))),
        p + "1.version-3",
        "x690.11.5.default-left-out",
    )
    add("version-4", leaf(version=tlv.tlv(0xA0, tlv.integer(3))), p + "1.version-3")
    add("serial-zero", leaf(serial=b"\0"), p + "2.serial-positive", "br.7.1.2.7.serial-64-bits")
    add("serial-negative", leaf(serial=b"\x80" + b"\1" * 15), p + "2.serial-positive")
    add("serial-21-octets", leaf(serial=b"\0\xff" + b"\1" * 19), p + "2.serial-20-octets")
    add("serial-one-octet", leaf(serial=b"\x2a"), "br.7.1.2.7.serial-64-bits")
    add("serial-7-octets-and-sign", leaf(serial=b"\0\x80" + b"\1" * 6), "br.7.1.2.7.serial-64-bits")
    add("serial-of-issuer", leaf(serial=CA_SERIAL), p + "2.serial-not-issuers")
    sha384 = tlv.sequence(tlv.oid("1.2.840.10045.4.3.3"))
    add("algorithms-differ", leaf(outer=sha384), after=["rfc5280.4.1.1.2.algorithms-equal"])
    for label, oid in (("sha1-ecdsa", "1.2.840.10045.4.1"), ("md5-rsa", "1.2.840.113549.1.1.4")):
        algorithm = tlv.sequence(tlv.oid(oid))
        add(f"signature-{label}", leaf(algorithm=algorithm), "rfc6194.3.signature-not-broken")
    add(
        "signature-sha3",
        leaf(algorithm=tlv.sequence(tlv.oid("2.16.840.1.101.3.4.3.10"))),
        "br.7.1.3.2.signature-algorithm",
    )
    for label, oid, parameters in (
        ("ecdsa-null", "1.2.840.10045.4.3.2", tlv.null()),
        ("rsa-without-null", "1.2.840.113549.1.1.11", b""),
        ("pss-null", "1.2.840.113549.1.1.10", tlv.null()),
    ):
        algorithm = tlv.sequence(tlv.oid(oid), parameters)
        add(f"signature-{label}", leaf(algorithm=algorithm), "rfc5758.3.2.signature-parameters")
    add(
        "issuer-empty",
        leaf(issuer=name()),
        p + "4.issuer-not-empty",
        issuer=None,
    )
    add("issuer-other", leaf(issuer=name((CN, "Other CA"))), p + "4.issuer-octets")
    add(
        "issuer-printable-for-utf8",
        leaf(issuer=name((C, "DE"), (ORG, "Home", 0x13), (CN, "Home Intermediate 1"))),
        p + "4.issuer-octets",
    )
    add(
        "root-not-self-issued",
        root(issuer=CA_NAME),
        p + "4.issuer-octets",
        role="root",
    )
    add("subject-is-issuers", leaf(subject=CA_NAME), p + "6.subject-not-issuers")
    add(
        "key-is-issuers",
        leaf(spki=spki(CA_KEY)),
        p + "7.key-not-issuers",
    )
    add("unique-id", leaf(unique=tlv.tlv(0x82, b"\0\1")), p + "8.no-unique-ids")


def validity() -> None:
    p = "rfc5280.4.1.2.5."
    utc, general = 0x17, 0x18
    end = NOW + 375 * DAY - SECOND
    add(
        "time-without-seconds",
        leaf(not_after=tlv.tlv(utc, b"2706102359Z")),
        p + "time-form",
        "L5.whole-days",
    )
    add("time-with-offset", leaf(not_before=tlv.tlv(utc, b"260601020000+0200")), p + "time-form")
    add(
        "time-with-fraction",
        root(not_after=tlv.tlv(general, b"20500101235959.5Z")),
        p + "time-form",
        role="root",
    )
    add("time-generalized-before-2050", leaf(not_after=time(end, tag=general)), p + "time-type")
    add(
        "time-utc-is-1950",  # 50 to 99 mean 19xx
        leaf(not_before=tlv.tlv(utc, b"500601000000Z"), not_after=tlv.tlv(utc, b"510601000000Z")),
        "L5.whole-days",
        "L6.not-before-within-issuer",
        before=["br.7.1.2.7.not-before-near-signing", p + "not-over"],
    )
    add(
        "validity-reversed",
        leaf(not_before=time(NOW + 2 * DAY), not_after=time(NOW + DAY)),
        p + "validity-order",
    )
    add(
        "outlives-issuer",
        leaf(not_after=time(NOW + 3650 * DAY)),
        "L6.not-after-within-issuer",
        "L5.whole-days",
    )
    add(
        "older-than-issuer",
        leaf(not_before=time(NOW - DAY)),
        "L6.not-before-within-issuer",
    )
    add(
        "begins-next-week",
        leaf(not_before=time(NOW + 7 * DAY)),
        before=["br.7.1.2.7.not-before-near-signing"],
    )
    add(
        "over-before-signed",
        leaf(not_before=time(NOW - 2 * DAY), not_after=time(NOW - DAY - SECOND)),
        "L6.not-before-within-issuer",
        before=[p + "not-over"],
    )
    add("one-second-more", leaf(not_after=time(NOW + 375 * DAY)), "L5.whole-days")


def keys() -> None:
    rsa = {"ku": ku(0, 2)}
    add("rsa-1024", leaf(rsa, spki=rsa_spki(1024)), "br.6.1.5.rsa-size")
    add("rsa-2052", leaf(rsa, spki=rsa_spki(2052)), "br.6.1.5.rsa-whole-octets")
    add("rsa-exponent-1", leaf(rsa, spki=rsa_spki(exponent=1)), "br.6.1.6.rsa-exponent")
    add("rsa-exponent-even", leaf(rsa, spki=rsa_spki(exponent=65536)), "br.6.1.6.rsa-exponent")
    add("rsa-exponent-3", leaf(rsa, spki=rsa_spki(exponent=3)), "br.6.1.6.rsa-exponent-65537")
    add(
        "rsa-without-null",
        leaf(rsa, spki=rsa_spki(parameters=b"")),
        "rfc3279.2.3.1.key-parameters",
    )
    explicit = tlv.sequence(tlv.integer(1))
    point = key_octets(spki(LEAF_KEY))
    p256 = tlv.oid("1.2.840.10045.3.1.7")
    add("ec-explicit-curve", leaf(spki=ec_spki(explicit, point)), "br.6.1.5.key-kind")
    add(
        "ec-secp256k1",
        leaf(spki=spki(ec_key(4, ec.SECP256K1()))),
        "br.6.1.5.key-kind",
    )
    add("ec-compressed", leaf(spki=ec_spki(p256, b"\2" + point[1:33])), "rfc5480.2.2.point")
    add("ec-hybrid", leaf(spki=ec_spki(p256, b"\6" + point[1:])), "rfc5480.2.2.point")
    add("ec-short-point", leaf(spki=ec_spki(p256, point[:-1])), "rfc5480.2.2.point")
    dsa = tlv.sequence(
        tlv.sequence(tlv.oid("1.2.840.10040.4.1")), tlv.tlv(tlv.BIT_STRING, b"\0" + tlv.integer(7))
    )
    add("dsa", leaf(spki=dsa), "br.6.1.5.key-kind")
    null_25519 = tlv.sequence(
        tlv.sequence(tlv.oid("1.3.101.112"), tlv.null()),
        tlv.tlv(tlv.BIT_STRING, b"\0" + bytes(32)),
    )
    add("ed25519-null", leaf(spki=null_25519), "rfc3279.2.3.1.key-parameters")


def extensions() -> None:
    p = "rfc5280.4.2."
    add("extension-twice", leaf({"again": ku(0)}), p + "no-duplicates")
    strange = ext("1.3.6.1.4.1.55555.1", tlv.null(), critical=True)
    add("critical-unknown", leaf({"strange": strange}), p + "critical-known")
    add(
        "netscape",
        leaf({"ns": ext("2.16.840.1.113730.1.1", tlv.named_bits([1]))}),
        "netscape.obsolete",
    )
    add(
        "critical-false-written-out",
        leaf({"ski": ext("2.5.29.14", tlv.octet_string(key_id(spki(LEAF_KEY))), explicit=True)}),
        "x690.11.5.default-left-out",
    )
    false_ca = ext("2.5.29.19", tlv.sequence(tlv.boolean(False)), critical=True)
    add("ca-false-written-out", leaf({"bc": false_ca}), "x690.11.5.default-left-out")
    trailing = ext("2.5.29.15", b"\x03\x03\x00\x80\x00", critical=True)
    add("key-usage-trailing-zeros", leaf({"ku": trailing}), "x690.11.2.2.named-bits")
    add(
        "san-empty",
        leaf({"san": san()}),
        p + "extension-value",
        "br.7.1.2.7.12.server-san",
        "br.7.1.4.3.cn-in-san",
    )
    add(
        "san-is-not-one",
        leaf({"san": ext("2.5.29.17", tlv.integer(1))}),
        p + "extension-value",
        "br.7.1.2.7.12.server-san",
        "br.7.1.4.3.cn-in-san",
    )
    add(
        "ski-followed-by-more",
        leaf({"ski": ext("2.5.29.14", tlv.octet_string(CA_ID) + tlv.null())}),
        p + "extension-value",
        p + "1.2.leaf-ski",
    )
    add(
        "extensions-empty",
        leaf(dict.fromkeys(("bc", "ku", "eku", "ski", "aki", "san", "cdp", "aia"))),
        p + "extension-value",
        p + "1.1.present",
        p + "1.2.leaf-ski",
        p + "1.3.leaf-key-usage",
        "br.7.1.2.7.10.leaf-eku",
    )
    eku_empty = ext("2.5.29.37", tlv.sequence())
    add("eku-empty", leaf({"eku": eku_empty}), p + "extension-value")


def constraints_and_usage() -> None:
    p = "rfc5280.4.2.1."
    ca: dict[str, Any] = {"role": "intermediate"}
    add(
        "issuer-not-ca",
        intermediate({"bc": bc(), "nc": None}),
        p + "9.issuer-is-ca",
        p + "3.key-cert-sign",
        "CH2",
        **ca,
    )
    add("leaf-is-ca", leaf({"bc": bc(ca=True)}), p + "9.leaf-is-not-ca")
    add(
        "ca-not-critical",
        intermediate({"bc": bc(ca=True, path=0, critical=False)}),
        p + "9.critical",
        **ca,
    )
    add("path-without-ca", leaf({"bc": bc(path=0)}), p + "9.path-length")
    add("path-negative", intermediate({"bc": bc(ca=True, path=-1)}), p + "9.path-length", **ca)
    add(
        "ca-below-path-0",
        intermediate(
            {"aki": aki(CA_ID), "ski": ski(key_id(spki(ec_key(5))))},
            subject=name((CN, "Too Deep")),
            issuer=CA_NAME,
            spki=spki(ec_key(5)),
            serial=b"\x5c" * 20,
        ),
        p + "9.within-issuers-path-length",
        role="intermediate",
        issuer="clean-intermediate",
    )
    add(
        "issuer-without-key-usage",
        intermediate({"ku": None}),
        p + "3.issuer-key-usage",
        p + "9.path-length",
        **ca,
    )
    add("issuer-without-crl-sign", intermediate({"ku": ku(5)}), p + "3.issuer-crl-sign", **ca)
    add("leaf-signs-certificates", leaf({"ku": ku(0, 5)}), p + "3.key-cert-sign")
    add("key-usage-nothing", leaf({"ku": ku()}), p + "3.not-empty")
    add("key-usage-not-critical", leaf({"ku": ku(0, critical=False)}), p + "3.critical")
    add("leaf-without-key-usage", leaf({"ku": None}), p + "3.leaf-key-usage")
    add("ec-enciphers", leaf({"ku": ku(0, 2)}), "rfc8813.3.no-encipherment")
    add(
        "ed25519-agrees",
        leaf({"ku": ku(0, 4)}, spki=spki(ed())),
        "rfc9295.3.only-signs",
    )
    add("encipher-only-alone", leaf({"ku": ku(0, 7)}), p + "3.only-with-agreement")
    add("key-usage-bit-9", leaf({"ku": ku(0, 9)}), p + "3.only-with-agreement")
    add("eku-any", leaf({"eku": eku(SERVER, ANY)}), p + "12.no-any")
    add("leaf-without-eku", leaf({"eku": None}), "br.7.1.2.7.10.leaf-eku")
    add("server-signs-code", leaf({"eku": eku(SERVER, CODE)}), "br.7.1.2.7.10.server-alone")
    add(
        "issuer-ocsp-signing",
        intermediate({"eku": eku(SERVER, OCSP, CLIENT)}),
        "rfc6960.4.2.2.2.issuer-no-ocsp-signing",
        **ca,
    )
    add(
        "ocsp-without-nocheck",
        leaf({"eku": eku(OCSP), "san": None}, cn="Home OCSP"),
        "rfc6960.4.2.2.2.1.nocheck",
    )
    not_null = ext("1.3.6.1.5.5.7.48.1.5", tlv.sequence())
    add(
        "ocsp-nocheck-is-not-null",
        leaf({"eku": eku(OCSP), "san": None, "nocheck": not_null}, cn="Home OCSP"),
        "rfc6960.4.2.2.2.1.nocheck",
    )
    add(
        "time-stamping-not-critical",
        leaf({"eku": eku(TIME), "san": None}, cn="Home Time"),
        "rfc3161.2.3.time-stamping",
    )
    add("issuer-without-ski", intermediate({"ski": None}), p + "2.issuer-ski", **ca)
    add("leaf-without-ski", leaf({"ski": None}), p + "2.leaf-ski")
    add(
        "ski-critical",
        leaf({"ski": ski(key_id(spki(LEAF_KEY)), critical=True)}),
        p + "2.not-critical",
    )
    add("ski-other-method", leaf({"ski": ski(bytes(20))}), before=[p + "2.method-1"])
    add("aki-missing", leaf({"aki": None}), p + "1.present")
    add("aki-names-no-key", leaf({"aki": aki(None)}), p + "1.present")
    add("aki-critical", leaf({"aki": aki(CA_ID, critical=True)}), p + "1.not-critical")
    add("aki-of-another-key", leaf({"aki": aki(ROOT_ID)}), p + "1.issuers-ski")
    add("aki-of-root-is-another", root({"aki": aki(CA_ID)}), p + "1.issuers-ski", role="root")
    pair = tlv.tlv(0xA1, gn("dir", ROOT_NAME)) + tlv.tlv(0x82, CA_SERIAL)
    add("aki-issuer-and-serial", leaf({"aki": aki(CA_ID, more=pair)}), p + "1.key-id-alone")
    add(
        "aki-serial-alone",
        leaf({"aki": aki(CA_ID, more=tlv.tlv(0x82, CA_SERIAL))}),
        p + "1.issuer-and-serial",
        p + "1.key-id-alone",
    )
    other = tlv.tlv(0xA1, gn("dir", ROOT_NAME)) + tlv.tlv(0x82, b"\1")
    add(
        "aki-serial-of-another",
        leaf({"aki": aki(CA_ID, more=other)}),
        p + "1.issuer-and-serial",
        p + "1.key-id-alone",
    )
    add("name-constraints-on-leaf", leaf({"nc": nc()}), p + "10.only-issuers")
    add(
        "name-constraints-not-critical",
        intermediate({"nc": nc(critical=False)}),
        p + "10.critical",
        **ca,
    )
    add("name-constraints-empty", intermediate({"nc": nc(())}), p + "10.shape", **ca)
    minimum = (subtree(gn("dns", "home.arpa"), tlv.tlv(0x80, b"\1")),)
    add("name-constraints-minimum", intermediate({"nc": nc(minimum)}), p + "10.shape", **ca)
    gaps = (subtree(gn("ip", bytes((192, 168, 0, 0, 255, 0, 255, 0)))),)
    add("name-constraints-mask-with-gaps", intermediate({"nc": nc(gaps)}), p + "10.shape", **ca)
    short = (subtree(gn("ip", "192.168.0.0")),)
    add("name-constraints-without-mask", intermediate({"nc": nc(short)}), p + "10.shape", **ca)
    dot = (subtree(gn("dns", ".home.arpa")),)
    add("name-constraints-dot", intermediate({"nc": nc(dot)}), p + "10.domain-base", **ca)
    twice = tlv.sequence(*[tlv.sequence(tlv.oid("1.3.6.1.4.1.55555.2"))] * 2)
    add("policy-twice", leaf({"policies": ext("2.5.29.32", twice)}), p + "4.once")
    mapping = tlv.sequence(
        tlv.sequence(tlv.oid("1.3.6.1.4.1.55555.2"), tlv.oid("1.3.6.1.4.1.55555.3"))
    )
    add(
        "policy-mappings",
        intermediate({"map": ext("2.5.29.33", mapping)}),
        "rfc9618.no-mappings",
        **ca,
    )
    add("cdp-critical", leaf({"cdp": cdp(critical=True)}), p + "13.not-critical")
    add("cdp-with-reasons", leaf({"cdp": cdp(more=tlv.tlv(0x81, b"\1\6"))}), p + "13.plain")
    add(
        "cdp-without-name",
        leaf({"cdp": cdp(b"", more=tlv.tlv(0xA2, gn("dir", CA_NAME)))}),
        p + "13.plain",
    )
    add(
        "cdp-https",
        leaf({"cdp": cdp(gn("uri", "https://ca.home.arpa/home.crl"))}),
        "rfc5280.8.cdp-http",
    )
    add("cdp-ldap", leaf({"cdp": cdp(gn("uri", "ldap:///CN=Home"))}), "rfc5280.8.cdp-http")
    add("cdp-directory-name", leaf({"cdp": cdp(gn("dir", CA_NAME))}), "rfc5280.8.cdp-http")
    add("aia-critical", leaf({"aia": aia(critical=True)}), "rfc5280.4.2.2.1.not-critical")
    add("aia-https", leaf({"aia": aia("https://ca.home.arpa/home.cer")}), "rfc5280.8.aia-http")


def names() -> None:
    p = "rfc5280.4.1.2."
    ca: dict[str, Any] = {"role": "intermediate"}
    nas = gn("dns", "nas.home.arpa")
    add(
        "issuer-without-name",
        intermediate(subject=name()),
        p + "6.issuer-subject",
        p + "6.empty-subject",
        **ca,
    )
    add("no-subject-san-not-critical", leaf(subject=name()), p + "6.empty-subject")
    add(
        "no-subject-no-san",
        client({"san": None}, subject=name()),
        p + "6.empty-subject",
        "d7.4.no-san",
    )
    add(
        "san-critical-beside-subject",
        leaf({"san": san(nas, critical=True)}),
        "rfc5280.4.2.1.6.not-critical",
    )

    def subject(*pairs: Any) -> Certificate:
        return leaf(subject=name(*pairs))

    add("dn-teletex", subject((ORG, "Käse", 0x14), (CN, "nas.home.arpa")), p + "4.string-type")
    add("dn-bmp", subject((ORG, "Home", 0x1E), (CN, "nas.home.arpa")), p + "4.string-type")
    add(
        "dn-printable-with-at",
        subject((ORG, "me@home", 0x13), (CN, "nas.home.arpa")),
        p + "4.string-type",
    )
    add("dn-country-utf8", subject((C, "DE", 0x0C), (CN, "nas.home.arpa")), p + "4.string-type")
    add(
        "dn-email-utf8",
        subject((CN, "nas.home.arpa"), (EMAIL, "me@home.arpa", 0x0C)),
        p + "4.string-type",
    )
    broken = tlv.sequence(tlv.set_of([tlv.sequence(tlv.oid(ORG), tlv.tlv(0x0C, b"\xff\xfe"))]))
    add("dn-broken-utf8", leaf(subject=broken), p + "4.string-type")
    add("dn-empty-value", subject((ORG, ""), (CN, "nas.home.arpa")), "rfc5280.a.1.upper-bound")
    add(
        "dn-long-organization",
        subject((ORG, "x" * 65), (CN, "nas.home.arpa")),
        "rfc5280.a.1.upper-bound",
    )
    add("dn-country-lower-case", subject((C, "de"), (CN, "nas.home.arpa")), "x520.6.3.1.country")
    add(
        "dn-country-name",
        subject((C, "Germany"), (CN, "nas.home.arpa")),
        "x520.6.3.1.country",
        "rfc5280.a.1.upper-bound",
    )
    add(
        "dn-bidi", subject((ORG, "Home\u202egro"), (CN, "nas.home.arpa")), "homeca.10.visible-names"
    )
    add(
        "dn-escape",
        subject((ORG, "\x1b[31mHome"), (CN, "nas.home.arpa")),
        "homeca.10.visible-names",
    )
    add(
        "dn-nul",
        subject((CN, "nas.home.arpa\0.example.com")),
        "homeca.10.visible-names",
        "br.7.1.4.3.cn-in-san",
    )
    add("dn-two-common-names", subject((CN, "nas.home.arpa"), (CN, "Storage")), "br.7.1.4.2.once")
    add("client-without-san", client({"san": None}, cn="alice-phone"), "d7.4.no-san")
    add(
        "server-without-san",
        leaf({"san": None}),
        "br.7.1.2.7.12.server-san",
    )
    add(
        "server-with-email-only",
        leaf({"san": san(gn("email", "me@home.arpa"))}, cn="nas"),
        "br.7.1.2.7.12.server-san",
    )
    add("cn-not-in-san", leaf({"san": san(gn("dns", "other.home.arpa"))}), "br.7.1.4.3.cn-in-san")
    add(
        "cn-address-not-in-san",
        leaf({"san": san(nas)}, subject=name((CN, "192.168.1.10"))),
        "br.7.1.4.3.cn-in-san",
    )

    def with_san(*more: bytes) -> Certificate:
        return leaf({"san": san(nas, *more)})

    q = "rfc5280.4.2.1.6."
    for label, text in (
        ("trailing-dot", "printer.home.arpa."),
        ("space", "printer home.home.arpa"),
        ("space-in-front", " printer.home.arpa"),
        ("port", "printer.home.arpa:443"),
        ("url", "https://printer.home.arpa"),
        ("hyphen-in-front", "-printer.home.arpa"),
        ("empty-label", "printer..home.arpa"),
        ("long-label", "x" * 64 + ".home.arpa"),
        ("u-label", "küche.home.arpa"),
        ("nul", "nas.home.arpa\0.example.com"),
        ("empty", ""),
    ):
        add(f"dns-{label}", with_san(gn("dns", text)), q + "dns")
    add("dns-is-ipv4", with_san(gn("dns", "192.168.1.10")), "d7.6.ip-as-dns")
    add("dns-is-ipv6", with_san(gn("dns", "fd00::10")), "d7.6.ip-as-dns")
    for label, text in (
        ("inner", "nas.*.home.arpa"),
        ("partial", "n*.home.arpa"),
        ("bare", "*"),
        ("two", "*.*.home.arpa"),
    ):
        add(f"wildcard-{label}", with_san(gn("dns", text)), "rfc6125.6.4.3.wildcard")
    add("wildcard-tld", with_san(gn("dns", "*.lan")), "rfc6125.6.4.3.wildcard")
    add("dns-underscore", with_san(gn("dns", "my_nas.home.arpa")), "br.7.1.2.7.12.underscore")
    add(
        "dns-fake-a-label",
        with_san(gn("dns", "xn--zzzzzz-.home.arpa")),
        q + "dns",
        "rfc9549.4.a-label",
    )
    add("dns-a-label-of-nothing", with_san(gn("dns", "xn--0.home.arpa")), "rfc9549.4.a-label")
    add("ip-5-octets", with_san(gn("ip", bytes(5))), q + "ip")
    add("email-with-name", with_san(gn("email", "Me <me@home.arpa>")), q + "email")
    add("uri-relative", with_san(gn("uri", "/nas")), q + "uri")
    add("upn-printable-string", with_san(gn("upn", tlv.tlv(0x13, b"me@home.arpa"))), "ms-wcce.upn")
    add("san-twice", with_san(gn("dns", "NAS.home.arpa")), q + "once")
    outside = "rfc5280.4.2.1.10.names-permitted"
    add("dns-outside", with_san(gn("dns", "nas.example.com")), outside)
    add("dns-suffix-outside", with_san(gn("dns", "nothome.arpa")), outside)
    add("dns-bare-outside", with_san(gn("dns", "nas")), outside)
    add("ip-outside", with_san(gn("ip", "203.0.113.7")), outside)
    add(
        "dn-email-outside",
        leaf(subject=name((CN, "nas.home.arpa"), (EMAIL, "me@example.com"))),
        outside,
        issuer="mail-intermediate",
    )
    add(
        "mail-intermediate",
        intermediate({"nc": nc((*HOME, subtree(gn("email", "home.arpa"))))}),
        role="intermediate",
    )
    add(
        "cn-dotted-without-dns",
        client({"san": san(gn("email", "alice@home.arpa"))}, cn="alice.phone"),
        "d7.1.common-name",
    )
    add(
        "addresses-only-intermediate",
        intermediate({"nc": nc((subtree(net("192.168.0.0/16")),), (subtree(gn("dns", "")),))}),
        role="intermediate",
    )
    add("dns-all-excluded", leaf(), outside, issuer="addresses-only-intermediate")
    add("dns-under-unreadable", leaf(), outside, issuer="name-constraints-mask-with-gaps")
    add(
        "dns-underscore-outside",
        with_san(gn("dns", "my_nas.example.com")),
        "br.7.1.2.7.12.underscore",
        outside,
    )
    add(
        "cn-address-without-dns",
        leaf({"san": san(gn("ip", "192.168.1.10"))}, cn="192.168.1.10"),
        "d7.1.common-name",
    )
    add("cn-dotted-but-permitted", client({"san": san(gn("email", "alice@home.arpa"))}))
    add(
        "cn-dotted-no-host",
        client({"san": san(gn("email", "alice@home.arpa"))}, cn="Alice B. Phone"),
    )


def consumers() -> None:
    p = "rfc5280.4.2.1."
    rsa = rsa_spki()
    vpn: dict[str, Any] = {"consumers": ("openvpn",)}
    add("openvpn-without-eku", client({"eku": None}), "OV1", "br.7.1.2.7.10.leaf-eku", **vpn)
    add("openvpn-without-key-usage", client({"ku": None}), "OV1", p + "3.leaf-key-usage", **vpn)
    add("openvpn-key-encipherment", client({"ku": ku(2)}, spki=rsa), "OV2", "OV4", **vpn)
    add("openvpn-any", client({"eku": eku(ANY)}), "OV1", "OV3", p + "12.no-any", **vpn)
    add("openvpn-23-client", client({"ku": ku(0, 1, 2)}, spki=rsa), "OV4", **vpn)
    add("openvpn-23-server", leaf({"ku": ku(0, 1, 2, 3, 4)}, spki=rsa), "OV4", **vpn)
    add("openvpn-without-cn", client(subject=name((ORG, "Home"))), "OV5", **vpn)
    add("openvpn-rsa-1024", client(spki=rsa_spki(1024)), "OV9", "br.6.1.5.rsa-size", **vpn)
    add("openvpn-windows-no-template", client(), "OV10", consumers=("openvpn", "schannel"))
    add("openvpn-rsa-in-tpm", client(spki=rsa), "OV12", key_in_tpm=True, **vpn)
    win: dict[str, Any] = {"consumers": ("windows",)}
    add("windows-code-signing", client({"eku": eku(CODE)}), "WI5", **win)
    add("windows-p521", client(spki=spki(ec_key(6, ec.SECP521R1()))), "WI6.key", **win)
    add("windows-ed25519", client(spki=spki(ed())), "WI6.key", **win)
    add("windows-cn-not-repeated", client(subject=name((CN, "alice"))), "WI6.identity", **win)
    add("windows-server-without-cdp", leaf({"cdp": None}), "WI7", **win)
    swan: dict[str, Any] = {"consumers": ("strongswan",)}
    add("strongswan-key-agreement", client({"ku": ku(4)}), "SS1", **swan)
    add(
        "strongswan-gateway-by-address",
        leaf({"san": san(gn("ip", "192.168.1.10"))}, cn="nas"),
        "SS2",
        **swan,
    )
    add(
        "strongswan-without-san",
        client({"san": None}, cn="alice-phone"),
        "SS3",
        "d7.4.no-san",
        **swan,
    )
    add(
        "strongswan-address-constraints",
        intermediate(),
        "SS5",
        role="intermediate",
        **swan,
    )
    apple: dict[str, Any] = {"consumers": ("iphone",)}
    add("apple-ed25519", leaf(spki=spki(ed())), "AP1.key", **apple)
    add(
        "apple-rsa-1024",
        leaf({"ku": ku(0, 2)}, spki=rsa_spki(1024)),
        "AP1.key",
        "br.6.1.5.rsa-size",
        **apple,
    )
    add(
        "apple-without-san",
        leaf({"san": None}, cn="nas"),
        "AP1.san",
        "br.7.1.2.7.12.server-san",
        **apple,
    )
    add("apple-826-days", leaf(not_after=time(NOW + 826 * DAY - SECOND)), "AP1.days", **apple)
    add("apple-825-days", leaf(not_after=time(NOW + 825 * DAY - SECOND)), **apple)
    add(
        "apple-825-days-and-a-second",
        leaf(not_after=time(NOW + 825 * DAY)),
        "AP1.days",
        "L5.whole-days",
        **apple,
    )
    add("apple-without-eku", leaf({"eku": None}), "AP3", "br.7.1.2.7.10.leaf-eku", **apple)
    wifi: dict[str, Any] = {"consumers": ("wifi",)}
    wild = san(gn("dns", "nas.home.arpa"), gn("dns", "*.nas.home.arpa"))
    add("wifi-wildcard", leaf({"san": wild}), "WF1.name", **wifi)
    add(
        "wifi-cn-is-no-host",
        leaf({"san": san(gn("dns", "nas.home.arpa"))}, subject=name((CN, "Wi-Fi"))),
        "WF1.name",
        **wifi,
    )
    add("wifi-without-cdp", leaf({"cdp": None}), "WF1.cdp", **wifi)
    add(
        "android-by-address",
        leaf({"san": san(gn("ip", "192.168.1.10"))}, cn="nas"),
        "AN3",
        "WF1.name",
        consumers=("android", "wifi"),
    )
    add("chrome-key-encipherment", leaf({"ku": ku(2)}, spki=rsa), "CH1", consumers=("chrome",))
    add(
        "intermediate-without-name-constraints",
        intermediate({"nc": None}),
        "CH2",
        role="intermediate",
    )
    add(
        "python-ca",
        intermediate({"bc": bc(ca=True, path=0, critical=False), "ski": None, "aki": None}),
        "PY1",
        p + "9.critical",
        p + "2.issuer-ski",
        p + "1.present",
        role="intermediate",
        consumers=("python",),
    )


def crls() -> None:
    p = "rfc5280.5."
    one = entry(0x1001)
    add("crl-version-1", Crl([one], version=b""), p + "1.2.1.version-2")
    sha384 = tlv.sequence(tlv.oid("1.2.840.10045.4.3.3"))
    add("crl-algorithms-differ", Crl([one], outer=sha384), after=[p + "1.1.2.algorithms-equal"])
    sha1 = tlv.sequence(tlv.oid("1.2.840.10045.4.1"))
    add("crl-sha1", Crl([one], algorithm=sha1), "rfc6194.3.crl-signature-not-broken")
    null = tlv.sequence(tlv.oid("1.2.840.10045.4.3.2"), tlv.null())
    add("crl-ecdsa-null", Crl([one], algorithm=null), "br.7.1.3.2.crl-signature-algorithm")
    printable = name((C, "DE"), (ORG, "Home", 0x13), (CN, "Home Intermediate 1"))
    add("crl-issuer-encoding", Crl([one], issuer=printable), p + "1.2.3.issuer-octets")
    add("crl-issuer-may-not", Crl([one]), p + "issuer-may-sign", issuer="issuer-without-crl-sign")
    general = time(NOW + 30 * DAY, tag=0x18)
    add("crl-generalized-time", Crl([one], next_update=general), p + "1.2.4.times")
    early = entry(0x1001, when=time(NOW - DAY, tag=0x18))
    add("crl-entry-generalized-time", Crl([early]), p + "1.2.4.times")
    add("crl-tomorrow", Crl([one], this_update=time(NOW + DAY)), p + "1.2.4.not-in-future")
    add("crl-without-next-update", Crl([one], next_update=b""), p + "1.2.5.next-update")
    add(
        "crl-next-update-reversed",
        Crl([one], this_update=time(NOW - DAY), next_update=time(NOW - 2 * DAY)),
        p + "1.2.5.next-update",
        after=["OV7.crl-over"],
    )
    add("crl-two-years", Crl([one], next_update=time(NOW + 730 * DAY)), "br.4.9.7.lifetime")
    add(
        "crl-over",
        Crl([one], this_update=time(NOW - 30 * DAY), next_update=time(NOW - DAY)),
        after=["OV7.crl-over"],
    )
    add("crl-empty-list", Crl([]), p + "1.2.6.absent-when-empty")
    add("crl-twice", Crl([one, entry(0x1002), one]), p + "1.2.6.once")
    add("crl-serial-zero", Crl([entry(0)]), p + "1.2.6.serial")
    add("crl-serial-21-octets", Crl([entry(1 << 160)]), p + "1.2.6.serial")
    add("crl-revoked-tomorrow", Crl([entry(0x1001, at=NOW + DAY)]), p + "1.2.6.not-in-future")
    tomorrow = ext("2.5.29.24", time(NOW + DAY, tag=0x18))
    add("crl-invalid-tomorrow", Crl([entry(0x1001, tomorrow)]), p + "3.2.not-in-future")
    add("crl-unspecified", Crl([entry(0x1001, reason(0))]), p + "3.1.unspecified-absent")
    add("crl-reason-7", Crl([entry(0x1001, reason(7))]), p + "3.1.reason-known")
    add("crl-remove", Crl([entry(0x1001, reason(8))]), p + "3.1.no-removal")
    add(
        "crl-reason-critical",
        Crl([entry(0x1001, reason(1, critical=True))]),
        p + "3.reason-not-critical",
    )
    issuer = ext("2.5.29.29", tlv.sequence(gn("dir", ROOT_NAME)), critical=True)
    add("crl-certificate-issuer", Crl([entry(0x1001, issuer)]), p + "3.critical-known")
    add("crl-extension-twice", Crl([one], {"again": number(3)}), p + "2.no-duplicates")
    add(
        "crl-number-is-not-one",
        Crl([one], {"number": ext("2.5.29.20", tlv.null())}),
        p + "2.extension-value",
    )
    strange = ext("1.3.6.1.4.1.55555.1", tlv.null(), critical=True)
    add("crl-critical-unknown", Crl([one], {"strange": strange}), p + "2.critical-known")
    add(
        "crl-number-critical",
        Crl([one], {"number": number(2, critical=True)}),
        p + "2.critical-known",
    )
    add("crl-without-aki", Crl([one], {"aki": None}), p + "2.1.aki")
    add("crl-aki-of-another-key", Crl([one], {"aki": aki(ROOT_ID)}), p + "2.1.aki")
    add("crl-without-number", Crl([one], {"number": None}), p + "2.3.number")
    add("crl-number-negative", Crl([one], {"number": number(-1)}), p + "2.3.number")
    add("crl-number-21-octets", Crl([one], {"number": number(1 << 160)}), p + "2.3.number")
    delta = ext("2.5.29.27", tlv.integer(1), critical=True)
    add("crl-delta", Crl([one], {"delta": delta}), p + "2.4.no-delta")
    add(
        "crl-idp-not-critical",
        Crl([one], {"idp": idp(critical=False)}),
        p + "2.5.idp-critical",
        crl_urls=[CDP_URL],
    )
    add("crl-idp-empty", Crl([one], {"idp": idp(b"")}), p + "2.5.idp-complete")
    add(
        "crl-idp-indirect", Crl([one], {"idp": idp(tlv.tlv(0x84, b"\xff"))}), p + "2.5.idp-complete"
    )
    both = tlv.tlv(0x81, b"\xff") + tlv.tlv(0x82, b"\xff")
    add("crl-idp-users-and-cas", Crl([one], {"idp": idp(both)}), p + "2.5.idp-complete")
    add("crl-idp-without-cdp", Crl([one], {"idp": idp()}), "d7.crl-3.idp-is-cdp", crl_urls=[])
    add(
        "crl-idp-other-url",
        Crl([one], {"idp": idp(url="http://ca.home.arpa/other.crl")}),
        "d7.crl-3.idp-is-cdp",
        crl_urls=[CDP_URL],
    )
    after: dict[str, Any] = {"previous": "clean-crl-before"}
    both_listed = [one, entry(0x1002, reason(1))]
    add(
        "crl-number-again",
        Crl(both_listed, {"number": number(1)}),
        p + "2.3.number-increases",
        **after,
    )
    add(
        "crl-same-second",
        Crl(both_listed, this_update=time(NOW - DAY)),
        "d7.crl-2.this-update-increases",
        **after,
    )
    add("crl-forgets", Crl([entry(0x1003)]), "L12.no-unexplained-removal", **after)
    add("crl-hold", Crl([entry(0x1001, reason(6))]), "br.7.2.2.hold")


def pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def write(directory: Path) -> None:
    """Write every vector, and what is expected of it, into `directory`."""
    VECTORS.clear()
    for group in (clean, certificate_fields, validity, keys, extensions):
        group()
    for group in (constraints_and_usage, names, consumers, crls):
        group()
    manifest: dict[str, Any] = {"now": NOW.isoformat(), "count": len(VECTORS), "vectors": {}}
    for label, vector in VECTORS.items():
        block = "X509 CRL" if vector.kind == "crl" else "CERTIFICATE"
        (directory / f"{label}.pem").write_text(pem(block, vector.der), encoding="ascii")
        described = {"kind": vector.kind, "issuer": vector.issuer, "expect": vector.expect}
        if vector.kind == "certificate":
            described["role"] = vector.role
        manifest["vectors"][label] = described | vector.context
    text = json.dumps(manifest, indent=1, ensure_ascii=True) + "\n"
    (directory / "manifest.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
