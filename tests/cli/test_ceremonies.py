"""`homeca init-root`, `init-intermediate`: refused before anything is made; what is said next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import run
from tests.house import House
from tests.interop.homeca import Homeca


@pytest.fixture
def away(tmp_path: Path) -> Homeca:
    """A home on another machine that has no CA yet, and a blank in its path."""
    place = tmp_path / "far away"
    place.mkdir()
    return Homeca(place / "home")


def asked(away: Homeca, request: str = "an ask.csr") -> str:
    """What the intermediate's machine says after --csr-out."""
    done = away.run("init-intermediate", "--key", "ec-p256", "--csr-out", request)
    assert done.returncode == 0, done.stderr
    return done.stderr


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("there", ["file", "link to nothing", "no directory"])
def test_a_request_that_has_no_place_leaves_no_key_and_no_home(away: Homeca, there: str) -> None:
    request = away.home.parent / ("none/ask.csr" if there == "no directory" else "ask.csr")
    if there == "file":
        request.touch()
    elif there == "link to nothing":
        request.symlink_to("nothing")
    done = away.run("init-intermediate", "--csr-out", request)
    assert done.returncode == 2
    assert "--force" not in done.stderr
    assert not away.home.exists()


def test_an_answer_that_has_no_place_is_not_signed(house: House, away: Homeca) -> None:
    asked(away)
    answer = away.home.parent / "an ask.crt"
    answer.touch()
    sign = ("init-intermediate", "--sign-request", away.home.parent / "an ask.csr")
    before = house.homeca.json("status")["issuers"]
    assert run(house, *sign).status == 2
    assert house.homeca.json("status")["issuers"] == before
    answer.unlink()
    assert run(house, *sign).status == 0


def test_each_machine_is_told_the_command_of_the_next_as_its_shell_takes_it(
    house: House, away: Homeca
) -> None:
    told = asked(away)
    assert "`homeca init-intermediate --sign-request 'an ask.csr'` there" in told
    assert "`homeca init-intermediate --certificate 'an ask.crt'` here" in told

    request = away.home.parent / "an ask.csr"
    signed = run(house, "init-intermediate", "--sign-request", request).messages
    assert "`homeca init-intermediate --certificate 'an ask.crt'` there" in signed
    assert "homeca sign" not in signed

    taken = away.run("init-intermediate", "--certificate", "an ask.crt")
    assert "`homeca sign request.csr" in taken.stderr


def test_the_root_of_another_home_is_shown_with_the_kind_of_its_key(
    house: House, away: Homeca
) -> None:
    asked(away)
    run(house, "init-intermediate", "--sign-request", away.home.parent / "an ask.csr")
    away.must("init-intermediate", "--certificate", "an ask.crt")
    (line,) = (one for one in away.run("status").stdout.splitlines() if "not here" in one)
    assert "active, ec-p256, its key is not here" in line
    assert not away.json("check")["findings"]


def test_a_wrong_pin_is_said_to_be_the_roots_and_leaves_no_file(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / "home")
    pin, wrong = private(tmp_path / "pin", "1234"), private(tmp_path / "wrong", "4321")
    homeca.must("init-root", "--name", "A", "--key", "ec-p256", "--pin", "--pin-file", pin)
    make = ("init-intermediate", "--key", "ec-p256")
    files = {path for path in homeca.home.rglob("*") if path.parent.name in ("keys", "certs")}
    done = homeca.run(*make, "--pin-file", wrong)
    assert done.returncode == 4
    assert "the PIN of O=A,CN=A Root CA (keys/root.tss)" in done.stderr
    after = {path for path in homeca.home.rglob("*") if path.parent.name in ("keys", "certs")}
    assert after == files


def test_an_intermediate_has_a_pin_of_its_own_without_a_terminal(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / "home")
    pin, new = private(tmp_path / "pin", "1234"), private(tmp_path / "new", "5678")
    homeca.must("init-root", "--name", "A", "--key", "ec-p256", "--pin", "--pin-file", pin)
    both = ("--pin-file", pin, "--new-pin-file", new)
    homeca.must("init-intermediate", "--key", "ec-p256", *both)
    prove = ("prove", "--issuer", "intermediate-1", "--nonce", "00")
    assert homeca.run(*prove, "--pin-file", new).returncode == 0
    assert homeca.run(*prove, "--pin-file", pin).returncode == 4


def test_a_step_that_makes_no_key_takes_no_new_pin(house: House, tmp_path: Path) -> None:
    new = private(tmp_path / "new", "5678")
    done = run(house, "init-intermediate", "--give-up", "intermediate-1", "--new-pin-file", new)
    assert done.status == 2
    assert "makes no key" in done.messages


@pytest.mark.parametrize("name", ["", " "])
@pytest.mark.parametrize("command", ["init-root", "init-intermediate"])
def test_a_ca_without_a_name_is_refused(away: Homeca, command: str, name: str) -> None:
    done = away.run(command, "--name", name, "--key", "ec-p256")
    assert (done.returncode, "--name" in done.stderr) == (2, True)
    assert not away.home.exists()
