"""A home whose record is in PostgreSQL: its backup, beside the dump of the database."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from ca.encoding.age import Opened
from ca.encoding.age_keys import Identity
from ca.errors import ConfigurationError
from ca.store.repository import open_store
from tests.interop.homeca import Homeca
from tests.interop.programs import must
from tests.postgresql.cluster import Cluster, program
from tests.services.rig import Rig, issue_one, request_der


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("age") / "identity.txt"
    must("age-keygen", "-o", path)
    return path


@pytest.fixture
def spare(postgresql: Cluster) -> Iterator[str]:
    """Not there yet; gone afterwards."""
    yield "spare"
    postgresql.drop("spare")


def backed_up(rig: Rig, identity: Path, *options: str) -> tuple[Path, str]:
    """The backup, and what was said about it."""
    public = must("age-keygen", "-y", identity).strip()
    target = rig.path.parent / "home.age"
    done = Homeca(rig.path).run("backup", target, "--recipient", public, *options)
    assert done.returncode == 0, done.stderr
    return target, done.stderr


def names_in(backup: Path, identity: Path) -> list[str]:
    with backup.open("rb") as stream:
        plain = b"".join(Opened(stream, Identity.parse_file(identity.read_text())))
    with tarfile.open(fileobj=BytesIO(plain)) as tar:
        return tar.getnames()


def postgres(*command: str | Path, cwd: Path) -> None:
    """One of PostgreSQL's programs; as a shell command when it is given as one."""
    path = f"{Path(program('pg_dump')).parent}:{os.environ['PATH']}"
    line: list[str | Path] = ["sh", "-c", *command] if len(command) == 1 else [*command]
    done = subprocess.run(
        line, cwd=cwd, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_home_and_record_come_back_from_a_backup_and_the_dump_it_asks_for(
    rig: Rig, identity: Path, tmp_path: Path, postgresql: Cluster, spare: str
) -> None:
    issue_one(rig)
    old = Homeca(rig.path)
    listed, node = old.json("list", "--all")["certificates"], (rig.path / "node").read_text()
    backup, said = backed_up(rig, identity, "--include-software-tpm")
    assert "the record is in PostgreSQL and not in this file" in said
    command = re.search(r"`(pg_dump [^`]+)`", said)
    assert command is not None
    postgres(command[1], cwd=tmp_path)
    url = postgresql.create(spare)
    postgres("pg_restore", "--dbname", url, tmp_path / "homeca.pgdump", cwd=tmp_path)
    shutil.rmtree(rig.path)

    new = Homeca(tmp_path / "new")
    done = new.run("restore", backup, "--identity", identity)
    assert done.returncode == 3, done.stderr
    assert "--database" in done.stderr
    assert not new.home.exists()
    named = re.search(r"its choice: '(postgresql://[^']+)'", done.stderr)
    assert named is not None
    done = new.run("restore", backup, "--identity", identity, "--database", named[1])
    assert done.returncode == 0, done.stderr
    assert "pg_restore" in done.stderr
    assert (new.home / "node").read_text() == node
    (new.home / "homeca.toml").write_text(f'database = "{url}"\n')

    assert new.json("list", "--all")["certificates"] == listed
    assert new.run("check", "--load-keys").returncode == 0
    (tmp_path / "phone.csr").write_bytes(request_der())
    assert new.json("sign", tmp_path / "phone.csr", "--profile", "vpn-client")


def test_the_backup_holds_all_of_the_home_but_the_record(rig: Rig, identity: Path) -> None:
    backup, _ = backed_up(rig, identity)
    names = names_in(backup, identity)
    assert "homeca.db" not in names
    assert {"homeca.toml", "node", "keys/root.tss", "certs/root.pem"} <= set(names)
    assert not [name for name in names if name.startswith("tpm/")]


def test_a_drill_of_it_says_that_the_dump_was_not_tried(rig: Rig, identity: Path) -> None:
    backup, _ = backed_up(rig, identity)
    done = Homeca(rig.path).run("drill", backup, "--identity", identity)
    assert done.returncode == 0, done.stderr
    assert "this home would come back" in done.stdout
    assert "not tried: the dump of the record" in done.stderr
    assert json.loads((rig.path / "backups.json").read_text())["drilled"]


def test_a_drill_notices_a_key_blob_that_is_not_the_records(rig: Rig, identity: Path) -> None:
    keys = rig.path / "keys"
    shutil.copy(keys / "root.tss", keys / "intermediate-1.tss")
    backup, _ = backed_up(rig, identity)
    done = Homeca(rig.path).run("drill", backup, "--identity", identity)
    assert done.returncode == 1
    assert "keys/intermediate-1.tss" in done.stderr


def test_a_list_cannot_be_held_against_a_backup_without_a_record(
    rig: Rig, identity: Path, tmp_path: Path
) -> None:
    Homeca(rig.path).must("crl")
    backup, _ = backed_up(rig, identity)
    lists = rig.path / "crl/openvpn.pem"
    new = Homeca(tmp_path / "new")
    done = new.run("restore", backup, "--identity", identity, "--crl", lists)
    assert done.returncode == 2
    assert "leave out --crl" in done.stderr
    assert not new.home.exists()


def test_the_store_itself_makes_no_copy_and_names_the_command(place: str, tmp_path: Path) -> None:
    with closing(open_store(place)) as store:
        with pytest.raises(ConfigurationError, match="not in this home") as caught:
            store.copy_to(tmp_path / "copy.db")
        assert f"`{store.dump_command()}`" in caught.value.remedy
    assert not (tmp_path / "copy.db").exists()


def test_the_command_for_the_dump_holds_no_password(place: str) -> None:
    url = place.replace("postgres@", "postgres:hush@") + "&sslpassword=hush"
    with closing(open_store(url)) as store:
        command = store.dump_command()
    assert command is not None
    assert "hush" not in command
    assert "***" not in command
    assert command.startswith(
        "pg_dump --format=custom --file=homeca.pgdump 'postgresql://postgres@"
    )
