"""A new intermediate or a new CA beside the old one, and one OpenVPN server for both."""

from __future__ import annotations

from pathlib import Path

from tests.house import House, make_request
from tests.interop.homeca import Homeca
from tests.interop.vpn import free_address, lets_in, server


def begin(place: Path, name: str) -> Homeca:
    """Another CA in a home of its own."""
    homeca = Homeca(place / "new")
    homeca.must("init-root", "--name", name, "--key", "ec-p256", "--permit-dns", "home.arpa")
    homeca.must("init-intermediate", "--key", "ec-p256")
    return homeca


def both_roots(place: Path, *homes: Path) -> Path:
    path = place / "both.pem"
    path.write_text("".join((home / "certs/root.pem").read_text() for home in homes))
    return path


def test_a_server_trusts_two_cas_and_refuses_what_either_revoked(
    common_house: House, tmp_path: Path
) -> None:
    new = begin(tmp_path, "Test 2040")
    roots = both_roots(tmp_path, common_house.home, new.home)
    files = {"laptop": common_house.place, "lost": common_house.place}
    for stem, profile in (("vpn", "vpn-server"), ("phone", "vpn-client"), ("gone", "vpn-client")):
        request = make_request(tmp_path, stem, f"DNS:{stem}.home.arpa")
        new.must("sign", request, "--profile", profile)
        files[stem] = tmp_path
    new.must("revoke", tmp_path / "gone.crt")
    directory = tmp_path / "revoked"
    common_house.homeca.must("crl", "--dir", directory)
    new.must("crl", "--dir", directory)

    def identity(stem: str) -> dict[str, str | Path]:
        place = files[stem]
        return {"ca": roots, "cert": place / f"{stem}.crt", "key": place / f"{stem}.key"}

    decided = {}
    for stem in ("laptop", "lost", "phone", "gone"):
        address = free_address()
        options = {**identity("vpn"), "crl-verify": f"{directory} dir"}
        with server(tmp_path, address, options) as started:
            decided[stem], _ = lets_in(started, tmp_path, address, identity(stem))
    assert decided == {"laptop": True, "lost": False, "phone": True, "gone": False}


def test_openvpn_does_not_start_with_two_roots_of_one_name(
    common_house: House, tmp_path: Path
) -> None:
    """Why every remedy that says to begin a new CA says: with another --name."""
    new = begin(tmp_path, "Test")
    place = common_house.place
    options = {
        "ca": both_roots(tmp_path, common_house.home, new.home),
        "cert": place / "nas.crt",
        "key": place / "nas.key",
    }
    with server(tmp_path, free_address(), options) as started:
        said = started.wait_for("Exiting due to fatal error")
    assert "only 1 of 2 entries were valid X509 names" in said


def test_a_server_of_the_new_intermediate_lets_in_who_has_the_old_one(
    house: House, tmp_path: Path
) -> None:
    house.homeca.must("init-intermediate", "--key", "ec-p256")
    house.homeca.must(
        "sign", make_request(house.place, "vpn", "DNS:vpn.home.arpa"), "--profile", "vpn-server"
    )
    house.homeca.must("crl")

    def identity(stem: str) -> dict[str, str | Path]:
        pair = {"cert": house.file(f"{stem}.crt"), "key": house.file(f"{stem}.key")}
        return {"ca": house.home / "certs/root.pem", **pair}

    decided = {}
    for stem in ("laptop", "lost"):
        address = free_address()
        options = {**identity("vpn"), "crl-verify": house.home / "crl/openvpn.pem"}
        with server(tmp_path, address, options) as started:
            decided[stem], said = lets_in(started, tmp_path, address, identity(stem))
            assert "Intermediate CA 2" in said if stem == "laptop" else "revoked" in said
    assert decided == {"laptop": True, "lost": False}
