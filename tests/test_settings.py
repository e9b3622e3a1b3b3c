"""homeca.toml is taken whole or not at all, and every fault is named with its line."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import SettingsMalformed
from ca.home import Home
from ca.names.showing import visible
from ca.permitted import NamePolicy
from ca.settings import HOME_NETWORKS, HOME_TREES, MAX_SIZE, Settings, read_settings
from ca.wiring.opening import open_settings

WHOLE = b"""\
base_url = "http://ca.home.arpa/"
tpm = "device:/dev/tpmrm0"
database = "postgresql://ca@db/ca"
crl_days = 14

[names]
permit_dns = ["home.arpa", "Example.ORG"]
permit_ip = ["192.168.0.0/16", "fd00::/8"]
exceptions = ["vpn.example.net", "203.0.113.7", "me@example.net", "*.lab.example.net"]
"""


def test_every_key_is_read() -> None:
    assert read_settings(WHOLE) == Settings(
        base_url="http://ca.home.arpa",
        tpm="device:/dev/tpmrm0",
        database="postgresql://ca@db/ca",
        crl_days=14,
        permit_dns=("home.arpa", "example.org"),
        permit_ip=(ip_network("192.168.0.0/16"), ip_network("fd00::/8")),
        exceptions=(
            "DNS:vpn.example.net",
            "IP:203.0.113.7",
            "email:me@example.net",
            "DNS:*.lab.example.net",
        ),
    )


def test_an_empty_file_is_a_home_without_settings() -> None:
    assert read_settings(b"") == read_settings(b"\xef\xbb\xbf# nothing\n") == Settings()
    assert Settings().permit_dns == HOME_TREES
    assert NamePolicy.from_settings(Settings()) == NamePolicy()
    assert NamePolicy().permitted_ip == HOME_NETWORKS


def test_the_settings_decide_which_names_may_be_certified() -> None:
    policy = NamePolicy.from_settings(read_settings(WHOLE))
    assert policy.permitted_dns == ("home.arpa", "example.org")
    assert "DNS:vpn.example.net" in policy.exceptions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permit_dsn = []", "line 1: 'permit_dsn' is not a setting"),
        ("\ncrl_day = 3", "line 2: 'crl_day' is not a setting; did you mean 'crl_days'?"),
        ("[names]\n\npermit_dsn = []", "line 3: 'names.permit_dsn' is not a setting; did you mean"),
        ("[name]\n", "line 1: 'name' is not a setting; did you mean 'names'?"),
        ("names = 3", "must be a table"),
        ("crl_days = '3'", "line 1: 'crl_days' must be a number"),
        ("crl_days = true", "must be a number"),
        ("crl_days = 0", "from 1 to 366"),
        ("crl_days = 367", "from 1 to 366"),
        ("base_url = 'https://ca.home.arpa'", "not a plain http:// URL"),
        ("base_url = 'http://ca.home.arpa/a b'", "not a plain http:// URL"),
        ("base_url = 3", "must be a text"),
        ("tpm = ''", "must be a text"),
        ("tpm = 'a\\nb'".replace("'", '"'), "control or hidden"),
        ("[names]\npermit_dns = 'lan'", "must be a list"),
        ("[names]\npermit_dns = [3]", "must be a list"),
        ("[names]\npermit_dns = ['a b']", "line 2: 'names.permit_dns'"),
        ("[names]\npermit_dns = ['*.lan']", "not a label"),
        ("[names]\npermit_ip = ['192.168.1.1/16']", "not an IP network"),
        ("[names]\npermit_ip = ['lan']", "not an IP network"),
        ("[names]\nexceptions = ['a b']", "line 2: 'names.exceptions'"),
        ("a = 1\na = 2", "line 2"),
        ("this is no toml", "line 1"),
        ("[names", "line 1"),
        ("x = " + "[" * 5000, "homeca.toml"),
        ("\x1b[31m = 3", "homeca.toml"),
        ('"\\u001b[31m" = 3', "is not a setting"),
    ],
)
def test_a_fault_is_named_with_its_line_and_key(text: str, said: str) -> None:
    with pytest.raises(SettingsMalformed) as error:
        read_settings(text.encode())
    assert said in error.value.problem
    assert visible(error.value.problem) == error.value.problem


def test_all_faults_are_named_at_once_and_nothing_is_used() -> None:
    with pytest.raises(SettingsMalformed) as error:
        read_settings(b"crl_days = 0\nbase_url = 1\n[names]\npermit_dsn = []\npermit_ip = ['x']\n")
    for said in ("crl_days", "base_url", "names.permit_dsn", "names.permit_ip"):
        assert said in error.value.problem


@pytest.mark.parametrize("octets", [b"\xff\xfe", b"a = '\xff'", b"#" * 70000])
def test_what_is_no_settings_file_is_refused(octets: bytes) -> None:
    with pytest.raises(SettingsMalformed):
        read_settings(octets)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_octets_are_settings_or_a_settings_error(octets: bytes) -> None:
    try:
        assert isinstance(read_settings(octets), Settings)
    except SettingsMalformed as error:
        assert visible(error.problem) == error.problem  # noqa: PT017 - comments are settings too


def test_a_home_without_settings_has_the_defaults(tmp_path: Path) -> None:
    assert open_settings(Home(tmp_path)) == Settings()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["directory", "pipe", "endless", "nowhere", "long"])
def test_what_is_no_file_of_settings_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    settings = tmp_path / "homeca.toml"
    match kind:
        case "directory":
            settings.mkdir()
        case "pipe":
            os.mkfifo(settings)
        case "endless":
            settings.symlink_to("/dev/zero")
        case "nowhere":
            settings.symlink_to(tmp_path / "nowhere")
        case "long":
            settings.write_bytes(b"#" * (MAX_SIZE + 1))
    with pytest.raises(SettingsMalformed, match=r"homeca\.toml"):
        open_settings(Home(tmp_path))


def test_a_file_of_nothing_but_faults_is_refused_soon_and_shortly() -> None:
    octets = "".join(f"key_{number} = 1\n" for number in range(5000)).encode()
    with pytest.raises(SettingsMalformed) as refused:
        read_settings(octets)
    said = refused.value.problem
    assert "'key_0'" in said
    assert said.count("is not a setting") == 20
    assert said.endswith("and more")
