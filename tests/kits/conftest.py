"""A house with a VPN server, for kits that need to know one."""

from __future__ import annotations

import pytest

from tests.house import House, make_request

HOST = "vpn.home.arpa"


@pytest.fixture(scope="session")
def common_vpn_house(common_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Nobody changes it."""
    house = common_house.copy(tmp_path_factory.mktemp("vpn") / "house")
    request = make_request(house.place, "vpn", f"DNS:{HOST},IP:192.168.1.1")
    house.homeca.must("sign", request, "--profile", "vpn-server")
    house.homeca.must("crl")
    return house


@pytest.fixture
def vpn_house(common_vpn_house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A copy of it for one test."""
    return common_vpn_house.copy(tmp_path_factory.mktemp("vpn") / "house")
