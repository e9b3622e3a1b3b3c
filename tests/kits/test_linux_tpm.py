"""The kit for Linux with a key in the TPM, from its first script to a handshake.

swtpm behind tpm2-abrmd; the scripts run as they are; OpenVPN as its .ovpn says.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.device.managed_tpm import ManagedTpm, managed_tpm
from tests.house import House
from tests.interop.programs import must
from tests.interop.vpn import free_address
from tests.kits.conftest import HOST
from tests.kits.test_openvpn import dial, server_kit, serving

NAME = "tpm-laptop.home.arpa"


@pytest.fixture(scope="module")
def tpm() -> Iterator[ManagedTpm]:
    with managed_tpm() as started:
        provider = ("openssl", "list", "-providers", "-provider", "tpm2")
        if started.run(*provider, cwd=Path("/")).returncode:
            pytest.fail("no tpm2 provider: run `sudo apt install tpm2-openssl`")
        yield started


@pytest.fixture
def kit(vpn_house: House) -> Path:
    """Made before there is a certificate."""
    place = vpn_house.file("kit")
    done = vpn_house.homeca.run(
        *("kit", NAME, "--for", "openvpn-linux-tpm", "--server", HOST, "--out", place)
    )
    assert done.returncode == 0, done.stderr
    assert "no certificate has been issued yet" in done.stderr
    return place


def test_request_sign_accept_and_a_handshake_with_the_key_in_the_tpm(
    vpn_house: House, kit: Path, tpm: ManagedTpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    tpm.must("./1-request.sh", cwd=kit)
    blob = kit / f"{NAME}.tss"
    assert blob.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
    assert blob.stat().st_mode & 0o077 == 0
    request = must("openssl", "req", "-in", kit / f"{NAME}.csr", "-noout", "-text", "-verify")
    assert f"DNS:{NAME}" in request

    vpn_house.homeca.must("sign", kit / f"{NAME}.csr", "--profile", "vpn-client")
    said = tpm.must("./2-accept.sh", cwd=kit)
    assert f"{NAME}.crt: OK" in said

    for name, value in tpm.environment.items():  # for the openvpn that is started below
        monkeypatch.setenv(name, value)
    address = free_address()
    with serving(server_kit(vpn_house), address) as started:
        is_in, said = dial(kit / f"{NAME}.ovpn", address, started)
    assert is_in, said
    assert f"CN={NAME}" in said


def test_the_request_is_made_once(kit: Path, tpm: ManagedTpm) -> None:
    tpm.must("./1-request.sh", cwd=kit)
    before = (kit / f"{NAME}.tss").read_bytes()
    done = tpm.run("./1-request.sh", cwd=kit)
    assert done.returncode == 1
    assert "exists" in done.stderr
    assert (kit / f"{NAME}.tss").read_bytes() == before


def test_without_a_tpm_nothing_is_left_behind(kit: Path, tpm: ManagedTpm) -> None:
    lost = ManagedTpm({**tpm.environment, "TPM2OPENSSL_TCTI": "swtpm:path=/nowhere"})
    assert lost.run("./1-request.sh", cwd=kit).returncode != 0
    assert not [
        path for path in kit.iterdir() if path.name.startswith((f"{NAME}.tss", f"{NAME}.csr"))
    ]


def test_a_certificate_for_another_key_is_not_accepted(
    vpn_house: House, kit: Path, tpm: ManagedTpm
) -> None:
    tpm.must("./1-request.sh", cwd=kit)
    shutil.copy(vpn_house.file("laptop.crt"), kit / f"{NAME}.crt")
    done = tpm.run("./2-accept.sh", cwd=kit)
    assert done.returncode == 1
    assert "is for another key" in done.stderr


def test_a_certificate_of_another_ca_is_not_accepted(
    vpn_house: House, kit: Path, tpm: ManagedTpm
) -> None:
    tpm.must("./1-request.sh", cwd=kit)
    must(
        *("openssl", "req", "-x509", "-noenc", "-newkey", "ec", "-subj", f"/CN={NAME}"),
        *("-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "o.key", "-out", f"{NAME}.crt"),
        cwd=kit,
    )
    done = tpm.run("./2-accept.sh", cwd=kit)
    assert done.returncode != 0
    assert "Good" not in done.stdout


def test_another_root_than_the_kits_is_not_accepted(
    vpn_house: House, kit: Path, tpm: ManagedTpm
) -> None:
    tpm.must("./1-request.sh", cwd=kit)
    vpn_house.homeca.must("sign", kit / f"{NAME}.csr", "--profile", "vpn-client")
    shutil.copy(vpn_house.file("laptop.crt"), kit / "root.pem")
    done = tpm.run("./2-accept.sh", cwd=kit)
    assert done.returncode == 1
    assert "not the root this kit was made for" in done.stderr


# ---------------------------------------------------------------- the scripts of `trust`


@pytest.mark.parametrize("system", ["debian", "fedora"])
def test_a_trust_script_installs_the_right_root_and_no_other(
    vpn_house: House, tmp_path: Path, system: str
) -> None:
    """In a copy whose system directories lie in a temporary one, with the updater replaced."""
    kit = tmp_path / "kit"
    vpn_house.homeca.must("kit", "--for", "trust", "--unsigned", "--out", kit)
    script = kit / f"{system}-trust.sh"
    updaters = ("update-ca-certificates", "update-ca-trust")
    text = script.read_text().replace("anchor=/", f"anchor={tmp_path}/system/")
    for updater in updaters:
        text = text.replace(f"\n{updater}", f"\necho {updater}").replace(
            f"exec {updater}", f"exec echo {updater}"
        )
    script.write_text(text)
    local = ManagedTpm({})
    local.must(f"./{script.name}", cwd=kit)
    (installed,) = (path for path in (tmp_path / "system").rglob("*") if path.is_file())
    assert installed.read_text() == (vpn_house.home / "certs/root.pem").read_text()
    local.must(f"./{script.name}", "remove", cwd=kit)
    assert not installed.exists()
    shutil.copy(vpn_house.file("laptop.crt"), kit / "test.crt")
    done = local.run(f"./{script.name}", cwd=kit)
    assert done.returncode == 1
    assert "not the root" in done.stderr
    assert not installed.exists()
