"""kill -9 at every step: the next command settles it, says so, and goes on (invariant 1)."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cryptography import x509

from ca.algorithms import EC_P256
from ca.interfaces.issuing import State
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.finding import Gravity
from ca.services.inspection.inspecting import inspect
from tests.interop.homeca import CHECKOUT, Homeca
from tests.services.rig import Rig, cut, issue_one, number, serials

NEXT = Plan(name="Rig", kind=EC_P256, days=1000)
SIGN = "15d"
CREATE = "153"
LOAD = "157"


def kill(rig: Rig, act: str, point: str) -> None:
    """Run `act` on this home in a process that kills itself at `point`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.victim", str(rig.path), act, point],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, f"{point}: {done.stdout}{done.stderr}"


def goes_on(rig: Rig) -> None:
    """The next certificate and the next CRLs are made, and the auditor finds nothing wrong."""
    rig.clock.now = datetime.now(UTC).replace(microsecond=0)
    issue_one(rig, "next")
    cut(rig)
    with rig.facility() as facility:
        findings = list(inspect(facility, load_keys=True))
    # a software TPM is worth a warning, always
    assert [finding for finding in findings if finding.gravity is Gravity.ERROR] == []


#: Where `sign` is killed -> how its two serials end.
SIGNING = {
    "store.record_intents.before": [],
    "store.record_intents.after": [State.UNCERTAIN, State.UNCERTAIN],
    f"tpm.{LOAD}.before": [State.UNCERTAIN, State.UNCERTAIN],
    f"tpm.{SIGN}.before": [State.UNCERTAIN, State.UNCERTAIN],
    f"tpm.{SIGN}.after": [State.UNCERTAIN, State.UNCERTAIN],
    "store.record_certificates.before": [State.UNCERTAIN, State.UNCERTAIN],
    "store.record_certificates.after": [State.ISSUED, State.ISSUED],
}


@pytest.mark.parametrize("point", SIGNING)
def test_a_killed_sign_is_settled_and_reported_by_the_next_command(rig: Rig, point: str) -> None:
    kill(rig, "sign", point)
    said = Homeca(rig.path).run("list", "--all")
    assert said.returncode == 0, said.stderr
    uncertain = SIGNING[point].count(State.UNCERTAIN)
    assert said.stderr.count("an interrupted signature for ") == uncertain
    assert [row.state for row in rig.rows()] == SIGNING[point]
    with rig.facility():
        assert rig.settlements == [], "it is settled once"
    listed = {row.serial for row in rig.rows() if row.state is State.UNCERTAIN}
    rig.clock.now = datetime.now(UTC).replace(microsecond=0)
    assert serials(cut(rig)) == listed
    goes_on(rig)


#: Where a ceremony is killed -> whether there is an issuer after it.
CEREMONY = {
    "store.begin_issuer.after": False,
    "store.reserve.after": False,
    f"tpm.{CREATE}.after": False,
    "store.record_issuer_key.after": False,
    "store.record_intents.after": False,
    f"tpm.{SIGN}.after": False,
    "store.record_certificates.after": True,
    "store.activate_issuer.after": True,
}


@pytest.mark.parametrize("point", CEREMONY)
def test_a_killed_root_ceremony_is_completed_or_may_be_begun_anew(
    empty_rig: Rig, point: str
) -> None:
    kill(empty_rig, "init-root", point)
    again = Homeca(empty_rig.path).run("init-root", "--name", "Rig", "--key", "ec-p256")
    if CEREMONY[point]:
        assert again.returncode == 2
        assert "configuration.already-initialised" in again.stderr
    else:
        assert again.returncode == 0, again.stderr
    empty_rig.clock.now = datetime.now(UTC).replace(microsecond=0)
    with empty_rig.facility() as facility:
        init_intermediate(NEXT, facility)
    assert sorted(path.name for path in (empty_rig.path / "keys").iterdir()) == [
        "intermediate-1.tss",
        "root.tss",
    ]
    goes_on(empty_rig)


@pytest.mark.parametrize("point", CEREMONY)
def test_a_killed_intermediate_ceremony_is_completed_or_may_be_begun_anew(
    rig: Rig, point: str
) -> None:
    kill(rig, "init-intermediate", point)
    said = Homeca(rig.path).run("list")
    assert said.returncode == 0, said.stderr
    # the last point is after the end of the ceremony: nothing is left to settle
    assert ("interrupted" in said.stderr) is (point != "store.activate_issuer.after")
    blob = rig.path / "keys/intermediate-2.tss"
    assert blob.exists() is CEREMONY[point]
    rig.clock.now = datetime.now(UTC).replace(microsecond=0)
    with rig.facility() as facility:
        assert init_intermediate(NEXT, facility).slug == "intermediate-3"
    goes_on(rig)


@pytest.mark.parametrize(
    "point",
    [
        "store.reserve_crl_number.after",
        f"tpm.{SIGN}.before",
        f"tpm.{SIGN}.after",
        "store.record_crl.before",
        "store.record_crl.after",
    ],
)
def test_after_a_killed_crl_the_next_one_has_a_higher_number_and_a_later_date(
    rig: Rig, point: str
) -> None:
    before = cut(rig, "root")
    kill(rig, "crl", point)
    published = x509.load_pem_x509_crl((rig.path / "crl/root.crl.pem").read_bytes())
    assert published == before
    after = cut(rig, "root")
    assert number(after) >= number(before) + 2
    assert after.last_update_utc > before.last_update_utc
    goes_on(rig)
