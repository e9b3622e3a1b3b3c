"""OpenSSL judges every certificate and CRL, as strictly as it can (verify(1), -x509_strict)."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.interop.kinds import (
    CLIENT_AUTH,
    EMAIL_PROTECTION,
    KINDS,
    LOST,
    SERVER_AUTH,
    TIME_STAMPING,
    Kind,
)
from tests.interop.programs import must, run
from tests.interop.world import World, tampered

DAY = 86400
#: What OpenSSL 3.0 can be asked for; it knows no purpose for the other key usages.
PURPOSES = {
    CLIENT_AUTH: "sslclient",
    SERVER_AUTH: "sslserver",
    EMAIL_PROTECTION: "smimesign",
    TIME_STAMPING: "timestampsign",
}


def verify(
    world: World,
    chain: Path,
    *,
    purpose: str = "any",
    host: str = "",
    root: Path | None = None,
    crls: Path | None = None,
    days_ahead: int = 0,
) -> subprocess.CompletedProcess[str]:
    """`openssl verify` with every check on. chain: leaf and intermediate."""
    options: list[str | Path] = ["-verify_hostname", host] if host else []
    if days_ahead:
        options += ["-attime", str(int(time.time()) + days_ahead * DAY)]
    return run(
        *("openssl", "verify", "-x509_strict", "-check_ss_sig", "-crl_check_all"),
        *("-no-CAfile", "-no-CApath", "-CRLfile", crls or world.crls),
        *("-CAfile", root or world.root, "-untrusted", chain),
        *("-purpose", purpose, *options, chain),
    )


def accepted(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0 and done.stdout.rstrip().endswith(": OK")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_openssl_takes_every_certificate_for_its_purpose_and_its_name(
    world: World, kind: Kind
) -> None:
    for eku in kind.ekus:
        purpose = PURPOSES.get(eku, "any")
        done = verify(world, world.chain(kind), purpose=purpose, host=kind.host)
        assert accepted(done), done.stderr


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_openssl_refuses_every_certificate_for_a_purpose_it_has_not(
    world: World, kind: Kind
) -> None:
    done = verify(world, world.chain(kind), purpose=PURPOSES[kind.other_eku])
    assert not accepted(done)
    assert "unsuitable certificate purpose" in done.stderr


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_openssl_refuses_every_certificate_for_a_name_it_has_not(world: World, kind: Kind) -> None:
    done = verify(world, world.chain(kind), host="bank.example.org")
    assert not accepted(done)
    assert "hostname mismatch" in done.stderr


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_openssl_refuses_every_certificate_with_one_bit_of_its_signature_changed(
    world: World, kind: Kind, scratch: Path
) -> None:
    done = verify(world, tampered(world.chain(kind), scratch))
    assert not accepted(done)
    assert "certificate signature failure" in done.stderr


def test_openssl_takes_a_root_with_its_own_signature(world: World) -> None:
    assert accepted(verify(world, world.root))


def test_openssl_takes_an_intermediate_as_a_ca(world: World) -> None:
    assert accepted(verify(world, world.intermediate))


@pytest.mark.parametrize("who", ["root", "intermediate"])
def test_openssl_refuses_an_issuer_with_one_bit_of_its_signature_changed(
    world: World, who: str, scratch: Path
) -> None:
    spoilt = tampered(world.root if who == "root" else world.intermediate, scratch)
    root = spoilt if who == "root" else None
    done = verify(world, spoilt, root=root)
    assert not accepted(done)
    assert "certificate signature failure" in done.stderr


def test_openssl_refuses_a_certificate_under_a_strangers_root(
    world: World, stranger: World
) -> None:
    done = verify(world, world.chain(KINDS[0]), root=stranger.root)
    assert not accepted(done)
    assert "unable to get local issuer certificate" in done.stderr


def test_openssl_refuses_a_revoked_certificate(world: World) -> None:
    done = verify(world, world.chain(LOST), purpose="sslclient", host=LOST.host)
    assert not accepted(done)
    assert "certificate revoked" in done.stderr


def test_openssl_refuses_everything_when_a_crl_is_missing(world: World) -> None:
    done = verify(world, world.chain(KINDS[0]), crls=world.root_crl)
    assert not accepted(done)
    assert "unable to get certificate CRL" in done.stderr


def test_openssl_refuses_everything_once_the_intermediates_crl_has_expired(world: World) -> None:
    assert accepted(verify(world, world.chain(KINDS[0]), days_ahead=29))
    done = verify(world, world.chain(KINDS[0]), days_ahead=31)
    assert not accepted(done)
    assert "CRL has expired" in done.stderr


def test_openssl_refuses_a_certificate_past_its_end(world: World) -> None:
    done = verify(world, world.chain(KINDS[0]), days_ahead=376)
    assert "certificate has expired" in done.stderr


@pytest.mark.parametrize("whose", ["root", "intermediate"])
def test_openssl_takes_each_crl_under_its_issuer_and_no_other(world: World, whose: str) -> None:
    crl = world.root_crl if whose == "root" else world.intermediate_crl
    issuer, other = (
        (world.root, world.intermediate) if whose == "root" else (world.intermediate, world.root)
    )
    right = run("openssl", "crl", "-in", crl, "-CAfile", issuer, "-noout", "-verify")
    assert (right.returncode, right.stderr.strip()) == (0, "verify OK")
    wrong = run("openssl", "crl", "-in", crl, "-CAfile", other, "-noout", "-verify")
    assert "verify OK" not in wrong.stderr


@pytest.mark.parametrize("whose", ["root", "intermediate"])
def test_openssl_refuses_a_crl_with_one_bit_of_its_signature_changed(
    world: World, whose: str, scratch: Path
) -> None:
    crls = [world.root_crl, world.intermediate_crl]
    at = 0 if whose == "root" else 1
    crls[at] = tampered(crls[at], scratch)
    joined = scratch / "crls.pem"
    joined.write_text("".join(crl.read_text() for crl in crls))
    done = verify(world, world.chain(KINDS[0]), crls=joined)
    assert not accepted(done)
    assert "CRL signature failure" in done.stderr


def test_both_crls_exist_in_der_with_the_same_octets(world: World) -> None:
    for crl in (world.root_crl, world.intermediate_crl):
        der = crl.with_name(crl.name.removesuffix(".pem"))
        assert must("openssl", "crl", "-inform", "DER", "-in", der) == crl.read_text()
