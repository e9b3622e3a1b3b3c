"""Somebody's openssl.cnf as profiles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.errors import NotFound, ProfileMalformed
from ca.names.general import DNSName
from ca.profiles.alt_names import with_names
from ca.profiles.checking import check_text
from ca.profiles.importing import import_cnf, read_import
from ca.profiles.library import Library, template_of
from ca.profiles.openssl_cnf import read_cnf
from ca.profiles.parse import parse_profile
from ca.profiles.profile import PolicyRule, Profile
from ca.profiles.render import RenderContext, render
from ca.profiles.x509v3 import build_extensions
from tests.profiles.openssl import VECTORS, OpenSSL

GUIDE = (VECTORS / "guide-root.cnf").read_text("utf-8")
INTERMEDIATE = GUIDE.replace("policy            = policy_strict", "policy = policy_loose")
STRICT = [
    ("2.5.4.6", PolicyRule.MATCH),
    ("2.5.4.8", PolicyRule.MATCH),
    ("2.5.4.10", PolicyRule.MATCH),
    ("2.5.4.11", PolicyRule.OPTIONAL),
    ("2.5.4.3", PolicyRule.SUPPLIED),
    ("1.2.840.113549.1.9.1", PolicyRule.OPTIONAL),
]
LOOSE = [
    ("2.5.4.6", PolicyRule.OPTIONAL),
    ("2.5.4.8", PolicyRule.OPTIONAL),
    ("2.5.4.7", PolicyRule.OPTIONAL),
    ("2.5.4.10", PolicyRule.OPTIONAL),
    ("2.5.4.11", PolicyRule.OPTIONAL),
    ("2.5.4.3", PolicyRule.SUPPLIED),
    ("1.2.840.113549.1.9.1", PolicyRule.OPTIONAL),
]


def imported(text: str, context: RenderContext | None = None) -> dict[str, Profile]:
    found = {}
    for profile in import_cnf(text, "openssl.cnf"):
        template = template_of(profile.text, name=profile.name, source="x")
        rendered = render(template, context or RenderContext())
        found[profile.name] = parse_profile(rendered, name=profile.name, source="x")
    return found


def policy(profile: Profile) -> list[tuple[str, PolicyRule]]:
    return [(field.oid, field.rule) for field in profile.policy]


def test_each_leaf_section_and_policy_of_the_guide_is_a_profile() -> None:
    found = imported(GUIDE)
    assert set(found) == {
        *("usr_cert", "server_cert", "ocsp"),
        *("usr_cert-policy_loose", "server_cert-policy_loose", "ocsp-policy_loose"),
    }
    assert policy(found["usr_cert"]) == STRICT
    assert policy(found["usr_cert-policy_loose"]) == LOOSE
    assert set(imported(INTERMEDIATE)) == {
        *("usr_cert", "server_cert", "ocsp"),
        *("usr_cert-policy_strict", "server_cert-policy_strict", "ocsp-policy_strict"),
    }
    assert policy(imported(INTERMEDIATE)["usr_cert"]) == LOOSE


def test_two_profiles_of_one_section_say_their_policies() -> None:
    found = imported(GUIDE)
    assert found["usr_cert"].purpose == "imported from the section usr_cert, with policy_strict"
    other = "imported from the section usr_cert, with policy_loose"
    assert found["usr_cert-policy_loose"].purpose == other


def test_lifetime_and_digest_come_along() -> None:
    for profile in imported(GUIDE).values():
        assert (profile.default_days, profile.digest) == (375, "sha256")


def test_what_makes_no_profile_is_named_with_its_reason() -> None:
    left_out = {one.section: one.why for one in read_import(GUIDE, "openssl.cnf").left_out}
    assert set(left_out) == {"v3_ca", "v3_intermediate_ca", "crl_ext"}
    assert "init-root" in left_out["v3_ca"]
    assert "CRL" in left_out["crl_ext"]


@pytest.mark.parametrize("section", ["usr_cert", "server_cert", "ocsp"])
def test_openssl_makes_the_same_of_the_guide_as_of_the_import(
    section: str, openssl: OpenSSL
) -> None:
    theirs = openssl.certify(GUIDE, section=section)
    assert theirs is not None
    ours = build_extensions(imported(GUIDE)[section], openssl.context("ca"))
    assert ours == theirs
    if section != "ocsp":
        name = f"classic-{section}"
        template = Library().template(name)
        text = render(template, RenderContext())
        classic = parse_profile(text, name=name, source=template.source)
        assert build_extensions(classic, openssl.context("ca")) == theirs
        assert policy(classic) == LOOSE


def test_a_server_gets_the_names_that_clients_want_today(openssl: OpenSSL) -> None:
    profile = imported(GUIDE, RenderContext(names=frozenset({"dns"})))["server_cert"]
    assert profile.san_kinds == {"dns", "ip"}
    names = (DNSName.parse("nas.home.arpa"),)
    ours = build_extensions(profile, openssl.context("ca", names))
    assert ours[-1].oid == "2.5.29.17"
    assert ours == openssl.certify(with_names(profile.text, names), section="extensions")


def test_a_section_with_a_slip_is_left_out_with_its_line() -> None:
    text = "[ good ]\nkeyUsage = keyAgreement\n[ slip ]\nbasicConstraints = CA:FALSE\nkeyUsag = x\n"
    found = read_import(text, "x.cnf")
    assert [profile.name for profile in found.profiles] == ["good"]
    assert [(one.section, one.line) for one in found.left_out] == [("slip", 3)]
    assert "line 5" in found.left_out[0].why
    assert "did you mean 'keyUsage'" in found.left_out[0].why


def test_sections_that_a_value_names_come_along(openssl: OpenSSL) -> None:
    text = (
        "base = example.lan\n[ web ]\nsubjectAltName = @names\ncertificatePolicies = @pol\n"
        "crlDistributionPoints = point\n[ names ]\nDNS.1 = www.$base\ndirName = dn\n[ dn ]\nO = x\n"
        "[ pol ]\npolicyIdentifier = 1.2.3\nuserNotice.1 = @note\n[ note ]\nexplicitText = hello\n"
        "[ point ]\nfullname = URI:http://$base/x.crl\n[ far ]\nx = y\n"
    )
    (profile,) = imported(text).values()
    assert "[ far ]" not in profile.text
    assert build_extensions(profile, openssl.context("ca")) == openssl.certify(text, section="web")


def test_copied_extensions_become_checked_names() -> None:
    for word in ("copy", "copyall"):
        text = GUIDE.replace("preserve          = no", f"copy_extensions = {word}")
        assert imported(text)["usr_cert"].copies_extensions
    assert not imported(GUIDE)["usr_cert"].copies_extensions


def test_a_broken_digest_is_not_imported() -> None:
    assert imported(GUIDE.replace("= sha256", "= sha1"))["usr_cert"].digest is None


@pytest.mark.parametrize(
    "text", ["", "[ ca ]\nx = y\n", GUIDE[GUIDE.index("[ v3_ca") : GUIDE.index("[ usr_cert")]]
)
def test_a_file_without_a_leaf_says_so(text: str) -> None:
    with pytest.raises(NotFound):
        import_cnf(text, "x.cnf")


def test_a_file_that_openssl_could_not_read_is_refused_whole() -> None:
    with pytest.raises(ProfileMalformed) as caught:
        import_cnf("[ a\nkeyUsage = keyAgreement\nb\n", "x.cnf")
    assert len(caught.value.violations) == 2


def test_a_value_never_becomes_a_template() -> None:
    text = '[ web ]\nnsComment = "{{ key }} {% if names %} {# $x"\nkeyUsage = keyAgreement\n'
    (profile,) = import_cnf(text, "{{ key }}.cnf")
    rendered = render(template_of(profile.text, name="a", source="b"), RenderContext(key="rsa"))
    comment = read_cnf(rendered, source="x").get("extensions", "nsComment")
    assert comment is not None
    assert comment.value == "{{ key }} {% if names %} {# $x"


def test_a_section_is_used_as_it_is_written_whatever_places_this_ca_has() -> None:
    places = RenderContext(
        names=frozenset({"dns"}),
        crl_url="http://ca.home.arpa/x.crl",
        issuer_url="http://ca.home.arpa/x.cer",
        ocsp_url="http://ca.home.arpa/ocsp",
    )
    guide = read_cnf(GUIDE, source="openssl.cnf")
    for name, profile in imported(GUIDE, places).items():
        section, _, _ = name.partition("-")
        theirs = [(e.name, e.value) for e in guide.sections[section].values()]
        written = read_cnf(profile.text, source=name).sections["extensions"].values()
        ours = [(e.name, e.value) for e in written]
        added = [("subjectAltName", "@alt_names")] if section == "server_cert" else []
        assert ours == theirs + added
    own = GUIDE.replace("[ usr_cert ]", "[ usr_cert ]\ncrlDistributionPoints = URI:http://b/")
    assert "crlDistributionPoints = URI:http://b/" in imported(own, places)["usr_cert"].text


def test_only_a_server_for_want_of_names_becomes_a_template() -> None:
    marked = {profile.name for profile in import_cnf(GUIDE, "x") if "{%" in profile.text}
    assert marked == {"server_cert", "server_cert-policy_loose"}


SECTIONS = st.sampled_from([part for part in GUIDE.split("\n\n") if part.startswith("[")])


@settings(max_examples=30, deadline=None)  # a whole check each
@given(st.lists(SECTIONS, max_size=8))
def test_whatever_is_imported_is_sound(parts: list[str]) -> None:
    text = "dir = x\n" + "\n".join(parts)
    try:
        found = import_cnf(text, "x.cnf")
    except NotFound:
        return
    for profile in found:
        assert check_text(profile.text, profile.name, "x") == ()
