"""Every rule trips on its vector and on nothing else, before the signature and after it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import LintRefused
from ca.lint.gate import (
    examine_crl_tbs,
    examine_tbs,
    lint_certificate,
    lint_crl,
    lint_crl_tbs,
    lint_tbs,
    rules,
)
from ca.lint.rule import Finding, Severity
from tests.lint.lintvectors import DIRECTORY, Vector, der, manifest, vectors
from tests.vectors.lint import make

COUNT = 269


def before(vector: Vector) -> tuple[Finding, ...]:
    if vector.kind == "crl":
        tbs = read_crl(vector.der, tolerant=True).tbs.der
        return examine_crl_tbs(tbs, context=vector.context)[1]
    tbs = read_certificate(vector.der, tolerant=True).tbs.der
    return examine_tbs(tbs, context=vector.context)[1]


def after(vector: Vector) -> tuple[Finding, ...]:
    lint = lint_crl if vector.kind == "crl" else lint_certificate
    return lint(vector.der, context=vector.context)


@pytest.mark.parametrize("vector", vectors(), ids=lambda v: v.label)
def test_a_vector_breaks_exactly_the_rules_its_manifest_names(vector: Vector) -> None:
    assert {f.rule for f in before(vector)} == vector.expect | vector.before
    assert {f.rule for f in after(vector)} == vector.expect | vector.after


@pytest.mark.parametrize("vector", vectors(), ids=lambda v: v.label)
def test_a_tbs_passes_the_gate_exactly_when_no_error_is_found(vector: Vector) -> None:
    errors = [f.rule for f in before(vector) if f.severity is Severity.ERROR]
    if vector.kind == "crl":
        tbs = read_crl(vector.der, tolerant=True).tbs.der
        if not errors:
            assert lint_crl_tbs(tbs, context=vector.context).der == tbs
            return
        with pytest.raises(LintRefused) as refused:
            lint_crl_tbs(tbs, context=vector.context)
    else:
        tbs = read_certificate(vector.der, tolerant=True).tbs.der
        if not errors:
            assert lint_tbs(tbs, context=vector.context).der == tbs
            return
        with pytest.raises(LintRefused) as refused:
            lint_tbs(tbs, context=vector.context)
    assert [violation.rule for violation in refused.value.violations] == errors


def test_every_rule_is_broken_by_a_vector() -> None:
    broken = {rule for v in vectors() for rule in v.expect | v.before | v.after}
    assert {rule.id for rule in rules()} == broken


def test_no_vector_is_skipped() -> None:
    files = {path.stem for path in DIRECTORY.glob("*.pem")}
    assert {v.label for v in vectors()} == files
    assert len(files) == manifest()["count"] == COUNT


def test_findings_can_be_shown_on_a_terminal() -> None:
    for vector in vectors():
        assert all(f.text.isprintable() for f in after(vector)), vector.label


def test_the_script_makes_the_very_vectors_that_are_checked_in(tmp_path: Path) -> None:
    make.write(tmp_path)
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (DIRECTORY / made.name).read_bytes(), made.name
    assert len(list(tmp_path.iterdir())) == COUNT + 1


# ---------------------------------------------------------------- against OpenSSL


def openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("openssl")
    assert program is not None, "install the Debian package openssl"
    return subprocess.run(  # openssl verify of files of ours
        [program, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def verify(label: str) -> subprocess.CompletedProcess[str]:
    return openssl(
        "verify", "-x509_strict", "-attime", "1780272001", "-CAfile",
        str(DIRECTORY / "clean-root.pem"), "-untrusted",
        str(DIRECTORY / "clean-intermediate.pem"), str(DIRECTORY / f"{label}.pem"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "label", sorted(v.label for v in vectors() if v.label.startswith("clean-") and v.kind != "crl")
)
def test_openssl_in_strict_mode_accepts_what_lint_finds_clean(label: str) -> None:
    if label == "clean-2050":  # a root of its own
        return
    done = verify(label)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("cn-dotted-without-dns", "permitted subtree violation"),
        ("cn-address-without-dns", "permitted subtree violation"),
        ("dns-is-ipv4", "permitted subtree violation"),
        ("dns-bare-outside", "permitted subtree violation"),
        ("aki-missing", "Missing Authority Key Identifier"),
        ("leaf-signs-certificates", "key usage"),
    ],
)
def test_openssl_in_strict_mode_refuses_what_lint_says_it_would(label: str, words: str) -> None:
    done = verify(label)
    assert done.returncode != 0
    assert words.lower() in done.stderr.lower()


def test_openssl_measures_a_dotted_common_name_only_without_dns_names() -> None:
    assert verify("cn-dotted-but-permitted").returncode == 0
    assert verify("cn-dotted-no-host").returncode == 0


def test_vectors_are_what_their_labels_say_to_openssl_too() -> None:
    shown = openssl("crl", "-in", str(DIRECTORY / "crl-twice.pem"), "-noout", "-text")
    assert shown.stdout.count("Serial Number: 1001") == 2
    assert der("clean-root") != der("clean-2050")
