"""How a refusal reads: two lines for one thing wrong, a list for many, nothing twice."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import run
from tests.house import House, make_request


def test_one_objection_is_said_once_with_both_of_its_codes(house: House) -> None:
    request = make_request(house.place, "wild", "DNS:*.home.arpa")
    said = run(house, "sign", request, "--profile", "tls-server")
    problem, remedy = said.messages.strip().splitlines()[-2:]
    assert said.status == 3
    assert problem.startswith("homeca: 'DNS:*.home.arpa' would stand for everybody's hosts")
    assert problem.endswith("[refused.request, name.wildcard-too-wide]")
    assert remedy.startswith("   try: name the hosts")
    assert said.messages.count("everybody's hosts") == 1


def test_each_of_many_objections_is_said_once_with_its_own_remedy(house: House) -> None:
    request = make_request(house.place, "bank", "DNS:bank.example.com")
    said = run(house, "sign", request, "--profile", "tls-server", "--days", "4000")
    lines = said.messages.strip().splitlines()
    objections = [line for line in lines if line.startswith("   - ")]
    assert said.status == 3
    assert len(objections) >= 3
    assert all(said.messages.count(line.removeprefix("   - ")) == 1 for line in objections)
    assert sum("try:" in line for line in lines) == len(objections)


def test_json_holds_the_rule_of_a_single_objection(house: House) -> None:
    request = make_request(house.place, "wild", "DNS:*.home.arpa")
    said = run(house, "sign", request, "--profile", "tls-server", "--json")
    error = json.loads(said.text)["error"]
    assert error["code"] == "refused.request"
    assert [one["rule"] for one in error["violations"]] == ["name.wildcard-too-wide"]


def test_a_remedy_for_several_names_is_said_once_and_can_be_followed(house: House) -> None:
    """Another root does not go into this home, and a root of one domain is a root of one domain."""
    request = make_request(house.place, "bank", "DNS:a.example.com,DNS:b.example.com")
    (house.home / "homeca.toml").write_text('[names]\npermit_dns = ["example.com"]\n')
    said = run(house, "sign", request, "--profile", "vpn-client", "--subject", "CN=bank")
    assert said.messages.count("[name.constrained]") == 2
    assert said.messages.count("another CA in another --home: `homeca init-root --home DIR ") == 1
    assert "--permit-dns DOMAIN`, with everything it is to certify" in said.messages


@pytest.mark.parametrize("command", ["sign", "request"])
def test_every_bad_name_is_named_at_once(house: House, command: str) -> None:
    own = {"sign": ("laptop.csr", "--profile", "vpn-client", "--force"), "request": ("new",)}
    bad = [f"--san={one}" for one in ("192.168.1.300", "DNS:a b", "DNS:good.home.arpa")]
    said = run(house, command, *own[command], *bad)
    assert said.status != 0
    assert "'192.168.1.300' is no IP address" in said.messages
    assert "'a b' is not a DNS name" in said.messages
    assert "good.home.arpa" not in said.messages
    assert "Traceback" not in said.messages
