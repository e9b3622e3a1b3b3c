"""The fixtures of the store's and the services' suites, with PostgreSQL in the place of SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from ca.store.repository import SqlStore, open_store
from tests.interop.programs import require
from tests.postgresql.cluster import Cluster, cluster
from tests.postgresql.homes import home_at, join
from tests.services.rig import Hands, Rig, furnish
from tests.store.making import active_issuer

_numbers = count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """One server per run, or per worker of it."""
    with cluster() as started:
        yield started


@pytest.fixture(scope="session")
def blank(postgresql: Cluster) -> str:
    """The name of a database with its tables and nothing in them. Copy it, do not use it."""
    url = postgresql.create("blank")
    open_store(url, create=True).close()
    return "blank"


@pytest.fixture
def place(postgresql: Cluster, blank: str) -> Iterator[str]:
    name = f"store_{next(_numbers)}"
    yield postgresql.create(name, template=blank)
    postgresql.drop(name)


@pytest.fixture
def store(place: str) -> Iterator[SqlStore]:
    with closing(open_store(place)) as opened:
        yield opened


@pytest.fixture
def issuer(store: SqlStore) -> int:
    """The id of an active root."""
    return active_issuer(store)


# ---------------------------------------------------------------- homes


@pytest.fixture(scope="session")
def furnished(postgresql: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """Never used itself: a home with a root and an intermediate, its record in `furnished`."""
    require("swtpm")
    path = tmp_path_factory.mktemp("furnished") / "home"
    rig = Rig(
        home_at(path, postgresql.create("furnished")),
        Hands(datetime.now(UTC).replace(microsecond=0)),
    )
    furnish(rig)
    return rig


@pytest.fixture
def rig(furnished: Rig, postgresql: Cluster, tmp_path: Path) -> Iterator[Rig]:
    """A copy of home, TPM and record."""
    name = f"rig_{next(_numbers)}"
    shutil.copytree(furnished.path, tmp_path / "home")
    url = postgresql.create(name, template="furnished")
    yield Rig(home_at(tmp_path / "home", url), Hands(furnished.clock.now))
    postgresql.drop(name)


@pytest.fixture
def empty_rig(postgresql: Cluster, tmp_path: Path) -> Iterator[Rig]:
    """A home where nothing is yet, and an empty database."""
    require("swtpm")
    name = f"empty_{next(_numbers)}"
    path = home_at(tmp_path / "home", postgresql.create(name))
    yield Rig(path, Hands(datetime.now(UTC).replace(microsecond=0)))
    postgresql.drop(name)


# ---------------------------------------------------------------- two nodes


@dataclass(frozen=True, slots=True)
class Pair:
    """Two homes with a TPM each, on one database. The root is the first one's."""

    first: Rig
    second: Rig
    url: str


@pytest.fixture(scope="session")
def joined(
    furnished: Rig, postgresql: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Never used itself: the furnished node, and one that got its intermediate from it."""
    directory = tmp_path_factory.mktemp("joined")
    shutil.copytree(furnished.path, directory / "first")
    url = postgresql.create("joined", template="furnished")
    first = Rig(home_at(directory / "first", url), furnished.clock)
    second = Rig(home_at(directory / "second", url), furnished.clock)
    join(first, second)
    return {"first": first.path, "second": second.path}


@pytest.fixture
def pair(
    joined: dict[str, Path], furnished: Rig, postgresql: Cluster, tmp_path: Path
) -> Iterator[Pair]:
    """A copy of both homes, both TPMs and their record."""
    name = f"pair_{next(_numbers)}"
    url = postgresql.create(name, template="joined")
    clock = Hands(furnished.clock.now)
    for node, path in joined.items():
        shutil.copytree(path, tmp_path / node)
        home_at(tmp_path / node, url)
    yield Pair(Rig(tmp_path / "first", clock), Rig(tmp_path / "second", clock), url)
    postgresql.drop(name)
