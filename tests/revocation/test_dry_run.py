"""`homeca revoke --dry-run`: it says what the command would do, and does none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import House

LATER = "2999-01-01"


def test_a_dry_run_as_json_is_one_document_and_revokes_nothing(house: House) -> None:
    told = house.homeca.json("revoke", house.file("nas.crt"), "--dry-run")
    assert (told["dry_run"], told["revoked"]) == (True, True)
    assert told["serial"] == house.serial("nas")
    assert house.homeca.json("show", house.serial("nas"))["state"] == "valid"


def test_a_dry_run_of_a_release_says_release(house: House) -> None:
    told = house.homeca.run(
        "revoke", house.file("parked.crt"), "--reason", "removeFromCRL", "--dry-run"
    )
    assert "would release" in told.stderr
    assert house.homeca.json("show", house.serial("parked"))["state"] == "on hold"


def test_the_beginning_of_a_serial_that_is_too_short_is_not_said_to_be_unknown(
    house: House,
) -> None:
    short = house.serial("nas")[:6]
    told = house.homeca.run("revoke", short, "--dry-run")
    assert told.returncode == 1
    assert "was not issued by this CA" not in told.stderr
    assert f"`homeca show {short}`" in told.stderr
    assert house.serial("nas") in house.homeca.must("show", short)


@pytest.mark.parametrize(
    ("certificate", "options"),
    [
        ("home/certs/root.pem", ()),
        ("nas.crt", ("--when", LATER)),
        ("nas.crt", ("--when", "0226-11-01")),
        ("lost.crt", ()),
        ("nas.crt", ("--reason", "removeFromCRL")),
        ("parked.crt", ("--reason", "certificateHold")),
    ],
    ids=["a root", "a date to come", "a slip", "revoked", "not on hold", "on hold"],
)
def test_a_dry_run_refuses_what_the_command_would_refuse(
    house: House, certificate: str, options: tuple[str, ...]
) -> None:
    path: Path = house.place / certificate
    dry = house.homeca.run("revoke", path, *options, "--dry-run")
    assert (dry.returncode, "refused.revocation" in dry.stderr) == (3, True)
    assert house.homeca.run("revoke", path, *options).stderr == dry.stderr


def test_a_reason_that_becomes_worse_is_said_to_before_and_after(house: House) -> None:
    homeca = house.homeca
    homeca.must("revoke", house.file("nas.crt"), "--reason", "superseded")
    since = homeca.json("show", house.serial("nas"))["revoked_at"][:10]
    change = f"{house.serial('nas')} CN=nas.home.arpa, revoked since {since}, from superseded to"
    command = ("revoke", house.file("nas.crt"), "--reason", "keyCompromise")

    dry = homeca.run(*command, "--dry-run")
    assert dry.stderr == f"would change {change} keyCompromise; nothing was changed\n"

    assert homeca.must(*command) == f"changed {change} keyCompromise\n"
    again = homeca.run(*command)
    assert (again.returncode, "for 'keyCompromise'" in again.stderr) == (3, True)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_a_time_that_no_clock_shows_is_a_mistake_of_the_command(house: House, moment: str) -> None:
    done = house.homeca.run("revoke", house.file("nas.crt"), "--when", moment)
    assert (done.returncode, "is not a time" in done.stderr) == (2, True)


def test_a_revocation_that_cuts_says_what_was_cut_and_where_it_goes(house: House) -> None:
    done = house.homeca.run("revoke", house.file("nas.crt"), "--crl")
    assert "O=Test,CN=Test Intermediate CA 1: CRL 2\n" in done.stdout
    assert done.stderr == (
        f"next: copy {house.home / 'crl/openvpn.pem'} to your VPN servers, whole\n"
    )
