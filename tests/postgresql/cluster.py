"""A PostgreSQL of the tests' own: in a temporary directory, at a UNIX socket, gone afterwards.

The server refuses to run as root, so there it runs as Debian's user postgres. It keeps fsync on:
homeca takes no other. The system's own cluster is never touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.interop.programs import require

OWNER = "postgres"
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """directory: of data, socket and log."""

    directory: Path

    def url(self, database: str, *, user: str = OWNER) -> str:
        """For homeca.toml."""
        return f"postgresql://{user}@/{database}?host={self.directory}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """One statement in a session of its own, by hand and not through homeca."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create(self, database: str, *, template: str = "template0") -> str:
        """A database, by its URL."""
        self.run(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        self.run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


@contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """initdb, start, and away with it. settings: of postgresql.conf, beyond the tests' own."""
    # not pytest's tmp_path: the server's user must be able to reach it
    directory = Path(tempfile.mkdtemp(prefix="homeca-pg-"))
    try:
        if os.geteuid() == 0:
            try:
                shutil.chown(directory, OWNER, OWNER)
            except LookupError:
                pytest.fail("there is no user postgres: run `sudo apt install postgresql`")
        made = subprocess.run(
            [
                *_as_owner(),
                program("initdb"),
                *("--pgdata", directory / "data", "--username", OWNER, "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert made.returncode == 0, made.stderr
        with _server(directory, settings) as started:
            yield started
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _server(directory: Path, settings: dict[str, str]) -> Iterator[Cluster]:
    wanted = {
        "listen_addresses": "",
        "unix_socket_directories": str(directory),
        "max_connections": "60",
        "shared_buffers": "16MB",
        "autovacuum": "off",
        "log_destination": "stderr",
    } | settings
    options = [word for name, value in wanted.items() for word in ("-c", f"{name}={value}")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_as_owner(), program("postgres"), "-D", directory / "data", *options],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        started = Cluster(directory)
        _wait_until_it_answers(started, process)
        yield started
    finally:
        process.send_signal(2)  # SIGINT: fast shutdown
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        process.kill()
        process.wait()


def _wait_until_it_answers(started: Cluster, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            started.run("SELECT 1")
        except psycopg.OperationalError:
            said = (started.directory / "log").read_text(errors="replace")
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.02)
        else:
            return


def _as_owner() -> list[str]:
    """The server ends with the process that started it, however that ends."""
    if os.geteuid() != 0:
        return [require("setpriv"), "--pdeathsig", "INT", "--"]
    who = ["--reuid", OWNER, "--regid", OWNER, "--init-groups"]
    return [require("setpriv"), *who, "--pdeathsig", "INT", "--"]


def program(name: str) -> str:
    """Debian keeps the server's programs out of PATH, by version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for directory in reversed(versions):
        if (directory / name).exists():
            return str(directory / name)
    return require(name)
