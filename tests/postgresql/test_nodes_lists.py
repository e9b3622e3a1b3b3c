"""Lists of several nodes: what each has of the others', and what is left of one that died."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509

from ca.interfaces.revocation import Reason
from ca.services.premises import Concern
from ca.services.revocation.revoking import revoke
from ca.services.standing.ca import standing
from tests.interop.homeca import Homeca
from tests.postgresql.conftest import Pair
from tests.postgresql.test_nodes import kill
from tests.services.rig import Rig, cut, issue_one


def concerns(rig: Rig, *, later: timedelta = timedelta(0)) -> dict[str, Concern]:
    """What needs attention, by its rule."""
    with rig.facility() as facility:
        found = standing(facility.store, facility.home, at=facility.clock() + later)
    return {one.rule: one for one in found.concerns if one.needs_attention}


def test_a_node_whose_openvpn_file_lacks_what_another_cut_is_told(pair: Pair) -> None:
    row = issue_one(pair.second)
    cut(pair.first, "intermediate-1")
    assert "crl.node-behind" not in concerns(pair.first)
    with pair.second.facility() as facility:
        revoke(row, Reason.KEY_COMPROMISE, facility)
    cut(pair.second, "intermediate-2")
    assert "crl.node-behind" not in concerns(pair.second)
    said = concerns(pair.first)["crl.node-behind"]
    assert "Intermediate CA 2" in said.text
    assert "--if-due" in said.remedy
    told = Homeca(pair.first.path).run("crl", "--if-due")
    assert told.returncode == 0
    assert "crl.node-behind" not in concerns(pair.first)
    listed = {crl.issuer.rfc4514_string(): crl for crl in in_openvpn_file(pair.first)}
    (entry,) = listed["CN=Rig Intermediate CA 2,O=Rig"]
    assert entry.serial_number == row.serial


def in_openvpn_file(rig: Rig) -> list[x509.CertificateRevocationList]:
    text = (rig.path / "crl/openvpn.pem").read_text()
    ends = "-----END X509 CRL-----\n"
    return [
        x509.load_pem_x509_crl((one + ends).encode()) for one in text.split(ends) if one.strip()
    ]


def test_a_ladder_of_another_node_is_asked_for_before_its_first_list_ends(
    pair: Pair, tmp_path: Path
) -> None:
    Homeca(pair.second.path).must("crl", "--ladder", "12")
    Homeca(pair.first.path).must("crl", "--ladder", "12")
    late = timedelta(days=40)
    said = concerns(pair.first, later=late)["crl.node-due"]
    assert "Intermediate CA 2" in said.text
    rungs = tmp_path / "intermediate-2.crl.pem"
    rungs.write_bytes((pair.second.path / "crl/intermediate-2.crl.pem").read_bytes())
    Homeca(pair.first.path).must("crl", "--include", rungs)
    assert "crl.node-due" not in concerns(pair.first, later=late)


def test_a_list_that_no_node_has_cut_is_asked_of_that_node(pair: Pair) -> None:
    told = Homeca(pair.first.path).run("crl")
    (warning,) = (line for line in told.stderr.splitlines() if "Intermediate CA 2" in line)
    assert "Run `homeca crl` there, then here" in warning
    assert "--include" not in warning


def test_a_node_that_died_needs_no_attention_once_its_intermediate_is_revoked(pair: Pair) -> None:
    cut(pair.second, "intermediate-2")
    kill(pair.second, "sign", "store.record_intents.after")
    cut(pair.first, "intermediate-1")
    late = timedelta(days=90)
    before = concerns(pair.first, later=late)
    assert "if it is gone for ever, revoke" in before["node.open"].remedy
    with pair.first.facility() as facility:
        issuer = next(i for i in facility.store.issuers() if i.slug == "intermediate-2")
        found = standing(facility.store, facility.home, at=facility.clock() + late)
        (expired,) = (c for c in found.concerns if c.rule == "crl.expired" and "CA 2" in c.text)
        command = expired.remedy.partition("revoke its intermediate here (`homeca ")[2]
    Homeca(pair.first.path).must(*command.partition("`")[0].split())
    pair.first.clock.move(minutes=1)
    cut(pair.first, "root")
    after = concerns(pair.first, later=late)
    assert "node.open" not in after
    assert not any("CA 2" in one.text for one in after.values())
    assert serials_of_root(pair.first) == {issuer.serial}


def serials_of_root(rig: Rig) -> set[int]:
    of_root = [one for one in in_openvpn_file(rig) if "Root CA" in one.issuer.rfc4514_string()]
    return {entry.serial_number for one in of_root for entry in one}
