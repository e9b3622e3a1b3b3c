"""`homeca init-root`, `init-intermediate`: refused before anything is made; what is said next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ca.encoding.tsskey import TssKey
from tests.cli.running import run
from tests.house import House, make_request
from tests.interop.homeca import Homeca
from tests.interop.programs import must
from tests.interop.programs import run as program


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


def answered(house: House, away: Homeca) -> tuple[str, str]:
    """What the root's machine says, and the root's SHA-256 as openssl prints it."""
    asked(away)
    signed = run(house, "init-intermediate", "--sign-request", away.home.parent / "an ask.csr")
    root = house.home / "certs/root.pem"
    printed = must("openssl", "x509", "-in", root, "-noout", "-fingerprint", "-sha256")
    return signed.messages, printed.strip().partition("=")[2]


def states(away: Homeca) -> dict[str, str]:
    told = json.loads(away.run("status", "--json").stdout)
    return {one["slug"]: one["state"] for one in told["issuers"]}


def test_the_fingerprint_of_a_root_elsewhere_is_shown_on_both_machines(
    house: House, away: Homeca
) -> None:
    signed, printed = answered(house, away)
    assert f"the root's SHA-256 {printed}" in signed
    taken = away.run("init-intermediate", "--certificate", "an ask.crt")
    assert taken.returncode == 0, taken.stderr
    assert f"SHA-256 {printed}\ncompare it with what `homeca export root" in taken.stderr


def test_a_root_with_another_fingerprint_than_the_one_given_is_refused(
    house: House, away: Homeca
) -> None:
    _, printed = answered(house, away)
    take = ("init-intermediate", "--certificate", "an ask.crt", "--fingerprint")
    wrong = away.run(*take, "ab" * 32)
    assert (wrong.returncode, "ceremony.other-root" in wrong.stderr) == (3, True), wrong.stderr
    assert away.run(*take, "ab" * 20).returncode == 2
    assert states(away) == {"intermediate-1": "pending"}
    away.must(*take, printed)
    assert states(away) == {"root": "active", "intermediate-1": "active"}


def test_a_fingerprint_without_a_certificate_is_refused(away: Homeca) -> None:
    done = away.run("init-intermediate", "--csr-out", "an ask.csr", "--fingerprint", "ab" * 32)
    assert (done.returncode, "--certificate" in done.stderr) == (2, True)
    assert not away.home.exists()


@pytest.mark.parametrize(("typed", "status"), [(b"y\n", 0), (b"n\n", 130), (b"\n", 130)])
def test_on_a_terminal_a_person_compares_the_fingerprint_of_the_root(
    house: House, away: Homeca, typed: bytes, status: int
) -> None:
    _, printed = answered(house, away)
    done = away.on_terminal(typed, "init-intermediate", "--certificate", "an ask.crt")
    assert done.returncode == status, done.stderr
    assert printed in done.stderr
    assert ("root" in states(away)) == (status == 0)


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
    homeca.must(
        *("init-root", "--name", "A", "--key", "ec-p256", "--permit-dns", "home.arpa"),
        *("--pin", "--pin-file", pin),
    )
    both = ("--pin-file", pin, "--new-pin-file", new)
    homeca.must("init-intermediate", "--key", "ec-p256", *both)
    prove = ("prove", "--issuer", "intermediate-1", "--nonce", "00")
    assert homeca.run(*prove, "--pin-file", new).returncode == 0
    assert homeca.run(*prove, "--pin-file", pin).returncode == 4
    requests = [
        make_request(tmp_path, stem, f"DNS:{stem}.home.arpa") for stem in ("phone", "laptop")
    ]
    sign = ("sign", *map(str, requests), "--profile", "vpn-client", "--out", str(tmp_path))
    refused = homeca.run(*sign, "--pin-file", pin)
    assert "2 of 2 requests failed" in refused.stderr
    assert refused.stderr.count("of O=A,CN=A Intermediate CA 1 (keys/intermediate-1.tss)") == 2
    assert homeca.run(*sign, "--pin-file", new).returncode == 0


@pytest.mark.parametrize(
    "step",
    [
        ("init-root", "--name", "A", "--key", "ec-p256"),
        ("init-intermediate", "--name", "A", "--key", "ec-p256", "--csr-out", "i.csr"),
        ("request", "new", "--subject", "CN=x", "--out", "x.csr"),
    ],
    ids=lambda step: step[0],
)
def test_a_file_with_a_pin_gives_the_key_that_is_made_a_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    homeca = Homeca(tmp_path / "home")
    homeca.must(*step, "--pin-file", private(tmp_path / "pin", "correct horse"))
    (key,) = homeca.home.rglob("*.tss")
    assert not TssKey.from_pem(key.read_bytes()).empty_auth


def test_a_pin_that_is_given_and_used_for_nothing_is_said(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / "home")
    homeca.must("init-root", "--name", "A", "--key", "ec-p256")
    pin = private(tmp_path / "pin", "correct horse")
    said = homeca.run("init-intermediate", "--key", "ec-p256", "--pin-file", pin)
    assert "the new key has no PIN" in said.stderr
    assert "--pin gives it one" in said.stderr


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


def test_an_intermediate_without_the_pin_its_root_has_is_warned_of(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / "home")
    pin = private(tmp_path / "pin", "1234")
    homeca.must("init-root", "--name", "A", "--key", "ec-p256", "--pin", "--pin-file", pin)
    make = ("init-intermediate", "--key", "ec-p256", "--pin-file", pin)
    warning = "the new key has no PIN, although the root's has one; --pin gives it one"
    open_one = homeca.run(*make)
    assert (open_one.returncode, open_one.stderr.count(warning)) == (0, 1), open_one.stderr
    with_pin = homeca.run(*make, "--pin")
    assert (with_pin.returncode, warning in with_pin.stderr) == (0, False), with_pin.stderr


def test_a_pin_that_no_key_has_is_not_missed(house: House) -> None:
    made = run(house, "init-intermediate", "--key", "ec-p256")
    assert (made.status, "PIN" in made.messages) == (0, False)


@pytest.mark.parametrize(
    ("permitted", "warned"),
    [(("--permit-ip", "192.168.0.0/16"), True), (("--permit-dns", "home.arpa"), False)],
)
def test_a_root_that_permits_addresses_is_warned_of_before_anything_is_made(
    away: Homeca, permitted: tuple[str, str], warned: bool
) -> None:
    make = ("init-root", "--name", "A", "--key", "ec-p256", *permitted)
    broken_off = away.run(*make, "--tpm", "swtpm:port=1")
    assert broken_off.returncode != 0
    assert ("strongSwan 5.9.8" in broken_off.stderr) is warned
    made = away.run(*make)
    assert made.returncode == 0
    assert ("make the root without --permit-ip" in made.stderr) is warned


def test_the_answer_to_a_request_lies_where_the_help_says(house: House, away: Homeca) -> None:
    asked(away)
    run(house, "init-intermediate", "--sign-request", away.home.parent / "an ask.csr")
    assert (away.home.parent / "an ask.crt").exists()
    said = " ".join(run(house, "init-intermediate", "--help").text.split())
    assert "The answer is put beside it, with the ending .crt." in said


def test_a_renewed_certificate_lies_where_the_help_says(house: House) -> None:
    said = " ".join(run(house, "renew", "--help").text.split())
    assert "beside the certificate that was named, as NAME-renewed.crt" in said
    assert "for a serial number, SERIAL.crt here" in said
    for named in (house.file("laptop.crt"), house.serial("laptop")):
        assert run(house, "renew", named).status == 0
    assert house.file("laptop-renewed.crt").exists()
    assert house.file(f"{house.serial('laptop')}.crt").exists()


def test_a_second_intermediate_is_told_to_bring_its_list_before_it_signs(house: House) -> None:
    made = house.homeca.run("init-intermediate", "--key", "ec-p256")
    assert (made.returncode, "next: `homeca crl`, and bring the lists" in made.stderr) == (0, True)

    house.homeca.must("renew", house.file("nas.crt"), "--out", house.file("next.crt"))
    verify = (
        "openssl", "verify", "-crl_check_all", "-CAfile", house.home / "certs/root.pem",
        "-untrusted", house.home / "certs/intermediate-2.pem",
        "-CRLfile", house.home / "crl/openvpn.pem", house.file("next.crt"),
    )  # fmt: skip
    without = program(*verify)
    assert (without.returncode, "unable to get certificate CRL" in without.stderr) == (2, True)
    house.homeca.must("crl")
    must(*verify)


def test_the_first_intermediate_is_told_to_sign(away: Homeca) -> None:
    away.must("init-root", "--key", "ec-p256", "--permit-dns", "home.arpa")
    made = away.run("init-intermediate", "--key", "ec-p256")
    assert "next: sign a request: `homeca sign" in made.stderr
