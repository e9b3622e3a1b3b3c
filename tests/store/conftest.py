"""A store of one's own per test: a real SQLite file, copied from one made by the migrations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ca.store.repository import SqlStore, open_store
from tests.store.making import active_issuer


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in them. Copy it, do not use it."""
    path = tmp_path_factory.mktemp("store") / "blank.db"
    open_store(path, create=True).close()
    return path


@pytest.fixture
def place(blank: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(blank, tmp_path / "homeca.db"))


@pytest.fixture
def store(place: Path) -> Iterator[SqlStore]:
    with closing(open_store(place)) as opened:
        yield opened


@pytest.fixture
def issuer(store: SqlStore) -> int:
    """The id of an active root."""
    return active_issuer(store)
