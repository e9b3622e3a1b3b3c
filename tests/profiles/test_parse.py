"""From the text of a profile to the Profile: strict, and every fault at once."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.errors import ProfileMalformed, Violation
from ca.profiles.library import Library
from ca.profiles.parse import parse_profile
from ca.profiles.profile import PolicyRule, Profile
from ca.profiles.render import RenderContext, render

GOOD = """\
[ ca ]
default_ca = mine

[ mine ]
default_days = 90
default_md = sha384
policy = subject
x509_extensions = extensions
copy_extensions = none

[ subject ]
countryName = match
O = supplied
commonName = optional

[ extensions ]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = @alt_names

[ homeca ]
purpose = phones of the family
consumers = iphone, android
max_days = 180
keys = ec-p256, rsa
san = dns, email
san_required = yes
cn_from_san = no
countryName_default = DE
O = Home
"""


def parse(text: str, name: str = "mine", source: str = "mine.cnf") -> Profile:
    return parse_profile(text, name=name, source=source)


def faults(text: str, name: str = "mine", source: str = "mine.cnf") -> tuple[Violation, ...]:
    with pytest.raises(ProfileMalformed) as caught:
        parse(text, name, source)
    assert caught.value.violations
    return caught.value.violations


def test_every_key_arrives() -> None:
    made = parse(GOOD)
    assert (made.name, made.source, made.text) == ("mine", "mine.cnf", GOOD)
    assert made.purpose == "phones of the family"
    assert made.consumers == ("iphone", "android")
    assert (made.default_days, made.max_days, made.digest) == (90, 180, "sha384")
    assert [(f.oid, f.rule) for f in made.policy] == [
        ("2.5.4.6", PolicyRule.MATCH),
        ("2.5.4.10", PolicyRule.SUPPLIED),
        ("2.5.4.3", PolicyRule.OPTIONAL),
    ]
    assert made.subject_defaults == (("2.5.4.6", "DE"),)
    assert made.subject_fixed == (("2.5.4.10", "Home"),)
    assert made.keys == ("ec-p256", "rsa")
    assert made.san_kinds == {"dns", "email"}
    assert (made.san_required, made.cn_from_san, made.copies_extensions) == (True, False, False)
    assert made.key_usage == {"digitalSignature"}
    assert made.eku == ("1.3.6.1.5.5.7.3.2",)
    assert not made.is_ca


def test_what_is_not_said_has_its_default() -> None:
    made = parse(GOOD[: GOOD.index("[ homeca ]")].replace("default_md = sha384\n", ""))
    assert (made.purpose, made.consumers, made.digest) == ("", (), None)
    assert made.max_days == 825
    assert made.keys == ("ec-p256", "ec-p384", "ec-p521", "rsa")
    assert made.san_kinds == {"dns", "ip", "email", "uri"}
    assert not made.san_required


def test_a_long_life_raises_its_own_ceiling() -> None:
    text = GOOD.replace("max_days = 180\n", "").replace("default_days = 90", "default_days = 2000")
    assert parse(text).max_days == 2000


def test_names_are_not_taken_where_no_extension_holds_them() -> None:
    text = GOOD.replace("subjectAltName = @alt_names\n", "").replace("san = dns, email\n", "")
    assert parse(text).san_kinds == frozenset()


def test_copied_extensions_are_names_of_every_kind() -> None:
    text = GOOD.replace("copy_extensions = none", "copy_extensions = copy")
    made = parse(text.replace("san = dns, email\n", ""))
    assert made.copies_extensions
    assert made.san_kinds == {"dns", "ip", "email", "uri", "upn"}


@pytest.mark.parametrize(
    ("old", "new", "rule", "said"),
    [
        ("default_days = 90", "default_dayz = 90", "unknown-key", "did you mean 'default_days'"),
        ("default_days = 90", "", "missing", "no default_days"),
        ("default_days = 90", "default_days = 0", "value", "not a number of days"),
        ("default_days = 90", "default_days = soon", "value", "not a number of days"),
        ("default_days = 90", "default_days = 181", "value", "above max_days"),
        ("default_md = sha384", "default_md = sha1", "value", "not a digest"),
        ("default_md = sha384", "default_md = md5", "value", "not a digest"),
        ("policy = subject", "policy = subjekt", "missing", "did you mean 'subject'"),
        ("policy = subject", "", "missing", "no policy"),
        ("x509_extensions = extensions", "x509_extensions = none", "missing", "no section"),
        ("copy_extensions = none", "copy_extensions = copyall", "value", "let a request decide"),
        ("copy_extensions = none", "copy_extensions = some", "value", "not a way to copy"),
        ("copy_extensions = none", "preserve = yes", "value", "does not follow"),
        ("default_ca = mine", "default_ca = yours", "missing", "no section"),
        ("default_ca = mine", "default = mine", "missing", "no [ ca ] with default_ca"),
        ("countryName = match", "countryName = equal", "value", "not a rule"),
        ("countryName = match", "countrName = match", "unknown-key", "did you mean 'countryName'"),
        ("extendedKeyUsage", "extendedKeyUsge", "value", "did you mean 'extendedKeyUsage'"),
        ("= clientAuth", "= clientAut", "value", "did you mean 'clientAuth'"),
        ("digitalSignature", "digitalSignatur", "value", "did you mean 'digitalSignature'"),
        ("max_days", "max_day", "unknown-key", "did you mean 'max_days'"),
        ("ec-p256", "ec-p255", "value", "did you mean 'ec-p256'"),
        ("san = dns", "san = dnS", "value", "not a word"),
        ("san = dns", "san = host", "value", "not a kind of name"),
        ("san_required = yes", "san_required = maybe", "value", "not a boolean"),
        ("iphone", "I Phone", "value", "not a word"),
        ("O = Home", "OU = Cellar", "value", "not in the policy"),
        ("countryName_default = DE", "countryName_default = Germany", "value", "countryName"),
        ("commonName = optional", "[stray]\nx = y", "unused", "nothing uses the section [stray]"),
        ("[ ca ]", "loose = end\n[ ca ]", "unknown-key", "no key of this name"),
        ("keyUsage =", "keyUsage = critical, keyAgreement\nkeyUsage =", "duplicate", "again"),
        ("keyUsage =", "2.5.29.15 = DER:03020780\nkeyUsage =", "duplicate", "already"),
        ("keyUsage =", "issuingDistributionPoint = onlyuser:TRUE\nkeyUsage =", "crl-ext", "CRL"),
        ("keyUsage =", "nameConstraints = permitted;DNS:lan\nkeyUsage =", "ca-ext", "CA's"),
        ("keyUsage =", "inhibitAnyPolicy = 0\nkeyUsage =", "ca-ext", "CA's"),
        ("critical, CA:FALSE", "DER:00010203", "value", "basicConstraints"),
        ("critical, digitalSignature", "DER:0500", "value", "keyUsage"),
        ("[ ca ]", ".include x\n[ ca ]", "syntax", "no place in a profile"),
    ],
)
def test_a_fault_is_named_with_file_line_and_key(old: str, new: str, rule: str, said: str) -> None:
    assert old in GOOD
    found = faults(GOOD.replace(old, new, 1))
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    hits = [v for v in found if said in v.text and v.rule.startswith(f"profile.{rule}")]
    assert hits, [v.text for v in found]
    assert re.match(r"mine\.cnf:\d+: ", hits[0].text)
    near = int(hits[0].text.split(":")[1]) - line
    assert -6 <= near <= 2


def test_every_fault_is_told_at_once() -> None:
    text = GOOD.replace("default_days", "default_day").replace("san_required", "san_requird")
    text = (
        text.replace("clientAuth", "clientAut").replace("= match", "= mach").replace("ec-", "ex-")
    )
    found = faults(text)
    assert len(found) >= 5
    assert len({v.text for v in found}) == len(found)
    with pytest.raises(ProfileMalformed) as caught:
        parse(text)
    assert f"{len(found)} faults" in caught.value.problem


CA_TRUE = (
    "basicConstraints = CA:TRUE",
    "basicConstraints = critical, CA:true",
    "basicConstraints = CA:FALSE, CA:YES",
    "basicConstraints = @bc\n[ bc ]\nCA = Y",
    "basicConstraints = DER:30:03:01:01:FF",
    "basicConstraints = DER:30030101FF",
    "2.5.29.19 = DER:30060101ff020100",
    "2.5.29.19 = ASN1:SEQUENCE:bc\n[ bc ]\nca = BOOLEAN:TRUE",
    "basicConstraints = ASN1:FORMAT:HEX,SEQWRAP,OCT:00",
    "basicConstraints = DER:3003010101",
    "basicConstraints = DER:30810301 01ff".replace(" ", ""),
    "nsCertType = sslCA",
    "nsCertType = emailCA, client",
    "proxyCertInfo = DER:300c300a06082b06010505071500",
    "1.3.6.1.5.5.7.1.14 = DER:300c300a06082b06010505071500",
    "keyUsage = keyCertSign",
    "keyUsage = critical, digitalSignature, keyCertSign",
    "keyUsage = Certificate Sign",
    "keyUsage = @bits\n[ bits ]\nkeyCertSign = 1",
    "keyUsage = DER:03020204",
    "keyUsage = DER:03020404",
    "2.5.29.15 = ASN1:FORMAT:BITLIST,BITSTRING:0,5",
)


@pytest.mark.parametrize("line", CA_TRUE)
def test_no_spelling_of_a_ca_gets_into_a_leaf(line: str) -> None:
    text = re.sub(r"basicConstraints.*\nkeyUsage.*\n", "", GOOD)
    text = text.replace("extendedKeyUsage = clientAuth\n", "")
    head, tail = text.split("subjectAltName = @alt_names\n")
    rules = {v.rule for v in faults(f"{head}subjectAltName = @alt_names\n{line}\n{tail}")}
    assert rules & {"profile.ca-true", "profile.key-cert-sign", "profile.value"}


@pytest.mark.parametrize("name", ["root-ca", "intermediate-ca"])
def test_a_file_of_the_users_is_no_ceremony(name: str) -> None:
    template = Library().template(name)
    text = render(template, RenderContext())
    assert parse(text, name, "built-in").is_ca
    rules = {v.rule for v in faults(text, name, "/home/me/profiles/x.cnf")}
    assert {"profile.ca-true", "profile.key-cert-sign"} <= rules
    assert "profile.ca-true" in {v.rule for v in faults(text, "vpn-client", "built-in")}


LINES = GOOD.splitlines()
PIECES = st.sampled_from([*LINES, *CA_TRUE, "[ ext", "x", "=", "\\", "$a", '"', "CA:TRUE"])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(LINES)), st.integers(0, 3), PIECES), min_size=1, max_size=4
    )
)
def test_a_mutated_profile_is_refused_or_makes_no_ca(
    mutations: list[tuple[int, int, str]],
) -> None:
    lines = list(LINES)
    for place, gone, new in mutations:
        lines[place : place + gone] = [new]
    with contextlib.suppress(ProfileMalformed):
        made = parse("\n".join(lines))
        assert not made.is_ca
        assert "keyCertSign" not in made.key_usage


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_the_parser_stumble(text: str) -> None:
    with pytest.raises(ProfileMalformed):
        parse(text)
