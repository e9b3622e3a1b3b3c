"""Several homes on one database: each signs with its own TPM and issuer, and answers for itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.encoding.requests import parse_request
from ca.errors import AlreadyInitialised, CeremonyRefused, CustodyError, StateConflict
from ca.interfaces.issuing import CertificateQuery, IssuerState, State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.services.ceremony.foreign_root import (
    accept_intermediate,
    give_up_intermediate,
    request_intermediate,
)
from ca.services.ceremony.intermediate import certify_foreign_intermediate, init_intermediate
from ca.services.ceremony.root import init_root
from ca.services.crl.cutting import cut_crls
from ca.services.facility import Facility, authorities, root_of
from ca.services.finding import Gravity
from ca.services.inspection.inspecting import inspect
from ca.services.revocation.revoking import revoke
from ca.services.standing.ca import standing
from tests.interop.homeca import CHECKOUT, Homeca
from tests.interop.programs import must, run
from tests.postgresql.cluster import Cluster
from tests.postgresql.conftest import Pair
from tests.postgresql.homes import NEXT, home_at, join
from tests.services.rig import CRL_DAYS, PLAN, Rig, cut, issue_one, request_der, serials
from tests.store.making import intent

SIGN = "15d"


def issuer_of(rig: Rig, slug: str) -> int:
    with rig.facility(settling=False) as facility:
        return next(i.id for i in facility.store.issuers() if i.slug == slug)


def all_rows(facility: Facility) -> list[tuple[int, State]]:
    query = CertificateQuery(states=tuple(State))
    return [(row.serial, row.state) for row in facility.store.certificates(query)]


def kill(rig: Rig, act: str, point: str) -> None:
    """Run `act` on this node in a process that kills itself at `point`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.victim", str(rig.path), act, point],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, f"{point}: {done.stdout}{done.stderr}"


# ---------------------------------------------------------------- joining


def test_a_second_node_gets_an_intermediate_under_the_same_root(pair: Pair, tmp_path: Path) -> None:
    issued = x509.load_der_x509_certificate(issue_one(pair.second).der or b"")
    (tmp_path / "leaf.pem").write_bytes(issued.public_bytes(Encoding.PEM))
    root, own = pair.second.path / "certs/root.pem", pair.second.path / "certs/intermediate-2.pem"
    other = pair.first.path / "certs/intermediate-1.pem"
    must("openssl", "verify", "-x509_strict", "-CAfile", root, "-untrusted", own, "leaf.pem",
         cwd=tmp_path)  # fmt: skip
    refused = run("openssl", "verify", "-CAfile", root, "-untrusted", other, "leaf.pem",
                  cwd=tmp_path)  # fmt: skip
    assert refused.returncode != 0, "the other node's intermediate did not sign it"


def test_the_three_steps_work_from_the_command_line(
    rig: Rig, tmp_path: Path, postgresql: Cluster
) -> None:
    first = Homeca(rig.path)
    toml = (rig.path / "homeca.toml").read_text()
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b/homeca.toml").write_text(toml)
    second = Homeca(tmp_path / "b")
    request = tmp_path / "b.csr"
    second.must("init-intermediate", "--csr-out", request, "--key", "ec-p256", "--days", "900")
    first.must("init-intermediate", "--sign-request", request, "--days", "900")
    second.must("init-intermediate", "--certificate", request.with_suffix(".crt"))
    (tmp_path / "phone.csr").write_bytes(request_der())
    told = second.json("sign", tmp_path / "phone.csr", "--profile", "vpn-client")
    assert told
    status = second.json("status")
    assert [node["here"] for node in status["nodes"]] == [False, True]
    own = {issuer["slug"]: issuer["node"] is None for issuer in status["issuers"]}
    assert own == {"root": False, "intermediate-1": False, "intermediate-2": True}
    shown = second.run("status").stdout
    assert "(this one)" in shown
    assert "of node" in shown


def test_each_node_is_bound_to_its_own_tpm(pair: Pair) -> None:
    with pair.first.facility() as first, pair.second.facility() as second:
        one, other = first.store.custody(), second.store.custody()
        assert one is not None
        assert other is not None
        assert one.srk_public != other.srk_public
        assert first.custody().describe().srk_public == one.srk_public
        assert second.custody().describe().srk_public == other.srk_public


def test_a_node_that_finds_the_other_ones_tpm_signs_nothing(pair: Pair) -> None:
    tpm = pair.second.path / "tpm"
    tpm.rename(pair.second.path / "away")
    (pair.first.path / "tpm").rename(tpm)
    with pytest.raises(CustodyError, match="not the TPM"):
        issue_one(pair.second)


def test_there_is_one_root(pair: Pair) -> None:
    with pair.second.facility() as facility, pytest.raises(AlreadyInitialised) as refused:
        init_root(PLAN, facility)
    assert "--csr-out" in refused.value.remedy
    with pair.second.facility() as facility, pytest.raises(CeremonyRefused, match="does not live"):
        init_intermediate(NEXT, facility)


def test_only_the_node_with_the_root_signs_requests_for_it(pair: Pair) -> None:
    with pair.second.facility() as facility:
        before = all_rows(facility)
        issuer, request = request_intermediate(NEXT, facility)
        with pytest.raises(CeremonyRefused, match="does not live"):
            certify_foreign_intermediate(parse_request(request), NEXT, facility)
        assert all_rows(facility) == before
        give_up_intermediate(issuer.slug, facility)


def test_a_request_signed_twice_gives_one_certificate(pair: Pair) -> None:
    with pair.second.facility() as facility:
        issuer, request = request_intermediate(NEXT, facility)
    parsed = parse_request(request)
    with pair.first.facility() as facility:
        first = certify_foreign_intermediate(parsed, NEXT, facility)
        again = certify_foreign_intermediate(parsed, NEXT, facility)
        root = root_of(authorities(facility.store)).issuer
    assert first.certificate == again.certificate
    assert first.state is IssuerState.PENDING, "it is the other node's to take"
    with pair.second.facility() as facility:
        taken = accept_intermediate([again.certificate or b"", root.certificate or b""], facility)
        assert (taken.id, taken.state) == (issuer.id, IssuerState.ACTIVE)
    with pair.first.facility() as facility, pytest.raises(CeremonyRefused, match="'active'"):
        certify_foreign_intermediate(parsed, NEXT, facility)


def test_another_nodes_waiting_issuer_is_not_settled_here(pair: Pair) -> None:
    with pair.second.facility() as facility:
        issuer, _ = request_intermediate(NEXT, facility)
    with pair.first.facility() as facility:
        found = next(i for i in facility.store.issuers() if i.id == issuer.id)
    assert found.state is IssuerState.PENDING
    assert pair.first.settlements == []


def test_a_home_without_a_key_looks_and_revokes(pair: Pair, tmp_path: Path) -> None:
    row = issue_one(pair.first)
    watcher = Homeca(home_at(tmp_path / "watcher", pair.url))
    serial = f"{row.serial:X}"
    assert serial in watcher.must("list", "--json")
    watcher.must("revoke", serial)
    assert serials(cut(pair.first)) == {row.serial}
    assert not (tmp_path / "watcher/node").exists()


# ---------------------------------------------------------------- issuing


def test_each_node_signs_with_its_own_issuer(pair: Pair) -> None:
    one, other = issue_one(pair.first, "a"), issue_one(pair.second, "b")
    assert one.issuer_id == issuer_of(pair.first, "intermediate-1")
    assert other.issuer_id == issuer_of(pair.second, "intermediate-2")


def test_the_record_itself_refuses_an_intent_of_another_nodes_issuer(pair: Pair) -> None:
    foreign = issuer_of(pair.first, "intermediate-1")
    with pair.second.facility() as facility:
        now = facility.clock()
        with pytest.raises(StateConflict, match="only that one signs"):
            facility.store.record_intents([intent(foreign, 77)], at=now)
        with pytest.raises(StateConflict, match="only that one signs"):
            facility.store.reserve(foreign, Serial(77), subject="CN=x", at=now)
        assert facility.store.by_serial(Serial(77)) == ()


def test_both_at_once_lose_nothing_and_share_no_serial(pair: Pair, tmp_path: Path) -> None:
    nodes = [Homeca(pair.first.path), Homeca(pair.second.path)]
    processes = []
    for number, node in enumerate(nodes):
        requests = [tmp_path / f"n{number}-{n}.csr" for n in range(8)]
        for path in requests:
            path.write_bytes(request_der(path.stem))
        processes.append(
            subprocess.Popen(
                node.argv("sign", *requests, "--profile", "vpn-client"),
                cwd=tmp_path,
                env=node.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        _, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
    written = {
        x509.load_pem_x509_certificate(path.read_bytes()).serial_number
        for path in tmp_path.glob("n*.crt")
    }
    assert len(written) == 16
    for node in nodes:
        verdict = node.run("audit", "verify")
        assert verdict.returncode == 0, verdict.stdout
        node.must("check")


# ---------------------------------------------------------------- revoking


def test_any_node_revokes_and_the_one_with_the_key_tells_the_world(pair: Pair) -> None:
    row = issue_one(pair.second)
    with pair.first.facility() as facility:
        revoke(row, Reason.KEY_COMPROMISE, facility)
        mine = {one.authority.issuer.slug for one in cut_crls(facility, days=CRL_DAYS)}
        stand = standing(facility.store, facility.home, at=facility.clock())
    assert mine == {"root", "intermediate-1"}
    (missing,) = [one for one in stand.concerns if one.rule == "crl.missing"]
    assert missing.remedy.startswith("on node ")
    assert serials(cut(pair.second, "intermediate-2")) == {row.serial}


def test_every_node_publishes_the_lists_of_all(pair: Pair) -> None:
    row = issue_one(pair.second)
    with pair.second.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility)
    cut(pair.second, "intermediate-2")
    cut(pair.first, "intermediate-1")
    published = (pair.first.path / "crl/intermediate-2.crl").read_bytes()
    assert published == (pair.second.path / "crl/intermediate-2.crl").read_bytes()
    text = (pair.first.path / "crl/openvpn.pem").read_text()
    assert text.count("BEGIN X509 CRL") == 3


def test_a_revoked_intermediate_of_another_node_signs_nothing_more(pair: Pair) -> None:
    with pair.first.facility() as facility:
        issuer = next(i for i in facility.store.issuers() if i.slug == "intermediate-2")
        (row,) = facility.store.by_serial(issuer.serial or Serial(0))
        revoke(row, Reason.CA_COMPROMISE, facility)
    (pair.second.path.parent / "phone.csr").write_bytes(request_der())
    refused = Homeca(pair.second.path).run(
        "sign", pair.second.path.parent / "phone.csr", "--profile", "vpn-client"
    )
    assert refused.returncode != 0
    assert "no issuer that can sign" in refused.stderr


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize(
    ("point", "after"),
    [
        ("store.record_intents.after", State.UNCERTAIN),
        (f"tpm.{SIGN}.after", State.UNCERTAIN),
        ("store.record_certificates.before", State.UNCERTAIN),
        ("store.record_certificates.after", State.ISSUED),
    ],
)
def test_a_killed_node_leaves_the_others_issuing_and_settles_itself(
    pair: Pair, point: str, after: State
) -> None:
    kill(pair.second, "sign", point)
    issue_one(pair.first, "meanwhile")
    assert pair.first.settlements == [], "what another node began is not ours to end"
    open_there = 0 if after is State.ISSUED else 2
    with pair.first.facility() as facility:
        here, there = facility.store.nodes()
        assert (here.is_here, here.open_serials, there.open_serials) == (True, 0, open_there)
        at = facility.clock().replace(year=facility.clock().year + 1)
        late = standing(facility.store, facility.home, at=at)
    assert ("node.open" in {c.rule for c in late.concerns}) is bool(open_there)
    said = Homeca(pair.second.path).run("list", "--all")
    assert said.stderr.count("an interrupted signature for ") == open_there
    rows = pair.second.rows()
    assert [row.state for row in rows] == [after, after]
    listed = {row.serial for row in rows if row.state is State.UNCERTAIN}
    pair.second.clock.move(minutes=1)
    assert serials(cut(pair.second, "intermediate-2")) == listed
    issue_one(pair.second, "next")
    for rig in (pair.first, pair.second):
        with rig.facility() as facility:
            cut_all = list(cut_crls(facility, days=CRL_DAYS))
            assert cut_all
            errors = [f for f in inspect(facility, load_keys=True) if f.gravity is Gravity.ERROR]
        assert errors == []


def test_a_ceremony_killed_on_one_node_is_its_own_to_abandon(rig: Rig, tmp_path: Path) -> None:
    toml = (rig.path / "homeca.toml").read_text().split('"')[1]
    second = Rig(home_at(tmp_path / "second", toml), rig.clock)
    join(rig, second)
    kill(rig, "init-intermediate", "store.begin_issuer.after")
    issue_one(second)
    assert second.settlements == []
    with rig.facility() as facility:
        states = {issuer.slug: issuer.state for issuer in facility.store.issuers()}
    assert [settled.after for settled in rig.settlements] == ["abandoned"]
    assert set(states) == {"root", "intermediate-1", "intermediate-2"}
