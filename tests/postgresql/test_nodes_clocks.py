"""Nodes whose clocks are apart: the server's is the third, before anything is dated."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop.homeca import Homeca
from tests.interop.programs import at_another_time
from tests.postgresql.conftest import Pair
from tests.services.rig import cut, issue_one, request_der

WRONG = ["+2h", "-2h", "+200d"]


def said(node: Homeca, offset: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command on a machine whose clock is off by that much."""
    return subprocess.run(
        [*at_another_time(offset), *node.argv(*arguments)],
        cwd=node.home.parent,
        env=node.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("offset", WRONG)
def test_a_node_with_a_wrong_clock_dates_nothing_and_stops_nobody(
    pair: Pair, tmp_path: Path, offset: str
) -> None:
    (tmp_path / "x.csr").write_bytes(request_der("x"))
    node = Homeca(pair.second.path)
    before = pair.second.rows()
    refused = said(node, offset, "sign", tmp_path / "x.csr", "--profile", "vpn-client")
    assert refused.returncode != 0
    assert "by that of the database's server" in refused.stderr
    assert pair.second.rows() == before
    issue_one(pair.first)
    cut(pair.first)


def test_a_clock_that_is_a_little_off_is_taken(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "x.csr").write_bytes(request_der("x"))
    done = said(
        Homeca(pair.second.path), "+2m", "sign", tmp_path / "x.csr", "--profile", "vpn-client"
    )
    assert done.returncode == 0, done.stderr


def test_who_vouches_for_his_clock_against_the_servers_is_believed_and_others_are_told(
    pair: Pair, tmp_path: Path
) -> None:
    for stem in ("x", "y"):
        (tmp_path / f"{stem}.csr").write_bytes(request_der(stem))
    sign = ("sign", tmp_path / "x.csr", "--profile", "vpn-client")
    done = said(Homeca(pair.second.path), "+2h", *sign, "--believe-clock")
    assert done.returncode == 0, done.stderr
    other = Homeca(pair.first.path)
    refused = other.run("sign", tmp_path / "y.csr", "--profile", "vpn-client")
    assert "the node whose act that was" in refused.stderr
    other.must("sign", tmp_path / "y.csr", "--profile", "vpn-client", "--believe-clock")


def test_looking_asks_for_no_clock(pair: Pair) -> None:
    assert said(Homeca(pair.second.path), "+2h", "list").returncode == 0
