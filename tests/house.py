"""A whole small CA for tests that look at one: made once a run, copied for whoever changes it."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.homeca import Homeca
from tests.interop.programs import must, require

#: stem, profile, subject alternative name
DEVICES = (
    ("laptop", "vpn-client", "DNS:laptop.home.arpa"),
    ("nas", "tls-server", "DNS:nas.home.arpa,IP:192.168.1.10"),
    ("lost", "vpn-client", "DNS:lost.home.arpa"),
    ("parked", "vpn-client", "DNS:parked.home.arpa"),
    ("brief", "vpn-client", "DNS:brief.home.arpa"),
)
CRL_URL = "http://ca.home.arpa/intermediate-1.crl"


@dataclass(frozen=True, slots=True)
class House:
    """One directory with a home and the files its devices have: <stem>.csr, .crt, .key."""

    place: Path

    @property
    def home(self) -> Path:
        return self.place / "home"

    @property
    def homeca(self) -> Homeca:
        return Homeca(self.home)

    def file(self, name: str) -> Path:
        return self.place / name

    def serial(self, stem: str) -> str:
        """As `openssl x509 -serial` says it."""
        told = must("openssl", "x509", "-in", self.file(f"{stem}.crt"), "-noout", "-serial")
        return told.strip().removeprefix("serial=")

    def copy(self, to: Path) -> House:
        """With every mode as it was; without what SQLite keeps beside an open database."""
        shutil.copytree(
            self.place, to, symlinks=True, ignore=shutil.ignore_patterns("*.db-wal", "*.db-shm")
        )
        return House(to)

    def database(self) -> AbstractContextManager[sqlite3.Connection]:
        return lawless(self.home / "homeca.db")


@contextmanager
def lawless(database: Path) -> Iterator[sqlite3.Connection]:
    """A database as somebody opens it who keeps to no rule: triggers and checks are off, and are
    there again after."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        try:
            yield connection
        finally:
            for _, sql in triggers:
                connection.execute(sql)


def make_request(place: Path, stem: str, san: str, *, subject: str | None = None) -> Path:
    """A P-256 key and a request for it, by openssl."""
    request = place / f"{stem}.csr"
    must(
        "openssl", "req", "-new", "-utf8", "-noenc", "-newkey", "ec",
        "-pkeyopt", "ec_paramgen_curve:P-256",
        "-keyout", place / f"{stem}.key", "-out", request,
        "-subj", subject or f"/CN={stem}.home.arpa", "-addext", f"subjectAltName={san}",
    )  # fmt: skip
    return request


def build(place: Path) -> House:
    """A root, an intermediate, five devices of which one is lost, one parked and one ends soon."""
    place.mkdir()
    house = House(place)
    homeca = house.homeca
    homeca.must(
        "init-root", "--name", "Test", "--key", "ec-p256", "--permit-dns", "home.arpa",
        "--permit-ip", "192.168.0.0/16", "--base-url", "http://ca.home.arpa",
    )  # fmt: skip
    homeca.must("init-intermediate", "--key", "ec-p256")
    for stem, profile, san in DEVICES:
        request = make_request(place, stem, san)
        days = ("--days", "5") if stem == "brief" else ()
        homeca.must("sign", request, "--profile", profile, *days)
    homeca.must("revoke", house.file("lost.crt"), "--reason", "keyCompromise")
    homeca.must("revoke", house.file("parked.crt"), "--reason", "certificateHold")
    homeca.must("crl")
    return house


def built_once(factory: pytest.TempPathFactory) -> House:
    """The first worker that gets here builds it, the others wait for it."""
    require("swtpm")
    require("openssl")
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    place = shared / "house"
    with (shared / "house.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "whole").exists():
            shutil.rmtree(place, ignore_errors=True)
            build(place)
            (place / "whole").touch()
    return House(place)
