"""Requests that other programs make, keys in TPMs and tokens among them: all are signed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.device.managed_tpm import TCTI, ManagedTpm, managed_tpm
from tests.house import House
from tests.interop.programs import must
from tests.keys.tpm.lab import require


@pytest.fixture(scope="module")
def tpm() -> Iterator[ManagedTpm]:
    with managed_tpm() as started:
        yield started


def by_openssl_with_a_tpm_key(place: Path, tpm: ManagedTpm) -> None:
    tpm.must(
        *("openssl", "req", "-provider", "tpm2", "-provider", "default", "-new"),
        *("-newkey", "ec", "-pkeyopt", "group:P-256", "-keyout", "k.pem", "-noenc"),
        *("-propquery", "?provider=tpm2", "-subj", "/CN=alice"),
        *("-addext", "subjectAltName=DNS:alice.home.arpa", "-out", "alice.csr"),
        cwd=place,
    )


def by_certtool_with_a_tpm2_pkcs11_key(place: Path, tpm: ManagedTpm) -> None:
    require("tpm2_ptool", "libtpm2-pkcs11-tools")
    require("certtool", "gnutls-bin")
    # Debian 12 has it among the libraries, 13 in a directory of its own
    module = next(Path("/usr/lib").glob("*/**/libtpm2_pkcs11.so.1"), None)
    if module is None:
        pytest.fail("libtpm2_pkcs11.so.1 is missing: run `sudo apt install libtpm2-pkcs11-1`")
    store = place / "tokens"
    store.mkdir()
    (place / "template").write_text('cn = "alice"\ndns_name = "alice.home.arpa"\nsigning_key\n')
    token = ManagedTpm(
        {
            **tpm.environment,
            "TPM2_PKCS11_STORE": str(store),
            "TPM2_PKCS11_TCTI": TCTI,
            "GNUTLS_PIN": "1234",
            "PATH": f"/usr/bin:{os.environ['PATH']}",  # tpm2_ptool wants Debian's own Python
            "PYTHONPATH": "",
        }
    )
    at = ("--path", store)
    token.must("tpm2_ptool", "init", *at, cwd=place)
    pins = ("--label=t", "--userpin=1234")
    token.must("tpm2_ptool", "addtoken", "--pid=1", *pins, "--sopin=5678", *at, cwd=place)
    token.must("tpm2_ptool", "addkey", *pins, "--algorithm=ecc256", "--key-label=k", *at, cwd=place)
    token.must(
        *("certtool", "--provider", module, "--generate-request", "--template", "template"),
        *("--load-privkey", "pkcs11:token=t;object=k;type=private"),
        *("--load-pubkey", "pkcs11:token=t;object=k;type=public", "--outfile", "alice.csr"),
        cwd=place,
    )


def by_certtool(place: Path, _: ManagedTpm) -> None:
    require("certtool", "gnutls-bin")
    (place / "template").write_text('cn = "alice"\ndns_name = "alice.home.arpa"\nsigning_key\n')
    must("certtool", "--generate-privkey", "--ecc", "--outfile", place / "k.pem")
    must(
        *("certtool", "--generate-request", "--load-privkey", place / "k.pem"),
        *("--template", place / "template", "--outfile", place / "alice.csr"),
    )


def by_certutil_of_nss(place: Path, _: ManagedTpm) -> None:
    require("certutil", "libnss3-tools")
    (place / "db").mkdir()
    (place / "noise").write_bytes(os.urandom(64))
    must("certutil", "-d", f"sql:{place}/db", "-N", "--empty-password")
    must(
        *("certutil", "-d", f"sql:{place}/db", "-R", "-k", "ec", "-q", "nistp256", "-a"),
        *("-s", "CN=alice", "-8", "alice.home.arpa", "-z", place / "noise"),
        *("-o", place / "alice.csr"),
    )


def by_keytool_of_java(place: Path, _: ManagedTpm) -> None:
    require("keytool", "default-jre-headless")
    (place / "password").write_text("changeit")
    store = ("-keystore", str(place / "k.p12"), "-storepass:file", str(place / "password"))
    san = ("-ext", "san=dns:alice.home.arpa")
    for argv in (
        *(["-genkeypair", "-alias", "a", "-keyalg", "EC", "-groupname", "secp256r1"],),
        *(["-certreq", "-alias", "a", "-file", str(place / "alice.csr"), *san],),
    ):
        dname = ["-dname", "CN=alice"] if argv[0] == "-genkeypair" else []
        subprocess.run(
            ["keytool", *argv, *dname, *store], capture_output=True, timeout=60, check=True
        )


@pytest.mark.parametrize(
    "make",
    [
        by_openssl_with_a_tpm_key,
        by_certtool_with_a_tpm2_pkcs11_key,
        by_certtool,
        by_certutil_of_nss,
        by_keytool_of_java,
    ],
)
def test_a_request_of_another_program_is_signed_and_one_changed_bit_of_it_is_not(
    make: object, tpm: ManagedTpm, house: House, tmp_path: Path
) -> None:
    assert callable(make)
    make(tmp_path, tpm)
    request = tmp_path / "alice.csr"
    house.homeca.must("sign", request, "--profile", "vpn-client", cwd=tmp_path)
    root = house.home / "certs/root.pem"
    made = tmp_path / "alice.crt"
    must("openssl", "verify", "-x509_strict", "-CAfile", root, "-untrusted", made, made)
    asked = must("openssl", "req", "-in", request, "-noout", "-pubkey")
    assert must("openssl", "x509", "-in", made, "-noout", "-pubkey") == asked
    der = subprocess.run(
        ["openssl", "req", "-in", str(request), "-outform", "DER"],
        capture_output=True,
        check=True,
    ).stdout
    spoilt = tmp_path / "spoilt.csr"
    spoilt.write_bytes(der[:-1] + bytes([der[-1] ^ 1]))
    refused = house.homeca.run("sign", spoilt, "--profile", "vpn-client", cwd=tmp_path)
    assert refused.returncode == 3
    assert "not signed by its own key" in refused.stderr
