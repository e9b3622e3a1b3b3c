"""`homeca move`: a home that outgrew its file takes its record along to PostgreSQL."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ca.store.repository import open_store
from tests.house import make_request
from tests.interop.homeca import Homeca
from tests.postgresql.cluster import Cluster
from tests.postgresql.test_database import name_of

_numbers = count(1)


@pytest.fixture
def server(postgresql: Cluster) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"moved_{next(_numbers)}"
    yield postgresql.create(name)
    postgresql.drop(name)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never used itself: a home that has issued, revoked, held, released and cut lists."""
    place = tmp_path_factory.mktemp("lived")
    made = Homeca(place / "home")
    made.must("init-root", "--name", "Test", "--key", "ec-p256", "--permit-dns", "home.arpa")
    made.must("init-intermediate", "--key", "ec-p256")
    requests = [make_request(place, name, f"DNS:{name}.home.arpa") for name in "abcd"]
    made.must("sign", *requests, "--profile", "vpn-client")
    by_name = {one["subject"]: one["serial"] for one in rows(made)}
    made.must("revoke", by_name["CN=a.home.arpa"], "--reason", "keyCompromise")
    made.must("revoke", by_name["CN=b.home.arpa"], "--reason", "certificateHold")
    made.must("revoke", by_name["CN=b.home.arpa"], "--reason", "removeFromCRL")
    made.must("revoke", by_name["CN=c.home.arpa"], "--reason", "certificateHold")
    made.must("crl", "--ladder", "3")
    return made.home


@pytest.fixture
def homeca(lived: Path, tmp_path: Path) -> Homeca:
    """A copy of it, with its TPM."""
    return Homeca(Path(shutil.copytree(lived, tmp_path / "home")))


def rows(homeca: Homeca) -> list[dict[str, Any]]:
    listed = homeca.json("list", "--all")["certificates"]
    return sorted(listed, key=lambda one: str(one["serial"]))


def log(homeca: Homeca) -> list[Any]:
    return [json.loads(line) for line in homeca.must("audit", "log", "--json").splitlines()]


def settle_on(homeca: Homeca, server: str) -> None:
    (homeca.home / "homeca.toml").write_text(f'database = "{server}"\n')


def test_a_record_that_moved_is_the_same_and_goes_on(
    homeca: Homeca, server: str, tmp_path: Path
) -> None:
    before, told = rows(homeca), log(homeca)
    lists = (homeca.home / "crl/openvpn.pem").read_bytes()
    settle_on(homeca, server)
    said = homeca.json("move")
    assert said["certificates"] == len(before)
    assert rows(homeca) == before
    assert log(homeca)[: len(told)] == told
    assert homeca.run("audit", "verify").returncode == 0
    assert homeca.run("check").returncode == 0
    assert (homeca.home / "crl/openvpn.pem").read_bytes() == lists
    homeca.must("sign", make_request(tmp_path, "e", "DNS:e.home.arpa"), "--profile", "vpn-client")
    new = next(one for one in rows(homeca) if one["subject"] == "CN=e.home.arpa")
    homeca.must("revoke", new["serial"], "--reason", "superseded")
    homeca.must("crl")
    assert homeca.run("audit", "verify").returncode == 0
    (node,) = homeca.json("status")["nodes"]
    assert node["here"] is True


def test_a_second_node_can_join_a_record_that_moved(
    homeca: Homeca, server: str, tmp_path: Path
) -> None:
    settle_on(homeca, server)
    homeca.must("move")
    second = Homeca(tmp_path / "second")
    second.home.mkdir(mode=0o700)
    settle_on(second, server)
    request, signed = tmp_path / "second.csr", tmp_path / "second.crt"
    second.must("init-intermediate", "--key", "ec-p256", "--csr-out", request)
    homeca.must("init-intermediate", "--sign-request", request)
    second.must("init-intermediate", "--certificate", signed)
    second.must("sign", make_request(tmp_path, "f", "DNS:f.home.arpa"), "--profile", "vpn-client")
    assert {one["subject"] for one in rows(homeca)} >= {"CN=a.home.arpa", "CN=f.home.arpa"}
    for one in (homeca, second):
        assert one.run("audit", "verify").returncode == 0


def test_a_home_whose_root_lives_elsewhere_moves_as_well(
    homeca: Homeca, server: str, tmp_path: Path
) -> None:
    """Its intermediate was begun before the root came, and refers to it."""
    below = Homeca(tmp_path / "below")
    request, signed = tmp_path / "below.csr", tmp_path / "below.crt"
    below.must("init-intermediate", "--key", "ec-p256", "--csr-out", request)
    homeca.must("init-intermediate", "--sign-request", request)
    below.must("init-intermediate", "--certificate", signed)
    before = rows(below)
    settle_on(below, server)
    below.must("move")
    assert rows(below) == before
    below.must("sign", make_request(tmp_path, "g", "DNS:g.home.arpa"), "--profile", "vpn-client")
    assert below.run("audit", "verify").returncode == 0


def test_the_file_it_came_from_takes_nothing_more(
    homeca: Homeca, server: str, tmp_path: Path
) -> None:
    settle_on(homeca, server)
    homeca.must("move")
    (homeca.home / "homeca.toml").unlink()
    request = make_request(tmp_path, "e", "DNS:e.home.arpa")
    done = homeca.run("sign", request, "--profile", "vpn-client")
    assert done.returncode != 0
    assert "was moved" in done.stderr
    assert not request.with_suffix(".crt").exists()


def test_until_it_has_moved_every_command_says_how(homeca: Homeca, server: str) -> None:
    settle_on(homeca, server)
    for command in (["list"], ["crl"], ["init-root", "--name", "Other"]):
        done = homeca.run(*command)
        assert done.returncode != 0
        assert "`homeca move`" in done.stderr
    homeca.must("move")


def test_a_database_that_has_a_record_takes_no_other(
    homeca: Homeca, server: str, tmp_path: Path
) -> None:
    settle_on(homeca, server)
    homeca.must("move")
    before = rows(homeca)
    other = Homeca(tmp_path / "other")
    other.must("init-root", "--name", "Other", "--key", "ec-p256")
    kept = rows(other)
    settle_on(other, server)
    done = other.run("move")
    assert (done.returncode, "already" in done.stderr) == (5, True)
    assert rows(homeca) == before
    (other.home / "homeca.toml").unlink()
    assert rows(other) == kept


def test_what_the_server_changes_on_the_way_is_noticed_and_nothing_has_moved(
    homeca: Homeca, server: str, postgresql: Cluster
) -> None:
    before = rows(homeca)
    open_store(server, create=True).close()
    postgresql.run(
        "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.subject := ''CN=forged''; RETURN NEW; END';"
        " CREATE TRIGGER aside BEFORE INSERT ON certificates FOR EACH ROW EXECUTE FUNCTION forge()",
        name_of(server),
    )
    settle_on(homeca, server)
    done = homeca.run("move")
    assert (done.returncode, "'certificates'" in done.stderr) == (5, True)
    with closing(open_store(server)) as store:
        assert store.issuers() == ()
    (homeca.home / "homeca.toml").unlink()
    assert rows(homeca) == before
    homeca.must("crl")


def test_without_another_database_there_is_nothing_to_move_to(homeca: Homeca) -> None:
    assert "names no database" in homeca.run("move").stderr
    settle_on(homeca, f"sqlite:///{homeca.home}/homeca.db")
    assert "names no database" in homeca.run("move").stderr


#: Ends itself at the n-th passage of a point.
KILLED = """
import os, signal, sys
from ca.failpoints import arm

point, left = sys.argv[1], int(sys.argv[2])

def trap(name):
    global left
    left -= name == point
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

arm(trap)
sys.argv = ["homeca", "move"]
from ca.cli.app import main
main()
"""


@pytest.mark.parametrize(
    ("point", "passage", "has_moved"),
    [("store.committing", 1, False), ("store.committed", 1, True), ("store.committing", 2, True)],
)
def test_a_move_that_was_killed_is_done_or_can_be_done_again(
    homeca: Homeca, server: str, point: str, passage: int, has_moved: bool
) -> None:
    before = rows(homeca)
    settle_on(homeca, server)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point, str(passage)],
        env=homeca.environment, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    again = homeca.run("move")
    assert (again.returncode, "already" in again.stderr) == ((5, True) if has_moved else (0, False))
    assert rows(homeca) == before
    assert homeca.run("audit", "verify").returncode == 0
