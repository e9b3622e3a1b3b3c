"""A world made by `openssl` for the tests that compare with it."""

from __future__ import annotations

import pytest

from tests.profiles.openssl import OpenSSL


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> OpenSSL:
    world = OpenSSL(tmp_path_factory.mktemp("openssl"))
    world.make_world()
    return world
