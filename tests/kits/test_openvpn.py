"""Real OpenVPN with the server's and the client's kit, on loopback without a tunnel device.

Only the lines about the tunnel and the address are replaced; all that decides who comes in stays.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import House, make_request
from tests.interop.vpn import Address, Peer, free_address, peer
from tests.kits.conftest import HOST

_TUNNEL = (
    "dev",
    "topology",
    "server",
    "port",
    "proto",
    "remote",
    "keepalive",
    "resolv-retry",
    "explicit-exit-notify",
)
_IN = r"Peer Connection Initiated with"
_OUT = r"VERIFY (?:KU |EKU |X509NAME )?ERROR|TLS Error: |SIGUSR1\[soft,tls-error\]"


def without_tunnel(config: Path) -> Path:
    """A copy beside it that opens no device; says what it left out by leaving nothing else out."""
    kept: list[str] = []
    dropped: list[str] = []
    for line in config.read_text().splitlines():
        word = line.split(" ")[0]
        (dropped if word in _TUNNEL or line == "client" else kept).append(line)
    assert dropped
    copy = config.with_name(f"test-{config.name}")
    copy.write_text("\n".join(kept) + "\n")
    return copy


def server_kit(house: House, *, force: bool = False) -> Path:
    place = house.file("server")
    more = ("--force",) if force else ()
    house.homeca.must("kit", HOST, "--for", "openvpn-server", "--out", place, *more)
    shutil.copy(house.file("vpn.key"), place / f"{HOST}.key")
    return place


def client_kit(house: House, stem: str = "laptop", *more: str) -> Path:
    place = house.file(f"client-{stem}")
    name = f"{stem}.home.arpa"
    arguments = ("--for", "openvpn-file", "--server", HOST, "--out", str(place), *more)
    house.homeca.must("kit", name, *arguments)
    shutil.copy(house.file(f"{stem}.key"), place / f"{name}.key")
    return place / f"{name}.ovpn"


@contextlib.contextmanager
def serving(place: Path, address: Address) -> Iterator[Peer]:
    options: dict[str, str | Path] = {
        "cd": place,
        "config": without_tunnel(place / "server.conf").name,
        "proto": "tcp-server",
        "local": address.host,
        "port": str(address.port),
        "tls-server": "",
    }
    with peer(place / "server.log", options) as started:
        started.wait_for(r"Listening for incoming TCP connection")
        yield started


def dial(ovpn: Path, address: Address, started: Peer, **more: str) -> tuple[bool, str]:
    """Whether the client gets in, and what both said."""
    options: dict[str, str | Path] = {
        "cd": ovpn.parent,
        "config": without_tunnel(ovpn).name,
        "proto": "tcp-client",
        "remote": f"{address.host} {address.port}",
        "tls-client": "",
        "connect-retry-max": "1",
        **more,
    }
    before = len(started.text())
    with peer(ovpn.with_suffix(".log"), options) as dialling:
        dialling.wait_for(f"{_IN}|{_OUT}|Exiting due to fatal error|TLS handshake failed")
        with contextlib.suppress(BaseException):
            if re.search(_IN, dialling.text()):
                started.wait_for(f"{_IN}|{_OUT}")
    said = (started.text()[before:], dialling.text())
    return all(re.search(_IN, one) for one in said), "\n".join(said)


def test_a_client_kit_and_a_server_kit_shake_hands(vpn_house: House) -> None:
    address = free_address()
    ovpn = client_kit(vpn_house)
    with serving(server_kit(vpn_house), address) as started:
        is_in, said = dial(ovpn, address, started)
    assert is_in, said
    assert said.count("VERIFY EKU OK") == 2
    assert "VERIFY X509NAME OK: CN=vpn.home.arpa" in said
    assert "WARNING" not in re.sub(r"WARNING: .*(?:file|cached|cipher|--ping).*", "", said)


def test_a_server_kit_refuses_a_client_that_was_revoked(vpn_house: House) -> None:
    """ "parked" is on hold: its certificate is good in every other way."""
    ovpn = client_kit(vpn_house)
    parked = vpn_house.file("parked.crt").read_text()
    text = ovpn.read_text()
    begin, end = text.index("<cert>") + len("<cert>\n"), text.index("</cert>")
    ovpn.write_text(text[:begin] + parked + text[end:])
    shutil.copy(vpn_house.file("parked.key"), ovpn.parent / "laptop.home.arpa.key")
    address = free_address()
    with serving(server_kit(vpn_house), address) as started:
        is_in, said = dial(ovpn, address, started)
    assert not is_in
    assert "certificate revoked" in said


def test_a_client_kit_refuses_a_server_of_another_name(vpn_house: House) -> None:
    """The same CA, a good server certificate, another machine."""
    request = make_request(vpn_house.place, "other", "DNS:other.home.arpa")
    vpn_house.homeca.must("sign", request, "--profile", "vpn-server")
    place = server_kit(vpn_house)
    shutil.copy(vpn_house.file("other.crt"), place / f"{HOST}.crt")
    shutil.copy(vpn_house.file("other.key"), place / f"{HOST}.key")
    address = free_address()
    with serving(place, address) as started:
        is_in, said = dial(client_kit(vpn_house), address, started)
    assert not is_in
    assert "VERIFY X509NAME ERROR" in said


def test_a_client_kit_refuses_a_client_that_plays_the_server(vpn_house: House) -> None:
    place = server_kit(vpn_house)
    shutil.copy(vpn_house.file("brief.crt"), place / f"{HOST}.crt")
    shutil.copy(vpn_house.file("brief.key"), place / f"{HOST}.key")
    address = free_address()
    with serving(place, address) as started:
        is_in, said = dial(client_kit(vpn_house), address, started)
    assert not is_in
    assert "unsuitable certificate purpose" in said


def test_a_client_with_a_pkcs12_kit_gets_in(vpn_house: House) -> None:
    password = vpn_house.file("password")
    password.write_text("a long password\n")
    password.chmod(0o600)
    key = vpn_house.file("laptop.key")
    ovpn = client_kit(
        vpn_house, "laptop", "--pkcs12", str(key), "--pkcs12-password-file", str(password)
    )
    (ovpn.parent / "laptop.home.arpa.key").unlink()
    address = free_address()
    with serving(server_kit(vpn_house), address) as started:
        is_in, said = dial(ovpn, address, started, askpass=str(password))
    assert is_in, said


def test_the_new_crl_of_a_kit_keeps_out_whom_it_revokes(vpn_house: House) -> None:
    address = free_address()
    ovpn = client_kit(vpn_house)
    place = server_kit(vpn_house)
    with serving(place, address) as started:
        is_in, said = dial(ovpn, address, started)
    assert is_in, said
    vpn_house.homeca.must("revoke", vpn_house.file("laptop.crt"), "--reason", "superseded")
    vpn_house.homeca.must("crl")
    with serving(server_kit(vpn_house, force=True), address) as started:
        is_in, said = dial(ovpn, address, started)
    assert not is_in
    assert "certificate revoked" in said


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a'b; #c", "jürgen $(x) `y`"])
def test_openvpn_reads_a_hostile_server_name_as_one_value(vpn_house: House, name: str) -> None:
    """It gets as far as comparing the name, and then refuses: so nothing in it was an option."""
    from ca.kits.quoting import openvpn

    ovpn = client_kit(vpn_house)
    text = ovpn.read_text()
    ovpn.write_text(text.replace(f'"{HOST}" name', f"{openvpn(name)} name"))
    address = free_address()
    with serving(server_kit(vpn_house), address) as started:
        is_in, said = dial(ovpn, address, started)
    assert not is_in
    assert f"must be {name}" in said
