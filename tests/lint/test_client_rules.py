"""Every rule of the consumers that homeca promises: kept in lint, or said where it is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ca.encoding import tlv
from ca.encoding.requests import parse_request
from ca.lint.consumers import NOT_SHOWN
from ca.lint.gate import rules
from ca.lint.rule import Artefact
from ca.resources import resource
from tests.house import House
from tests.interop.programs import must
from tests.lint.lintvectors import vectors

PROMISED = (
    *(f"OV{n}" for n in range(1, 13)),
    *(f"WI{n}" for n in range(1, 8)),
    *(f"SS{n}" for n in range(1, 6)),
    *(f"AP{n}" for n in range(1, 9)),
    *("WF1", "CH1", "CH2", "PY1", "AN1", "AN2", "AN3", "FF1"),
)
#: Traps of real verifiers, and the rules that keep them; a row that is no trap has none.
TRAPS = {
    "dotted CN without DNS name": "d7.1.common-name",
    "bare DNS name outside the constraints": "rfc5280.4.2.1.10.names-permitted",
    "no SAN at all": "d7.4.no-san",
    "address as DNS name": "d7.6.ip-as-dns",
    "thisUpdate does not increase": "d7.crl-2.this-update-increases",
    "IDP is not the CDP": "d7.crl-3.idp-is-cdp",
    "expired CRL": "OV7.crl-over",
}
ENROLMENT_CSP = "1.3.6.1.4.1.311.13.2.2"


def rules_of(promise: str) -> list[str]:
    return [rule.id for rule in rules() if re.fullmatch(rf"{promise}(\..+)?", rule.id)]


@pytest.mark.parametrize("promise", PROMISED)
def test_a_promised_rule_is_asked_or_it_is_said_why_it_cannot_be(promise: str) -> None:
    not_shown = [one for one in NOT_SHOWN if one.id == promise]
    assert bool(rules_of(promise)) is not bool(not_shown)


def test_nothing_is_said_to_be_kept_elsewhere_that_was_not_promised() -> None:
    assert {one.id for one in NOT_SHOWN} <= set(PROMISED)


@pytest.mark.parametrize("promise", [p for p in PROMISED if rules_of(p)])
def test_a_promised_rule_is_dated_sourced_and_tripped_by_a_vector(promise: str) -> None:
    broken = {rule for v in vectors() for rule in v.expect | v.before | v.after}
    for rule in rules():
        if rule.id in rules_of(promise):
            assert re.search(r"\b20[12]\d\b", rule.clause), rule.clause
            assert len(rule.clause) > 12
            assert rule.demand
            assert rule.id in broken


@pytest.mark.parametrize("rule", TRAPS.values(), ids=TRAPS.keys())
def test_a_trap_of_the_real_verifiers_has_a_rule(rule: str) -> None:
    assert rule in {one.id for one in rules()}


@pytest.mark.parametrize(
    "promise", [p for p in PROMISED if rules_of(p) and not p.startswith("OV7")]
)
def test_a_promised_rule_is_asked_before_the_signature(promise: str) -> None:
    for rule in rules():
        if rule.id in rules_of(promise):
            assert Artefact.TBS in rule.applies


# ---------------------------------------------------------------- in sign, and in lint FILE


def request_of_certreq(place: Path, provider: str) -> Path:
    """A request with an RSA key that names this Windows key provider, as certreq writes it."""
    key = rsa.generate_private_key(65537, 2048)
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    name = tlv.tlv(tlv.UTF8_STRING, b"rsa.home.arpa")
    subject = tlv.sequence(tlv.set_of([tlv.sequence(tlv.oid("2.5.4.3"), name)]))
    csp = tlv.sequence(
        tlv.integer(1),
        tlv.tlv(tlv.BMP_STRING, provider.encode("utf-16-be")),
        tlv.tlv(tlv.BIT_STRING, b"\0"),
    )
    attribute = tlv.sequence(tlv.oid(ENROLMENT_CSP), tlv.set_of([csp]))
    info = tlv.sequence(tlv.integer(0), subject, spki, tlv.tagged(0, attribute))
    algorithm = tlv.sequence(tlv.oid("1.2.840.113549.1.1.11"), tlv.null())
    signature = key.sign(info, padding.PKCS1v15(), hashes.SHA256())
    path = place / "rsa.csr"
    path.write_bytes(tlv.sequence(info, algorithm, tlv.tlv(tlv.BIT_STRING, b"\0" + signature)))
    return path


@pytest.mark.parametrize(
    ("provider", "claims"),
    [
        ("Microsoft Platform Crypto Provider", True),
        ("Microsoft Software Key Storage Provider", False),
    ],
)
def test_sign_warns_of_rsa_in_a_tpm_when_the_request_says_so(
    house: House, provider: str, claims: bool
) -> None:
    """OV12: no software TPM shows the fault, so a warning is all there can be."""
    request = request_of_certreq(house.place, provider)
    assert parse_request(request.read_bytes()).claims_tpm is claims
    done = house.homeca.run(
        *("sign", request, "--profile", "vpn-client", "--san", "DNS:rsa.home.arpa", "--dry-run")
    )
    assert done.returncode == 0, done.stderr
    assert ("[OV12]" in done.stderr) is claims


def test_sign_refuses_what_a_consumer_of_the_profile_would(house: House) -> None:
    """AP1 in `sign`: a profile of one's own that promises phones more than 825 days."""
    source = (resource("templates") / "profiles/tls-server.cnf.j2").read_text()
    text = source.replace("max_days = 825", "max_days = 1000").replace(
        "default_days = 375", "default_days = 900"
    )
    assert text != source
    (house.home / "profiles/long.cnf.j2").write_text(text)
    done = house.homeca.run("sign", house.file("nas.csr"), "--profile", "long", "--force")
    assert done.returncode == 3
    assert "[AP1.days]" in done.stderr


def test_lint_asks_the_rules_of_the_consumers_named_and_of_no_other(
    house: House, tmp_path: Path
) -> None:
    must(
        *("openssl", "req", "-x509", "-noenc", "-newkey", "ec", "-days", "900", "-subj", "/CN=x"),
        *("-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "x.key", "-out", "x.pem"),
        *(
            "-addext",
            "extendedKeyUsage=serverAuth",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ),
        cwd=tmp_path,
    )
    both = house.homeca.run("lint", tmp_path / "x.pem", "--for", "iphone,openvpn")
    assert both.returncode == 6
    assert "[AP1.days]" in both.stdout
    assert "[OV1]" in both.stdout
    one = house.homeca.run("lint", tmp_path / "x.pem", "--for", "openvpn")
    assert "[OV1]" in one.stdout
    assert "[AP1.days]" not in one.stdout
