"""EAP-TLS between wpa_supplicant's code and hostapd's, with the lines of the kits for both."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.interop.kinds import KINDS, Kind
from tests.interop.radius import PATIENCE, joins, radius
from tests.interop.world import World, blocks

RADIUS, LAPTOP, BACKUP, NAS = (
    next(kind for kind in KINDS if kind.stem == stem)
    for stem in ("radius", "laptop", "backup", "nas")
)
#: What wpa_supplicant needs to be told besides, to use each.
VERSIONS = {"TLSv1.2": "", "TLSv1.3": '\tphase1="tls_disable_tlsv1_3=0"\n'}


@pytest.fixture
def house(world: World, scratch: Path) -> World:
    """A copy of each CA in turn, to revoke in."""
    return copied(world, scratch)


@pytest.fixture
def one_house(constrained: World, scratch: Path) -> World:
    """A copy of the first."""
    return copied(constrained, scratch)


def copied(world: World, scratch: Path) -> World:
    shutil.copytree(world.path, scratch / "world")
    return World(scratch / "world", world.flavour)


def serving(house: World, *, certificate: Kind = RADIUS) -> str:
    """The server's kit, put where its page says, and its lines for hostapd.conf."""
    place = house.path / "etc-hostapd"
    house.homeca.must(*("kit", certificate.host, "--for", "wifi-server", "--force", "--out", place))
    shutil.copy(house.key(certificate), place / f"{certificate.host}.key")
    settings = (place / "hostapd.conf").read_text()
    return settings.replace("/etc/hostapd/", f"{place}/")


def block(house: World, *, kind: Kind = LAPTOP) -> str:
    """The device's kit, put where its page says, and its network block."""
    place = house.path / "etc-ssl-wifi"
    house.homeca.must(
        *("kit", kind.host, "--for", "wifi", "--ssid", "Home", "--server", RADIUS.host),
        *("--force", "--out", place),
    )
    shutil.copy(house.key(kind), place / f"{kind.host}.key")
    return (place / "wpa_supplicant.conf").read_text().replace("/etc/ssl/wifi/", f"{place}/")


def test_a_device_and_a_server_with_their_kits_agree(house: World, scratch: Path) -> None:
    network = block(house)
    with radius(scratch, serving(house)) as server:
        for version, line in VERSIONS.items():
            lines = network.replace("\teap=TLS\n", f"\teap=TLS\n{line}")
            is_in, said = joins(server, scratch, lines)
            assert is_in, said + server.text()
            assert f"SSL: Using TLS version {version}" in said
            assert f"PEER-CERT depth=0 subject='/CN={RADIUS.host}'" in said


def test_a_running_server_refuses_a_device_after_revoke_crl_and_a_new_kit(
    one_house: World, scratch: Path
) -> None:
    """hostapd reads its file again at the first handshake after crl_reload_interval."""
    settings = serving(one_house)
    assert "crl_reload_interval=60\n" in settings
    settings = settings.replace("crl_reload_interval=60\n", "crl_reload_interval=1\n")
    network, stays = block(one_house), block(one_house, kind=BACKUP)
    with radius(scratch, settings) as server:
        is_in, said = joins(server, scratch, network)
        assert is_in, said
        one_house.homeca.must("revoke", one_house.chain(LAPTOP), "--reason", "keyCompromise")
        one_house.homeca.must("crl")
        serving(one_house)
        give_up = time.monotonic() + PATIENCE
        while is_in and time.monotonic() < give_up:
            is_in, said = joins(server, scratch, network)
        assert "certificate revoked" in server.text()
        assert not is_in
        assert joins(server, scratch, stays)[0]


def test_a_phone_that_sends_no_intermediate_gets_in(one_house: World, scratch: Path) -> None:
    network = block(one_house)
    certificate = one_house.path / "etc-ssl-wifi" / f"{LAPTOP.host}.crt"
    certificate.write_text(blocks(certificate)[0])
    with radius(scratch, serving(one_house)) as server:
        is_in, said = joins(server, scratch, network)
    assert is_in, said + server.text()


def test_a_device_refuses_a_server_that_is_not_called_as_its_kit_says(
    one_house: World, scratch: Path
) -> None:
    """Its certificate is good and of the same CA, but it is the NAS."""
    with radius(scratch, serving(one_house, certificate=NAS)) as server:
        is_in, said = joins(server, scratch, block(one_house))
    assert not is_in
    assert "err='Domain suffix mismatch'" in said


def test_a_device_refuses_a_server_of_another_ca(
    one_house: World, plain: World, scratch: Path
) -> None:
    (scratch / "other").mkdir()
    other = copied(plain, scratch / "other")
    with radius(scratch, serving(other)) as server:
        is_in, said = joins(server, scratch, block(one_house))
    assert not is_in
    assert "TLS-CERT-ERROR reason=1" in said


def test_a_server_refuses_a_client_that_shows_a_servers_certificate(
    one_house: World, scratch: Path
) -> None:
    network = block(one_house)
    place = one_house.path / "etc-ssl-wifi"
    shutil.copy(one_house.chain(NAS), place / f"{LAPTOP.host}.crt")
    shutil.copy(one_house.key(NAS), place / f"{LAPTOP.host}.key")
    with radius(scratch, serving(one_house)) as server:
        is_in, _ = joins(server, scratch, network)
    assert not is_in
    assert "unsupported certificate" in server.text()
