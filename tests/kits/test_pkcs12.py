"""PKCS#12 in both forms, as openssl reads them; and every key that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from ca.encoding.pkcs12 import Pkcs12Form, pkcs12
from ca.errors import PrivateKeyUnusable
from ca.interfaces.values import Secret
from tests.house import House
from tests.interop.programs import must, run
from tests.interop.world import blocks, der_of

PASSWORD = "correct horse battery"


def made(house: House, form: Pkcs12Form, *, key: Path | None = None, stem: str = "laptop") -> bytes:
    chain = house.file(f"{stem}.crt")
    (second,) = blocks(chain)[1:]
    issuer = house.place / "issuer.pem"
    issuer.write_text(second)
    return pkcs12(
        key=(key or house.file(f"{stem}.key")).read_bytes(),
        key_password=None,
        certificate=der_of(chain),
        chain=[der_of(issuer)],
        name="Alice's laptop",
        password=Secret(PASSWORD.encode()),
        form=form,
    )


def read(path: Path, *options: str, password: str = PASSWORD) -> tuple[int, str]:
    done = run("openssl", "pkcs12", "-in", path, "-passin", f"pass:{password}", *options)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("form", "cipher", "mac"),
    [
        (Pkcs12Form.LEGACY, "pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"),
        (Pkcs12Form.MODERN, "PBES2, PBKDF2, AES-256-CBC", "MAC: sha256"),
    ],
)
def test_openssl_opens_each_form_with_the_password_and_not_without(
    house: House, tmp_path: Path, form: Pkcs12Form, cipher: str, mac: str
) -> None:
    path = tmp_path / "laptop.p12"
    path.write_bytes(made(house, form))
    status, said = read(path, "-info", "-noenc")
    assert status == 0, said
    assert said.count(cipher) == 2  # for the key and for the certificates
    assert mac in said
    assert said.count("BEGIN CERTIFICATE") == 2
    status, said = read(path, "-noenc", password="correct horse batterie")
    assert status != 0
    assert "invalid password" in said.lower()


def test_the_key_that_comes_out_is_the_key_that_went_in(house: House, tmp_path: Path) -> None:
    path = tmp_path / "laptop.p12"
    path.write_bytes(made(house, Pkcs12Form.LEGACY))
    out = must(
        "openssl", "pkcs12", "-in", path, "-passin", f"pass:{PASSWORD}", "-nocerts", "-noenc"
    )
    (tmp_path / "out.key").write_text(out[out.index("-----BEGIN") :])
    mine = must("openssl", "pkey", "-in", house.file("laptop.key"), "-pubout")
    assert must("openssl", "pkey", "-in", tmp_path / "out.key", "-pubout") == mine


def test_the_key_of_another_certificate_is_refused(house: House) -> None:
    with pytest.raises(PrivateKeyUnusable, match="another certificate"):
        made(house, Pkcs12Form.MODERN, key=house.file("nas.key"))


def test_a_key_under_a_password_opens_with_it_and_is_refused_without(
    house: House, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    must(
        "openssl", "pkcs8", "-topk8", "-in", house.file("laptop.key"), "-passout", "pass:geheim",
        "-out", locked,
    )  # fmt: skip
    with pytest.raises(PrivateKeyUnusable, match="no password was given"):
        made(house, Pkcs12Form.MODERN, key=locked)
    octets, certificate = locked.read_bytes(), der_of(house.file("laptop.crt"))

    def opened(password: bytes) -> bytes:
        return pkcs12(
            key=octets,
            key_password=Secret(password),
            certificate=certificate,
            chain=(),
            name="x",
            password=Secret(b"x" * 12),
            form=Pkcs12Form.MODERN,
        )

    assert opened(b"geheim")
    with pytest.raises(PrivateKeyUnusable, match="another one"):
        opened(b"Geheim")


def test_a_key_in_a_tpm_is_told_that_it_cannot_leave(house: House) -> None:
    with pytest.raises(PrivateKeyUnusable, match="cannot leave"):
        made(house, Pkcs12Form.MODERN, key=house.home / "keys/root.tss")


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_refused(house: House, tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "x.key"
    path.write_bytes(octets)
    with pytest.raises(PrivateKeyUnusable):
        made(house, Pkcs12Form.MODERN, key=path)


def test_a_certificate_is_no_key(house: House) -> None:
    with pytest.raises(PrivateKeyUnusable):
        made(house, Pkcs12Form.MODERN, key=house.file("laptop.crt"))
