"""OpenVPN's own server and client, on loopback, with what homeca made for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop.kinds import ALICE, LOST, VPN, Kind
from tests.interop.programs import must
from tests.interop.vpn import ACCEPTED, LISTENING, client, free_address, lets_in, server
from tests.interop.world import World


def identity(world: World, kind: Kind) -> dict[str, str | Path]:
    """What one side is told: whom to trust, and who it is itself."""
    return {"ca": world.root, "cert": world.chain(kind), "key": world.key(kind)}


def serving(world: World) -> dict[str, str | Path]:
    return {**identity(world, VPN), "crl-verify": world.crls}


def dialling(world: World, kind: Kind = ALICE) -> dict[str, str | Path]:
    return {**identity(world, kind), "verify-x509-name": f"{VPN.host} name"}


def test_a_vpn_client_and_a_vpn_server_shake_hands(world: World, scratch: Path) -> None:
    address = free_address()
    with server(scratch, address, serving(world)) as started:
        is_in, said = lets_in(started, scratch, address, dialling(world))
    assert is_in, said
    assert said.count("VERIFY EKU OK") == 2
    assert "CRL: loaded 2 CRLs" in started.text()


def test_a_running_server_refuses_a_client_after_revoke_and_crl(
    constrained: World, scratch: Path
) -> None:
    world = World(scratch / "copy", constrained.flavour)
    shutil.copytree(constrained.path, world.path)
    address = free_address()
    with server(scratch, address, serving(world)) as started:
        started.wait_for(LISTENING)
        with client(scratch, address, dialling(world)) as alice:
            started.wait_for(ACCEPTED)
            alice.wait_for(ACCEPTED)
            world.homeca.must("revoke", world.chain(ALICE), "--reason", "keyCompromise")
            world.homeca.must("crl")
            world.crls.write_text(world.root_crl.read_text() + world.intermediate_crl.read_text())
        started.wait_for(LISTENING, times=2)
        is_in, said = lets_in(started, scratch, address, dialling(world))
    assert not is_in
    assert "certificate revoked" in said


def test_a_server_refuses_a_client_that_was_revoked_before_it_started(
    world: World, scratch: Path
) -> None:
    address = free_address()
    with server(scratch, address, serving(world)) as started:
        is_in, said = lets_in(started, scratch, address, dialling(world, LOST))
    assert not is_in
    assert "certificate revoked" in said


def test_a_client_refuses_a_server_that_shows_a_clients_certificate(
    constrained: World, scratch: Path
) -> None:
    address = free_address()
    options = {**serving(constrained), **identity(constrained, ALICE)}
    with server(scratch, address, options) as started:
        is_in, said = lets_in(started, scratch, address, dialling(constrained))
    assert not is_in
    assert "unsuitable certificate purpose" in said


def test_a_server_refuses_a_client_that_shows_a_servers_certificate(
    constrained: World, scratch: Path
) -> None:
    address = free_address()
    with server(scratch, address, serving(constrained)) as started:
        is_in, said = lets_in(started, scratch, address, dialling(constrained, VPN))
    assert not is_in
    assert "unsuitable certificate purpose" in said


def test_a_server_refuses_a_good_client_once_the_crl_has_expired(
    constrained: World, scratch: Path
) -> None:
    address = free_address()
    with server(scratch, address, serving(constrained), ahead="+31d") as started:
        is_in, said = lets_in(started, scratch, address, dialling(constrained))
    assert not is_in
    assert "CRL has expired" in said


def test_a_server_refuses_a_good_client_when_its_crl_is_der(
    constrained: World, scratch: Path
) -> None:
    address = free_address()
    der = constrained.intermediate_crl.with_suffix("")
    with server(scratch, address, {**serving(constrained), "crl-verify": der}) as started:
        is_in, said = lets_in(started, scratch, address, dialling(constrained))
    assert not is_in
    assert "CRL: cannot read CRL from file" in started.text()
    assert "CRL not loaded" in said


@pytest.mark.parametrize("with_key_usage", [True, False])
def test_a_server_lets_in_a_client_with_key_usage_and_refuses_one_without(
    constrained: World, scratch: Path, with_key_usage: bool
) -> None:
    """Both from one CA of openssl's: homeca's profiles never leave keyUsage out."""
    told = client_of_openssl(scratch, with_key_usage=with_key_usage)
    address = free_address()
    options = {**identity(constrained, VPN), "ca": scratch / "both.pem"}
    (scratch / "both.pem").write_text(
        constrained.root.read_text() + (scratch / "ca.pem").read_text()
    )
    with server(scratch, address, options) as started:
        is_in, said = lets_in(started, scratch, address, {**told, "ca": constrained.root})
    assert is_in is with_key_usage, said
    assert ("Certificate does not have key usage extension" in said) is not with_key_usage


def client_of_openssl(place: Path, *, with_key_usage: bool) -> dict[str, str | Path]:
    new = ("openssl", "req", "-x509", "-noenc", "-newkey", "ec", "-days", "2")
    curve = ("-pkeyopt", "ec_paramgen_curve:P-256")
    must(*new, *curve, "-subj", "/CN=CA", "-keyout", "ca.key", "-out", "ca.pem", cwd=place)
    usage = ("-addext", "keyUsage=critical,digitalSignature") if with_key_usage else ()
    must(
        *(*new, *curve, "-subj", "/CN=client", "-keyout", "c.key", "-out", "c.pem"),
        *("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "extendedKeyUsage=clientAuth"),
        *("-addext", "basicConstraints=critical,CA:FALSE", *usage),
        cwd=place,
    )
    return {"cert": place / "c.pem", "key": place / "c.key"}
