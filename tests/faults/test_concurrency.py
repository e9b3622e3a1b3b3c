"""Many commands at once on one home: they wait for each other, and none loses anything."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from cryptography import x509

from ca.interfaces.issuing import State
from tests.interop.homeca import Homeca
from tests.services.rig import Rig, cut, number, request_der

EIGHT = range(8)


def start(homeca: Homeca, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        homeca.argv(*arguments),
        env=homeca.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def all_succeed(started: list[subprocess.Popen[str]]) -> None:
    """Each ends within a minute, with status 0; none is left behind whatever happens."""
    try:
        for process in started:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_eight_signs_at_once_give_eight_certificates_serials_and_rows(
    rig: Rig, tmp_path: Path
) -> None:
    for n in EIGHT:
        (tmp_path / f"d{n}.csr").write_bytes(request_der(f"d{n}"))
    homeca = Homeca(rig.path)
    all_succeed(
        [start(homeca, "sign", tmp_path / f"d{n}.csr", "--profile", "vpn-client") for n in EIGHT]
    )
    written = {
        x509.load_pem_x509_certificate((tmp_path / f"d{n}.crt").read_bytes()).serial_number
        for n in EIGHT
    }
    rows = rig.rows()
    assert len(rows) == 8
    assert {row.state for row in rows} == {State.ISSUED}
    assert {row.serial for row in rows} == written


def test_signing_revoking_and_cutting_at_once_lose_no_revocation(rig: Rig, tmp_path: Path) -> None:
    homeca = Homeca(rig.path)
    for n in range(4):
        (tmp_path / f"d{n}.csr").write_bytes(request_der(f"d{n}"))
    requests = [tmp_path / f"d{n}.csr" for n in range(2)]
    homeca.must("sign", *requests, "--profile", "vpn-client")
    all_succeed(
        [
            start(homeca, "revoke", tmp_path / "d0.crt"),
            start(homeca, "crl"),
            start(homeca, "revoke", tmp_path / "d1.crt"),
            start(homeca, "crl"),
            start(homeca, "sign", tmp_path / "d2.csr", "--profile", "vpn-client"),
            start(homeca, "sign", tmp_path / "d3.csr", "--profile", "vpn-client"),
        ]
    )
    rows = rig.rows()
    assert [row.state for row in rows] == [State.ISSUED] * 4
    revoked = {row.serial for row in rows if row.is_revoked}
    assert len(revoked) == 2
    rig.clock.move(minutes=2)
    crl = cut(rig)
    assert {entry.serial_number for entry in crl} == revoked
    assert number(crl) == 3


def test_two_roots_at_once_in_one_home_give_one_root(empty_rig: Rig) -> None:
    homeca = Homeca(empty_rig.path)
    started = [start(homeca, "init-root", "--name", f"R{n}", "--key", "ec-p256") for n in (1, 2)]
    try:
        told = [process.communicate(timeout=60)[1] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert sorted(process.returncode == 0 for process in started) == [False, True]
    refused = next(
        said for process, said in zip(started, told, strict=True) if process.returncode != 0
    )
    # as it comes: while the other one is under way, or when it is done
    assert re.search("is the root already|already has a root", refused), refused
    with empty_rig.facility() as facility:
        assert [issuer.slug for issuer in facility.store.issuers()] == ["root"]
    assert [path.name for path in (empty_rig.path / "keys").iterdir()] == ["root.tss"]
