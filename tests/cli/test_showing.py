"""`homeca show`: by serial, by prefix, by file; and `homeca export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.harmless import harmful
from tests.cli.running import run
from tests.house import House, make_request
from tests.interop.programs import must


def as_printed(serial: str) -> dict[str, str]:
    """Ways people write a serial."""
    pairs = [serial[n : n + 2] for n in range(0, len(serial), 2)]
    return {
        "whole": serial,
        "lower case": serial.lower(),
        "with colons": ":".join(pairs),
        "with 0x": f"0x{serial}",
        "first 16 digits": serial[:16],
        "first 8 digits": serial[:8],
        "with an ellipsis": f"{serial[:16]}…",
    }


@pytest.mark.parametrize("way", list(as_printed("0" * 40)))
def test_a_serial_is_found_however_it_is_written(common_house: House, way: str) -> None:
    said = run(common_house, "show", as_printed(common_house.serial("nas"))[way])

    assert said.status == 0
    assert "CN=nas.home.arpa" in said.text


def test_show_tells_everything_about_a_certificate(common_house: House) -> None:
    serial = common_house.serial("nas")
    fingerprint = must(
        "openssl", "x509", "-in", common_house.file("nas.crt"), "-noout", "-fingerprint", "-sha256"
    ).partition("=")[2]

    text = run(common_house, "show", serial).text

    for fact in (
        serial,
        fingerprint.strip(),
        "DNS:nas.home.arpa",
        "IP:192.168.1.10",
        "TLS server",
        "digitalSignature (critical)",
        "http://ca.home.arpa/intermediate-1.crl",
        "intermediate-1",
        "tls-server",
        "375 days",
        "ec-p256",
    ):
        assert fact in text, fact


@pytest.mark.parametrize(
    ("stem", "phrase"),
    [("lost", "revoked (keyCompromise)"), ("parked", "on hold"), ("laptop", "valid")],
)
def test_show_tells_the_state(common_house: House, stem: str, phrase: str) -> None:
    assert phrase in run(common_house, "show", common_house.serial(stem)).text


def test_show_tells_what_replaces_what(house: House) -> None:
    house.homeca.must("renew", house.file("brief.crt"), "--out", house.file("brief-2.crt"))
    old, new = house.serial("brief"), house.serial("brief-2")

    assert json.loads(run(house, "show", old, "--json").text)["replaced_by"] == [new]
    assert json.loads(run(house, "show", new, "--json").text)["replaces"] == old
    assert f"replaced by  {new}" in " ".join(run(house, "show", old).text.split("\n"))


def test_show_json_holds_the_certificate(common_house: House) -> None:
    shown = json.loads(run(common_house, "show", common_house.serial("nas"), "--json").text)

    assert shown["certificate"]["names"] == ["DNS:nas.home.arpa", "IP:192.168.1.10"]
    assert shown["certificate"]["eku"] == ["1.3.6.1.5.5.7.3.1"]
    assert shown["pem"].startswith("-----BEGIN CERTIFICATE-----")


def test_show_pem_prints_what_sign_wrote(common_house: House) -> None:
    said = run(common_house, "show", common_house.serial("nas"), "--pem")

    assert said.out == common_house.file("nas.crt").read_bytes()


@pytest.mark.parametrize(
    ("text", "status"),
    [("0", 1), ("abc", 1), ("0" * 40, 1), ("f" * 41, 1), ("nas.home.arpa", 1), ("", 1)],
)
def test_what_is_no_serial_of_this_ca_is_not_found(
    common_house: House, text: str, status: int
) -> None:
    said = run(common_house, "show", text)

    assert said.status == status
    assert "[not-found]" in said.messages
    assert said.out == b""


def test_a_prefix_of_two_serials_is_refused_with_both(house: House) -> None:
    first = "aabb" + "1" * 36
    second = "aabb" + "2" * 36
    with house.database() as database:
        for serial in (first, second):
            database.execute(
                "INSERT INTO certificates (issuer_id, serial, state, created_at, changed_at, "
                "profile, subject, names, request_sha256, note) "
                "VALUES (2, ?, 'failed', 1, 1, '', 'CN=x', '', x'', '')",
                (bytes.fromhex(serial),),
            )

    said = run(house, "show", "AABB")

    assert said.status == 2
    assert first.upper() in said.messages
    assert second.upper() in said.messages


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_certificate_file_is_shown_and_recognised_as_ours(
    common_house: House, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "file"
    must("openssl", "x509", "-in", common_house.file("nas.crt"), "-outform", form, "-out", path)

    said = run(common_house, "show", path)

    assert "issued by this CA: valid" in said.text
    assert "DNS:nas.home.arpa" in said.text


def test_a_certificate_on_standard_input_is_shown(common_house: House) -> None:
    said = run(common_house, "show", "-", given=common_house.file("nas.crt").read_bytes())

    assert "CN=nas.home.arpa" in said.text


def test_a_file_is_shown_without_any_home(common_house: House, tmp_path: Path) -> None:
    said = run(common_house, "show", common_house.file("nas.crt"), "--home", tmp_path / "none")

    assert said.status == 0
    assert "issued by this CA" not in said.text


def test_a_crl_file_lists_what_is_revoked(common_house: House) -> None:
    text = run(common_house, "show", common_house.home / "crl/intermediate-1.crl").text

    assert common_house.serial("lost") in text
    assert "keyCompromise" in text
    assert common_house.serial("laptop") not in text


def test_a_request_file_shows_what_it_asks_for(common_house: House) -> None:
    text = run(common_house, "show", common_house.file("nas.csr")).text

    assert "DNS:nas.home.arpa" in text
    assert "ec-p256" in text


@pytest.mark.parametrize(
    "octets", [b"", b"nothing of the kind", b"\x30\x03\x02\x01", b"\x00" * 100], ids=repr
)
def test_a_file_that_is_none_of_these_is_refused(
    common_house: House, tmp_path: Path, octets: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(octets)

    said = run(common_house, "show", path)

    assert said.status != 0
    assert said.out == b""
    assert "Traceback" not in said.messages


# ---------------------------------------------------------------- export


def test_exported_root_is_the_root_and_its_fingerprint_goes_to_stderr(common_house: House) -> None:
    said = run(common_house, "export", "root")
    fingerprint = must(
        "openssl", "x509", "-in", common_house.home / "certs/root.pem", "-noout", "-fingerprint",
        "-sha256",
    ).partition("=")[2]  # fmt: skip

    assert said.out == (common_house.home / "certs/root.pem").read_bytes()
    assert fingerprint.strip() in said.messages


@pytest.mark.parametrize(
    ("part", "count"), [("root", 1), ("issuer", 1), ("chain", 1), ("bundle", 2)]
)
def test_openssl_reads_every_exported_pkcs7(
    common_house: House, tmp_path: Path, part: str, count: int
) -> None:
    path = tmp_path / "out.p7b"
    assert run(common_house, "export", part, "--format", "p7b", "--out", path).status == 0

    listed = must("openssl", "pkcs7", "-inform", "DER", "-in", path, "-print_certs", "-noout")

    assert listed.count("subject=") == count


def test_chain_and_root_verify_a_leaf_with_openssl(common_house: House, tmp_path: Path) -> None:
    chain, root = tmp_path / "chain.pem", tmp_path / "root.der"
    run(common_house, "export", "chain", "--out", chain)
    run(common_house, "export", "root", "--format", "der", "--out", root)

    told = must(
        "openssl", "verify", "-x509_strict", "-trusted", root, "-untrusted", chain,
        common_house.file("nas.crt"),
    )  # fmt: skip

    assert told.strip().endswith("OK")


def test_export_replaces_nothing_unless_it_is_forced(common_house: House, tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    path.write_text("mine")

    said = run(common_house, "export", "root", "--out", path)
    assert said.status == 2
    assert "--force" in said.messages
    assert path.read_text() == "mine"

    assert run(common_house, "export", "root", "--out", path, "--force").status == 0
    assert path.read_bytes() == (common_house.home / "certs/root.pem").read_bytes()


def test_a_der_bundle_is_refused(common_house: House) -> None:
    said = run(common_house, "export", "bundle", "--format", "der")

    assert said.status == 2
    assert said.out == b""


def test_an_uncertain_serial_is_shown_without_a_certificate(house: House) -> None:
    request = make_request(house.place, "gone", "DNS:gone.home.arpa")
    house.homeca.must("sign", request, "--profile", "tls-server")
    serial = house.serial("gone")
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET state = 'uncertain', der = NULL, issued_at = NULL, note = ? "
            "WHERE serial = ?",
            ("the answer was lost\x1b[31m", bytes.fromhex(serial)),
        )

    said = run(house, "show", serial)

    assert "uncertain" in said.text
    assert "the answer was lost" in said.text
    assert harmful(said.out) == []
    assert run(house, "show", serial, "--pem").status == 1


@pytest.mark.parametrize("command", ["show", "lint", "verify"])
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_private_key_is_called_one_and_not_shown(
    house: House, tmp_path: Path, command: str, form: str
) -> None:
    key = tmp_path / "vpn.key"
    must("openssl", "pkey", "-in", house.file("laptop.key"), "-out", key, "-outform", form)
    said = run(house, command, key)
    assert said.status == 2
    assert "the file holds a private key" in said.messages
    assert "a certificate, a CRL or a request" in said.messages
    assert said.out == b""


def test_a_certificate_with_its_key_in_one_file_is_shown(house: House, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(house.file("laptop.crt").read_bytes() + house.file("laptop.key").read_bytes())
    assert "CN=laptop.home.arpa" in run(house, "show", both).text
