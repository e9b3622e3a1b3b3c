"""`homeca lost`: everything of a device goes at once, and nothing of another."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from ca.errors import ClockSuspect, NotFound, RevocationRefused
from ca.interfaces.revocation import Reason
from ca.services.crl.cutting import cut_crls
from ca.services.revocation.lost import certificates_of, lose
from ca.services.revocation.revoking import revoke
from ca.services.standing.ca import standing
from tests.house import House, make_request
from tests.interop.homeca import Homeca
from tests.interop.programs import must, run
from tests.services.rig import CRL_DAYS, Rig, cut, issue_one, serials


def revoked_by(house: House, *arguments: str | Path) -> set[str]:
    made = house.homeca.json("lost", *arguments)
    return {one["serial"] for one in made["revoked"]}


def refused_by_openssl(house: House, stem: str) -> bool:
    """With all lists of the file for OpenVPN, as a server would ask."""
    done = run(
        *("openssl", "verify", "-crl_check_all", "-no-CAfile", "-no-CApath"),
        *("-CRLfile", house.home / "crl/openvpn.pem", "-CAfile", house.home / "certs/root.pem"),
        *("-untrusted", house.file(f"{stem}.crt"), house.file(f"{stem}.crt")),
    )
    return "certificate revoked" in done.stderr


def test_the_old_certificate_of_a_renewed_device_goes_with_the_new_one(house: House) -> None:
    house.homeca.must("renew", house.file("brief.crt"), "--out", house.file("brief-2.crt"))
    both = {house.serial("brief"), house.serial("brief-2")}
    assert revoked_by(house, "brief.home.arpa") == both
    assert refused_by_openssl(house, "brief")
    assert refused_by_openssl(house, "brief-2")
    assert not refused_by_openssl(house, "laptop")


def test_a_device_with_a_new_key_is_lost_with_its_old_one(house: House) -> None:
    place = house.place / "again"
    place.mkdir()
    request = make_request(place, "laptop", "DNS:laptop.home.arpa")
    house.homeca.must(
        "sign", request, "--profile", "vpn-client", "--out", house.file("laptop-2.crt")
    )
    both = {house.serial("laptop"), house.serial("laptop-2")}
    assert revoked_by(house, "laptop.home.arpa") == both


@pytest.mark.parametrize("called", ["192.168.1.10", "IP:192.168.1.10", "DNS:NAS.home.arpa."])
def test_a_device_is_known_by_any_of_its_names(house: House, called: str) -> None:
    assert revoked_by(house, called, "--no-crl") == {house.serial("nas")}


def test_a_device_is_known_by_a_certificate_or_a_serial_of_it(house: House) -> None:
    assert revoked_by(house, house.file("nas.crt"), "--no-crl") == {house.serial("nas")}
    assert revoked_by(house, house.serial("laptop"), "--no-crl") == {house.serial("laptop")}


def test_half_a_name_revokes_nothing_and_is_told_the_whole(house: House) -> None:
    done = house.homeca.run("lost", "laptop")
    assert done.returncode == 1
    assert "no device is called 'laptop' [not-found]" in done.stderr
    assert "laptop.home.arpa" in done.stderr
    assert not refused_by_openssl(house, "laptop")


def test_no_issuer_is_lost_by_its_name(house: House) -> None:
    for name in ("Test Root CA", "Test Intermediate CA 1"):
        done = house.homeca.run("lost", name)
        assert (done.returncode, "not-found" in done.stderr) == (1, True)


def test_what_goes_only_because_of_its_key_is_said(house: House) -> None:
    """The key of laptop.home.arpa has a certificate by another name as well."""
    other = house.file("other.csr")
    key = house.file("laptop.key")
    must(
        "openssl", "req", "-new", "-key", key, "-out", other,
        "-subj", "/CN=other.home.arpa", "-addext", "subjectAltName=DNS:other.home.arpa",
    )  # fmt: skip
    house.homeca.must("sign", other, "--profile", "vpn-client")

    for device in ("laptop.home.arpa", house.file("laptop.crt"), house.serial("laptop")):
        shown = house.homeca.must("lost", device, "--dry-run").splitlines()
        assert [line.endswith(", for it has the same key") for line in shown] == [False, True]
        assert "other.home.arpa" in shown[1]
    made = house.homeca.json("lost", "laptop.home.arpa", "--no-crl")
    assert [one["by_key_only"] for one in made["revoked"]] == [False, True]


def test_a_device_on_hold_is_lost_for_good(house: House) -> None:
    assert revoked_by(house, "parked.home.arpa") == {house.serial("parked")}
    done = house.homeca.run("revoke", house.file("parked.crt"), "--reason", "removeFromCRL")
    assert "revoked for good" in done.stderr


def test_a_device_that_is_lost_already_is_said_to_be(house: House) -> None:
    done = house.homeca.run("lost", "lost.home.arpa")
    assert (done.returncode, "its one is revoked or expired" in done.stderr) == (1, True)
    assert "nothing needs doing" in done.stderr


def test_a_device_that_was_only_replaced_is_told_how_to_block_its_key(house: House) -> None:
    house.homeca.must("revoke", house.file("laptop.crt"), "--reason", "superseded")
    done = house.homeca.run("lost", "laptop.home.arpa")
    command = f"homeca revoke {house.serial('laptop')} --reason keyCompromise"
    assert (done.returncode, f"`{command}`" in done.stderr) == (1, True)
    house.homeca.must(*command.split()[1:])
    assert "nothing needs doing" in house.homeca.run("lost", "laptop.home.arpa").stderr


def test_the_key_of_a_lost_device_is_never_certified_again(house: House) -> None:
    house.homeca.must("lost", "laptop.home.arpa", "--no-crl")
    done = house.homeca.run(
        "sign", house.file("laptop.csr"), "--profile", "vpn-client", "--out", house.file("x.crt")
    )
    assert (done.returncode, "blocked for ever" in done.stderr) == (3, True)


def test_a_dry_run_shows_and_changes_nothing(house: House) -> None:
    said = house.homeca.must("lost", "laptop.home.arpa", "--dry-run")
    assert house.serial("laptop") in said
    assert not refused_by_openssl(house, "laptop")
    assert revoked_by(house, "laptop.home.arpa", "--no-crl") == {house.serial("laptop")}


def test_a_dry_run_as_json_is_one_document_of_what_would_go(house: House) -> None:
    told = house.homeca.json("lost", "laptop.home.arpa", "--dry-run")
    assert told["dry_run"] is True
    assert [one["serial"] for one in told["would_revoke"]] == [house.serial("laptop")]
    assert not refused_by_openssl(house, "laptop")


def test_an_issuer_is_said_to_be_one_and_no_lost_device(house: House) -> None:
    told = house.homeca.run("lost", house.home / "certs/intermediate-1.pem", "--dry-run")
    assert told.returncode == 1
    assert "is an issuer of this CA, not a device" in told.stderr
    assert "nothing needs doing" not in told.stderr


def test_who_refuses_it_is_told_for_each_purpose_of_the_device(house: House) -> None:
    phone = house.homeca.must("lost", "laptop.home.arpa", "--no-crl")
    assert "OpenVPN" in phone
    assert "http://ca.home.arpa/intermediate-1.crl" in phone
    # what tests/interop/test_strongswan.py shows of it, and what only a restart does
    assert "swanctl --load-creds --clear" in " ".join(phone.split())
    assert "were restarted" in " ".join(phone.split())
    # what tests/interop/test_servers.py shows
    assert "Mosquitto, PostgreSQL or MariaDB stays" in " ".join(phone.split())
    # Postfix has no setting for lists, and Caddy none either
    assert "as Caddy and Postfix: never" in " ".join(phone.split())
    server = house.homeca.must("lost", "nas.home.arpa", "--no-crl")
    assert "OpenVPN" not in server
    assert "Postfix" not in server
    assert "clients that connect to it" in server


def test_a_ladder_that_stands_is_recut_whole(house: House) -> None:
    made = house.homeca.json("crl", "--ladder", "4", "--step", "20d")
    again = house.homeca.json("lost", "laptop.home.arpa")
    assert len(again["crls"][1]["rungs"]) >= 4
    assert again["crls"][1]["armed_until"] >= made["crls"][1]["armed_until"]
    assert again["crls"][1]["entries"] == 3


# ---------------------------------------------------------------- one commit


def test_when_one_cannot_be_revoked_none_is(rig: Rig) -> None:
    one, other = issue_one(rig, "one"), issue_one(rig, "other")
    with rig.facility() as facility:
        revoke(other, Reason.SUPERSEDED, facility)
        with pytest.raises(RevocationRefused, match="for good"):
            lose([one, other], Reason.KEY_COMPROMISE, facility)
    assert serials(cut(rig)) == {other.serial}


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("lost", "laptop.home.arpa"), "the loss of 1 certificate"),
        (("revoke", "laptop.crt", "--crl"), "the revocation"),
    ],
)
def test_a_revocation_whose_lists_cannot_be_cut_is_said_to_be_recorded(
    house: House, command: tuple[str, ...], what: str
) -> None:
    (house.home / "tpm").rename(house.place / "aside")

    failed = house.homeca.run(*command, cwd=house.place)

    assert (failed.returncode, "custody.tpm-state-missing" in failed.stderr) == (4, True)
    assert f"{what} is recorded all the same" in failed.stderr
    assert "laptop" in house.homeca.must("list", "--revoked")
    house.homeca.must("crl", "--dir", house.place / "revoked")
    names = {path.name for path in (house.place / "revoked").iterdir()}
    assert str(int(house.serial("laptop"), 16)) in names


def test_a_clock_that_ran_ahead_is_answered_with_commands_that_bring_the_lists_back(
    rig: Rig, tmp_path: Path
) -> None:
    row = issue_one(rig)
    rig.clock.move(days=300)
    with rig.facility() as facility:
        (record,) = facility.store.by_serial(row.serial)
        revoke(record, Reason.KEY_COMPROMISE, facility)
    cut(rig)
    rig.clock.move(days=-299)
    with pytest.raises(ClockSuspect) as refused, rig.facility(believe_clock=True) as facility:
        list(cut_crls(facility, days=CRL_DAYS))
    assert "`homeca crl --dir DIR`" in refused.value.remedy
    assert f"--crl {rig.path / 'crl/openvpn.pem'} --accept-older`" in refused.value.remedy
    with rig.facility(settling=False) as facility:
        found = standing(facility.store, facility.home, at=rig.clock()).concerns
    assert any(one.rule == "clock.behind" and "--believe-clock" in one.remedy for one in found)


def test_an_expired_certificate_is_not_revoked_any_more(rig: Rig) -> None:
    issue_one(rig, "phone", days=10)
    rig.clock.move(days=11)
    live = issue_one(rig, "phone")
    with rig.facility() as facility:
        found = certificates_of("phone.home.arpa", facility.store, at=rig.clock())
        assert [record.serial for record in found] == [live.serial]
        rig.clock.move(days=800)
        with pytest.raises(NotFound, match="all 2 are revoked or expired"):
            certificates_of("phone.home.arpa", facility.store, at=rig.clock())


# ---------------------------------------------------------------- what a device is called


def devices(house: House, stem: str, common_name: str, *, count: int = 2) -> list[str]:
    """Serials of certificates, each with a key of its own, of a device that is called so."""
    made = []
    escaped = "".join(f"\\{one}" if one in "/+=\\," else one for one in common_name)
    for number in range(count):
        request = make_request(
            house.place,
            f"{stem}{number}",
            f"DNS:{stem}{number}.home.arpa",
            subject=f"/CN={escaped}",
        )
        house.homeca.must("sign", request, "--profile", "vpn-client")
        made.append(house.serial(f"{stem}{number}"))
    return made


@pytest.mark.parametrize(
    ("common_name", "called"),
    [
        ("Smith, John", "smith, john"),
        ("R+D laptop", "R+D Laptop"),
        ("a;b", "a;b"),
        ("x=y phone", "x=y phone"),
        ("Alice's phone", "ALICE'S PHONE"),
        ('the "old" one', 'the "old" one'),
        ("Ömer iPhone", "ömer iphone"),
        ("Straße Älice", "Straße Älice"),
        ("Straße Älice", "STRASSE ÄLICE"),
        ("Älice", "A\N{COMBINING DIAERESIS}lice"),
        ("電話", "電話"),
    ],
)
def test_a_device_is_lost_whatever_it_is_called(
    house: House, common_name: str, called: str
) -> None:
    made = devices(house, "named", common_name)
    assert revoked_by(house, called, "--no-crl") == set(made)


def test_a_device_of_any_name_is_lost_with_one_of_its_files(house: House) -> None:
    made = devices(house, "named", "Straße, Älice")
    assert revoked_by(house, str(house.file("named0.crt")), "--no-crl") == set(made)


# ---------------------------------------------------------------- what it had before, and gets now


def test_the_key_that_a_lost_device_had_before_is_blocked_too(house: House) -> None:
    old, new = devices(house, "walter", "walter.home.arpa")
    house.homeca.must("revoke", old, "--reason", "superseded")
    dry = house.homeca.json("lost", "walter.home.arpa", "--dry-run")
    assert [one["serial"] for one in dry["would_change"]] == [old]
    told = house.homeca.json("lost", "walter.home.arpa")
    assert [one["serial"] for one in told["revoked"]] == [new]
    assert [one["serial"] for one in told["changed"]] == [old]
    for stem in ("walter0", "walter1"):
        command = ("sign", house.file(f"{stem}.csr"), "--profile", "vpn-client")
        done = house.homeca.run(*command, "--out", house.file("again.crt"))
        assert (done.returncode, "key.blocked" in done.stderr) == (3, True)
    assert house.homeca.run("audit", "verify").returncode == 0


def test_a_reason_that_says_nothing_of_the_key_changes_no_other(house: House) -> None:
    old, _ = devices(house, "walter", "walter.home.arpa")
    house.homeca.must("revoke", old, "--reason", "superseded")
    told = house.homeca.json("lost", "walter.home.arpa", "--reason", "cessationOfOperation")
    assert told["changed"] == []
    assert house.homeca.json("show", old)["reason"] == "superseded"


def test_what_is_renewed_while_the_pin_is_typed_goes_too(tmp_path: Path) -> None:
    homeca = Homeca(tmp_path / "home")
    pin, pipe = tmp_path / "pin", tmp_path / "pipe"
    pin.touch(mode=0o600)
    pin.write_text("correct horse\n")
    homeca.must("init-root", "--name", "Test", "--key", "ec-p256")
    homeca.must("init-intermediate", "--key", "ec-p256", "--new-pin-file", pin)
    request = make_request(tmp_path, "tab", "DNS:tab.home.arpa")
    homeca.must("sign", request, "--profile", "vpn-client", "--pin-file", pin)
    os.mkfifo(pipe, 0o600)
    typing = os.open(pipe, os.O_RDWR)
    with subprocess.Popen(
        Homeca.argv("lost", "tab.home.arpa", "--pin-file", pipe, "--json"),
        env=homeca.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as losing:
        until_it_reads(losing.pid, pipe)
        homeca.must("renew", tmp_path / "tab.crt", "--pin-file", pin, "--out", tmp_path / "new.crt")
        os.write(typing, b"correct horse\n")
        os.close(typing)
        said, _ = losing.communicate(timeout=30)
    assert len(json.loads(said)["revoked"]) == 2
    listed = homeca.json("list")["certificates"]
    assert [one["subject"] for one in listed if "tab" in one["subject"]] == []


def until_it_reads(pid: int, path: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for held in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                if held.samefile(path):
                    return
        time.sleep(0.01)
    raise AssertionError(f"nobody reads {path}")
