"""GnuTLS's certtool judges certificates and CRLs. Its verdict is text; older ones always exit 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.kinds import KINDS, LOST, Kind
from tests.interop.programs import at_another_time, run
from tests.interop.world import World, tampered

TRUSTED = "Verified. The certificate is trusted."


def verdict(text: str) -> str:
    """What follows the last "Verification output:" or "Chain verification output:"."""
    _, found, last = text.rpartition("erification output: ")
    assert found, f"certtool gave no verdict:\n{text}"
    return " ".join(last.split())


def verify(
    world: World,
    chain: Path,
    *,
    purpose: str = "",
    host: str = "",
    root: Path | None = None,
) -> str:
    """certtool's verdict on a chain, leaf first, with both CRLs at hand."""
    options = ["--verify-hostname", host] if host else []
    options += ["--verify-purpose", purpose] if purpose else []
    done = run(
        *("certtool", "--verify", "--verify-profile", "medium", "--infile", chain),
        *("--load-ca-certificate", root or world.root, "--load-crl", world.crls),
        *options,
    )
    return verdict(done.stdout)


def verify_crl(crl: Path, issuer: Path, *, ahead: str = "") -> str:
    """certtool's verdict on a CRL. ahead: how far the clock is put forward, "+31d"."""
    later = at_another_time(ahead) if ahead else ()
    done = run(
        *later,
        *("certtool", "--verify-crl", "--load-ca-certificate", issuer, "--infile", crl),
    )
    return verdict(done.stdout)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_gnutls_takes_every_certificate_for_its_purpose_and_its_name(
    world: World, kind: Kind
) -> None:
    for eku in kind.ekus:
        assert verify(world, world.chain(kind), purpose=eku, host=kind.host) == TRUSTED


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_gnutls_refuses_every_certificate_for_a_purpose_it_has_not(
    world: World, kind: Kind
) -> None:
    found = verify(world, world.chain(kind), purpose=kind.other_eku)
    assert found.endswith("The certificate chain does not match the intended purpose.")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_gnutls_refuses_every_certificate_for_a_name_it_has_not(world: World, kind: Kind) -> None:
    found = verify(world, world.chain(kind), host="bank.example.org")
    assert found.endswith("The name in the certificate does not match the expected.")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.stem)
def test_gnutls_refuses_every_certificate_with_one_bit_of_its_signature_changed(
    world: World, kind: Kind, scratch: Path
) -> None:
    found = verify(world, tampered(world.chain(kind), scratch))
    assert found.endswith("The signature in the certificate is invalid.")


def test_gnutls_takes_an_intermediate_alone_under_its_root_and_no_other(
    plain: World, constrained: World
) -> None:
    """The plain one: with constraints, GnuTLS reads a leaf's commonName as a host name when there
    is no subjectAltName, and an intermediate that is verified alone counts as a leaf. Under its
    leaves, the constrained one is taken too.
    """
    assert verify(plain, plain.intermediate) == TRUSTED
    found = verify(plain, plain.intermediate, root=constrained.root)
    assert found.endswith("The certificate issuer is unknown.")


def test_gnutls_refuses_an_intermediate_with_one_bit_of_its_signature_changed(
    world: World, scratch: Path
) -> None:
    found = verify(world, tampered(world.intermediate, scratch))
    assert found.endswith("The signature in the certificate is invalid.")


def test_gnutls_refuses_a_certificate_under_a_strangers_root(world: World, stranger: World) -> None:
    found = verify(world, world.chain(KINDS[0]), root=stranger.root)
    assert found.endswith("The certificate issuer is unknown.")


def test_gnutls_refuses_a_revoked_certificate(world: World) -> None:
    found = verify(world, world.chain(LOST), purpose=LOST.ekus[0], host=LOST.host)
    assert found.endswith("The certificate chain is revoked.")


@pytest.mark.parametrize("whose", ["root", "intermediate"])
def test_gnutls_takes_each_crl_under_its_issuer_until_it_expires(world: World, whose: str) -> None:
    crl, issuer = (
        (world.root_crl, world.root)
        if whose == "root"
        else (world.intermediate_crl, world.intermediate)
    )
    assert verify_crl(crl, issuer) == TRUSTED
    found = verify_crl(crl, issuer, ahead="+361d")
    assert found.endswith("The revocation or OCSP data are old and have been superseded.")


def test_gnutls_refuses_a_crl_under_another_issuer(world: World) -> None:
    found = verify_crl(world.intermediate_crl, world.root)
    assert found.endswith("The certificate issuer is unknown.")


@pytest.mark.parametrize("whose", ["root", "intermediate"])
def test_gnutls_refuses_a_crl_with_one_bit_of_its_signature_changed(
    world: World, whose: str, scratch: Path
) -> None:
    crl, issuer = (
        (world.root_crl, world.root)
        if whose == "root"
        else (world.intermediate_crl, world.intermediate)
    )
    found = verify_crl(tampered(crl, scratch), issuer)
    assert found.endswith("The signature in the certificate is invalid.")


def test_gnutls_reads_the_reason_of_a_revocation(world: World) -> None:
    text = run("certtool", "--crl-info", "--infile", world.intermediate_crl).stdout
    assert "Revoked certificates (1):" in text
