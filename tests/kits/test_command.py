"""`homeca kit` as a person runs it: what it finds, writes, refuses and says."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ca.encoding.containers import read_crls
from ca.encoding.inspect import read_crl
from ca.kits.kinds import KINDS
from ca.names.distinguished import COMMON_NAME
from tests.house import House, make_request
from tests.interop.programs import must, run
from tests.kits.conftest import HOST, arguments


def files(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_kit_is_a_folder_with_its_page_and_nothing_half_written(kits: House, kind: str) -> None:
    names = files(kits.file(kind))
    assert "README.txt" in names
    assert not [name for name in names if Path(name).name.startswith(".")]
    assert len(names) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_kit_holds_a_key_of_the_ca(kits: House, kind: str) -> None:
    blobs = [path.read_bytes() for path in (kits.home / "keys").iterdir()]
    assert blobs
    for path in kits.file(kind).rglob("*"):
        if path.is_file():
            octets = path.read_bytes()
            assert b"PRIVATE KEY" not in octets
            assert not any(blob in octets for blob in blobs)


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_holds_a_key_is_private(kits: House, kind: str) -> None:
    folder = kits.file(kind)
    private = KINDS[kind].pkcs12 == "must" or kind == "wifi"  # NetworkManager wants its file 0600
    assert bool(stat.S_IMODE(folder.stat().st_mode) & 0o077) is not private
    scripts = {name for name, mode in files(folder).items() if mode & 0o111}
    assert scripts == {name for name in files(folder) if name.endswith(".sh")}


@pytest.mark.parametrize("kind", ["openvpn-linux-tpm", "trust"])
def test_every_shell_script_is_one(kits: House, kind: str) -> None:
    scripts = list(kits.file(kind).glob("*.sh"))
    assert scripts
    for path in scripts:
        done = subprocess.run(["sh", "-n", path], capture_output=True, check=False, timeout=10)
        assert done.returncode == 0, done.stderr


def test_a_device_is_found_by_name_by_label_by_serial_and_by_file(
    kits: House, tmp_path: Path
) -> None:
    for number, word in enumerate(
        ["LAPTOP.home.arpa", "laptop", kits.serial("laptop"), str(kits.file("laptop.crt"))]
    ):
        out = tmp_path / str(number)
        kits.homeca.must("kit", word, "--for", "openvpn-file", "--server", HOST, "--out", out)
        assert (out / "laptop.home.arpa.ovpn").exists(), word


def test_the_newest_certificate_of_a_device_is_taken(vpn_house: House) -> None:
    vpn_house.homeca.must("renew", vpn_house.file("laptop.crt"))
    out = vpn_house.file("kit")
    vpn_house.homeca.must("kit", "laptop", "--for", "openvpn-file", "--server", HOST, "--out", out)
    renewed = vpn_house.file("laptop-renewed.crt").read_text()
    assert renewed in (out / "laptop.home.arpa.ovpn").read_text()


def test_a_label_that_two_devices_share_is_refused_with_their_serials(vpn_house: House) -> None:
    request = make_request(
        vpn_house.place, "guest", "DNS:laptop.guest.home.arpa", subject="/CN=laptop.guest.home.arpa"
    )
    vpn_house.homeca.must("sign", request, "--profile", "vpn-client")
    done = vpn_house.homeca.run("kit", "laptop", "--for", "openvpn-file", "--server", HOST)
    assert done.returncode == 1
    assert "more than one device" in done.stderr
    assert vpn_house.serial("laptop") in done.stderr
    assert vpn_house.serial("guest") in done.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("nobody", "--for", "openvpn-file", "--server", HOST), "no valid certificate"),
        (("nas", "--for", "openvpn-file", "--server", HOST), "no valid certificate"),
        (("lost", "--for", "openvpn-file", "--server", HOST), "was revoked (keyCompromise)"),
        (("parked", "--for", "strongswan-linux", "--server", HOST), "is on hold"),
        (("laptop", "--for", "openvpn-file"), "needs the host"),
        (("laptop", "--for", "openvpn-server"), "no valid certificate"),
        (("laptop", "--for", "iphone", "--server", HOST), "needs the device's key"),
        (("laptop", "--for", "wifi", "--server", HOST), "1 to 32 octets"),
        (("laptop", "--for", "openvpn-file", "--server", "a b"), ""),
        (("laptop", "--for", "openvpn-file", "--server", "*.home.arpa"), "not a host"),
        (("--for", "openvpn-file", "--server", HOST), "needs a device"),
        (("laptop", "--for", "trust"), "about the root"),
        (("laptop", "--for", "openvpn-fil"), "did you mean openvpn-file"),
        (("laptop", "--for", "openvpn-file", "--server", HOST, "--proto", "sctp"), "udp or tcp"),
        (("--for", "trust", "--url", "javascript:alert(1)"), "is not a URL"),
        (("laptop", "--for", "openvpn-file", "--pkcs12-form", "legacy"), "no key"),
        (("laptop", "--for", "openvpn-file", "--server", HOST, "--out", "/nowhere/x"), "no direct"),
    ],
)
def test_a_kit_that_cannot_be_is_refused_in_a_sentence_and_leaves_nothing(
    common_vpn_house: House, tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    done = common_vpn_house.homeca.run("kit", *words, cwd=tmp_path)
    assert done.returncode in (1, 2, 3)
    assert problem in done.stderr
    assert "try: " in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", ["serial", "name", "label"])
def test_a_kit_says_what_became_of_the_certificate_and_nothing_that_undoes_it(
    common_vpn_house: House, by: str
) -> None:
    remedies = {}
    for stem, problem in (("lost", "was revoked (keyCompromise)"), ("parked", "is on hold")):
        serial = common_vpn_house.serial(stem)
        word = {"serial": serial, "name": f"{stem}.home.arpa", "label": stem}[by]
        done = common_vpn_house.homeca.run("kit", word, "--for", "openvpn-file", "--server", HOST)
        assert done.returncode == 3
        assert f"serial {serial}, {problem}" in done.stderr
        assert "sign its request" not in done.stderr
        remedies[stem] = done.stderr.partition("try: ")[2]
    assert "make a new key on the device and a new request from it" in remedies["lost"]
    serial = common_vpn_house.serial("parked")
    assert f"`homeca revoke {serial} --reason removeFromCRL`" in remedies["parked"]


def test_a_kit_that_asks_for_a_certificate_says_that_the_one_there_was_is_on_hold(
    common_vpn_house: House, tmp_path: Path
) -> None:
    for stem, word in (
        ("parked", "is on hold: release it"),
        ("lost", "another one, for a new key"),
    ):
        told = common_vpn_house.homeca.json(
            *("kit", f"{stem}.home.arpa", "--for", "openvpn-linux-tpm", "--server", HOST),
            *("--out", tmp_path / stem),
        )
        assert [word in one for one in told["warnings"]] == [True], told["warnings"]


def test_what_was_only_superseded_is_signed_again(vpn_house: House) -> None:
    vpn_house.homeca.must("revoke", vpn_house.file("laptop.crt"), "--reason", "superseded")
    words = ("kit", "laptop", "--for", "openvpn-file", "--server", HOST)
    done = vpn_house.homeca.run(*words)
    assert done.returncode == 3
    assert "was revoked (superseded)" in done.stderr
    assert "sign its request with --profile vpn-client first" in done.stderr
    vpn_house.homeca.must(
        "sign", vpn_house.file("laptop.csr"), "--profile", "vpn-client", "--force"
    )
    vpn_house.homeca.must(*words)


def test_the_remedy_of_a_kit_for_a_device_on_hold_works_and_no_other_way_does(
    vpn_house: House,
) -> None:
    homeca, words = vpn_house.homeca, ("kit", "parked", "--for", "openvpn-file", "--server", HOST)
    request = ("sign", vpn_house.file("parked.csr"), "--profile", "vpn-client", "--force")
    refused = homeca.run(*request)
    assert refused.returncode == 3
    assert "on hold" in refused.stderr
    (release,) = re.findall("`homeca (revoke [^`]+)`", homeca.run(*words).stderr)
    assert f"`homeca {release}`" in refused.stderr
    homeca.must(*release.split())
    homeca.must(*words)


def test_a_folder_that_is_there_is_not_touched_without_force(
    vpn_house: House, tmp_path: Path
) -> None:
    words = ("kit", "--for", "trust", "--unsigned", "--out", str(tmp_path / "kit"))
    vpn_house.homeca.must(*words)
    (tmp_path / "kit/README.txt").write_text("mine")
    done = vpn_house.homeca.run(*words)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (tmp_path / "kit/README.txt").read_text() == "mine"
    (tmp_path / "kit/own.txt").write_text("mine")
    vpn_house.homeca.must(*words, "--force")
    assert (tmp_path / "kit/README.txt").read_text() != "mine"
    assert (tmp_path / "kit/own.txt").read_text() == "mine"


def test_a_zip_holds_one_folder_with_the_modes_and_is_the_same_again(
    vpn_house: House, tmp_path: Path
) -> None:
    words = ["kit", "new.home.arpa", "--for", "openvpn-linux-tpm", "--server", HOST, "--out"]
    for name in ("one.zip", "two.zip"):
        vpn_house.homeca.must(*words, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {Path(name).parts[0] for name in archive.namelist()} == {
            "new.home.arpa-openvpn-linux-tpm"
        }
        modes = {Path(i.filename).name: i.external_attr >> 16 & 0o777 for i in archive.infolist()}
    assert modes["1-request.sh"] == 0o755
    assert modes["README.txt"] == 0o644


def test_a_zip_with_a_key_is_for_its_owner_alone(vpn_house: House, tmp_path: Path) -> None:
    words = arguments("iphone", vpn_house)
    vpn_house.homeca.must(*words, "--out", tmp_path / "kit.zip")
    assert stat.S_IMODE((tmp_path / "kit.zip").stat().st_mode) == 0o600


# ---------------------------------------------------------------- the password


def pkcs12_of(folder: Path) -> Path:
    import plistlib

    if (folder / "laptop.home.arpa.p12").exists():
        return folder / "laptop.home.arpa.p12"
    signed = next(folder.glob("*.mobileconfig"))
    document = folder / "document"
    must(
        "openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-in", signed,
        "-out", document,
    )  # fmt: skip
    payloads: list[dict[str, Any]] = plistlib.loads(document.read_bytes())["PayloadContent"]
    (found,) = (p for p in payloads if p["PayloadType"] == "com.apple.security.pkcs12")
    path = folder / "found.p12"
    path.write_bytes(found["PayloadContent"])
    return path


@pytest.mark.parametrize(
    ("kind", "more", "cipher"),
    [
        ("iphone", (), "3-KeyTripleDES"),
        ("android-strongswan", (), "3-KeyTripleDES"),
        ("openvpn-file", (), "AES-256-CBC"),
        ("iphone", ("--pkcs12-form", "modern"), "AES-256-CBC"),
        ("openvpn-file", ("--pkcs12-form", "legacy"), "3-KeyTripleDES"),
    ],
)
def test_the_password_is_said_once_on_stderr_and_opens_the_form_the_device_reads(
    vpn_house: House, tmp_path: Path, kind: str, more: tuple[str, ...], cipher: str
) -> None:
    key = ("--pkcs12", str(vpn_house.file("laptop.key")))
    done = vpn_house.homeca.run(
        "kit", "laptop", "--for", kind, "--server", HOST, "--out", tmp_path / "kit", *key, *more
    )
    assert done.returncode == 0, done.stderr
    (password,) = re.findall(r"shown this once: ([a-z2-9]{5}(?:-[a-z2-9]{5}){3})\n", done.stderr)
    assert password not in done.stdout
    for path in [*(tmp_path / "kit").iterdir(), *vpn_house.home.rglob("*")]:
        assert not path.is_file() or password.encode() not in path.read_bytes()
    said = run(
        "openssl", "pkcs12", "-in", pkcs12_of(tmp_path / "kit"), "-info", "-noenc",
        "-passin", f"pass:{password}",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert cipher in said.stderr
    certificates = said.stdout.count("BEGIN CERTIFICATE")
    assert certificates == (1 if kind == "android-strongswan" else 2)


def test_a_password_of_ones_own_comes_from_a_private_file(vpn_house: House, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse battery\n")
    words: list[str | Path] = [
        *("kit", "laptop", "--for", "openvpn-file", "--server", HOST, "--out", tmp_path / "kit"),
        *("--pkcs12", vpn_house.file("laptop.key"), "--pkcs12-password-file", password),
    ]
    password.chmod(0o644)
    done = vpn_house.homeca.run(*words)
    assert done.returncode == 2
    assert "can be read by others" in done.stderr
    password.chmod(0o600)
    done = vpn_house.homeca.run(*words)
    assert done.returncode == 0, done.stderr
    assert "shown this once" not in done.stderr
    assert "correct horse" not in done.stderr + done.stdout
    p12 = tmp_path / "kit/laptop.home.arpa.p12"
    must("openssl", "pkcs12", "-in", p12, "-noout", "-passin", "pass:correct horse battery")


@pytest.mark.parametrize("word", ["short", "elf zeichen", "zwölf zeichen!"])
def test_a_password_that_is_soon_guessed_or_not_ascii_is_refused(
    vpn_house: House, tmp_path: Path, word: str
) -> None:
    password = tmp_path / "password"
    password.write_text(word)
    password.chmod(0o600)
    done = vpn_house.homeca.run(
        *("kit", "laptop", "--for", "openvpn-file", "--server", HOST, "--out", tmp_path / "kit"),
        *("--pkcs12", vpn_house.file("laptop.key"), "--pkcs12-password-file", password),
    )
    assert done.returncode == 3
    assert "at least 12" in done.stderr
    assert word not in done.stderr
    assert not (tmp_path / "kit").exists()


def test_the_key_of_another_device_makes_no_kit(vpn_house: House, tmp_path: Path) -> None:
    done = vpn_house.homeca.run(
        *("kit", "laptop", "--for", "openvpn-file", "--server", HOST, "--out", tmp_path / "kit"),
        *("--pkcs12", vpn_house.file("nas.key")),
    )
    assert done.returncode == 1
    assert "another certificate" in done.stderr
    assert "shown this once" not in done.stderr
    assert not (tmp_path / "kit").exists()


# ---------------------------------------------------------------- revocation, warnings


def test_a_server_kit_without_a_crl_is_refused_and_without_an_address_there_is_no_qr_code(
    vpn_house: House, tmp_path: Path
) -> None:
    """A server that lacks one lets in whom that issuer has revoked, and only logs it (OV7)."""
    fresh = House(tmp_path / "fresh")
    fresh.place.mkdir()
    fresh.homeca.must("init-root", "--name", "Fresh", "--key", "ec-p256")
    request = make_request(fresh.place, "vpn", f"DNS:{HOST}")
    fresh.homeca.must("sign", request, "--profile", "vpn-server")
    words = ("kit", HOST, "--for", "openvpn-server", "--out", str(tmp_path / "kit"))
    done = fresh.homeca.run(*words)
    assert done.returncode == 3
    assert "has cut no CRL yet" in done.stderr
    assert "homeca crl" in done.stderr
    fresh.homeca.must("crl")
    fresh.homeca.must(*words)
    assert (tmp_path / "kit/crl.pem").read_text().count("BEGIN X509 CRL") >= 1
    # and with no address known there is no QR code
    fresh.homeca.must("kit", "--for", "trust", "--unsigned", "--out", tmp_path / "trust")
    assert not (tmp_path / "trust/root-qr.svg").exists()
    assert "root-qr" not in (tmp_path / "trust/README.txt").read_text()


def test_a_server_kit_is_refused_while_a_revocation_is_on_no_list(
    vpn_house: House, tmp_path: Path
) -> None:
    vpn_house.homeca.must("revoke", vpn_house.file("laptop.crt"))
    words = ("kit", HOST, "--for", "openvpn-server", "--out", str(tmp_path / "kit"))
    done = vpn_house.homeca.run(*words)
    assert done.returncode == 3
    assert "has revoked since its last CRL" in done.stderr
    vpn_house.homeca.must("crl")
    vpn_house.homeca.must(*words)


def test_a_gateway_gets_of_a_ladder_the_list_in_force_of_each_issuer(
    vpn_house: House, tmp_path: Path
) -> None:
    """strongSwan keeps one list of an issuer: of a whole ladder that would be a future one."""
    vpn_house.homeca.must("crl", "--ladder", "3")
    place = tmp_path / "kit"
    vpn_house.homeca.must("kit", HOST, "--for", "strongswan-server", "--out", place)
    crls = vpn_house.home / "crl"
    assert {path.read_bytes() for path in (place / "swanctl/x509crl").iterdir()} == {
        (crls / "root.crl").read_bytes(),
        (crls / "intermediate-1.crl").read_bytes(),
    }


def test_a_radius_server_has_no_list_of_a_revoked_intermediate_and_so_refuses_its_devices(
    vpn_house: House, tmp_path: Path
) -> None:
    """FreeRADIUS asks for the list of a device's issuer, but not whether that was revoked."""
    words = ("kit", "radius.home.arpa", "--for", "wifi-server", "--force", "--out")
    vpn_house.homeca.must("init-intermediate", "--key", "ec-p256")
    request = make_request(vpn_house.place, "radius", "DNS:radius.home.arpa")
    vpn_house.homeca.must("sign", request, "--profile", "wifi-server")
    vpn_house.homeca.must("crl")
    vpn_house.homeca.must(*words, tmp_path / "before")
    vpn_house.homeca.must("revoke", vpn_house.home / "certs/intermediate-1.pem")
    vpn_house.homeca.must("crl")
    vpn_house.homeca.must(*words, tmp_path / "after")
    issuers = [
        {
            read_crl(der).tbs.issuer.values(COMMON_NAME)[0]
            for der in read_crls((tmp_path / kit / "ca.pem").read_bytes())
        }
        for kit in ("before", "after")
    ]
    assert [len(each) for each in issuers] == [3, 2]
    (gone,) = issuers[0] - issuers[1]
    assert gone.endswith("Intermediate CA 1")


def test_a_host_without_a_certificate_is_warned_of_and_on_the_page(
    common_vpn_house: House, tmp_path: Path
) -> None:
    done = common_vpn_house.homeca.run(
        *("kit", "laptop", "--for", "openvpn-file", "--server", "vpn2.home.arpa"),
        *("--out", tmp_path / "kit", "--json"),
    )
    assert done.returncode == 0
    (warning,) = json.loads(done.stdout)["warnings"]
    assert "no valid server certificate for vpn2.home.arpa" in warning
    page = " ".join((tmp_path / "kit/README.txt").read_text().split())
    assert f"WARNING: {warning}." in page


def test_a_host_dialled_by_address_is_recognised_by_the_name_in_its_certificate(
    common_vpn_house: House, tmp_path: Path
) -> None:
    common_vpn_house.homeca.must(
        *("kit", "laptop", "--for", "openvpn-file", "--server", "192.168.1.1"),
        *("--out", tmp_path / "kit"),
    )
    ovpn = (tmp_path / "kit/laptop.home.arpa.ovpn").read_text()
    assert "remote 192.168.1.1 1194\n" in ovpn
    assert f'verify-x509-name "{HOST}" name\n' in ovpn


def test_strongswan_is_warned_of_constraints_that_its_debian_12_version_cannot_read(
    kits: House, tmp_path: Path
) -> None:
    """The house permits addresses; OpenVPN does not mind."""
    page = " ".join((kits.file("strongswan-linux") / "README.txt").read_text().split())
    assert page.count("[SS5]") == 2
    assert page.count("without --permit-ip: `homeca init-root --home DIR") == 1
    other = (kits.file("openvpn-file") / "README.txt").read_text()
    assert "[SS5]" not in other
    assert "--permit-ip" not in other


def test_json_lists_the_files(common_vpn_house: House, tmp_path: Path) -> None:
    told = common_vpn_house.homeca.json(
        "kit", "--for", "trust", "--unsigned", "--out", tmp_path / "kit"
    )
    assert told["kind"] == "trust"
    assert sorted(told["files"]) == sorted(files(tmp_path / "kit"))


def test_the_qr_code_is_of_the_address_given(common_vpn_house: House, tmp_path: Path) -> None:
    import io

    import segno

    url = "https://nas.home.arpa/ca/home.mobileconfig?x=1&y=2"
    common_vpn_house.homeca.must(
        *("kit", "--for", "trust", "--unsigned", "--url", url, "--out", tmp_path / "kit")
    )
    drawn = (tmp_path / "kit/root-qr.svg").read_bytes()
    expected = io.BytesIO()
    segno.make(url, error="m", micro=False).save(expected, kind="svg", scale=8, border=4)
    assert drawn == expected.getvalue()
    assert url in (tmp_path / "kit/README.txt").read_text()
