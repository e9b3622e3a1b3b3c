"""Units that systemd takes, and that do their work with nobody there."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from pathlib import Path

import pytest

from ca.errors import UsageError
from ca.services.standing.scheduling import UNITS, Plan, quoted, units
from tests.house import House
from tests.interop.homeca import Homeca
from tests.interop.programs import require, run

PIN = "correct horse"


def verified(directory: Path) -> str:
    """What `systemd-analyze verify` has against the units; "" is nothing.

    It loads what they order themselves after, and complains of other packages' units as well.
    """
    done = run("systemd-analyze", "verify", "--man=no", *sorted(directory.iterdir()))
    others = ("/lib/systemd/", "/usr/lib/systemd/", "/etc/systemd/", "/run/systemd/")
    said = [line for line in done.stderr.splitlines() if not line.startswith(others)]
    return "\n".join(said) if done.returncode == 0 else done.stderr or str(done.returncode)


def planned(home: Path, **options: object) -> Plan:
    fields = {"program": ["/bin/true"], "home": home, "is_system": True} | options
    return Plan(**fields)  # type: ignore[arg-type]  # given by name


@pytest.mark.parametrize("is_system", [True, False])
@pytest.mark.parametrize("name", ["home", "my home", '50% "of" $HOME', "back\\slash"])
def test_systemd_takes_the_units_whatever_the_home_is_called(
    tmp_path: Path, name: str, is_system: bool
) -> None:
    plan = planned(tmp_path / name, is_system=is_system, pin=tmp_path / "a pin")
    place = tmp_path / "units"
    place.mkdir()
    for unit, text in units(plan).items():
        (place / unit).write_text(text)
    assert sorted(path.name for path in place.iterdir()) == sorted(UNITS)
    assert verified(place) == ""


def test_systemd_refuses_a_unit_that_is_spoilt(tmp_path: Path) -> None:
    for unit, text in units(planned(tmp_path)).items():
        (tmp_path / unit).write_text(text.replace("ExecStart=", "ExecStart=none "))
    assert verified(tmp_path) != ""


def test_no_path_can_add_a_line_to_a_unit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="control character"):
        units(planned(tmp_path / "x\nExecStart=/bin/evil"))


@pytest.mark.parametrize(
    ("text", "command", "expected"),
    [("a b", False, '"a b"'), ('%"\\', False, '"%%\\"\\\\"'), ("$x", True, '"$$x"')],
)
def test_a_word_is_quoted_as_systemd_reads_it(text: str, command: bool, expected: str) -> None:
    assert quoted(text, is_command=command) == expected


def test_the_pin_is_in_no_unit_and_only_where_it_lies_is(house: House, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)
    said = house.homeca.must("schedule", "--pin-file", pin)
    assert PIN not in said
    assert f"LoadCredential=homeca.pin:{pin}" in said
    said = house.homeca.must("schedule", "--pin-credential", pin)
    assert f"LoadCredentialEncrypted=homeca.pin:{pin}" in said


def test_units_are_installed_and_replace_nothing(house: House, tmp_path: Path) -> None:
    place = tmp_path / "units"
    place.mkdir()
    house.homeca.must("schedule", "--install", place)
    assert verified(place) == ""
    (place / UNITS[0]).write_text("mine")
    done = house.homeca.run("schedule", "--install", place)
    assert (done.returncode, (place / UNITS[0]).read_text()) == (2, "mine")


def test_a_record_that_lies_elsewhere_can_be_written_by_the_unit(
    house: House, tmp_path: Path
) -> None:
    """Locked in without it, no list would be cut until somebody looks."""
    elsewhere = tmp_path / "my data"
    elsewhere.mkdir(mode=0o700)
    (house.home / "homeca.db").rename(elsewhere / "ca.db")
    (house.home / "homeca.toml").write_text(f'database = "sqlite:///{elsewhere}/ca.db"\n')
    said = house.homeca.must("schedule")
    assert said.count(f'ReadWritePaths="{house.home}" "{elsewhere}"\n') == 2
    place = tmp_path / "units"
    place.mkdir()
    house.homeca.must("schedule", "--install", place)
    assert verified(place) == ""


def test_the_units_of_one_ca_never_take_the_place_of_anothers(house: House, tmp_path: Path) -> None:
    other = house.copy(tmp_path / "other").homeca
    place = tmp_path / "units"
    place.mkdir()
    house.homeca.must("schedule", "--install", place)
    before = {path.name: path.read_text() for path in place.iterdir()}

    for force in ((), ("--force",)):
        done = other.run("schedule", "--install", place, *force)
        assert (done.returncode, "--name NAME" in done.stderr) == (2, True)
    other.must("schedule", "--install", place, "--name", "guests")

    assert {name: (place / name).read_text() for name in before} == before
    assert sorted(path.name for path in place.iterdir()) == sorted(
        [*UNITS, *(name.replace("homeca", "guests") for name in UNITS)]
    )
    assert "After=guests-crl.service" in (place / "guests-status.service").read_text()
    assert verified(place) == ""
    house.homeca.must("schedule", "--install", place, "--force")


@pytest.mark.parametrize("name", ["", "a b", "../etc/x", "x" * 65])
def test_a_name_that_no_unit_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no unit can be called"):
        units(planned(tmp_path, prefix=name))


def test_the_unit_runs_as_whoever_the_home_belongs_to_whoever_installs_it(house: House) -> None:
    owner = pwd.getpwuid(os.geteuid()).pw_name
    if owner == "root":
        owner = "nobody"
        nobody = pwd.getpwnam(owner).pw_uid
        for path in (house.home, *house.home.rglob("*")):
            os.chown(path, nobody, -1)
    before = {path: path.stat().st_mtime_ns for path in house.home.rglob("*")}
    done = house.homeca.run("schedule")
    assert (done.returncode, done.stdout.count(f"\nUser={owner}\n")) == (0, 2)
    if owner == "nobody":  # and nothing in it was touched by root
        assert {path: path.stat().st_mtime_ns for path in house.home.rglob("*")} == before


def test_who_installs_units_for_a_user_hears_that_they_rest_without_a_session(
    house: House, tmp_path: Path
) -> None:
    done = house.homeca.run("schedule", "--user", "--install", tmp_path)
    assert (done.returncode, "loginctl enable-linger" in done.stderr) == (0, True)
    done = house.homeca.run("schedule", "--install", tmp_path, "--force")
    assert (done.returncode, "linger" in done.stderr) == (0, False)


# ---------------------------------------------------------------- unattended


@pytest.fixture
def with_pin(tmp_path: Path) -> Homeca:
    """A CA of which both keys have a PIN."""
    require("swtpm")
    (tmp_path / "ca").mkdir()
    homeca = Homeca(tmp_path / "ca/home")
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)
    common = ("--key", "ec-p256", "--pin", "--pin-file", pin)
    homeca.must("init-root", "--name", "Pin", *common)
    homeca.must("init-intermediate", *common)
    return homeca


def started(homeca: Homeca, credentials: Path | None) -> list[int]:
    """The exit status of each command of the unit, run as systemd would."""
    text = homeca.must("schedule", "--pin-file", "/etc/pin")
    unit = text.partition("# ---- homeca-crl.timer")[0]
    lines = [line.removeprefix("ExecStart=") for line in unit.splitlines() if "ExecStart=" in line]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": homeca.environment["PYTHONPATH"]}
    environment |= {"HOMECA_HOME": str(homeca.home), "HOMECA_TPM": "embedded"}
    if credentials is not None:
        environment["CREDENTIALS_DIRECTORY"] = str(credentials)
    return [
        subprocess.run(
            shlex.split(line.removeprefix("-")),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        ).returncode
        for line in lines
    ]


def test_with_the_pin_as_a_credential_the_unit_cuts_what_is_due_and_then_nothing(
    with_pin: Homeca, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "homeca.pin").write_text(PIN)
    assert started(with_pin, credentials) == [0, 0]
    cut = (with_pin.home / "crl/openvpn.pem").read_bytes()
    assert started(with_pin, credentials) == [0, 0]
    assert (with_pin.home / "crl/openvpn.pem").read_bytes() == cut


def test_without_the_credential_the_unit_fails_and_whoever_installs_it_is_warned(
    with_pin: Homeca,
) -> None:
    assert started(with_pin, None) == [0, 2]
    done = with_pin.run("schedule")
    assert "has a PIN" in done.stderr
