"""`homeca audit` and `homeca prove`: what they print and how they end."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from tests.cli.running import Said, run
from tests.house import House, make_request
from tests.interop.homeca import CHECKOUT


def set_back(house: House, copy: Path) -> None:
    """The database as it was when `copy` was made."""
    for left in house.home.glob("homeca.db*"):
        left.unlink()
    shutil.copy(copy, house.home / "homeca.db")


@pytest.fixture
def old(house: House, tmp_path: Path) -> Path:
    """The database from before the laptop's certificate was revoked."""
    copy = tmp_path / "old.db"
    shutil.copy(house.home / "homeca.db", copy)
    house.homeca.must("revoke", house.file("laptop.crt"), "--reason", "keyCompromise")
    return copy


# ---------------------------------------------------------------- audit verify


def test_a_ca_in_order_is_found_in_order(common_house: House) -> None:
    said = run(common_house, "audit", "verify")
    assert said.status == 0
    assert "nothing is wrong" in said.text
    assert "the TPM holds entry" in said.text
    assert "software TPM" in said.messages
    assert "homeca audit checkpoint" in said.messages


def test_an_audit_changes_nothing(house: House) -> None:
    before = house.homeca.json("audit", "verify")
    assert house.homeca.json("audit", "verify") == before
    assert before["good"]
    assert before["violations"] == []


def test_a_trigger_that_swallows_revocations_is_a_violation(house: House) -> None:
    with closing(sqlite3.connect(house.home / "homeca.db")) as database:
        database.execute(
            "CREATE TRIGGER aside BEFORE INSERT ON revocations BEGIN SELECT RAISE(IGNORE); END"
        )
    said = run(house, "audit", "verify")
    assert said.status == 6
    assert "'aside' of the table 'revocations' is none of homeca's" in said.text
    assert "DROP TRIGGER aside" in said.text
    assert "[record.rules]" in said.text


def test_an_old_database_is_named_as_such_and_ends_with_6(house: House, old: Path) -> None:
    set_back(house, old)
    said = run(house, "audit", "verify")
    assert said.status == 6
    assert "older than its anchor" in said.text
    assert "homeca audit accept" in said.text


def test_an_old_database_signs_nothing_and_says_what_to_do(house: House, old: Path) -> None:
    set_back(house, old)
    said = run(house, "renew", house.serial("nas"))
    assert said.status == 5
    assert "[store.ledger-mismatch]" in said.messages
    assert "homeca audit verify" in said.messages
    assert run(house, "crl").status == 5


def test_without_the_tpm_an_old_database_looks_good_and_that_is_said(
    house: House, old: Path
) -> None:
    set_back(house, old)
    said = run(house, "audit", "verify", "--no-tpm")
    assert said.status == 0
    assert "the TPM was not asked" in said.messages


def test_a_published_list_betrays_an_old_database_even_without_the_tpm(
    house: House, old: Path
) -> None:
    house.homeca.must("crl")
    set_back(house, old)
    said = run(house, "audit", "verify", "--no-tpm")
    assert said.status == 6
    assert "ledger.set-back" in said.text


def test_an_accepted_database_is_in_order_again(house: House, old: Path) -> None:
    set_back(house, old)
    assert run(house, "audit", "accept", "--reason", "disk died").status == 2
    said = run(house, "audit", "accept", "--reason", "disk died", "--yes")
    assert said.status == 0
    assert "are forgotten" in said.messages
    assert run(house, "audit", "verify").status == 0
    assert "reason=disk died" in run(house, "audit", "log").text


def shown(house: House, stem: str) -> tuple[str, str | None, str | None]:
    told = house.homeca.json("show", house.serial(stem))
    return told["state"], told.get("reason"), told.get("revoked_at")


def accept(house: House, *options: str | Path) -> Said:
    said = run(house, "audit", "accept", "--reason", "disk died", "--yes", *options)
    assert said.status == 0, said.messages
    return said


def test_what_a_published_list_revokes_stays_revoked_in_an_accepted_database(
    house: House, old: Path
) -> None:
    house.homeca.must("revoke", house.file("parked.crt"), "--reason", "superseded")
    house.homeca.must("crl")
    before = {stem: shown(house, stem) for stem in ("laptop", "parked", "lost")}
    set_back(house, old)
    said = accept(house)
    assert house.serial("laptop") in said.messages
    assert "revoked again: 2 certificates" in said.text
    cut = house.homeca.json("crl")["crls"]
    assert {stem: shown(house, stem) for stem in before} == before
    assert [one["entries"] for one in cut] == [0, 3]
    assert all(one["number"] > 1000 for one in cut), "numbers that may be out there are left out"
    assert run(house, "audit", "verify").status == 0


def test_what_a_list_kept_elsewhere_revokes_stays_revoked_in_an_accepted_database(
    house: House, old: Path, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    house.homeca.must("crl", "--out", tmp_path / "server")
    before = shown(house, "laptop")
    for path in (house.home / "crl").iterdir():
        path.unlink()
    set_back(house, old)
    said = accept(house, "--crl", tmp_path / "server/openvpn.pem")
    assert house.serial("laptop") in said.messages
    assert "revoked again: 1 certificate" in said.text
    assert shown(house, "laptop") == before
    (cut,) = (one for one in house.homeca.json("crl")["crls"] if one["entries"])
    assert cut["number"] > 1000, "numbers that may be out there are left out"
    assert run(house, "audit", "verify").status == 0


def test_without_that_list_it_is_good_again(house: House, old: Path) -> None:
    house.homeca.must("crl")
    for path in (house.home / "crl").iterdir():
        path.unlink()
    set_back(house, old)
    accept(house)
    assert shown(house, "laptop")[0] == "valid"


def test_a_file_without_a_list_of_this_ca_is_named(house: House, old: Path, tmp_path: Path) -> None:
    house.homeca.must("crl")
    for path in (house.home / "crl").iterdir():
        path.rename(tmp_path / path.name)
    forged = bytearray((tmp_path / "intermediate-1.crl").read_bytes())
    forged[-1] ^= 1
    (tmp_path / "forged.crl").write_bytes(forged)
    set_back(house, old)
    said = accept(house, "--crl", tmp_path / "forged.crl")
    assert "forged.crl has no list of an issuer of this record" in said.messages
    assert "revoked again" not in said.text


def test_a_file_that_is_no_list_stops_the_acceptance(house: House, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a list")
    before = run(house, "audit", "log").text
    notes = tmp_path / "notes.txt"
    refused = run(house, "audit", "accept", "--reason", "x", "--yes", "--crl", notes)
    assert refused.status != 0
    assert run(house, "audit", "log").text == before


def test_a_worse_reason_on_a_published_list_is_taken_over_by_an_accepted_database(
    house: House, tmp_path: Path
) -> None:
    house.homeca.must("revoke", house.file("laptop.crt"), "--reason", "superseded")
    copy = tmp_path / "old.db"
    shutil.copy(house.home / "homeca.db", copy)
    house.homeca.must("revoke", house.file("laptop.crt"), "--reason", "keyCompromise")
    house.homeca.must("crl")
    before = shown(house, "laptop")
    set_back(house, copy)
    accept(house)
    assert shown(house, "laptop") == before
    assert before[1] == "keyCompromise"
    assert run(house, "crl").status == run(house, "audit", "verify").status == 0


def test_a_list_that_this_ca_did_not_sign_revokes_nothing_in_an_accepted_database(
    house: House, old: Path
) -> None:
    house.homeca.must("crl")
    for path in (house.home / "crl").glob("*.pem"):
        path.unlink()
    for path in (house.home / "crl").glob("*.crl"):
        octets = bytearray(path.read_bytes())
        octets[-1] ^= 1
        path.write_bytes(octets)
    set_back(house, old)
    said = accept(house)
    assert "revoked again" not in said.text
    assert shown(house, "laptop")[0] == "valid"


def test_a_hold_that_was_taken_back_since_the_list_is_not_put_on_again(house: House) -> None:
    house.homeca.must("revoke", house.file("parked.crt"), "--reason", "removeFromCRL")
    said = accept(house)
    assert "revoked again" not in said.text
    assert shown(house, "parked")[0] == "valid"


def test_a_revoked_certificate_that_an_accepted_database_does_not_know_is_named(
    house: House, tmp_path: Path
) -> None:
    copy = tmp_path / "old.db"
    shutil.copy(house.home / "homeca.db", copy)
    make_request(house.place, "later", "DNS:later.home.arpa")
    house.homeca.must("sign", house.file("later.csr"), "--profile", "vpn-client")
    house.homeca.must("revoke", house.file("later.crt"), "--reason", "keyCompromise")
    house.homeca.must("crl")
    set_back(house, copy)
    said = accept(house)
    assert house.serial("later") in said.messages
    assert "homeca init-intermediate" in said.messages
    assert "revoked again" not in said.text


def test_a_row_changed_by_hand_is_named_with_its_serial(house: House) -> None:
    serial = house.serial("nas")
    with house.database() as database:
        database.execute(
            "UPDATE certificates SET not_after = not_after + 86400 WHERE hex(serial) = ?",
            [serial.rjust(40, "0")],
        )
    report = json.loads(run(house, "audit", "verify", "--json").text)
    assert not report["good"]
    (violation,) = report["violations"]
    assert violation["rule"] == "ledger.row-changed"
    assert serial in violation["text"]
    assert "`homeca restore FILE`" in violation["remedy"]
    assert run(house, "audit", "verify").text.splitlines()[-2].endswith(" 1 violation")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("UPDATE ledger SET at = at + 1 WHERE seq = 12", "ledger.changed"),
        ("DELETE FROM ledger WHERE seq = 12", "ledger.missing"),
    ],
)
def test_a_changed_ledger_names_the_command_that_helps(
    house: House, change: str, rule: str
) -> None:
    with house.database() as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(change)
    report = json.loads(run(house, "audit", "verify", "--json").text)
    remedies = [one["remedy"] for one in report["violations"] if one["rule"] == rule]
    assert remedies
    assert all("`homeca restore FILE`" in remedy for remedy in remedies)


def test_hostile_text_in_the_ledger_is_harmless_on_a_terminal(house: House) -> None:
    with house.database() as database:
        database.execute(
            "UPDATE ledger SET event = char(27) || '[2J', details = char(27) WHERE seq = 5"
        )
    for command in ("verify", "log"):
        said = run(house, "audit", command)
        assert b"\x1b" not in said.out + said.err


def test_a_certificate_file_is_looked_up_in_the_ledger(house: House, tmp_path: Path) -> None:
    assert run(house, "audit", "verify", house.file("nas.crt")).status == 0
    other = House(tmp_path / "other")
    other.place.mkdir()
    other.homeca.must("init-root", "--name", "Other", "--key", "ec-p256")
    said = run(house, "audit", "verify", other.home / "certs" / "root.pem")
    assert said.status == 6
    assert "ledger.outside" in said.text


# ---------------------------------------------------------------- checkpoints, the log


def test_a_checkpoint_sees_everything_set_back_together(house: House, tmp_path: Path) -> None:
    shutil.copytree(house.home, tmp_path / "then")
    house.homeca.must("revoke", house.file("laptop.crt"))
    note = tmp_path / "note.txt"
    house.homeca.must("audit", "checkpoint", "--out", note)
    assert run(house, "audit", "verify", "--checkpoint", note).status == 0
    shutil.rmtree(house.home)
    shutil.copytree(tmp_path / "then", house.home)
    assert run(house, "audit", "verify").status == 0
    said = run(house, "audit", "verify", "--checkpoint", note)
    assert said.status == 6
    assert "ledger.set-back" in said.text
    assert "ledger.tpm-set-back" in said.text


def test_a_checkpoint_of_another_ca_is_not_taken(
    house: House, common_house: House, tmp_path: Path
) -> None:
    other = House(tmp_path / "other")
    other.place.mkdir()
    other.homeca.must("init-root", "--name", "Other", "--key", "ec-p256")
    note = tmp_path / "note.txt"
    other.homeca.must("audit", "checkpoint", "--out", note)
    said = run(house, "audit", "verify", "--checkpoint", note)
    assert said.status == 6
    assert "another ledger" in said.text


def test_a_checkpoint_that_was_changed_is_refused(house: House, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    house.homeca.must("audit", "checkpoint", "--out", note)
    text = note.read_text()
    note.write_text(text.replace("Entries: ", "Entries: 1", 1))
    said = run(house, "audit", "verify", "--checkpoint", note)
    assert said.status == 6
    assert "[verification.statement]" in said.messages
    reasons = [line for line in said.messages.splitlines() if line.startswith("   - ")]
    assert reasons
    for reason in reasons:
        text = reason.removeprefix("   - ").rpartition(" [")[0]
        assert said.messages.count(text) == reasons.count(reason), text


def test_a_checkpoint_is_not_overwritten_unasked(house: House, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    house.homeca.must("audit", "checkpoint", "--out", note)
    assert run(house, "audit", "checkpoint", "--out", note).status == 2
    assert run(house, "audit", "checkpoint", "--out", note, "--force").status == 0


def test_the_log_as_json_holds_all_that_is_hashed(common_house: House) -> None:
    from ca.encoding.ledger import ORIGIN, link

    last = ORIGIN
    lines = run(common_house, "audit", "log", "--json").text.splitlines()
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        assert entry["seq"] == number
        hashed = entry["canonical"]
        last = link(
            last,
            seq=entry["seq"],
            at=hashed["at"],
            event=entry["event"],
            issuer_id=hashed["issuer"],
            serial=int(entry["serial"], 16) if entry["serial"] is not None else None,
            details=hashed["details"],
        )
        assert entry["link"] == last.hex()
    assert len(lines) > 20


def test_the_log_as_json_says_the_same_in_a_readable_form(common_house: House) -> None:
    issuers = {
        one["slug"] for one in json.loads(run(common_house, "status", "--json").text)["issuers"]
    }
    seen = set()
    for line in run(common_house, "audit", "log", "--json").text.splitlines():
        entry = json.loads(line)
        hashed = entry["canonical"]
        assert datetime.fromisoformat(entry["at"]).timestamp() == hashed["at"]
        assert entry["details"] == json.loads(hashed["details"])
        assert (entry["issuer"] is None) == (hashed["issuer"] is None)
        seen.add(entry["issuer"])
    assert seen == issuers | {None}


def test_the_log_as_json_shows_what_was_written_into_it_by_hand(house: House) -> None:
    """No time, no JSON, an issuer that is none: what is hashed is shown all the same."""
    with house.database() as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(
            "UPDATE ledger SET at = 1 << 60, issuer_id = 99, details = ? WHERE seq = 5",
            ['{"a":NaN}'],
        )
    said = run(house, "audit", "log", "--json", "--after", "4")
    assert said.status == 0
    entry = json.loads(said.text.splitlines()[0])
    assert (entry["at"], entry["issuer"], entry["details"]) == (None, None, None)
    assert entry["canonical"] == {"at": 1 << 60, "issuer": 99, "details": '{"a":NaN}'}


def test_the_log_can_begin_later(common_house: House) -> None:
    whole = run(common_house, "audit", "log").text.splitlines()
    assert run(common_house, "audit", "log", "--after", "3").text.splitlines() == whole[3:]


# ---------------------------------------------------------------- prove


def test_a_proof_is_verified_elsewhere_without_tpm_and_library(
    common_house: House, tmp_path: Path
) -> None:
    proof = tmp_path / "proof.json"
    made = common_house.homeca.json("prove", "--out", proof)
    key = made["keys"][0]["attestation_key"]
    assert len(made["keys"]) == 2
    program = (
        "import sys; from ca.cli.app import app;"
        "sys.argv[0] = 'homeca';"
        "app(standalone_mode=False);"
        "heavy = ('tpm2_pytss', 'sqlalchemy', 'ca.keys.tpm.tss');"
        "print([name for name in heavy if name in sys.modules])"
    )
    arguments = ["prove", "--verify", str(proof), "--attestation-key", key]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={"PATH": "/nowhere", "PYTHONPATH": str(CHECKOUT), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("proven") == 2
    assert done.stdout.endswith("[]\n")


def test_a_proof_with_another_name_in_a_certificate_is_refused(
    common_house: House, tmp_path: Path
) -> None:
    proof, changed = tmp_path / "proof.json", tmp_path / "changed.json"
    common_house.homeca.must("prove", "--out", proof)
    assert run(common_house, "prove", "--verify", proof).status == 0
    told = json.loads(proof.read_text())
    for index, name in enumerate((b"Root CA", b"Intermediate CA 1")):
        keys = [dict(key) for key in told["keys"]]
        der = base64.b64decode(keys[index]["certificate"])
        assert name in der
        at = der.rindex(name)  # the subject stands behind the issuer
        keys[index]["certificate"] = base64.b64encode(der[:at] + b"X" + der[at + 1 :]).decode()
        changed.write_text(json.dumps(told | {"keys": keys}))
        refused = run(common_house, "prove", "--verify", changed)
        assert refused.status == 6, f"the name of key {index} was changed"


def test_a_proof_without_the_issuer_asks_to_compare_the_certificate(
    common_house: House, tmp_path: Path
) -> None:
    proof = tmp_path / "proof.json"
    common_house.homeca.must("prove", "--out", proof, "--issuer", "intermediate-1")
    said = run(common_house, "prove", "--verify", proof)
    assert said.status == 0
    assert "compare the fingerprint of" in said.messages
    common_house.homeca.must("prove", "--out", proof, "--issuer", "root", "--force")
    assert (
        "compare the fingerprint of" not in run(common_house, "prove", "--verify", proof).messages
    )


def test_a_proof_asks_to_compare_the_attestation_key(common_house: House, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    common_house.homeca.must("prove", "--out", proof)
    said = run(common_house, "prove", "--verify", proof)
    assert said.status == 0
    assert "compare" in said.messages
    wrong = run(common_house, "prove", "--verify", proof, "--attestation-key", "00" * 32)
    assert wrong.status == 6
    assert "another attestation key" in wrong.messages


def test_a_statement_is_put_together_from_one_tpm_only(common_house: House, tmp_path: Path) -> None:
    other = House(tmp_path / "other")
    other.place.mkdir()
    other.homeca.must("init-root", "--name", "Other", "--key", "ec-p256")
    tables = []
    for house in (common_house, other):
        proof = tmp_path / "proof.json"
        house.homeca.must("prove", "--out", proof, "--issuer", "root", "--force")
        assert run(common_house, "prove", "--verify", proof).status == 0
        tables.append(json.loads(proof.read_text()))
    both = tables[0] | {"keys": tables[0]["keys"] + tables[1]["keys"]}
    proof.write_text(json.dumps(both))
    said = run(common_house, "prove", "--verify", proof)
    assert (said.status, "signed by different TPMs" in said.messages) == (6, True), said


def test_a_proof_for_a_nonce_is_made_anew(common_house: House, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    made = common_house.homeca.json("prove", "--out", proof, "--nonce", "c0ffee")
    assert not made["keys"][0]["at_birth"]
    assert run(common_house, "prove", "--verify", proof, "--nonce", "C0:FF:EE").status == 0
    assert run(common_house, "prove", "--verify", proof, "--nonce", "decaf0").status == 6


def test_a_lost_proof_is_replaced_by_asking_the_tpm(house: House, tmp_path: Path) -> None:
    for kept in (house.home / "certs").glob("*.proof"):
        kept.unlink()
    proof = tmp_path / "proof.json"
    made = house.homeca.json("prove", "--out", proof, "--issuer", "root")
    (key,) = made["keys"]
    assert not key["at_birth"]
    assert run(house, "prove", "--verify", proof).status == 0


def test_a_kept_proof_of_another_ca_is_not_handed_out(house: House, tmp_path: Path) -> None:
    certs = house.home / "certs"
    shutil.copy(certs / "root.proof", certs / "intermediate-1.proof")
    made = house.homeca.json("prove", "--out", tmp_path / "proof.json")
    assert [key["at_birth"] for key in made["keys"]] == [True, False]


@pytest.mark.parametrize(
    "arguments",
    [
        ("prove", "--verify", "x", "--out", "y"),
        ("prove", "--attestation-key", "00"),
        ("prove", "--nonce", "xyz"),
        ("prove", "--issuer", "nobody"),
        ("prove", "--verify", "/does/not/exist"),
        ("audit", "verify", "--checkpoint", "/does/not/exist"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(
    common_house: House, arguments: tuple[str, ...]
) -> None:
    said = run(common_house, *arguments)
    assert said.status in (1, 2)
    assert "try:" in said.messages
    assert "Traceback" not in said.messages


def test_what_was_written_is_named_in_the_command_that_reads_it(
    common_house: House, tmp_path: Path
) -> None:
    proof, note = tmp_path / "my proof", tmp_path / "my note"

    for written, made in (
        (run(common_house, "prove", "--out", proof), f"prove --verify '{proof}'"),
        (run(common_house, "audit", "checkpoint", "--out", note), f"--checkpoint '{note}'"),
    ):
        assert made in written.messages
        _, _, command = written.messages.partition("`homeca ")
        again = run(common_house, *shlex.split(command.partition("`")[0]))
        assert again.status == 0, again.messages
