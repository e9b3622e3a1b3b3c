"""The anchor is read before every change and written once after it, in a real TPM."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from ca.attestation.checkpoint import read_checkpoint
from ca.encoding import ledger as details
from ca.errors import (
    LedgerMismatch,
    LedgerUnanchored,
    StoreUnwritable,
    TpmBroken,
    TpmStateMissing,
    TpmSwapped,
)
from ca.failpoints import arm
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.revocation import Reason
from ca.keys.tpm.link import Link
from ca.keys.tpm.return_codes import (
    CC_LOAD,
    CC_NV_EXTEND,
    CC_NV_INCREMENT,
    CC_NV_READ,
    CC_SHUTDOWN,
    CC_SIGN,
    CC_START_AUTH_SESSION,
)
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.root import init_root
from ca.services.crl.cutting import cut_crls
from ca.services.revocation.revoking import release, revoke
from ca.store.repository import open_store
from tests.keys.tpm.lab import Lab
from tests.keys.tpm.links import Changing, Recorder, Refusing, lost
from tests.ledger.benches import (
    audited,
    auditor,
    copy_database,
    custody,
    delete_index,
    events,
    put_back,
    reading,
    shell,
    wrong,
)
from tests.services.rig import CRL_DAYS, PLAN, Rig, Unwritable, cut, issue, issue_one, order

ROOT = Path(__file__).resolve().parents[2]
PLAN_BELOW = replace(PLAN, days=1000)


def writes(record: Recorder) -> tuple[int, int]:
    return record.codes.count(CC_NV_EXTEND), record.codes.count(CC_NV_INCREMENT)


# ---------------------------------------------------------------- what it costs


def test_one_certificate_costs_eight_commands_and_each_further_one_more(rig: Rig) -> None:
    for count in (1, 5):
        record = Recorder()
        with rig.facility(around=record.around) as facility:
            issue(facility, *(order(f"d{n}") for n in range(count)))
        assert record.codes == [
            *(CC_START_AUTH_SESSION, CC_NV_READ, CC_NV_READ, CC_LOAD),
            *([CC_SIGN] * count),
            *(CC_NV_EXTEND, CC_NV_INCREMENT, CC_SHUTDOWN),
        ]


def test_many_chunks_of_certificates_write_the_anchor_once(rig: Rig) -> None:
    record = Recorder()
    with rig.facility(around=record.around) as facility:
        issue(facility, *(order(f"d{n}") for n in range(70)))
    assert writes(record) == (1, 1)


def test_all_lists_of_one_command_write_the_anchor_once(rig: Rig) -> None:
    record = Recorder()
    with rig.facility(around=record.around) as facility:
        assert len(list(cut_crls(facility, days=CRL_DAYS))) == 2
    assert writes(record) == (1, 1)


def test_a_ceremony_writes_the_anchor_once(rig: Rig) -> None:
    record = Recorder()
    with rig.facility(around=record.around) as facility:
        init_intermediate(PLAN_BELOW, facility)
    assert writes(record) == (1, 1)


def test_several_changes_within_one_write_the_anchor_once(rig: Rig) -> None:
    row = issue_one(rig)
    record = Recorder()
    with rig.facility(around=record.around) as facility, facility.changing():
        revoke(row, Reason.CERTIFICATE_HOLD, facility)
        list(cut_crls(facility, days=CRL_DAYS))
    assert writes(record) == (1, 1)


def test_a_change_that_changes_nothing_writes_no_anchor(rig: Rig) -> None:
    issue_one(rig)
    record = Recorder()
    with rig.facility(around=record.around) as facility, facility.changing():
        pass
    assert writes(record) == (0, 0)


def test_every_command_leaves_ledger_record_and_tpm_agreeing(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        revoke(row, Reason.CERTIFICATE_HOLD, facility)
    with rig.facility() as facility:
        (held,) = facility.store.by_serial(row.serial)
        release(held, facility)
    cut(rig)
    audit = audited(rig)
    assert audit.found is not None
    assert audit.found.waiting == 0


# ---------------------------------------------------------------- an old database


@pytest.fixture
def old(rig: Rig, tmp_path: Path) -> Path:
    """A copy of the database from before a certificate was revoked."""
    issue_one(rig, "stolen")
    copy = tmp_path / "old.db"
    copy_database(rig, copy)
    with rig.facility() as facility:
        (row,) = [r for r in rig.rows() if "stolen" in r.subject]
        revoke(row, Reason.KEY_COMPROMISE, facility)
    return copy


def test_an_old_database_signs_nothing_and_revokes_nothing(rig: Rig, old: Path) -> None:
    put_back(rig, old)
    before = events(rig)
    record = Recorder()
    with rig.facility(around=record.around) as facility:
        with pytest.raises(LedgerMismatch, match="older than its anchor"):
            issue(facility, order())
        with pytest.raises(LedgerMismatch):
            list(cut_crls(facility, days=CRL_DAYS))
        with pytest.raises(LedgerMismatch):
            init_intermediate(PLAN_BELOW, facility)
        with pytest.raises(LedgerMismatch):
            revoke(rig.rows()[-1], Reason.SUPERSEDED, facility)
    assert not {CC_LOAD, CC_SIGN, CC_NV_EXTEND} & set(record.codes)
    assert events(rig) == before
    assert wrong(rig) == ["ledger.anchor"]


def test_the_newest_database_put_back_goes_on(rig: Rig, old: Path, tmp_path: Path) -> None:
    newest = tmp_path / "newest.db"
    copy_database(rig, newest)
    put_back(rig, old)
    put_back(rig, newest)
    issue_one(rig)
    assert wrong(rig) == []


def test_an_accepted_old_database_goes_on_and_says_so_for_ever(rig: Rig, old: Path) -> None:
    put_back(rig, old)
    with auditor(rig) as found:
        _, agreed = found.keeper.accept("the disk died")
    assert not agreed
    issue_one(rig)
    audited(rig)
    assert "accepted" in events(rig)


def test_a_checkpoint_still_sees_what_was_accepted(rig: Rig, old: Path, tmp_path: Path) -> None:
    with auditor(rig) as found:
        checkpoint = read_checkpoint(found.checkpoint())
    put_back(rig, old)
    with auditor(rig) as found:
        found.keeper.accept("nobody will notice")
    assert wrong(rig, checkpoint) == ["ledger.set-back"]
    while len(events(rig)) < checkpoint.position.entries:  # until as much has happened again
        issue_one(rig)
    assert wrong(rig, checkpoint) == ["ledger.rewritten"]


def test_accepting_what_agrees_anyway_is_said_to_have_agreed(rig: Rig) -> None:
    issue_one(rig)
    with auditor(rig) as found:
        _, agreed = found.keeper.accept("by mistake")
    assert agreed
    audited(rig)


# ---------------------------------------------------------------- the TPM


def test_a_software_tpm_set_back_is_noticed(rig: Rig, tmp_path: Path) -> None:
    shutil.copytree(rig.path / "tpm", tmp_path / "old-tpm")
    for name in ("a", "b"):
        issue_one(rig, name)
    shutil.rmtree(rig.path / "tpm")
    shutil.copytree(tmp_path / "old-tpm", rig.path / "tpm")
    with (
        rig.facility() as facility,
        pytest.raises(LedgerMismatch, match="anchor is older than the database"),
    ):
        issue(facility, order())


def test_database_and_tpm_set_back_together_are_noticed_by_a_checkpoint_alone(
    rig: Rig, tmp_path: Path
) -> None:
    issue_one(rig)
    shutil.copytree(rig.path, tmp_path / "then")
    issue_one(rig, "later")
    with auditor(rig) as found:
        checkpoint = read_checkpoint(found.checkpoint())
    shutil.rmtree(rig.path)
    shutil.copytree(tmp_path / "then", rig.path)
    assert wrong(rig) == []
    assert wrong(rig, checkpoint) == ["ledger.set-back", "ledger.tpm-set-back"]


@pytest.mark.parametrize("which", ["head", "counter"])
def test_a_deleted_index_stops_signing(rig: Rig, which: str) -> None:
    place, _ = reading(rig)
    delete_index(rig, getattr(place, which))
    with rig.facility() as facility, pytest.raises(LedgerMismatch, match="does not hold"):
        issue(facility, order())
    assert wrong(rig) == ["ledger.anchor"]


@pytest.mark.parametrize("prepared", [False, True], ids=["any TPM", "one with such an anchor"])
def test_another_tpm_found_at_the_anchor_is_told_as_another_tpm(
    rig: Rig, tmp_path: Path, prepared: bool
) -> None:
    """And not as an anchor that was deleted: accepting the record would be the wrong remedy."""
    place, _ = reading(rig)
    another = Lab(tmp_path / "another", tmp_path / "lock").custody()
    with another.hold():
        if prepared:
            another.place_anchor(place.ledger)
    shutil.rmtree(rig.path / "tpm")
    shutil.copytree(tmp_path / "another", rig.path / "tpm")
    record = Recorder()
    with (
        rig.facility(around=record.around) as facility,
        pytest.raises(TpmSwapped, match="not the TPM that holds the CA's keys"),
    ):
        issue(facility, order())
    assert not {CC_LOAD, CC_SIGN, CC_NV_EXTEND} & set(record.codes)


def test_an_index_made_anew_holds_another_story(rig: Rig) -> None:
    issue_one(rig)
    place, before = reading(rig)
    delete_index(rig, place.head)
    tpm = custody(rig)
    with tpm.hold():
        assert tpm.place_anchor(place.ledger) == place
    assert reading(rig)[1].count == before.count
    with rig.facility() as facility, pytest.raises(LedgerMismatch, match="made anew"):
        issue(facility, order())


def test_a_head_made_anew_that_was_told_an_old_story_is_given_away_by_its_counter(
    rig: Rig, old: Path
) -> None:
    """The database is the one from before the revocation, and the head is as it was then."""
    put_back(rig, old)
    with closing(open_store(rig.path / "homeca.db")) as store:
        entries = list(store.ledger())
    links = {entry.seq: entry.link for entry in entries}
    told = [
        (details.read_details(entry.details) or {})["seq"]
        for entry in entries
        if entry.event == LedgerEvent.ANCHORED
    ]
    place, before = reading(rig)
    delete_index(rig, place.head)
    tpm = custody(rig)
    with tpm.hold():
        assert tpm.place_anchor(place.ledger) == place
        anchor = tpm.anchor(place)
        for seq in (*told, entries[-1].seq):
            anchor.extend(links[seq])
        assert anchor.read().count == before.count
    with rig.facility() as facility, pytest.raises(LedgerMismatch, match="has counted 2 commands"):
        issue(facility, order())
    assert wrong(rig) == ["ledger.anchor"]


def test_a_counter_made_anew_never_goes_back(rig: Rig) -> None:
    issue_one(rig)
    place, before = reading(rig)
    delete_index(rig, place.counter)
    tpm = custody(rig)
    with tpm.hold():
        tpm.place_anchor(place.ledger)
    assert reading(rig)[1].count > before.count


def test_an_anchor_taken_from_the_tpm_can_be_accepted_anew(rig: Rig) -> None:
    place, _ = reading(rig)
    delete_index(rig, place.head)
    delete_index(rig, place.counter)
    with auditor(rig) as found:
        found.keeper.accept("the TPM was cleared")
    issue_one(rig)
    audited(rig)


def test_two_cas_in_one_tpm_have_anchors_of_their_own(rig: Rig, tmp_path: Path) -> None:
    tpm = custody(rig)
    mine, before = reading(rig)
    with tpm.hold():
        other = tpm.place_anchor(b"o" * 32)
        anchor = tpm.anchor(other)
        anchor.extend(b"x" * 32)
        anchor.increment()
    assert {mine.head, mine.counter}.isdisjoint({other.head, other.counter})
    assert reading(rig)[1] == before
    issue_one(rig)


def test_a_revocation_is_recorded_although_the_tpm_is_gone(rig: Rig, tmp_path: Path) -> None:
    row = issue_one(rig)
    shutil.move(rig.path / "tpm", tmp_path / "gone")
    with rig.facility() as facility:
        with pytest.raises(TpmStateMissing):
            issue(facility, order())
        revoke(row, Reason.KEY_COMPROMISE, facility)
    assert "anchored by the next command" in rig.warnings[0]
    shutil.move(tmp_path / "gone", rig.path / "tpm")
    audit = audited(rig)
    assert audit.found is not None
    assert audit.found.waiting > 0
    issue_one(rig, "next")
    audit = audited(rig)
    assert audit.found is not None
    assert audit.found.waiting == 0


def test_a_tpm_lost_while_anchoring_takes_nothing_back_and_says_so(rig: Rig) -> None:
    with rig.facility(around=lambda link: Changing(link, lost(CC_NV_EXTEND))) as facility:
        issue(facility, order())
    assert "recorded, but not yet anchored" in rig.warnings[0]
    issue_one(rig, "next")
    audited(rig)


def test_a_record_that_was_never_anchored_waits_for_a_person(rig: Rig, tmp_path: Path) -> None:
    """As a CA from before there was a ledger; a forged database must not be anchored unasked."""
    another = Lab(tmp_path / "another", tmp_path / "lock").custody()
    with auditor(rig) as found, another.hold():
        with pytest.raises(LedgerUnanchored) as refused:
            found.keeper.read(another)
        assert "homeca audit accept" in refused.value.remedy
        anchor, _, held = found.keeper.read(another, may_place=True)
        assert held == anchor.read()


def test_an_anchor_with_a_past_is_not_placed_into_a_ledger_that_knows_of_none(rig: Rig) -> None:
    """As with a copy of the database from before its anchor was placed."""
    (placed,) = (n for n, event in enumerate(events(rig), 1) if event == LedgerEvent.ANCHOR_PLACED)
    assert placed > 1, "the ledger is still the same one"
    with shell(rig) as connection:
        connection.execute("DELETE FROM ledger WHERE seq >= ?", [placed])
    before = events(rig)
    with (
        rig.facility(settling=False) as facility,
        pytest.raises(LedgerMismatch, match="does not know of"),
    ):
        init_intermediate(PLAN_BELOW, facility)
    assert events(rig) == before


# ---------------------------------------------------------------- failures and crashes


def test_a_full_disk_stops_before_the_key_is_loaded(rig: Rig) -> None:
    record = Recorder()
    with (
        rig.facility(
            around=record.around, store=lambda store: Unwritable(store, "record_intents")
        ) as facility,
        pytest.raises(StoreUnwritable),
    ):
        issue(facility, order())
    assert not {CC_LOAD, CC_SIGN} & set(record.codes)
    audited(rig)


def test_a_failed_ceremony_leaves_entries_that_the_next_command_anchors(rig: Rig) -> None:
    def refusing(link: Link) -> Link:
        return Refusing(link, lambda code, _: 0x101 if code == CC_SIGN else 0)

    with rig.facility(around=refusing) as facility, pytest.raises(TpmBroken):
        init_intermediate(PLAN_BELOW, facility)
    audit = audited(rig)
    assert audit.found is not None
    assert audit.found.waiting > 0
    issue_one(rig)
    audit = audited(rig)
    assert audit.found is not None
    assert audit.found.waiting == 0


def test_a_counter_that_a_crash_left_behind_is_raised_by_the_next_command(rig: Rig) -> None:
    """What the ledger then says of the counter is what the TPM holds."""
    _, before = reading(rig)
    with rig.facility() as facility:
        arm(_dying_at("anchor.extended"))
        try:
            with pytest.raises(_Death):
                issue(facility, order())
        finally:
            arm(None)
    assert reading(rig)[1].count == before.count
    issue_one(rig, "next")
    with closing(open_store(rig.path / "homeca.db")) as store:
        anchored = next(iter(store.ledger_notes(LedgerEvent.ANCHORED)))
    said = details.read_details(anchored.details) or {}
    assert said["count"] == before.count + 1
    assert reading(rig)[1].count == before.count + 2


class _Death(BaseException):
    """The process ends here."""


def _dying_at(point: str) -> Callable[[str], None]:
    def trap(passed: str) -> None:
        if passed == point:
            raise _Death

    return trap


@pytest.mark.parametrize(
    "point",
    [
        *("tpm.14e.before", "tpm.14e.after", "tpm.157.after", "tpm.15d.before", "tpm.15d.after"),
        *("tpm.136.before", "tpm.136.after", "tpm.134.before", "tpm.134.after", "tpm.145.before"),
        *("store.record_intents.after", "store.record_certificates.after"),
    ],
)
def test_a_process_killed_at_any_point_is_no_rollback(rig: Rig, point: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-m", "tests.faults.victim", str(rig.path), "sign", point],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    assert wrong(rig) == []
    issue_one(rig, "next")
    audited(rig)


def test_the_first_ceremony_killed_while_it_places_the_anchor_goes_on(empty_rig: Rig) -> None:
    for point in ("tpm.12a.after", "tpm.136.after", "tpm.134.after"):
        killed = subprocess.run(
            [sys.executable, "-m", "tests.faults.victim", str(empty_rig.path), "init-root", point],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert killed.returncode == -9, killed.stderr
    with empty_rig.facility(create=True) as facility:
        init_root(PLAN, facility)
    place, held = reading(empty_rig)
    assert (place.head, place.counter) == (0x01800200, 0x01800201)
    assert held.count == 2
    audited(empty_rig)


def test_parallel_commands_anchor_one_after_the_other(rig: Rig) -> None:
    _, before = reading(rig)
    started = time.monotonic()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim", str(rig.path), "sign", "none.none.none"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in processes:
        out, err = process.communicate(timeout=90)
        assert (process.returncode, out) == (0, b"survived\n"), err
    assert reading(rig)[1].count == before.count + 4
    audited(rig)
    assert time.monotonic() - started < 90
