"""Other programs use a key that lies in a TPM, with the settings that `request use` prints.

The key is made by `request new`, certified by `sign`, taken by `accept`; then OpenVPN, curl and
openssl authenticate with it. Beside each success stands what must not get in.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.device.managed_tpm import DeviceHomeca, ManagedTpm, managed_tpm
from tests.house import House
from tests.interop.programs import must
from tests.interop.vpn import free_address, lets_in, server
from tests.keys.tpm.lab import require


@pytest.fixture(scope="module")
def tpm() -> Iterator[ManagedTpm]:
    with managed_tpm() as started:
        provider = ("openssl", "list", "-providers", "-provider", "tpm2")
        if started.run(*provider, cwd=Path("/")).returncode:
            pytest.fail("no tpm2 provider: run `sudo apt install tpm2-openssl`")
        yield started


@dataclass(frozen=True)
class Laptop:
    """A device with its own home, and a certificate of the house's CA."""

    homeca: DeviceHomeca
    tpm: ManagedTpm
    house: House

    @property
    def certificate(self) -> Path:
        return self.house.file("alice.crt")

    def settings(self, program: str) -> str:
        return str(self.homeca.json("request", "use", "alice", "--for", program)["configuration"])


def certified(tpm: ManagedTpm, house: House, *options: str) -> Laptop:
    """new, sign, accept: all three as a person types them."""
    homeca = DeviceHomeca(house.file("device-home"), tpm)
    names = ("--subject", "CN=alice", "--san", "DNS:alice.home.arpa")
    homeca.must("request", "new", *names, *options, cwd=house.place)
    house.homeca.must("sign", "alice.csr", "--profile", "vpn-client", cwd=house.place)
    root = house.home / "certs/root.pem"
    told = must("openssl", "x509", "-in", root, "-noout", "-fingerprint", "-sha256")
    trusted = ("--root", root, "--fingerprint", told.strip())
    homeca.must("request", "accept", house.file("alice.crt"), *trusted)
    return Laptop(homeca, tpm, house)


@pytest.fixture
def laptop(tpm: ManagedTpm, house: House) -> Laptop:
    return certified(tpm, house)


# ---------------------------------------------------------------- OpenVPN


@pytest.mark.parametrize("pin", [False, True], ids=["no-pin", "pin"])
def test_openvpn_shakes_hands_with_a_key_in_the_tpm_and_is_refused_after_revocation(
    tpm: ManagedTpm, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pin: bool
) -> None:
    secret = tmp_path / "pin"
    secret.write_text("1234")
    secret.chmod(0o600)
    laptop = certified(tpm, house, *(["--pin", "--pin-file", str(secret)] if pin else []))
    for name, value in tpm.environment.items():  # for the openvpn that is started below
        monkeypatch.setenv(name, value)
    must(
        *("openssl", "req", "-new", "-noenc", "-newkey", "ec"),
        *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=vpn.home.arpa"),
        *("-addext", "subjectAltName=DNS:vpn.home.arpa"),
        *("-keyout", house.file("vpn.key"), "-out", house.file("vpn.csr")),
    )
    house.homeca.must("sign", "vpn.csr", "--profile", "vpn-server", cwd=house.place)
    address = free_address()
    crls = tmp_path / "crls.pem"

    def cut() -> None:
        house.homeca.must("crl")
        crls.write_bytes(b"".join(p.read_bytes() for p in (house.home / "crl").glob("*.crl.pem")))

    text = laptop.settings("openvpn")
    text = text.replace("dev tun", "dev null").replace("remote VPN.EXAMPLE 1194 udp", "")
    text = text.replace("\naskpass\n", f"\naskpass {secret}\n")
    (tmp_path / "client.conf").write_text(text)
    serving = {
        "ca": house.home / "certs/root.pem",
        "cert": house.file("vpn.crt"),
        "key": house.file("vpn.key"),
        "crl-verify": crls,
    }
    dialling = {"config": tmp_path / "client.conf"}
    cut()
    with server(tmp_path, address, serving) as started:
        is_in, said = lets_in(started, tmp_path, address, dialling)
    assert is_in, said
    assert "TLSv1.3" in said
    house.homeca.must("revoke", laptop.certificate, "--reason", "keyCompromise")
    cut()
    # a new server: one that waits for a TCP peer has read its CRL before the peer comes
    with server(tmp_path, address, serving) as started:
        is_in, said = lets_in(started, tmp_path, address, dialling)
    assert not is_in
    assert "certificate revoked" in said


# ---------------------------------------------------------------- openssl and curl


@contextlib.contextmanager
def web_server(house: House) -> Iterator[int]:
    """openssl s_server as nas.home.arpa, which wants a client certificate of this CA."""
    port = free_address().port
    process = subprocess.Popen(
        [
            *("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-tls1_3"),
            *("-cert", str(house.file("nas.crt")), "-cert_chain", str(house.file("nas.crt"))),
            *("-key", str(house.file("nas.key")), "-CAfile", str(house.home / "certs/root.pem")),
            *("-Verify", "3", "-verify_return_error"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.kill()
        process.wait()


def wait_for_port(port: int) -> None:
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        if wanted in Path("/proc/net/tcp").read_text():
            return
        time.sleep(0.02)
    pytest.fail("s_server does not listen")


def ask(laptop: Laptop, script: str) -> subprocess.CompletedProcess[str]:
    """The printed commands in a shell of their own, TLS being the only thing they need."""
    return subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=laptop.house.place,
        env={**os.environ, **laptop.tpm.environment},
        input="GET / HTTP/1.0\r\n\r\n",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "rsa-2048"])
def test_curl_and_openssl_authenticate_with_a_key_in_the_tpm_and_not_without_the_tpm(
    tpm: ManagedTpm, house: House, kind: str
) -> None:
    require("curl", "curl")
    laptop = certified(tpm, house, "--key", kind)
    with web_server(house) as port:
        curl = laptop.settings("curl").replace(
            "https://HOST/",
            f"-sS --resolve nas.home.arpa:{port}:127.0.0.1 https://nas.home.arpa:{port}/",
        )
        openssl = laptop.settings("openssl").replace("HOST:443", f"127.0.0.1:{port} -ign_eof")
        for script in (curl, openssl):
            done = ask(laptop, script)
            assert done.returncode == 0, done.stderr
            assert "CN = alice" in done.stdout or "CN=alice" in done.stdout, done.stdout
            away = script.replace("tabrmd:bus_type=session", "swtpm:path=/nowhere")
            assert away != script
            failed = ask(laptop, away)
            assert failed.returncode != 0
            assert "HTTP/1.0 200" not in failed.stdout


def test_a_server_does_not_take_the_certificate_without_its_key(
    laptop: Laptop, house: House
) -> None:
    chain = laptop.homeca.home / "device/alice/current/chain.pem"
    with web_server(house) as port:
        thief = laptop.tpm.run(
            *("openssl", "s_client", "-tls1_3", "-connect", f"127.0.0.1:{port}"),
            *("-cert", chain, "-key", house.file("nas.key")),
            cwd=house.place,
        )
    assert thief.returncode != 0
    assert "key values mismatch" in thief.stderr


# ---------------------------------------------------------------- strongSwan's handle


def test_the_printed_steps_put_the_very_key_at_a_handle_for_strongswan(
    tpm: ManagedTpm, house: House, tmp_path: Path
) -> None:
    require("tpm2_evictcontrol", "tpm2-tools")
    laptop = certified(tpm, house, "--one-hash")
    text = laptop.settings("strongswan")
    steps = text[text.index("umask") : text.index("# 2.")]
    done = ask(laptop, f"cd {tmp_path}\n{steps}tpm2_readpublic -Q -c 0x81010010 -f pem -o at.pem\n")
    assert done.returncode == 0, done.stderr
    chain = laptop.homeca.home / "device/alice/current/chain.pem"
    expected = must("openssl", "x509", "-in", chain, "-noout", "-pubkey")
    assert (tmp_path / "at.pem").read_text() == expected
    assert sorted(path.name for path in tmp_path.glob("key.*")) == []
