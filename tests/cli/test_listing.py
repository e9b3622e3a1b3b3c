"""`homeca list`: which rows, in which form."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from tests.cli.running import on_terminal, run
from tests.house import House


def listed(house: House, *options: str) -> list[dict[str, object]]:
    said = run(house, "list", "--json", *options)
    assert said.status == 0, said.messages
    found: list[dict[str, object]] = json.loads(said.text)["certificates"]
    return found


def stems(rows: list[dict[str, object]]) -> list[str]:
    """CN=laptop.home.arpa → laptop, in the order listed."""
    return [str(row["subject"]).partition("CN=")[2].partition(".home.arpa")[0] for row in rows]


ISSUERS = ["Test Root CA", "Test Intermediate CA 1"]


def test_list_shows_what_is_valid_oldest_first(common_house: House) -> None:
    assert stems(listed(common_house)) == [*ISSUERS, "laptop", "nas", "brief"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--revoked",), ["lost", "parked"]),
        (("--state", "hold"), ["parked"]),
        (("--state", "uncertain"), []),
        (("--expired",), []),
        (("--expiring", "30d"), ["brief"]),
        (("--expiring", "1w", "--profile", "tls-server"), []),
        (("--profile", "tls-server"), ["nas"]),
        (("--issuer", "root"), ISSUERS),
        (("--text", "192.168.1.10"), ["nas"]),
        (("--text", "%"), []),
        (("--all",), [*ISSUERS, "laptop", "nas", "lost", "parked", "brief"]),
    ],
)
def test_list_keeps_to_its_options(
    common_house: House, options: tuple[str, ...], expected: list[str]
) -> None:
    assert stems(listed(common_house, *options)) == expected


def test_list_expiring_puts_the_soonest_first(common_house: House) -> None:
    rows = listed(common_house, "--expiring", "100y")

    assert [str(row["not_after"]) for row in rows] == sorted(str(row["not_after"]) for row in rows)
    assert stems(rows)[0] == "brief"


def test_a_profile_that_is_not_there_is_said(common_house: House) -> None:
    said = run(common_house, "list", "--profile", "nosuch")

    assert said.status == 0
    assert "no profile is called 'nosuch'; there are " in said.messages
    assert "no profile" not in run(common_house, "list", "--profile", "wifi-server").messages


def test_json_says_why_and_since_when_something_is_revoked(common_house: House) -> None:
    lost, parked = listed(common_house, "--revoked")

    assert (lost["state"], lost["reason"]) == ("revoked", "keyCompromise")
    assert (parked["state"], parked["reason"]) == ("on hold", "certificateHold")
    assert str(lost["revoked_at"]).endswith("Z")


def test_a_pipe_gets_tab_separated_columns_with_whole_serials(common_house: House) -> None:
    heading, *rows = run(common_house, "list").text.splitlines()

    assert heading.split("\t") == ["serial", "subject", "names", "profile", "expires", "state"]
    assert {len(row.split("\t")) for row in rows} == {6}
    assert {len(row.split("\t")[0]) for row in rows} == {40}


def test_a_terminal_gets_columns_whose_serials_show_takes(common_house: House) -> None:
    rows = on_terminal(common_house, "list", environment={"NO_COLOR": "1"}).decode().splitlines()

    (laptop,) = [row for row in rows if "laptop.home.arpa" in row]
    short = laptop.split()[0]
    assert len(short) == 16
    assert "CN=laptop.home.arpa" in run(common_house, "show", short).text


@pytest.mark.parametrize("columns", ["80", "40", "20"])
def test_no_terminal_is_so_narrow_that_a_serial_is_broken(
    common_house: House, columns: str
) -> None:
    shown = on_terminal(
        common_house, "list", environment={"NO_COLOR": "1", "COLUMNS": columns}
    ).decode()

    for stem in ("laptop", "nas", "brief"):
        assert common_house.serial(stem)[:16] in shown
    rows = run(common_house, "list").text.splitlines()[1:]
    assert len(re.findall(r"20\d\d-\d\d-\d\d", shown)) == len(rows)


def test_csv_has_a_header_and_whole_times(common_house: House) -> None:
    rows = list(csv.DictReader(io.StringIO(run(common_house, "list", "--csv").text)))

    assert [row["subject"] for row in rows][2] == "CN=laptop.home.arpa"
    assert all(row["expires"].endswith("Z") for row in rows)


def test_list_says_on_stderr_what_it_left_out(common_house: House) -> None:
    said = run(common_house, "list")

    assert "2 revoked" in said.messages
    assert "revoked" not in said.text


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--revoked", "--expired"), 2),
        (("--all", "--expiring", "3d"), 2),
        (("--expiring", "3 fortnights"), 2),
        (("--expiring", "30"), 2),
        (("--csv", "--json"), 2),
        (("--state", "good"), 2),
        (("--issuer", "nobody"), 1),
    ],
)
def test_list_refuses_what_it_cannot_mean(
    common_house: House, options: tuple[str, ...], status: int
) -> None:
    said = run(common_house, "list", *options)

    assert said.status == status
    assert "try:" in said.messages
    assert "certificates" not in said.text


def test_a_home_without_a_ca_is_an_error_with_the_command_that_makes_one(
    common_house: House,
) -> None:
    said = run(common_house, "list", "--home", common_house.place / "nothing", "--json")

    assert said.status == 2
    assert json.loads(said.text)["error"]["code"] == "configuration.no-ca"
    assert "init-root" in said.messages


def test_a_reader_that_goes_away_is_no_error(common_house: House) -> None:
    import subprocess

    done = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1', "sh", *common_house.homeca.argv("list", "--all")],
        env=common_house.homeca.environment,
        cwd=common_house.place,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("serial")
