"""IKEv2 between two strongSwan daemons, with the kits for both. A CA without permitted addresses:
5.9.8, Debian 12's, reads no other (SS5).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.ike import GATEWAY, Peer, charon, lets_in, wire
from tests.interop.kinds import ALICE, NAS, VPN, Kind
from tests.interop.world import World

CONNECTION = "smith-plain"


@pytest.fixture
def house(plain: World, scratch: Path) -> World:
    """A copy of the CA, to revoke in."""
    shutil.copytree(plain.path, scratch / "world")
    return World(scratch / "world", plain.flavour)


def gateway_kit(house: World, *, kind: Kind = VPN) -> Path:
    place = house.path / "gateway"
    house.homeca.must("kit", kind.host, "--for", "strongswan-server", "--force", "--out", place)
    return with_key(house, kind, place)


def client_kit(house: World) -> Path:
    place = house.path / "client"
    house.homeca.must(
        *("kit", ALICE.host, "--for", "strongswan-linux", "--server", VPN.host, "--out", place)
    )
    told(place, f"remote_addrs = {VPN.host}\n", f"remote_addrs = {GATEWAY}\n")
    return with_key(house, ALICE, place)


def told(place: Path, line: str, instead: str) -> None:
    conf = place / "swanctl/conf.d" / f"{CONNECTION}.conf"
    assert line in conf.read_text()
    conf.write_text(conf.read_text().replace(line, instead))


def with_key(house: World, kind: Kind, place: Path) -> Path:
    (place / "swanctl/private").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(house.key(kind), place / "swanctl/private")
    return place


@contextlib.contextmanager
def both(gateway: Path, client: Path, *, ahead: str = "") -> Iterator[tuple[Peer, Peer]]:
    """Both running, everything loaded; the gateway's clock `ahead`."""
    with (
        wire() as (here, there),
        charon(gateway, here, ahead=ahead) as one,
        charon(client, there) as other,
    ):
        for peer in (one, other):
            assert "successfully loaded 1 connections" in peer.swanctl("--load-all", "--noprompt")
        yield one, other


def test_a_client_and_a_gateway_with_their_kits_agree_until_it_is_revoked(
    house: World,
) -> None:
    """What the gateway's page says of new lists: they count once they are read with --clear."""
    with both(gateway_kit(house), client_kit(house)) as (gateway, client):
        is_in, said = lets_in(gateway, client, CONNECTION)
        assert is_in, said
        assert f"authentication of '{ALICE.host}' with ECDSA" in said
        assert f"authentication of '{VPN.host}' with ECDSA" in said
        assert said.count("certificate status is good") == 2

        house.homeca.must("revoke", house.chain(ALICE), "--reason", "keyCompromise")
        house.homeca.must("crl")
        gateway_kit(house)
        gateway.swanctl("--load-all", "--noprompt")
        assert lets_in(gateway, client, CONNECTION)[0]

        gateway.swanctl("--load-creds", "--clear", "--noprompt")
        is_in, said = lets_in(gateway, client, CONNECTION)
        assert not is_in
        assert "certificate was revoked" in said


def test_a_list_that_has_expired_refuses_whom_it_names_and_nobody_else(house: World) -> None:
    with both(gateway_kit(house), client_kit(house), ahead="+31d") as (gateway, client):
        is_in, said = lets_in(gateway, client, CONNECTION)
        assert is_in, said
        assert "crl is stale" in said
        house.homeca.must("revoke", house.chain(ALICE))
        house.homeca.must("crl")
        gateway_kit(house)
        gateway.swanctl("--load-creds", "--clear", "--noprompt")
        is_in, said = lets_in(gateway, client, CONNECTION)
        assert not is_in
        assert "crl is stale" in said
        assert "certificate was revoked" in said


def test_a_client_refuses_a_gateway_that_has_not_the_name_its_kit_says(house: World) -> None:
    """One that answers to any name, with a good certificate of the same CA: the NAS's."""
    gateway = gateway_kit(house, kind=NAS)
    told(gateway, f'id = "{NAS.host}"\n', "id = %any\n")
    with both(gateway, client_kit(house)) as (serving, dialling):
        is_in, said = lets_in(serving, dialling, CONNECTION)
    assert not is_in
    assert f"no trusted ECDSA public key found for '{VPN.host}'" in said
