"""Houses for kits, made by the first worker that needs them and copied by whoever changes one."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable

import pytest

from ca.kits.kinds import KINDS, SERVER, Need
from tests.house import House, make_request

HOST = "vpn.home.arpa"

#: What each kind needs on the command line, beyond NAME and --for.
NEEDED: dict[str, tuple[str, ...]] = {
    **{kind: ("--server", HOST) if about.dials else () for kind, about in KINDS.items()},
    "wifi": ("--server", HOST, "--ssid", "Home"),
}


def arguments(kind: str, house: House) -> list[str]:
    """The command that makes such a kit in this house, without --out."""
    about = KINDS[kind]
    device = [HOST] if about.purpose == SERVER else ["laptop.home.arpa"]
    if about.need is Need.NOTHING:
        device = []
    key = ["--pkcs12", str(house.file("laptop.key"))] if KINDS[kind].pkcs12 == "must" else []
    return ["kit", *device, "--for", kind, *NEEDED[kind], *key]


def made_once(
    factory: pytest.TempPathFactory, name: str, source: House, build: Callable[[House], None]
) -> House:
    """A copy of `source` that one worker builds on, and the others wait for."""
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    place = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "whole").exists():
            shutil.rmtree(place, ignore_errors=True)
            house = source.copy(place)
            (place / "whole").unlink(missing_ok=True)
            build(house)
            (place / "whole").touch()
    return House(place)


@pytest.fixture(scope="session")
def common_vpn_house(common_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house with a VPN server. Nobody changes it."""

    def build(house: House) -> None:
        request = make_request(house.place, "vpn", f"DNS:{HOST},IP:192.168.1.1")
        house.homeca.must("sign", request, "--profile", "vpn-server")
        house.homeca.must("crl")

    return made_once(tmp_path_factory, "vpn-house", common_house, build)


@pytest.fixture
def vpn_house(common_vpn_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A copy of it for one test."""
    return common_vpn_house.copy(tmp_path_factory.mktemp("vpn") / "house")


@pytest.fixture(scope="session")
def kits(common_vpn_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house that has made every kit once, into directories called as their kinds."""

    def build(house: House) -> None:
        for kind in KINDS:
            house.homeca.must(*arguments(kind, house), "--out", house.file(kind))

    return made_once(tmp_path_factory, "kits-house", common_vpn_house, build)
