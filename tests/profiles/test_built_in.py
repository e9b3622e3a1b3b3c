"""The profiles that ship: what they say, and that `openssl` makes the same of them."""

from __future__ import annotations

import pytest

from ca.encoding.extensions import BASIC_CONSTRAINTS, NAME_CONSTRAINTS, read_name_constraints
from ca.names.constraints import NameConstraints
from ca.names.general import DNSName, EmailName, GeneralName, IPName, UPNName, URIName
from ca.profiles.alt_names import with_names
from ca.profiles.checking import check_template, situations
from ca.profiles.library import Library
from ca.profiles.parse import parse_profile
from ca.profiles.profile import PolicyRule, Profile
from ca.profiles.render import RenderContext, render
from ca.profiles.x509v3 import build_extensions
from tests.profiles.openssl import OpenSSL

PROMISED = (
    "classic-server_cert",
    "classic-usr_cert",
    "code-signing",
    "email",
    "intermediate-ca",
    "ocsp-signing",
    "profile-signing",
    "root-ca",
    "timestamping",
    "tls-client",
    "tls-server",
    "vpn-client",
    "vpn-client-windows",
    "vpn-server",
    "wifi-client",
    "wifi-server",
)
BUILT_IN = Library().names()
CEREMONIES = ("root-ca", "intermediate-ca")
LEAVES = tuple(name for name in BUILT_IN if name not in CEREMONIES)
NAMES: dict[str, tuple[GeneralName, ...]] = {
    "dns": (DNSName.parse("nas.home.arpa"), DNSName.parse("*.home.arpa")),
    "ip": (IPName.parse("192.168.1.10"), IPName.parse("fd00::10")),
    "email": (EmailName.parse("o'me#1$x@home.arpa"),),
    "uri": (URIName.parse("https://nas.home.arpa/a,b;c?d=e#f$g'h"),),
    "upn": (UPNName.parse("me@home.arpa"), UPNName.parse("jürgen, \\ #@home.arpa")),
}


def profile(name: str, context: RenderContext | None = None) -> Profile:
    template = Library().template(name)
    text = render(template, context or RenderContext())
    return parse_profile(text, name=name, source=template.source)


def test_these_profiles_ship() -> None:
    assert set(PROMISED) <= set(BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_profile_is_sound_in_every_situation(name: str) -> None:
    assert check_template(Library().template(name)) == ()
    assert len(list(situations())) >= 100


@pytest.mark.parametrize("name", BUILT_IN)
def test_openssl_makes_the_same_extensions_of_a_profile(name: str, openssl: OpenSSL) -> None:
    issuer = "self" if name == "root-ca" else "ca"
    compared = 0
    for key in ("ec", "rsa"):
        for kinds in ((), ("dns", "ip"), ("email", "uri", "upn")):
            everything = bool(kinds)
            granted = [kind for kind in kinds if kind in profile(name).san_kinds]
            names = tuple(one for kind in granted for one in NAMES[kind])
            context = RenderContext(
                key=key,
                names=frozenset(granted),
                subject=not everything,
                crl_url="http://ca.home.arpa/crl/x.crl" if everything else None,
                issuer_url="http://ca.home.arpa/x.crt" if everything else None,
                ocsp_url="http://ocsp.home.arpa/" if "dns" in kinds else None,
                permitted_dns=("home.arpa", "lan") if everything else (),
                permitted_ip=("192.168.0.0/16", "fd00::/8") if "dns" in kinds else (),
                pathlen=2 if everything else None,
            )
            made = profile(name, context)
            ours = build_extensions(made, openssl.context(issuer, names))
            complete = with_names(made.text, names)
            section = "extensions" if "[ extensions ]" in complete else name.split("-")[1]
            assert ours == openssl.certify(complete, section=section, issuer=issuer)
            compared += 1
    assert compared == 6


def test_a_name_more_than_openssl_was_told_is_noticed(openssl: OpenSSL) -> None:
    made = profile("tls-server", RenderContext(names=frozenset({"dns"})))
    ours = build_extensions(made, openssl.context("ca", NAMES["dns"]))
    fewer = with_names(made.text, NAMES["dns"][:1])
    assert ours != openssl.certify(fewer, section="extensions")


@pytest.mark.parametrize(
    ("name", "rsa_usage", "purposes"),
    [
        ("tls-server", {"digitalSignature", "keyEncipherment"}, ("1.3.6.1.5.5.7.3.1",)),
        ("vpn-server", {"digitalSignature", "keyEncipherment"}, ("1.3.6.1.5.5.7.3.1",)),
        ("wifi-server", {"digitalSignature", "keyEncipherment"}, ("1.3.6.1.5.5.7.3.1",)),
        ("tls-client", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.2",)),
        ("vpn-client", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.2",)),
        ("vpn-client-windows", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.2",)),
        ("wifi-client", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.2",)),
        ("email", {"digitalSignature", "keyEncipherment"}, ("1.3.6.1.5.5.7.3.4",)),
        ("code-signing", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.3",)),
        ("profile-signing", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.4",)),
        ("ocsp-signing", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.9",)),
        ("timestamping", {"digitalSignature"}, ("1.3.6.1.5.5.7.3.8",)),
    ],
)
def test_a_leaf_is_for_one_thing_only(
    name: str, rsa_usage: set[str], purposes: tuple[str, ...]
) -> None:
    for key in ("ec", "rsa"):
        made = profile(name, RenderContext(key=key))
        own = {"digitalSignature", "keyAgreement"} if name == "email" else {"digitalSignature"}
        assert made.key_usage == (rsa_usage if key == "rsa" else own)
        assert made.eku == purposes
        critical = {d.name for d in made.extensions if d.critical}
        assert {"basicConstraints", "keyUsage"} <= critical
        assert critical <= {"basicConstraints", "keyUsage", "extendedKeyUsage"}


@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_is_never_a_ca(name: str) -> None:
    for context in list(situations())[::17]:
        made = profile(name, context)
        constraints = [d.value for d in made.extensions if d.oid == BASIC_CONSTRAINTS]
        assert constraints == [b"\x30\x00"]
        assert not made.is_ca
        assert "keyCertSign" not in made.key_usage


@pytest.mark.parametrize(
    ("name", "default", "ceiling"),
    [
        ("tls-client", 375, 825),
        ("vpn-client", 375, 825),
        ("wifi-client", 375, 825),
        ("email", 375, 825),
        ("classic-usr_cert", 375, 825),
        ("tls-server", 375, 825),
        ("vpn-server", 375, 825),
        ("wifi-server", 375, 825),
        ("classic-server_cert", 375, 825),
        ("code-signing", 375, 1095),
        ("profile-signing", 375, 1095),
        ("ocsp-signing", 30, 90),
        ("timestamping", 1095, 3650),
        ("root-ca", 7300, 10950),
        ("intermediate-ca", 3650, 3653),
    ],
)
def test_lifetimes_are_those_that_every_client_takes(name: str, default: int, ceiling: int) -> None:
    made = profile(name)
    assert (made.default_days, made.max_days) == (default, ceiling)


@pytest.mark.parametrize(("name", "length"), [("root-ca", 1), ("intermediate-ca", 0)])
def test_a_ca_certifies_and_signs_crls_and_nothing_else(name: str, length: int) -> None:
    made = profile(name)
    constraints = {d.oid: d for d in made.extensions}[BASIC_CONSTRAINTS]
    assert constraints.value == bytes.fromhex(f"30060101ff0201{length:02x}")
    assert constraints.critical
    assert made.is_ca
    assert made.key_usage == {"keyCertSign", "cRLSign"}
    assert made.eku == ()


@pytest.mark.parametrize("name", CEREMONIES)
def test_permitted_trees_and_networks_bind_critically(name: str) -> None:
    dns, ip = ("home.arpa", "lan"), ("192.168.0.0/16", "fd00::/8")
    made = profile(name, RenderContext(permitted_dns=dns, permitted_ip=ip))
    bound = {d.oid: d for d in made.extensions}[NAME_CONSTRAINTS]
    assert bound.critical
    assert isinstance(bound.value, bytes)
    assert read_name_constraints(bound.value) == NameConstraints.parse(dns=dns, ip=ip)


@pytest.mark.parametrize("name", CEREMONIES)
def test_without_permitted_names_there_is_no_constraint(name: str) -> None:
    assert NAME_CONSTRAINTS not in {d.oid for d in profile(name).extensions}


@pytest.mark.parametrize("name", [n for n in BUILT_IN if n not in ("root-ca", "ocsp-signing")])
def test_a_place_for_crls_stands_exactly_when_the_issuer_has_one(name: str) -> None:
    def names(context: RenderContext) -> set[str]:
        return {d.name for d in profile(name, context).extensions}

    silent = names(RenderContext())
    telling = names(RenderContext(crl_url="http://a/", issuer_url="http://b/"))
    classic = name.startswith("classic")
    added = (
        {"crlDistributionPoints"} if classic else {"crlDistributionPoints", "authorityInfoAccess"}
    )
    assert telling - silent == added


def test_an_ocsp_responder_is_not_asked_about_itself() -> None:
    names = {d.name for d in profile("ocsp-signing", RenderContext(crl_url="http://a/")).extensions}
    assert "noCheck" in names
    assert "crlDistributionPoints" not in names


@pytest.mark.parametrize("name", ["tls-server", "vpn-server", "wifi-server"])
def test_a_server_takes_its_common_name_from_its_names(name: str) -> None:
    made = profile(name)
    assert made.cn_from_san
    assert made.san_required
    assert "dns" in made.san_kinds


@pytest.mark.parametrize("name", ["vpn-client", "vpn-client-windows", "tls-client", "wifi-client"])
def test_a_client_needs_a_common_name_and_may_have_names(name: str) -> None:
    made = profile(name)
    assert [(f.oid, f.rule) for f in made.policy] == [("2.5.4.3", PolicyRule.SUPPLIED)]
    assert not made.san_required
    assert {"dns", "email", "upn"} <= made.san_kinds


@pytest.mark.parametrize("name", LEAVES)
def test_names_are_critical_exactly_when_there_is_no_subject(name: str) -> None:
    for subject in (True, False):
        context = RenderContext(names=frozenset({"dns"}), subject=subject)
        flags = [
            d.critical for d in profile(name, context).extensions if d.name == "subjectAltName"
        ]
        assert flags in ([], [not subject])


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_profile_says_what_it_is_for(name: str) -> None:
    made = profile(name)
    assert 10 <= len(made.purpose) <= 80
    assert made.keys
    assert made.consumers or name in CEREMONIES
