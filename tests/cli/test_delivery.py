"""`homeca sign` of many: every certificate becomes its file, and one that cannot stops no other."""

from __future__ import annotations

from tests.house import House, make_request


def test_many_are_told_in_the_order_they_were_asked_for(house: House) -> None:
    requests = [
        make_request(house.place, f"many-{number}", f"DNS:many-{number}.home.arpa")
        for number in range(6)
    ]
    told = house.homeca.must("sign", *requests, "--profile", "vpn-client")
    wanted = [request.with_suffix(".crt") for request in requests]
    assert told.splitlines() == [str(path) for path in wanted]
    assert all(path.read_bytes().startswith(b"-----BEGIN CERTIFICATE") for path in wanted)


def test_a_certificate_whose_file_cannot_be_written_is_recorded_and_stops_no_other(
    house: House,
) -> None:
    names = ("first", "second", "third")
    requests = [make_request(house.place, name, f"DNS:{name}.home.arpa") for name in names]
    house.file("second.crt").mkdir()
    done = house.homeca.run("sign", *requests, "--profile", "vpn-client", "--force")
    assert done.returncode == 1
    assert "is recorded; get it with `homeca show" in done.stderr
    assert done.stdout.splitlines() == [str(house.file(f"{n}.crt")) for n in ("first", "third")]
    subjects = {one["subject"] for one in house.homeca.json("list")["certificates"]}
    assert {f"CN={name}.home.arpa" for name in names} <= subjects
