"""`homeca crl` in all its forms, through the installed program."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from tests.house import House, make_request
from tests.interop.homeca import Homeca
from tests.interop.programs import at_another_time, must, require, run
from tests.interop.world import blocks

# ---------------------------------------------------------------- the directory form


def test_the_directory_names_each_revoked_serial_in_decimal(house: House, tmp_path: Path) -> None:
    place = tmp_path / "revoked"
    house.homeca.must("crl", "--dir", place)
    expected = {str(int(house.serial(stem), 16)) for stem in ("lost", "parked")}
    assert {path.name for path in place.iterdir()} == expected
    assert {path.stat().st_size for path in place.iterdir()} == {0}
    assert place.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o644}


def test_a_release_takes_its_file_away_and_no_other(house: House, tmp_path: Path) -> None:
    place = tmp_path / "revoked"
    house.homeca.must("crl", "--dir", place)
    (place / "123").touch()
    (place / "readme").write_text("mine")
    house.homeca.must("revoke", house.file("parked.crt"), "--reason", "removeFromCRL")
    house.homeca.must("lost", "laptop.home.arpa", "--no-crl")
    said = house.homeca.json("crl", "--dir", place)
    assert (said["revoked"], said["added"], said["removed"]) == (2, 1, 1)
    assert said["strange"] == ["123", "readme"]
    serials = {str(int(house.serial(stem), 16)) for stem in ("lost", "laptop")}
    assert {path.name for path in place.iterdir()} == serials | {"123", "readme"}


def test_a_file_with_something_in_it_is_left_alone(house: House, tmp_path: Path) -> None:
    place = tmp_path / "revoked"
    place.mkdir()
    mine = place / str(int(house.serial("nas"), 16))
    mine.write_text("a note")
    assert house.homeca.json("crl", "--dir", place)["strange"] == [mine.name]
    assert mine.read_text() == "a note"


# ---------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    "options",
    [
        ("--days", "7", "--ladder", "3"),
        ("--step", "7d"),
        ("--ladder", "3", "--step", "184d"),
        ("--ladder", "3", "--step", "10m"),
        ("--advance", "--days", "3"),
        ("--dir", "x", "--ladder", "3"),
        ("--out", "nowhere"),
    ],
)
def test_options_that_contradict_each_other_cut_nothing(
    house: House, options: tuple[str, ...]
) -> None:
    before = (house.home / "crl/openvpn.pem").read_bytes()
    done = house.homeca.run("crl", *options)
    assert (done.returncode, "configuration.usage" in done.stderr) == (2, True)
    assert (house.home / "crl/openvpn.pem").read_bytes() == before


def test_single_lists_are_refused_while_a_ladder_stands(house: House) -> None:
    house.homeca.must("crl", "--ladder", "3")
    done = house.homeca.run("crl", "--days", "7")
    assert (done.returncode, "a ladder stands until" in done.stderr) == (2, True)


def test_the_setting_makes_every_cut_a_ladder(house: House) -> None:
    (house.home / "homeca.toml").write_text("crl_ladder = 5\ncrl_step_days = 10\n")
    made = house.homeca.json("revoke", house.file("nas.crt"), "--crl")["crls"]
    assert len(made[1]["rungs"]) == 5
    assert made[0]["armed_until"] >= made[1]["armed_until"]


@pytest.mark.parametrize("line", ["crl_ladder = 0", 'crl_ladder = "12"', "crl_step_days = 184"])
def test_a_setting_that_cannot_be_is_refused(house: House, line: str) -> None:
    (house.home / "homeca.toml").write_text(line)
    done = house.homeca.run("crl")
    assert (done.returncode, "configuration.settings" in done.stderr) == (2, True)


def test_if_due_cuts_nothing_twice_and_at_once_what_was_revoked(house: House) -> None:
    assert house.homeca.json("crl", "--if-due")["crls"] == []
    house.homeca.must("revoke", house.file("nas.crt"))
    cut = house.homeca.json("crl", "--if-due")["crls"]
    assert [one["issuer"] for one in cut] == ["intermediate-1"], "the root's list stays"
    assert len(blocks(house.home / "crl/openvpn.pem")) == 3, "the root's, the old, the new"
    assert house.homeca.json("crl", "--if-due")["crls"] == []


def test_if_due_cuts_at_once_when_a_reason_became_worse(house: House) -> None:
    house.homeca.must("revoke", house.file("nas.crt"), "--reason", "superseded", "--crl")
    assert house.homeca.json("crl", "--if-due")["crls"] == []
    house.homeca.must("revoke", house.file("nas.crt"), "--reason", "keyCompromise")
    (cut,) = house.homeca.json("crl", "--if-due")["crls"]
    assert cut["issuer"] == "intermediate-1"
    pem = house.home / "crl/intermediate-1.crl.pem"
    listed = must("openssl", "crl", "-in", pem, "-noout", "-text")
    assert "Key Compromise" in listed.partition(house.serial("nas"))[2].partition("Serial")[0]
    assert house.homeca.json("crl", "--if-due")["crls"] == []


@pytest.mark.parametrize("reason", ["unspecified", "certificateHold", "privilegeWithdrawn"])
def test_no_reason_is_due_once_it_is_listed(house: House, reason: str) -> None:
    house.homeca.must("revoke", house.file("nas.crt"), "--reason", reason, "--crl")
    assert house.homeca.json("crl", "--if-due")["crls"] == []


def test_if_due_cuts_again_what_was_lost_from_the_disk(house: House) -> None:
    (house.home / "crl/root.crl.pem").unlink()
    cut = house.homeca.json("crl", "--if-due")["crls"]
    assert [one["issuer"] for one in cut] == ["root"]


# ---------------------------------------------------------------- a root that is elsewhere


@pytest.fixture
def two(tmp_path: Path) -> tuple[Homeca, Homeca]:
    """The home of a root, and that of its intermediate."""
    require("swtpm")
    homes = []
    for name in ("attic", "cellar"):
        (tmp_path / name).mkdir()
        homes.append(Homeca(tmp_path / name / "home"))
    attic, cellar = homes
    request = tmp_path / "intermediate.csr"
    attic.must("init-root", "--name", "Attic", "--key", "ec-p256")
    cellar.must("init-intermediate", "--name", "Attic", "--key", "ec-p256", "--csr-out", request)
    attic.must("init-intermediate", "--sign-request", request)
    (signed,) = tmp_path.glob("intermediate*.crt")
    cellar.must("init-intermediate", "--certificate", signed)
    return attic, cellar


def lacking(homeca: Homeca) -> set[str]:
    found = homeca.run("status", "--json").stdout
    return {rule for rule in ("crl.elsewhere-missing", "crl.elsewhere-due") if rule in found}


def test_the_roots_lists_are_brought_and_stay_in_the_file_for_openvpn(
    two: tuple[Homeca, Homeca], tmp_path: Path
) -> None:
    attic, cellar = two
    attic.must("crl", "--ladder", "3")
    done = cellar.run("crl")
    assert "openvpn.pem has no CRL of O=Attic,CN=Attic Root CA" in done.stderr
    assert lacking(cellar) == {"crl.elsewhere-missing"}
    brought = tmp_path / "root-lists.pem"
    shutil.copy(attic.home / "crl/root.crl.pem", brought)
    cellar.must("crl", "--include", brought)
    assert lacking(cellar) == set()
    joined = cellar.home / "crl/openvpn.pem"
    assert set(blocks(brought)) <= set(blocks(joined))
    done = cellar.run("crl")
    assert "has no CRL" not in done.stderr
    assert set(blocks(brought)) <= set(blocks(joined)), "a later cut keeps them"
    for command in (("check",), ("audit", "verify")):
        done = cellar.run(*command)
        assert done.returncode == 0, done.stdout


def test_an_intermediate_revoked_at_its_root_is_refused_with_the_brought_lists(
    two: tuple[Homeca, Homeca], tmp_path: Path
) -> None:
    attic, cellar = two
    request = make_request(tmp_path, "laptop", "DNS:laptop.home.arpa")
    cellar.must("sign", request, "--profile", "vpn-client")
    certificate = tmp_path / "laptop.crt"

    def verdict() -> str:
        done = run(
            *("openssl", "verify", "-crl_check_all", "-no-CAfile", "-no-CApath"),
            *("-CRLfile", cellar.home / "crl/openvpn.pem"),
            *("-CAfile", cellar.home / "certs/root.pem", "-untrusted", certificate, certificate),
        )
        return done.stdout + done.stderr

    attic.must("crl")
    cellar.must("crl", "--include", attic.home / "crl/root.crl.pem")
    assert verdict().rstrip().endswith("laptop.crt: OK")
    attic.must("revoke", serial_of(cellar), "--reason", "cACompromise", "--crl")
    cellar.must("crl", "--include", attic.home / "crl/root.crl.pem")
    assert "certificate revoked" in verdict()


def serial_in(path: Path) -> str:
    return must("openssl", "x509", "-in", path, "-noout", "-serial").strip().removeprefix("serial=")


def serial_of(home: Homeca) -> str:
    """Of its intermediate's certificate."""
    return serial_in(home.home / "certs/intermediate-1.pem")


def test_an_intermediate_revoked_at_its_root_signs_nothing_more_here(
    two: tuple[Homeca, Homeca], tmp_path: Path
) -> None:
    attic, cellar = two
    laptop = make_request(tmp_path, "laptop", "DNS:laptop.home.arpa")
    phone = make_request(tmp_path, "phone", "DNS:phone.home.arpa")
    cellar.must("sign", laptop, "--profile", "vpn-client")
    attic.must("crl")
    brought = attic.home / "crl/root.crl.pem"
    assert cellar.json("crl", "--include", brought)["retired"] == []
    assert cellar.run("verify", tmp_path / "laptop.crt").returncode == 0
    attic.must("revoke", serial_of(cellar), "--reason", "keyCompromise", "--crl")

    done = cellar.run("crl", "--include", brought)
    assert done.returncode == 0
    assert "CN=Attic Intermediate CA 1 was revoked by its root: it signs nothing" in done.stderr
    assert "Attic Intermediate CA 1: CRL 2" in done.stdout, "its own lists it signs still"
    refused = cellar.run("sign", phone, "--profile", "vpn-client")
    assert refused.returncode != 0
    assert "homeca init-intermediate" in refused.stderr
    (issuer,) = [
        one
        for one in json.loads(cellar.run("status", "--json").stdout)["issuers"]
        if one["slug"] == "intermediate-1"
    ]
    assert issuer["state"] == "revoked"
    assert cellar.json("show", serial_in(tmp_path / "laptop.crt"))["issuer_revoked"] is True
    verified = cellar.run("verify", tmp_path / "laptop.crt")
    assert (verified.returncode, "is on CRL 2 of its issuer" in verified.stderr) == (6, True)
    for command in (("check",), ("audit", "verify")):
        assert cellar.run(*command).returncode == 0
    assert cellar.json("crl", "--include", brought)["retired"] == [], "once is enough"


def test_a_list_that_the_root_did_not_sign_revokes_nothing(
    two: tuple[Homeca, Homeca], tmp_path: Path
) -> None:
    """Put there by somebody who can write to crl/, and has no key."""
    attic, cellar = two
    laptop = make_request(tmp_path, "laptop", "DNS:laptop.home.arpa")
    cellar.must("sign", laptop, "--profile", "vpn-client")
    attic.must("revoke", serial_of(cellar), "--crl")
    good = (attic.home / "crl/root.crl").read_bytes()
    forged = bytes([*good[:-1], good[-1] ^ 1])
    (cellar.home / "crl").mkdir(exist_ok=True)
    text = ssl.DER_cert_to_PEM_cert(forged).replace("CERTIFICATE", "X509 CRL")
    (cellar.home / "crl/root.crl.pem").write_text(text)
    assert cellar.json("show", serial_in(tmp_path / "laptop.crt"))["issuer_revoked"] is False
    verified = cellar.run("verify", tmp_path / "laptop.crt")
    assert (verified.returncode, "bring its lists with" in verified.stderr) == (0, True)
    assert cellar.json("crl", "--include", attic.home / "crl/root.crl")["retired"] == [
        "intermediate-1"
    ]


def test_no_list_of_a_stranger_or_of_yesterday_is_brought(
    two: tuple[Homeca, Homeca], house: House, tmp_path: Path
) -> None:
    attic, cellar = two
    attic.must("crl")
    old = tmp_path / "old.pem"
    shutil.copy(attic.home / "crl/root.crl.pem", old)
    attic.must("crl")
    cellar.must("crl", "--include", attic.home / "crl/root.crl.pem")
    before = (cellar.home / "crl/root.crl.pem").read_bytes()
    for bad, said in (
        (old, "are older than CRL 2"),
        (house.home / "crl/root.crl.pem", "is not by an issuer of this home"),
        (cellar.home / "crl/intermediate-1.crl.pem", "is not by an issuer of this home"),
    ):
        done = cellar.run("crl", "--include", bad)
        assert (done.returncode, said in done.stderr) == (6, True), done.stderr
        assert (cellar.home / "crl/root.crl.pem").read_bytes() == before


def test_neither_an_old_list_nor_a_gap_is_brought_in_company_of_a_new_one(
    two: tuple[Homeca, Homeca], tmp_path: Path
) -> None:
    attic, cellar = two
    published = attic.home / "crl/root.crl.pem"
    attic.must("crl")
    old = blocks(published)
    attic.must("revoke", serial_of(cellar))
    attic.must("crl", "--ladder", "12", "--step", "180d")
    ladder = blocks(published)
    cellar.must("crl", "--include", published)
    before = {path: path.read_bytes() for path in (cellar.home / "crl").glob("root.crl*")}

    for name, lists, said in (
        ("old-and-new", [*old, *ladder[1:]], "are older than CRL 2"),
        ("none-valid", ladder[1:], "is valid yet"),
        ("a-gap", [ladder[0], ladder[3]], "is valid between"),
    ):
        brought = tmp_path / f"{name}.pem"
        brought.write_text("".join(lists))
        done = cellar.run("crl", "--include", brought)
        assert (done.returncode, said in done.stderr) == (6, True), (name, done.stderr)
        assert {path: path.read_bytes() for path in before} == before, name


# ---------------------------------------------------------------- what is said of a ladder


@pytest.mark.parametrize("days", [0, 40])
def test_what_status_says_of_a_ladder_is_what_clients_fetch(house: House, days: int) -> None:
    house.homeca.must("crl", "--ladder", "12")

    def later(*arguments: str) -> str:
        shifted = at_another_time(f"+{days}d") if days else ()
        argv = [*shifted, *Homeca.argv(*arguments)]
        done = subprocess.run(
            argv,
            env=house.homeca.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    later("crl", "--advance")
    told = {one["slug"]: one["crl"] for one in json.loads(later("status", "--json"))["issuers"]}
    for slug in ("root", "intermediate-1"):
        fetched = x509.load_der_x509_crl((house.home / f"crl/{slug}.crl").read_bytes())
        number = fetched.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        ends = fetched.next_update_utc
        assert ends is not None
        assert told[slug]["number"] == number
        assert told[slug]["next_update"] == f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    last = lists_of(house.home / "crl/intermediate-1.crl.pem")[-1].next_update_utc
    assert last is not None
    assert told["intermediate-1"]["armed_until"] == f"{last:%Y-%m-%dT%H:%M:%SZ}"
    text = later("status")
    number = told["intermediate-1"]["number"]
    assert f"CRLs 2 to 13, 2 revoked, {number} is the one now, armed until {last:%Y-%m-%d}" in text


def lists_of(path: Path) -> list[x509.CertificateRevocationList]:
    return [x509.load_pem_x509_crl(block.encode()) for block in blocks(path)]


def test_a_copy_of_a_rung_is_used_until_that_rung_ends(house: House) -> None:
    house.homeca.must("crl", "--ladder", "12")
    first, *_, last = lists_of(house.home / "crl/intermediate-1.crl.pem")
    ends, armed = first.next_update_utc, last.next_update_utc
    assert ends is not None
    assert armed is not None
    said = house.homeca.must("lost", "nas.home.arpa", "--no-crl")
    assert f"a copy may be used until {ends:%Y-%m-%d %H:%M} UTC" in said
    assert f"never before {armed:%Y-%m-%d %H:%M} UTC" in said
