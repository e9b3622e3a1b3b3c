"""config(5): what is read, what is refused, and that nothing makes the reader stumble."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.errors import ProfileMalformed
from ca.profiles.openssl_cnf import MAX_EXPANDED, MAX_TEXT, escape, read_cnf
from ca.profiles.parse import parse_profile
from ca.profiles.x509v3_syntax import read_extensions

PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp", "Zs")) | st.just(" ")
)


def faults(text: str) -> list[str]:
    return [violation.text for violation in read_cnf(text, source="x.cnf").faults]


def test_every_key_remembers_its_line() -> None:
    cnf = read_cnf("# one\n\n[a]\nx = 1\\\n2\ny = 3\n", source="x.cnf")
    assert [(e.name, e.value, e.line) for e in cnf.section("a") or ()] == [
        ("x", "12", 4),
        ("y", "3", 6),
    ]


def test_the_last_of_two_equal_keys_counts_and_stands_last() -> None:
    cnf = read_cnf("[a]\nx = 1\ny = 2\nx = 3\n", source="x.cnf")
    assert [(e.name, e.value) for e in cnf.section("a") or ()] == [("y", "2"), ("x", "3")]
    assert [entry.line for entry in cnf.replaced] == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (".include = /etc/passwd", "no place in a profile"),
        (".include /etc/passwd", "no place in a profile"),
        (".pragma = dollarid:on", "no place in a profile"),
        ("[a]\nx = $ENV::HOME", "from the environment"),
        ("[a]\nx = ${ENV::HOME}", "from the environment"),
        ("[a]\nx = a\\nb", "control character"),
        ("[a]\nx = a\x1bb", "control or invisible"),
        ("[a]\nx = a\0b", "control or invisible"),
        ("[a]\nx = a\u202eb", "control or invisible"),
        ("[a]\nx = 'open", "not closed"),
        ('[a]\nx = "open', "not closed"),
        ("[a] more\nx = y", "behind the ']'"),
        ("[]\nx = y", "not the name of a section"),
        ("[a\nx = y", "no ']'"),
        ("[a]\nx", "no '='"),
        ("[a]\n = y", "no name"),
        ("[a]\nx = $nowhere", "no value here"),
        ("[a]\nx = ${y", "no '}'"),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, said: str) -> None:
    found = faults(text)
    assert len(found) == 1
    assert said in found[0]
    assert found[0].startswith(f"x.cnf:{text.count(chr(10)) + 1 if text[0] == '[' else 1}:") or (
        "[a] more" in text or text[1] in "]a"
    )


def test_every_fault_is_told_at_once() -> None:
    assert len(faults("[a]\nx\n[b\ny = $z\n.include q\nfine = yes\n")) == 4


def test_the_environment_is_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    assert "hunter2" not in "".join(faults("x = $ENV::SECRET\ny = ${ENV::SECRET}\n"))


def test_variables_that_double_end_soon() -> None:
    doubling = (
        "a0 = " + "x" * 1000 + "\n" + "".join(f"a{n} = $a{n - 1}$a{n - 1}\n" for n in range(1, 60))
    )
    cnf = read_cnf(doubling, source="x.cnf")
    assert cnf.faults
    assert sum(len(e.value) for e in cnf.section("default") or ()) <= MAX_EXPANDED


@pytest.mark.parametrize(
    "text",
    [
        "a\n" * 60_000,
        "[a]\n" + "keyUsag = x\n" * 20_000,
        "".join(f"[s{n}]\n" for n in range(20_000)),
        "x = \\\n" * 40_000,
        "x = '" + "\\'" * 100_000,
        "x = " + "$y" * 100_000,
        "y = z\nx = " + "$y" * 60_000,
        "[" + "a " * 100_000 + "]",
        "# \\\n" * 60_000,
        "x" * 200_000 + " = y",
        "[ca]\ndefault_ca = a\n[a]\n" + "".join(f"k{n} = v\n" for n in range(20_000)),
        "[ca]\ndefault_ca = a\n[a]\ndefault_days = 1\npolicy = p\nx509_extensions = e\n[p]\nCN = "
        "match\n[e]\n" + "".join(f"1.2.{n} = DER:0500\n" for n in range(9_000)),
        "[ca]\ndefault_ca = a\n[a]\ndefault_days = 1\npolicy = p\nx509_extensions = e\n[p]\nCN = "
        "match\n[e]\nsubjectAltName = " + ",".join(f"DNS:h{n}" for n in range(7_000)),
        "[ca]\ndefault_ca = a\n[a]\ndefault_days = 1\npolicy = p\nx509_extensions = e\n[p]\nCN = "
        "match\n[e]\n1.2.3 = DER:" + "00:" * 20_000,
    ],
)
def test_a_large_file_is_judged_in_a_moment(text: str) -> None:
    begun = time.monotonic()
    with contextlib.suppress(ProfileMalformed):
        parse_profile(text, name="x", source="x.cnf")
    assert time.monotonic() - begun < 2


def test_a_too_large_file_costs_nothing() -> None:
    assert "more than" in faults("x = y\n" * MAX_TEXT)[0]


@settings(deadline=None)
@given(PLAIN.filter(lambda text: len(text) < 2000))
def test_what_is_escaped_is_read_back_to_the_letter(value: str) -> None:
    cnf = read_cnf(f"[a]\nx = {escape(value)}\ny = after\n", source="x.cnf")
    assert cnf.faults == []
    assert {e.name: e.value for e in cnf.section("a") or ()} == {"x": value, "y": "after"}


@settings(deadline=None)
@given(PLAIN)
def test_what_is_escaped_is_no_template(value: str) -> None:
    assert not any(mark in escape(value) for mark in ("{{", "{%", "{#"))


VOCABULARY = (
    "[ext] [ s ] = , : ; @s @t $x ${x} $(s::x) \\ \\\n \" ' # \n critical, CA:TRUE pathlen:1 ü "
    "DER:00 ASN1:SEQUENCE:s ASN1:EXP:1,UTF8:x keyUsage basicConstraints subjectAltName 5 none "
    "extendedKeyUsage certificatePolicies crlDistributionPoints nameConstraints hash tlsfeature "
    "permitted;IP:10.0.0.0/255.0.0.0 dirName:s otherName:1.2;UTF8:x fullname policyIdentifier "
    "userNotice.1 explicitText 1.2.3 C CN +O authorityInfoAccess OCSP;URI:http://a issuerAltName"
)
WORDS = st.sampled_from(VOCABULARY.split(" "))


@settings(deadline=None)
@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_no_configuration_makes_the_reader_stumble(text: str) -> None:
    cnf = read_cnf("x = y\n[s]\nx = DNS\n[ext]\n" + text, source="x.cnf")
    for section in list(cnf.sections):
        read_extensions(cnf, section)
    assert all(violation.text.startswith("x.cnf:") for violation in cnf.faults)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_the_reader_stumble(text: str) -> None:
    with contextlib.suppress(ProfileMalformed):
        cnf = read_cnf(text, source="x.cnf")
        for section in list(cnf.sections):
            read_extensions(cnf, section)
        assert all(violation.text.startswith("x.cnf:") for violation in cnf.faults)
