"""The gate in front of the key: what passes, what is said, and that nothing goes round it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import CertificateMalformed, LintRefused, UsageError
from ca.lint.consumers import NOT_SHOWN, WORDS, canonical
from ca.lint.gate import (
    LintedCrlTbs,
    LintedTbs,
    lint_certificate,
    lint_crl,
    lint_crl_tbs,
    lint_tbs,
    role_of,
    rules,
)
from ca.lint.rule import LintRole, Severity
from tests.lint.lintvectors import der, vector, vectors
from tests.vectors.lint import make

CONTEXT = vector("clean-tls-server").context


def test_linted_octets_can_be_made_by_linting_only() -> None:
    tbs = read_certificate(der("clean-tls-server")).tbs
    with pytest.raises(TypeError, match="by being linted"):
        LintedTbs(tbs.der, tbs, (), seal=object())
    crl = read_crl(der("clean-crl")).tbs
    with pytest.raises(TypeError, match="by being linted"):
        LintedCrlTbs(crl.der, crl, (), entries=0, seal=None)


def test_a_refusal_names_every_error_at_once_with_its_clause() -> None:
    tbs = make.leaf({"ku": make.ku(0, 2, 5), "aki": None}, serial=b"\0").tbs()
    with pytest.raises(LintRefused) as refused:
        lint_tbs(tbs, context=CONTEXT)
    assert {violation.rule for violation in refused.value.violations} == {
        "rfc5280.4.1.2.2.serial-positive",
        "br.7.1.2.7.serial-64-bits",
        "rfc5280.4.2.1.3.key-cert-sign",
        "rfc8813.3.no-encipherment",
        "rfc5280.4.2.1.1.present",
        "PY1",
    }
    assert refused.value.problem == (
        "the certificate would break rfc5280.4.1.2.2.serial-positive (RFC 5280 §4.1.2.2): "
        "the serial is zero or negative, and 5 more"
    )
    assert refused.value.code == "refused.lint"


def test_warnings_and_notices_pass_the_gate_and_are_kept() -> None:
    tbs = make.leaf({"ku": make.ku(0, critical=False), "ski": None}).tbs()
    linted = lint_tbs(tbs, context=CONTEXT)
    assert [(f.rule, f.severity) for f in linted.findings] == [
        ("rfc5280.4.2.1.3.critical", Severity.WARNING),
        ("rfc5280.4.2.1.2.leaf-ski", Severity.NOTICE),
    ]
    assert linted.facts.serial > 0


def test_a_crl_that_passes_says_how_many_it_lists() -> None:
    tbs = read_crl(der("clean-crl")).tbs.der
    assert lint_crl_tbs(tbs, context=vector("clean-crl").context).entries == 3


def test_consumers_rules_are_asked_only_for_their_consumers() -> None:
    long = der("apple-826-days")
    without = structs.replace(CONTEXT, consumers=("openvpn", "chrome"))
    assert lint_certificate(long, context=without) == ()
    with_phone = structs.replace(CONTEXT, consumers=("iphone",))
    assert [f.rule for f in lint_certificate(long, context=with_phone)] == ["AP1.days"]


def test_an_unknown_consumer_is_an_error_with_the_nearest_word() -> None:
    context = structs.replace(CONTEXT, consumers=("ifone",))
    with pytest.raises(UsageError, match="'ifone'") as refused:
        lint_certificate(der("clean-tls-server"), context=context)
    assert "did you mean iphone?" in refused.value.remedy


def test_every_consumer_that_has_rules_can_be_named() -> None:
    named = {consumer for rule in rules() for consumer in rule.consumers}
    assert named == set(WORDS.values()) - {""} == canonical(tuple(WORDS))


def test_every_client_rule_is_a_rule_or_says_why_it_is_none() -> None:
    ranges = {"OV": 12, "WI": 7, "SS": 4, "AP": 8, "AN": 3, "CH": 2, "WF": 1, "PY": 1, "FF": 1}
    wanted = {f"{prefix}{n}" for prefix, last in ranges.items() for n in range(1, last + 1)}
    lint = {rule.id.partition(".")[0] for rule in rules()} & wanted
    elsewhere = {entry.id for entry in NOT_SHOWN}
    carried_by = {"OV7": {"rfc5280.5.1.2.4.not-in-future", "OV7.crl-over"}}
    assert carried_by["OV7"] <= {rule.id for rule in rules()}
    assert lint | elsewhere == wanted
    assert lint & elsewhere == set()


def test_rules_have_one_id_each_a_clause_and_a_demand() -> None:
    every = tuple(rules())
    assert len({rule.id for rule in every}) == len(every)
    for rule in every:
        assert rule.clause, rule.id
        assert rule.demand.endswith("."), rule.id


def test_roles_of_certificates_from_outside() -> None:
    roles = {
        label: role_of(read_certificate(der(label)).tbs)
        for label in ("clean-root", "clean-intermediate", "clean-tls-server")
    }
    assert list(roles.values()) == [LintRole.ROOT, LintRole.INTERMEDIATE, LintRole.LEAF]


# ---------------------------------------------------------------- defects nobody else sees


@pytest.mark.parametrize(
    ("label", "rule"),
    [
        ("serial-one-octet", "br.7.1.2.7.serial-64-bits"),
        ("serial-of-issuer", "rfc5280.4.1.2.2.serial-not-issuers"),
        ("crl-twice", "rfc5280.5.1.2.6.once"),
        ("crl-revoked-tomorrow", "rfc5280.5.1.2.6.not-in-future"),
        ("outlives-issuer", "L6.not-after-within-issuer"),
        ("cn-not-in-san", "br.7.1.4.3.cn-in-san"),
        ("eku-any", "rfc5280.4.2.1.12.no-any"),
        ("issuer-ocsp-signing", "rfc6960.4.2.2.2.issuer-no-ocsp-signing"),
        ("crl-issuer-encoding", "rfc5280.5.1.2.3.issuer-octets"),
        ("crl-without-number", "rfc5280.5.2.3.number"),
        ("crl-empty-list", "rfc5280.5.1.2.6.absent-when-empty"),
        ("crl-number-21-octets", "rfc5280.5.2.3.number"),
        ("crl-aki-of-another-key", "rfc5280.5.2.1.aki"),
    ],
)
def test_a_defect_that_verifiers_pass_over_does_not_pass_the_gate(label: str, rule: str) -> None:
    made = vector(label)
    gate = lint_crl_tbs if made.kind == "crl" else lint_tbs
    tbs = read_crl(made.der).tbs.der if made.kind == "crl" else read_certificate(made.der).tbs.der
    with pytest.raises(LintRefused) as refused:
        gate(tbs, context=made.context)
    assert rule in {violation.rule for violation in refused.value.violations}


# ---------------------------------------------------------------- hostile, quick, light


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_lint_answers_or_says_malformed_whatever_was_damaged(draw: st.DataObject) -> None:
    made = draw.draw(st.sampled_from(vectors()))
    octets = bytearray(made.der)
    for _ in range(draw.draw(st.integers(1, 3))):
        octets[draw.draw(st.integers(0, len(octets) - 1))] = draw.draw(st.integers(0, 255))
    lint = lint_crl if made.kind == "crl" else lint_certificate
    try:
        findings = lint(bytes(octets), context=made.context)
    except CertificateMalformed:
        return
    assert all(finding.text.isprintable() for finding in findings)


def test_a_leaf_is_linted_in_less_than_a_millisecond() -> None:
    tbs = read_certificate(der("clean-tls-server")).tbs.der

    def once() -> float:
        begin = time.process_time()
        for _ in range(20):
            lint_tbs(tbs, context=CONTEXT)
        return (time.process_time() - begin) / 20

    assert min(once() for _ in range(10)) < 0.001


def test_a_mebibyte_of_names_is_linted_in_two_seconds_and_few_words() -> None:
    names = [make.gn("dns", f"h{i:06}.example.com") for i in range(40_000)]
    octets = make.leaf({"san": make.san(*names)}).der()
    begin = time.process_time()
    findings = lint_certificate(octets, context=CONTEXT)
    assert time.process_time() - begin < 2
    assert {f.rule for f in findings} >= {"rfc5280.4.2.1.10.names-permitted"}
    assert all(len(f.text) < 600 for f in findings)
    assert any("and 39997 more" in f.text for f in findings)


def test_a_name_of_a_mebibyte_makes_a_short_finding() -> None:
    octets = make.leaf({"san": make.san(make.gn("dns", "*" * 900_000))}).der()
    assert all(len(f.text) <= 600 for f in lint_certificate(octets, context=CONTEXT))


def test_a_crl_of_a_hundred_thousand_is_linted_against_the_one_before_in_seconds() -> None:
    entries = [make.entry(1 << 158 | i * 7919) for i in range(100_000)]
    tbs = read_crl(make.Crl(entries).der()).tbs.der
    number = {"number": make.number(1)}
    earlier = make.Crl(entries[1:], number, this_update=make.time(make.NOW - make.DAY)).der()
    context = structs.replace(vector("clean-crl").context, previous=read_crl(earlier).tbs)
    begin = time.process_time()
    assert lint_crl_tbs(tbs, context=context).entries == 100_000
    assert time.process_time() - begin < 4


def test_the_gate_brings_no_heavy_library_with_it() -> None:
    heavy = ("cryptography", "asn1crypto", "pkilint", "badkeys", "sqlalchemy", "idna", "jinja2")
    code = (
        "import sys, ca.lint.gate, ca.lint.second_opinion\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
