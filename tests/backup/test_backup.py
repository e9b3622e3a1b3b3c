"""From a living CA to one file and back, through the installed program."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ca.algorithms import EC_P256
from ca.encoding.age import Opened
from ca.encoding.age_keys import Identity, Passphrase
from ca.encoding.inspect import read_crl
from ca.errors import BackupStale
from ca.home import Home
from ca.interfaces.issuing import State
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.revocation import Reason
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Secret
from ca.services.backup.making import make_backup, recall
from ca.services.backup.restoring import restore
from ca.services.ceremony.intermediate import init_intermediate
from ca.services.ceremony.plan import Plan
from ca.services.revocation.revoking import revoke
from ca.wiring.facility import open_unpacked
from ca.wiring.record import spelled
from tests.house import House
from tests.interop.homeca import Homeca
from tests.interop.programs import at_another_time, must, require
from tests.services.rig import Rig, cut, issue, order

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return secret_file(tmp_path / "passphrase", PASSPHRASE)


def secret_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path


def backed_up(house: House, identity: Path, *options: str, name: str = "backup.age") -> Path:
    public = must("age-keygen", "-y", identity).strip()
    house.homeca.must("backup", house.file(name), "--recipient", public, *options)
    return house.file(name)


def restored(house: House, backup: Path, identity: Path, *options: str | Path) -> House:
    """In another place, as on another machine."""
    place = house.place / "restored"
    place.mkdir(exist_ok=True)
    other = House(place)
    other.homeca.must("restore", backup, "--identity", identity, *options)
    return other


def certificates(house: House, *options: str) -> Any:
    return house.homeca.json("list", "--all", *options)["certificates"]


# ---------------------------------------------------------------- there and back


def test_a_restored_home_has_every_certificate_revocation_file_and_setting(
    house: House, identity: Path
) -> None:
    (house.home / "homeca.toml").write_text("crl_days = 20\n")
    own = house.home / "profiles/mine.cnf"
    house.homeca.must("profile", "new", "mine", "--from", "tls-client")
    assert own.exists() or list((house.home / "profiles").iterdir())
    back = restored(house, backed_up(house, identity), identity)
    assert certificates(back) == certificates(house)
    for name in ("certs", "crl", "profiles", "keys"):
        there = {path.name: path.read_bytes() for path in (back.home / name).iterdir()}
        assert there == {path.name: path.read_bytes() for path in (house.home / name).iterdir()}
    assert (back.home / "homeca.toml").read_text() == "crl_days = 20\n"
    checked = back.homeca.json("check")
    assert [one["rule"] for one in checked["findings"]] == ["check.ledger.not-compared"]


def test_a_backup_with_a_passphrase_comes_back(house: House, secret: Path) -> None:
    backup = house.file("b.age")
    house.homeca.must("backup", backup, "--passphrase-file", secret)
    place = house.place / "restored"
    place.mkdir()
    back = House(place)
    back.homeca.must("restore", backup, "--passphrase-file", secret)
    assert certificates(back) == certificates(house)


def test_everything_restored_is_closed_to_others(house: House, identity: Path) -> None:
    backup = backed_up(house, identity)
    assert backup.stat().st_mode & 0o777 == 0o600
    back = restored(house, backup, identity)
    for path in (back.home, back.home / "keys", back.home / "homeca.db"):
        assert path.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (back.home / "keys").iterdir())


def test_age_and_tar_take_a_backup_apart_without_homeca(house: House, identity: Path) -> None:
    backup = backed_up(house, identity)
    octets = subprocess.run(
        [require("age"), "--decrypt", "-i", str(identity), str(backup)],
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(octets)) as tar:
        names = tar.getnames()
        database = tar.extractfile("homeca.db")
        assert database is not None
        (house.place / "loose.db").write_bytes(database.read())
    assert names[0] == "homeca-backup.json"
    assert {"homeca.db", "keys/root.tss", "certs/root.pem", "crl/openvpn.pem"} <= set(names)
    with closing(sqlite3.connect(house.place / "loose.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_backup_is_made_while_another_command_writes(house: House, identity: Path) -> None:
    with closing(sqlite3.connect(house.home / "homeca.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO crls (issuer_id, number, reserved_at) VALUES (1, 77, 1)")
        backup = backed_up(house, identity)
        writer.execute("ROLLBACK")
    back = restored(house, backup, identity)
    with closing(sqlite3.connect(back.home / "homeca.db")) as reader:
        assert reader.execute("SELECT count(*) FROM crls WHERE number = 77").fetchone() == (0,)


class _Busy:
    """A store into which another homeca writes as soon as it has been copied."""

    def __init__(self, store: CertificateStore, then: Callable[[], None]) -> None:
        self._store, self._then = store, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def copy_to(self, path: Path) -> None:
        self._store.copy_to(path)
        self._then()


def test_a_ceremony_while_a_backup_is_made_does_not_spoil_it(rig: Rig, tmp_path: Path) -> None:
    def ceremony() -> None:
        with rig.facility(settling=False) as another:
            init_intermediate(Plan(name="Rig", kind=EC_P256, days=900), another)

    key = Passphrase(Secret(PASSPHRASE.encode()), 10)
    with rig.facility(store=lambda store: _Busy(store, ceremony)) as facility:
        made = make_backup(tmp_path / "backup.age", key, facility)
    home = Home(tmp_path / "back")
    restore(
        tmp_path / "backup.age",
        key,
        home,
        opened=open_unpacked,
        spelled=spelled,
        at=rig.clock.now,
    )
    with open_unpacked(home) as facility:
        assert [one.slug for one in facility.store.issuers()] == ["root", "intermediate-1"]
        told = {one.seq: one.event for one in facility.store.ledger()}
    assert told[made.manifest.entries + 1] == LedgerEvent.RESTORED


def test_nothing_is_left_of_making_one(house: House, identity: Path) -> None:
    before = {path.name for path in house.home.iterdir()}
    backed_up(house, identity)
    assert {path.name for path in house.home.iterdir()} - before <= {"backups.json", ".tpm.lock"}


def test_no_backup_replaces_a_file_unless_it_is_told_to(house: House, identity: Path) -> None:
    backup = backed_up(house, identity)
    public = must("age-keygen", "-y", identity).strip()
    before = backup.read_bytes()
    done = house.homeca.run("backup", backup, "--recipient", public)
    assert (done.returncode, backup.read_bytes()) == (2, before)
    house.homeca.must("backup", backup, "--recipient", public, "--force")
    assert backup.read_bytes() != before


def test_a_full_disk_leaves_no_backup(house: House, identity: Path) -> None:
    public = must("age-keygen", "-y", identity).strip()
    target = house.file("full.age")
    done = subprocess.run(
        house.homeca.argv("backup", target, "--recipient", public),
        env=house.homeca.environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert not target.exists()
    assert not list(house.place.glob(".full.age*"))


@pytest.mark.parametrize("text", ["short", ""])
def test_a_short_passphrase_is_refused(house: House, tmp_path: Path, text: str) -> None:
    path = secret_file(tmp_path / "short", text)
    done = house.homeca.run("backup", house.file("b.age"), "--passphrase-file", path)
    assert (done.returncode, house.file("b.age").exists()) == (2, False)


# ---------------------------------------------------------------- no usable key


def test_without_its_tpm_a_restored_home_signs_nothing(house: House, identity: Path) -> None:
    back = restored(house, backed_up(house, identity), identity)
    assert not (back.home / "tpm").exists()
    done = back.homeca.run("crl")
    assert (done.returncode, "custody.tpm-state-missing" in done.stderr) == (4, True)


def test_on_a_second_tpm_a_restored_home_signs_nothing(
    house: House, identity: Path, tmp_path: Path
) -> None:
    stranger = Homeca(tmp_path / "stranger/home")
    stranger.home.parent.mkdir()
    stranger.must("init-root", "--name", "Stranger", "--key", "ec-p256")
    back = restored(house, backed_up(house, identity), identity)
    shutil.copytree(stranger.home / "tpm", back.home / "tpm")
    done = back.homeca.run("crl")
    assert (done.returncode, "custody.tpm-swapped" in done.stderr) == (4, True)


def test_the_software_tpm_comes_along_only_when_asked_for(house: House, identity: Path) -> None:
    def holds(backup: Path) -> bool:
        with backup.open("rb") as stream:
            plain = b"".join(Opened(stream, Identity.parse_file(identity.read_text())))
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            return any(name.startswith("tpm/") for name in tar.getnames())

    assert not holds(backed_up(house, identity))
    assert holds(backed_up(house, identity, "--include-software-tpm", name="with.age"))


def test_with_its_software_tpm_a_restored_home_goes_on(house: House, identity: Path) -> None:
    backup = backed_up(house, identity, "--include-software-tpm")
    back = restored(house, backup, identity)
    before = house.homeca.json("crl")["crls"]
    after = back.homeca.json("crl")["crls"]
    for old, new in zip(before, after, strict=True):
        assert new["number"] > old["number"] + 1000, "numbers that may be out there are left out"
    assert "nothing is wrong" in back.homeca.must("check", "--load-keys")
    shutil.copy(house.file("laptop.csr"), back.place)
    back.homeca.must("sign", back.file("laptop.csr"), "--profile", "vpn-client")


# ---------------------------------------------------------------- an older state


def test_a_backup_older_than_a_list_out_there_is_refused_with_all_it_would_forget(
    house: House, identity: Path
) -> None:
    backup = backed_up(house, identity, "--include-software-tpm")
    house.homeca.must("lost", "laptop.home.arpa")
    place = house.place / "restored"
    place.mkdir()
    lists = house.home / "crl/openvpn.pem"
    done = House(place).homeca.run("restore", backup, "--identity", identity, "--crl", lists)
    assert (done.returncode, "refused.backup-stale" in done.stderr) == (3, True)
    assert house.serial("laptop") in done.stderr
    assert "CRL 2" in done.stderr
    assert list(place.iterdir()) == []


def test_an_older_backup_that_is_accepted_revokes_again_what_the_list_knows(
    house: House, identity: Path
) -> None:
    backup = backed_up(house, identity, "--include-software-tpm")
    house.homeca.must("lost", "laptop.home.arpa")
    lists = house.home / "crl/openvpn.pem"
    back = restored(house, backup, identity, "--crl", lists, "--accept-older")
    assert certificates(back) == certificates(house)
    assert back.homeca.json("crl")["crls"][1]["entries"] == 3


def test_what_a_list_knows_to_be_compromised_is_so_in_the_restored_home(
    house: House, identity: Path
) -> None:
    homeca = house.homeca
    homeca.must("revoke", house.file("laptop.crt"), "--reason", "superseded")
    backup = backed_up(house, identity, "--include-software-tpm")
    for stem in ("laptop", "parked"):  # the one was revoked for good, the other on hold
        homeca.must("revoke", house.file(f"{stem}.crt"), "--reason", "keyCompromise")
    homeca.must("crl")
    lists = house.home / "crl/openvpn.pem"
    back = restored(house, backup, identity, "--crl", lists, "--accept-older")
    for stem in ("laptop", "parked"):
        found = back.homeca.json("show", house.serial(stem))
        assert (found["state"], found["reason"]) == ("revoked", "keyCompromise")
    assert back.homeca.run("audit", "verify").returncode == 0


def test_an_intermediate_that_a_list_revokes_signs_nothing_in_the_restored_home(
    house: House, identity: Path
) -> None:
    backup = backed_up(house, identity)
    homeca = house.homeca
    homeca.must("revoke", house.home / "certs/intermediate-1.pem", "--reason", "cACompromise")
    homeca.must("crl")
    lists = house.home / "crl/root.crl"
    back = restored(house, backup, identity, "--crl", lists, "--accept-older")
    status = json.loads(back.homeca.run("status", "--json").stdout)
    states = {one["slug"]: one["state"] for one in status["issuers"]}
    assert states == {"root": "active", "intermediate-1": "revoked"}


class _Between:
    """A store that a backup is made of when a certificate is signed and not recorded yet."""

    def __init__(self, store: CertificateStore, then: Callable[[], object]) -> None:
        self._store, self._then = store, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def record_certificates(self, *args: Any, **named: Any) -> None:
        self._then()
        self._store.record_certificates(*args, **named)


@pytest.mark.parametrize("is_early", [True, False])
def test_a_backup_that_knows_of_no_more_than_an_intent_does_not_know_the_certificate(
    rig: Rig, tmp_path: Path, is_early: bool
) -> None:
    """What a list revokes of such a backup cannot be put on the restored home's lists as it was:
    it is said to be a certificate that came later."""
    key = Passphrase(Secret(PASSPHRASE.encode()), 10)
    source = tmp_path / "backup.age"

    def back_up() -> None:
        with rig.facility(settling=False) as another:
            make_backup(source, key, another)

    then = back_up if is_early else (lambda: None)
    with rig.facility(store=lambda store: _Between(store, then)) as facility:
        issue(facility, order())
    if not is_early:
        back_up()
    (row,) = rig.rows()
    assert row.state is State.ISSUED
    with rig.facility() as facility:
        revoke(row, Reason.SUPERSEDED, facility)
    crl = cut(rig).public_bytes(Encoding.DER)
    with pytest.raises(BackupStale) as refused:
        restore(
            source,
            key,
            Home(tmp_path / "back"),
            opened=open_unpacked,
            spelled=spelled,
            lists=[read_crl(crl)],
            at=rig.clock.now,
        )
    expected = "backup.certificate" if is_early else "backup.revocation"
    rules = {one.rule for one in refused.value.violations}
    assert rules == {"backup.crl", expected}


def test_a_list_that_is_older_than_the_backup_hinders_nothing(house: House, identity: Path) -> None:
    lists = house.file("old.pem")
    shutil.copy(house.home / "crl/openvpn.pem", lists)
    house.homeca.must("lost", "laptop.home.arpa")
    back = restored(house, backed_up(house, identity), identity, "--crl", lists)
    assert certificates(back) == certificates(house)


def test_the_tpm_knows_that_a_backup_is_older(
    identity: Path, tmp_path: Path, socket_tpm: tuple[str, subprocess.Popen[bytes]]
) -> None:
    """A TPM that stays when the disk dies, as a hardware TPM does."""
    tcti, _ = socket_tpm
    house = House(tmp_path / "house")
    house.place.mkdir()
    homeca = house.homeca
    at_tpm = ("--tpm", tcti)
    homeca.must("init-root", "--name", "Test", "--key", "ec-p256", *at_tpm)
    homeca.must("crl", *at_tpm)
    older = backed_up(house, identity, name="older.age")
    homeca.must("crl", *at_tpm)
    newest = backed_up(house, identity, name="newest.age")
    house.home.rename(tmp_path / "died")
    done = homeca.run("restore", older, "--identity", identity, *at_tpm)
    assert (done.returncode, "refused.backup-stale" in done.stderr) == (3, True), done.stderr
    assert not house.home.exists()
    homeca.must("restore", newest, "--identity", identity, *at_tpm)
    homeca.must("crl", *at_tpm)


# ---------------------------------------------------------------- what fails


def refused(house: House, backup: Path, *options: str | Path) -> str:
    """The code of the error. The place where the home was to be is as it was."""
    place = house.place / "elsewhere"
    place.mkdir(exist_ok=True)
    done = House(place).homeca.run("restore", backup, *options)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert list(place.iterdir()) == []
    return done.stderr.rpartition("[")[2].partition("]")[0]


def test_every_bad_backup_fails_with_a_sentence_of_its_own_and_changes_nothing(
    house: House, identity: Path, secret: Path, tmp_path: Path
) -> None:
    backup = backed_up(house, identity)
    octets = backup.read_bytes()

    def spoilt(name: str, changed: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(changed)
        return path

    stranger = tmp_path / "stranger.txt"
    must("age-keygen", "-o", stranger)
    flipped = bytearray(octets)
    flipped[len(octets) // 2] ^= 1
    found = {
        name: refused(house, path, "--identity", key)
        for name, path, key in (
            ("wrong identity", backup, stranger),
            ("damaged", spoilt("damaged", bytes(flipped)), identity),
            ("cut off", spoilt("cut", octets[:-1000]), identity),
            ("cut off early", spoilt("early", octets[:100]), identity),
            ("longer", spoilt("longer", octets + b"x"), identity),
            ("empty", spoilt("empty", b""), identity),
            ("another kind", house.home / "homeca.db", identity),
            ("missing", tmp_path / "missing", identity),
        )
    }
    found["for an identity"] = refused(house, backup, "--passphrase-file", secret)
    assert found == {
        "wrong identity": "backup.locked",
        "damaged": "backup.damaged",
        "cut off": "backup.truncated",
        "cut off early": "backup.truncated",
        "longer": "backup.damaged",
        "empty": "backup.not-a-backup",
        "another kind": "backup.not-a-backup",
        "missing": "output.failed",
        "for an identity": "backup.locked",
    }


def test_a_wrong_passphrase_is_said_to_be_one(house: House, secret: Path, tmp_path: Path) -> None:
    backup = house.file("b.age")
    house.homeca.must("backup", backup, "--passphrase-file", secret)
    wrong = secret_file(tmp_path / "wrong", "wrong horse battery staple")
    assert refused(house, backup, "--passphrase-file", wrong) == "backup.locked"


def test_no_home_is_restored_over(house: House, identity: Path) -> None:
    backup = backed_up(house, identity)
    before = certificates(house)
    done = house.homeca.run("restore", backup, "--identity", identity)
    assert (done.returncode, "already-initialised" in done.stderr) == (2, True)
    assert certificates(house) == before


# ---------------------------------------------------------------- drill


def test_a_drill_checks_all_and_its_date_is_kept(house: House, identity: Path) -> None:
    done = house.homeca.json("drill", backed_up(house, identity), "--identity", identity)
    assert (done["checked"], done["behind"]) == (len(certificates(house)), 0)
    assert "drilled" in (house.home / "backups.json").read_text()
    assert not list(house.home.glob(".drill-*"))


def test_a_drill_says_how_far_the_backup_is_behind(house: House, identity: Path) -> None:
    backup = backed_up(house, identity)
    house.homeca.must("lost", "laptop.home.arpa")
    assert house.homeca.json("drill", backup, "--identity", identity)["behind"] > 0


def test_a_drill_of_an_old_backup_does_not_make_it_a_new_one(house: House, identity: Path) -> None:
    old = backed_up(house, identity)
    ahead = at_another_time("+100d")

    def ran(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ahead, *house.homeca.argv(*arguments)],
            env=house.homeca.environment, cwd=house.place, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert ran("drill", old, "--identity", identity).returncode == 0
    memory = recall(Home(house.home))
    assert memory.made is not None
    assert memory.drilled is not None
    assert memory.drilled - memory.made >= timedelta(days=100)
    said = ran("status")
    assert (said.returncode, "tried out is 100 days old" in said.stdout) == (1, True)

    recipient = must("age-keygen", "-y", identity).strip()
    assert ran("backup", "new.age", "--recipient", recipient).returncode == 0
    for backup in ("new.age", old):
        assert ran("drill", backup, "--identity", identity).returncode == 0
        assert "backup.no-drill" not in ran("status").stdout


def test_a_backup_of_a_record_that_is_not_sound_fails_its_drill(
    house: House, identity: Path
) -> None:
    with house.database() as connection:
        connection.execute("UPDATE certificates SET subject = 'CN=other' WHERE id = 4")
    backup = backed_up(house, identity)
    done = house.homeca.run("drill", backup, "--identity", identity)
    assert (done.returncode, "backup.drill-failed" in done.stderr) == (1, True)
    assert "drilled" not in (house.home / "backups.json").read_text()


def test_a_secret_is_in_no_argument_and_in_no_file(
    house: House, secret: Path, tmp_path: Path
) -> None:
    house.homeca.must("backup", house.file("b.age"), "--passphrase-file", secret)
    needle = PASSPHRASE.encode()
    for path in (house.file("b.age"), *house.home.rglob("*")):
        assert not path.is_file() or needle not in path.read_bytes(), path
    assert os.path.commonpath([secret, tmp_path]) == str(tmp_path)
