"""pkilint agrees where it has an opinion, and its own troubles stay its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ca.encoding.inspect import read_certificate
from ca.errors import CertificateMalformed
from ca.lint.rule import Severity
from ca.lint.second_opinion import certificate_opinion, crl_opinion
from tests.lint.lintvectors import Vector, der, vector, vectors

CLEAN = tuple(v for v in vectors() if v.label.startswith("clean-"))


def opinion(vector: Vector) -> list[str]:
    if vector.kind == "crl":
        findings = crl_opinion(vector.der)
    else:
        issuer = vector.context.issuer
        findings = certificate_opinion(vector.der, issuer=issuer.der if issuer else None)
    return [f.rule for f in findings if f.severity is not Severity.NOTICE]


@pytest.mark.parametrize("vector", CLEAN, ids=lambda v: v.label)
def test_pkilint_has_nothing_against_what_lint_finds_clean(vector: Vector) -> None:
    assert opinion(vector) == []


@pytest.mark.parametrize(
    "label",
    [
        "algorithms-differ",
        "serial-zero",
        "version-1",
        "time-generalized-before-2050",
        "key-usage-not-critical",
        "aki-of-another-key",
        "dns-space",
        "name-constraints-not-critical",
        "path-without-ca",
        "crl-without-number",
        "crl-without-aki",
        "crl-empty-list",
        "crl-unspecified",
    ],
)
def test_pkilint_objects_to_what_lint_objects_to(label: str) -> None:
    assert opinion(vector(label)) != []


def test_pkilint_verifies_the_issuers_signature() -> None:
    issuer = der("clean-intermediate")
    forged = bytearray(der("clean-tls-server"))
    forged[-1] ^= 1
    found = certificate_opinion(bytes(forged), issuer=issuer)
    assert "pkilint.pkix.signature_verification_failed" in {f.rule for f in found}
    assert (
        read_certificate(bytes(forged)).tbs.der == read_certificate(der("clean-tls-server")).tbs.der
    )


def test_octets_homeca_cannot_read_are_malformed_not_pkilints_affair() -> None:
    with pytest.raises(CertificateMalformed):
        certificate_opinion(b"\x30\x03\x02\x01\x05")
    with pytest.raises(CertificateMalformed):
        crl_opinion(b"nothing")


def test_what_pkilint_cannot_do_is_a_notice_and_no_traceback_is_seen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for label in ("critical-false-written-out", "ed25519-null", "time-with-fraction"):
        issuer = None if label == "time-with-fraction" else der("clean-intermediate")
        found = certificate_opinion(der(label), issuer=issuer)
        gave_up = [f for f in found if f.rule == "pkilint.gave-up"]
        assert [f.severity for f in gave_up] == [Severity.NOTICE], label
    assert capfd.readouterr() == ("", "")


def test_without_pkilint_the_error_says_how_to_get_it() -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'pkilint':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from ca.errors import ExtraMissing\n"
        "from ca.lint.second_opinion import crl_opinion\n"
        "try:\n"
        "    crl_opinion(bytes.fromhex(sys.argv[1]))\n"
        "except ExtraMissing as error:\n"
        "    print(error.code, error.problem, error.remedy, sep='|')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, der("clean-crl").hex()],
        capture_output=True,
        cwd=Path(__file__).parents[2],
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == (
        "configuration.extra-missing|a second opinion needs 'pkilint', which is not installed|"
        "run `pip install 'homeca[lint]'`, or lint without --second-opinion"
    )
