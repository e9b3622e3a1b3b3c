"""IKEv2 between two strongSwan daemons, with the kits for both. A CA without permitted addresses:
5.9.8, Debian 12's, reads no other (SS5).
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.device.managed_tpm import DeviceHomeca, managed_tpm
from tests.interop.ike import GATEWAY, Peer, charon, lets_in, wire
from tests.interop.kinds import ALICE, NAS, VPN, Kind
from tests.interop.programs import must
from tests.interop.world import World

CONNECTION = "smith-plain"
PIN = "correct-horse-7"


@pytest.fixture
def house(plain: World, scratch: Path) -> World:
    """A copy of the CA, to revoke in."""
    shutil.copytree(plain.path, scratch / "world")
    return World(scratch / "world", plain.flavour)


def gateway_kit(house: World, *, kind: Kind = VPN) -> Path:
    place = house.path / "gateway"
    house.homeca.must("kit", kind.host, "--for", "strongswan-server", "--force", "--out", place)
    return with_key(house, kind, place)


def client_kit(house: World, *, server: str = VPN.host) -> Path:
    place = house.path / "client"
    house.homeca.must(
        *("kit", ALICE.host, "--for", "strongswan-linux", "--server", server, "--out", place)
    )
    told(place, f"remote_addrs = {server}\n", f"remote_addrs = {GATEWAY}\n")
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
def both(
    gateway: Path, client: Path, *, ahead: str = "", tpm: Mapping[str, str] | None = None
) -> Iterator[tuple[Peer, Peer]]:
    """Both running, everything loaded; the gateway's clock `ahead`, the client's key in a TPM."""
    with (
        wire() as (here, there),
        charon(gateway, here, ahead=ahead) as one,
        charon(client, there, tpm=tpm) as other,
    ):
        for peer in (one, other):
            assert ", 0 unloaded" in peer.swanctl("--load-all", "--noprompt").splitlines()[-1]
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


def test_a_client_may_dial_any_name_of_the_gateways_certificate(house: World) -> None:
    """Its second is an address; the request names it, and the gateway answers to it."""
    with both(gateway_kit(house), client_kit(house, server="192.168.1.1")) as (gateway, client):
        is_in, said = lets_in(gateway, client, CONNECTION)
    assert is_in, said
    assert "authentication of '192.168.1.1' with ECDSA" in said


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


def test_a_key_in_the_tpm_with_one_hash_and_a_pin_signs_as_the_printed_settings_say(
    house: World, scratch: Path
) -> None:
    with managed_tpm() as tpm:
        device = DeviceHomeca(scratch / "device", tpm)
        settings = made_in_tpm(device, house, scratch)
        steps = settings[settings.index("umask") : settings.index("# 2.")]
        tpm.must("sh", "-ec", steps, cwd=scratch)
        client = printed(settings, scratch / "client")
        with both(gateway_kit(house), client, tpm=tpm.environment) as (serving, dialling):
            is_in, said = lets_in(serving, dialling, "carol", child="net")
            assert is_in, said
            house.homeca.must("revoke", scratch / "carol.crt")
            house.homeca.must("crl")
            gateway_kit(house)
            serving.swanctl("--load-creds", "--clear", "--noprompt")
            is_in, said = lets_in(serving, dialling, "carol", child="net")
            assert not is_in
            assert "certificate was revoked" in said


def made_in_tpm(device: DeviceHomeca, house: World, place: Path) -> str:
    """A pair of the device's, and what it is told for strongSwan."""
    (place / "pin").write_text(PIN)
    (place / "pin").chmod(0o600)
    pin = ("--pin", "--pin-file", place / "pin")
    device.must("request", "new", "--subject", "CN=carol", "--one-hash", *pin, cwd=place)
    house.homeca.must("sign", "carol.csr", "--profile", "vpn-client", cwd=place)
    fingerprint = must("openssl", "x509", "-in", house.root, "-noout", "-fingerprint", "-sha256")
    trusted = ("--root", house.root, "--fingerprint", fingerprint.strip())
    device.must("request", "accept", "carol.crt", *trusted, cwd=place)
    return str(device.json("request", "use", "carol", "--for", "strongswan")["configuration"])


def printed(settings: str, place: Path) -> Path:
    """The files that the printed steps make, below `place` instead of /etc."""
    for folder in ("x509", "x509ca", "conf.d"):
        (place / "swanctl" / folder).mkdir(parents=True)
    for copy in re.findall(r"^# +(?:3\. )?(cp .*)$", settings, re.MULTILINE):
        must("sh", "-c", copy.replace("/etc/swanctl", f"{place}/swanctl"))
    conf = settings[settings.index("connections {") :]
    conf = conf.replace("remote_addrs = VPN.EXAMPLE", f"remote_addrs = {GATEWAY}")
    conf = conf.replace("VPN.EXAMPLE", VPN.host).replace("pin = PIN", f"pin = {PIN}")
    (place / "swanctl/conf.d/carol.conf").write_text(conf)
    return place
