"""The verifier of `cryptography`: the CA/B rules of the web, and the strictest of all here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.interop.kinds import CLIENT_AUTH, KINDS, LOST, NAS, SERVER_AUTH, Kind
from tests.interop.world import World, tampered

#: It verifies TLS only, and wants a name in subjectAltName: the Windows request asks for none.
TLS = tuple(kind for kind in KINDS if {CLIENT_AUTH, SERVER_AUTH} & {*kind.ekus})
NAMED = tuple(kind for kind in TLS if kind.san)
UNNAMED = tuple(kind for kind in TLS if not kind.san)
SERVERS = tuple(kind for kind in NAMED if SERVER_AUTH in kind.ekus)
OTHERS = tuple(kind for kind in KINDS if kind not in TLS)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def verify(
    world: World,
    chain: Path,
    *,
    host: str | None,
    root: Path | None = None,
    days_ahead: int = 0,
) -> None:
    """As a client of `host`, or as a server that sees a client. Raises: VerificationError."""
    leaf, *rest = x509.load_pem_x509_certificates(chain.read_bytes())
    builder = PolicyBuilder().store(Store([load(root or world.root)]))
    builder = builder.time(datetime.now(UTC) + timedelta(days=days_ahead))
    if host is None:
        builder.build_client_verifier().verify(leaf, rest)
        return
    try:
        subject: x509.DNSName | x509.IPAddress = x509.IPAddress(ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    builder.build_server_verifier(subject).verify(leaf, rest)


def host_of(kind: Kind) -> str | None:
    return None if CLIENT_AUTH in kind.ekus else kind.host


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.stem)
def test_cryptography_takes_every_certificate_that_has_a_name(world: World, kind: Kind) -> None:
    verify(world, world.chain(kind), host=host_of(kind))


@pytest.mark.parametrize("kind", UNNAMED, ids=lambda kind: kind.stem)
def test_cryptography_refuses_one_without_names_as_sign_warned(world: World, kind: Kind) -> None:
    with pytest.raises(VerificationError, match=r"2\.5\.29\.17.*missing required extension"):
        verify(world, world.chain(kind), host=host_of(kind))


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.stem)
def test_cryptography_refuses_for_tls_what_is_for_something_else(world: World, kind: Kind) -> None:
    for host in (None, "nas.home.arpa"):
        with pytest.raises(VerificationError):
            verify(world, world.chain(kind), host=host)


@pytest.mark.parametrize("host", ["192.168.1.10", "fd00::10", "disk.nas.home.arpa"])
def test_cryptography_finds_addresses_and_wildcards_among_the_names(
    world: World, host: str
) -> None:
    verify(world, world.chain(NAS), host=host)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.stem)
def test_cryptography_refuses_a_server_for_a_name_it_has_not(world: World, kind: Kind) -> None:
    with pytest.raises(VerificationError, match="no matching subjectAltName"):
        verify(world, world.chain(kind), host="bank.example.org")


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.stem)
def test_cryptography_refuses_a_client_as_server_and_a_server_as_client(
    world: World, kind: Kind
) -> None:
    wrong = kind.host if CLIENT_AUTH in kind.ekus else None
    with pytest.raises(VerificationError, match="required EKU not found"):
        verify(world, world.chain(kind), host=wrong)


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.stem)
def test_cryptography_refuses_a_certificate_with_one_bit_of_its_signature_changed(
    world: World, kind: Kind, scratch: Path
) -> None:
    with pytest.raises(VerificationError, match="signature does not match"):
        verify(world, tampered(world.chain(kind), scratch), host=host_of(kind))


def test_cryptography_refuses_a_certificate_under_a_strangers_root(
    world: World, stranger: World
) -> None:
    with pytest.raises(VerificationError, match="candidates exhausted"):
        verify(world, world.chain(KINDS[0]), host=None, root=stranger.root)


@pytest.mark.parametrize("days", [-1, 376])
def test_cryptography_refuses_a_certificate_outside_its_lifetime(world: World, days: int) -> None:
    with pytest.raises(VerificationError, match="cert is not valid at validation time"):
        verify(world, world.chain(KINDS[0]), host=None, days_ahead=days)


@pytest.mark.parametrize("whose", ["root", "intermediate"])
def test_cryptography_verifies_each_crl_under_its_issuer_and_no_other(
    world: World, whose: str, scratch: Path
) -> None:
    path = world.root_crl if whose == "root" else world.intermediate_crl
    keys = {"root": load(world.root), "intermediate": load(world.intermediate)}
    good = x509.load_pem_x509_crl(path.read_bytes())
    spoilt = x509.load_pem_x509_crl(tampered(path, scratch).read_bytes())
    for name, certificate in keys.items():
        public = certificate.public_key()
        assert isinstance(public, RSAPublicKey | EllipticCurvePublicKey)
        assert good.is_signature_valid(public) is (name == whose)
        assert not spoilt.is_signature_valid(public)


def test_the_intermediates_crl_lists_exactly_the_revoked_serial_with_its_reason(
    world: World,
) -> None:
    crl = x509.load_pem_x509_crl(world.intermediate_crl.read_bytes())
    (entry,) = crl
    assert entry.serial_number == load(world.leaf(LOST)).serial_number
    reason = entry.extensions.get_extension_for_class(x509.CRLReason)
    assert (reason.value.reason, reason.critical) == (x509.ReasonFlags.key_compromise, False)
    assert list(x509.load_pem_x509_crl(world.root_crl.read_bytes())) == []
