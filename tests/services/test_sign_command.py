"""`homeca sign` from request files to certificate files: many at once, some of them bad."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from ca.interfaces.issuing import IssuerState, State
from tests.interop.homeca import Homeca
from tests.services.rig import Rig, request_der


def test_two_bad_requests_among_fifty_cost_only_themselves(rig: Rig, tmp_path: Path) -> None:
    requests = [tmp_path / f"d{n:02}.csr" for n in range(50)]
    for path in requests:
        path.write_bytes(request_der(path.stem))
    requests[7].write_bytes(b"this is no request")
    forged = request_der("d31")
    requests[31].write_bytes(forged[:-1] + bytes([forged[-1] ^ 1]))
    done = Homeca(rig.path).run("sign", *requests, "--profile", "vpn-client", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert len(told["certificates"]) == 48
    assert {Path(failure["request"]).stem for failure in told["failures"]} == {"d07", "d31"}
    assert "2 of 50 requests failed" in done.stderr
    assert len(list(tmp_path.glob("*.crt"))) == 48
    rows = rig.rows()
    assert [row.state for row in rows] == [State.ISSUED] * 48


def test_a_certificate_that_cannot_be_written_stops_no_other(rig: Rig, tmp_path: Path) -> None:
    """A directory of that name gives way to nobody, not even with --force."""
    requests = [tmp_path / f"{name}.csr" for name in ("d0", "d1", "d2")]
    for path in requests:
        path.write_bytes(request_der(path.stem))
    (tmp_path / "d1.crt").mkdir()
    done = Homeca(rig.path).run("sign", *requests, "--profile", "vpn-client", "--force")
    assert done.returncode == 1
    made = [path.name for path in tmp_path.glob("*.crt") if path.is_file()]
    assert sorted(made) == ["d0.crt", "d2.crt"]
    rows = rig.rows()
    assert [row.state for row in rows] == [State.ISSUED] * 3
    assert f"homeca show {rows[1].serial:X}" in done.stderr


def test_a_link_to_nowhere_is_in_the_way_before_anything_is_signed(
    rig: Rig, tmp_path: Path
) -> None:
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    (tmp_path / "d.crt").symlink_to(tmp_path / "nowhere")
    done = Homeca(rig.path).run("sign", tmp_path / "d.csr", "--profile", "vpn-client")
    assert done.returncode == 2
    assert not (tmp_path / "nowhere").exists()
    assert rig.rows() == []


def test_the_file_holds_the_certificate_and_its_intermediate(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    Homeca(rig.path).must("sign", tmp_path / "d.csr", "--profile", "vpn-client")
    leaf, intermediate = x509.load_pem_x509_certificates((tmp_path / "d.crt").read_bytes())
    leaf.verify_directly_issued_by(intermediate)
    assert (tmp_path / "d.crt").stat().st_mode & 0o777 == 0o644


def test_an_existing_file_stops_the_command_before_anything_is_signed(
    rig: Rig, tmp_path: Path
) -> None:
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    (tmp_path / "d.crt").write_text("mine")
    done = Homeca(rig.path).run("sign", tmp_path / "d.csr", "--profile", "vpn-client")
    assert done.returncode == 2
    assert "configuration.output-exists" in done.stderr
    assert (tmp_path / "d.crt").read_text() == "mine"
    assert rig.rows() == []


@pytest.mark.parametrize("more", [(), ("--out", "-")])
@pytest.mark.parametrize("source", ["-", "d.csr"])
def test_a_request_that_is_given_twice_is_not_certified_twice(
    rig: Rig, tmp_path: Path, source: str, more: tuple[str, ...]
) -> None:
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    done = Homeca(rig.path).run(
        "sign", source, source, "--profile", "vpn-client", *more, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "is given twice [configuration.usage]" in done.stderr
    assert rig.rows() == []


def test_ctrl_c_in_a_batch_prints_the_document_of_what_was_issued(rig: Rig, tmp_path: Path) -> None:
    """It comes when the first file of a certificate has appeared."""
    requests = [tmp_path / f"d{n:02}.csr" for n in range(48)]
    for path in requests:
        path.write_bytes(request_der(path.stem))
    program = """
import os, signal
from ca.cli.app import main
from ca.failpoints import arm

def trap(name):
    if name == "file.appeared":
        arm(None)
        os.kill(os.getpid(), signal.SIGINT)

arm(trap)
main()
"""
    arguments = ["sign", *map(str, requests), "--profile", "vpn-client", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        env=Homeca(rig.path).environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "homeca: cancelled" in done.stderr) == (130, True), done.stderr
    told = json.loads(done.stdout)["certificates"]
    issued = [row for row in rig.rows() if row.state is State.ISSUED]
    assert 1 <= len(told) == len(issued) < 48
    assert {Path(one["file"]) for one in told} == set(tmp_path.glob("*.crt"))
    assert {int(one["serial"], 16) for one in told} == {row.serial for row in issued}


def test_ctrl_c_with_a_lock_of_the_signing_threads_taken_still_ends(
    rig: Rig, tmp_path: Path
) -> None:
    """Python may raise it between taking a lock and the block that gives it back."""
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    program = """
import signal, sys
from ca.cli.app import main

def press(frame, event, called):
    if event == "c_return" and called.__name__ in ("acquire", "__enter__"):
        names = []
        while frame is not None:
            names.append(frame.f_code.co_filename)
            frame = frame.f_back
        if any(name.endswith("futures/_base.py") for name in names[:3]) and any(
            "/services/issuance/" in name for name in names
        ):
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

sys.setprofile(press)
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "sign", tmp_path / "d.csr", "--profile", "vpn-client"],
        env=Homeca(rig.path).environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, "homeca: cancelled" in done.stderr) == (130, True), done.stderr
    assert [row.state for row in rig.rows()] == [State.ISSUED]


def test_a_dry_run_signs_and_records_nothing(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    done = Homeca(rig.path).run("sign", tmp_path / "d.csr", "--profile", "vpn-client", "--dry-run")
    assert done.returncode == 0
    assert "CN=d.home.arpa" in done.stderr
    assert not (tmp_path / "d.crt").exists()
    assert rig.rows() == []


def test_lint_of_a_request_names_a_command_that_judges_it(rig: Rig, tmp_path: Path) -> None:
    request = tmp_path / "a request.csr"
    request.write_bytes(request_der("d"))
    refused = Homeca(rig.path).run("lint", request)
    assert refused.returncode == 2
    (command,) = re.findall(r"`homeca ([^`]*)`", refused.stderr)
    done = Homeca(rig.path).run(*shlex.split(command))
    assert (done.returncode, "CN=d.home.arpa" in done.stderr) == (0, True)
    assert rig.rows() == []


def test_the_root_that_was_named_signs_without_a_word_of_intermediates(
    rig: Rig, tmp_path: Path
) -> None:
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    sign = ("sign", tmp_path / "d.csr", "--profile", "vpn-client", "--dry-run")

    assert "intermediate" not in Homeca(rig.path).run(*sign, "--issuer", "root").stderr

    with rig.facility() as facility:
        (intermediate,) = (one for one in facility.store.issuers() if one.parent_id is not None)
        facility.store.set_issuer_state(
            intermediate.id, IssuerState.RETIRED, at=facility.check_clock()
        )
    assert "run `homeca init-intermediate`" in Homeca(rig.path).run(*sign).stderr


def test_an_intermediate_goes_to_another_home_and_back_by_three_commands(
    rig: Rig, tmp_path: Path
) -> None:
    root, away = Homeca(rig.path), Homeca(tmp_path / "away/home")
    (tmp_path / "away").mkdir()
    request = tmp_path / "ask.csr"
    away.must("init-intermediate", "--name", "Away", "--key", "ec-p256", "--csr-out", request)
    root.must("init-intermediate", "--sign-request", request, "--days", "900")
    away.must("init-intermediate", "--certificate", tmp_path / "ask.crt")
    (tmp_path / "d.csr").write_bytes(request_der("d"))
    away.must("sign", tmp_path / "d.csr", "--profile", "vpn-client")
    assert away.run("verify", tmp_path / "d.crt").returncode == 0
    again = away.run("init-intermediate", "--certificate", tmp_path / "ask.crt")
    assert again.returncode == 3
