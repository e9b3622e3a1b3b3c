"""What a real OpenVPN server does with CRLs: the facts the ladder is built on, and the ladder.

client-rules d.7, CRL 1 to 6, and OV6 to OV8. Server and client are processes on loopback; the
server's clock is put forward by faketime.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.interop.kinds import KINDS, LOST, Kind
from tests.interop.vpn import free_address, lets_in, server
from tests.interop.world import World, blocks, tampered
from tests.revocation.paper import DAY, PaperCa, new_key

ALICE = next(kind for kind in KINDS if kind.stem == "alice-phone")
VPN = next(kind for kind in KINDS if kind.profile == "vpn-server")


def identity(world: World, kind: Kind) -> dict[str, str | Path]:
    return {"ca": world.root, "cert": world.chain(kind), "key": world.key(kind)}


def verdict(
    world: World, place: Path, kind: Kind, *, days: int = 0, crls: str | Path | None = None
) -> tuple[bool, str]:
    """Does a VPN server whose clock is `days` ahead let this client in, and what was said?"""
    address = free_address()
    options = {**identity(world, VPN), "crl-verify": crls or joined(world)}
    with server(place, address, options, ahead=f"+{days}d" if days else "") as started:
        is_in, said = lets_in(started, place, address, identity(world, kind))
        return is_in, said + started.text()


def joined(world: World) -> Path:
    """The file as `homeca crl` wrote it, untouched."""
    return world.path / "home/crl/openvpn.pem"


@pytest.fixture
def world(constrained: World, tmp_path: Path) -> World:
    """A copy of the CA, for this test to change."""
    shutil.copytree(constrained.path, tmp_path / "world")
    return World(tmp_path / "world", constrained.flavour)


# ---------------------------------------------------------------- the ladder


@pytest.fixture(scope="module")
def armed(constrained: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """With a ladder of twelve; nobody changes it."""
    place = tmp_path_factory.mktemp("armed") / "world"
    shutil.copytree(constrained.path, place)
    world = World(place, constrained.flavour)
    world.homeca.must("crl", "--ladder", "12")
    return world


@pytest.mark.parametrize("days", [0, 31, 200, 364])
def test_a_server_with_a_ladder_lets_the_good_in_and_keeps_the_lost_out_for_a_year(
    armed: World, tmp_path: Path, days: int
) -> None:
    is_in, said = verdict(armed, tmp_path, ALICE, days=days)
    assert is_in, said
    is_in, said = verdict(armed, tmp_path, LOST, days=days)
    assert not is_in
    assert "certificate revoked" in said


def test_without_a_ladder_a_server_refuses_everybody_after_thirty_days(
    world: World, tmp_path: Path
) -> None:
    world.homeca.must("crl")
    assert verdict(world, tmp_path, ALICE, days=29)[0]
    is_in, said = verdict(world, tmp_path, ALICE, days=31)
    assert not is_in
    assert "CRL has expired" in said


def test_a_ladder_ends_when_it_says(world: World, tmp_path: Path) -> None:
    made = world.homeca.json("crl", "--ladder", "3", "--step", "10d")
    assert len(made["crls"][1]["rungs"]) == 3
    assert verdict(world, tmp_path, ALICE, days=39)[0]
    is_in, said = verdict(world, tmp_path, ALICE, days=41)
    assert not is_in
    assert "CRL has expired" in said


@pytest.mark.parametrize("days", [0, 31, 364])
def test_a_revocation_recuts_the_ladder_for_all_of_its_time(
    armed: World, tmp_path: Path, days: int
) -> None:
    world = World(tmp_path / "world", armed.flavour)
    shutil.copytree(armed.path, world.path)
    world.homeca.must("revoke", world.chain(ALICE), "--crl")
    is_in, said = verdict(world, tmp_path, ALICE, days=days)
    assert not is_in
    assert "certificate revoked" in said


@pytest.mark.parametrize(("stale_first", "days"), [(True, 1), (True, 31), (False, 31), (True, 331)])
def test_rungs_of_an_old_ladder_left_in_the_file_revive_nobody(
    armed: World, tmp_path: Path, stale_first: bool, days: int
) -> None:
    world = World(tmp_path / "world", armed.flavour)
    shutil.copytree(armed.path, world.path)
    old = joined(world).read_text()
    world.homeca.must("revoke", world.chain(ALICE), "--crl")
    new = joined(world).read_text()
    both = tmp_path / "both.pem"
    both.write_text(old + new if stale_first else new + old)
    is_in, said = verdict(world, tmp_path, ALICE, days=days, crls=both)
    assert not is_in
    assert "certificate revoked" in said


def test_a_stale_rung_that_nothing_outranks_would_revive_a_revoked_client(
    armed: World, tmp_path: Path
) -> None:
    """What the rungs one second later are for: among valid lists the number counts for nothing."""
    world = World(tmp_path / "world", armed.flavour)
    shutil.copytree(armed.path, world.path)
    stale = blocks(world.path / "home/crl/intermediate-1.crl.pem")[1]
    world.homeca.must("revoke", world.chain(ALICE), "--crl")
    newest = blocks(world.path / "home/crl/intermediate-1.crl.pem")[0]
    careless = tmp_path / "careless.pem"
    careless.write_text(world.root_crl.read_text() + newest + stale)
    assert not verdict(world, tmp_path, ALICE, days=29, crls=careless)[0]
    assert verdict(world, tmp_path, ALICE, days=31, crls=careless)[0]


def test_each_part_of_a_ladder_is_loaded(armed: World, tmp_path: Path) -> None:
    _, said = verdict(armed, tmp_path, ALICE)
    count = len(blocks(joined(armed)))
    assert count >= 14
    assert f"CRL: loaded {count} CRLs" in said


# ---------------------------------------------------------------- the directory


def test_a_server_with_the_directory_form_keeps_the_revoked_out_and_lets_the_others_in(
    world: World, tmp_path: Path
) -> None:
    place = tmp_path / "revoked"
    world.homeca.must("crl", "--dir", place)
    directory = f"{place} dir"
    assert verdict(world, tmp_path, ALICE, days=364, crls=directory)[0]
    is_in, said = verdict(world, tmp_path, LOST, days=364, crls=directory)
    assert not is_in
    assert "is revoked" in said


def test_a_file_named_in_hex_would_be_ignored_in_silence(world: World, tmp_path: Path) -> None:
    place = tmp_path / "revoked"
    world.homeca.must("crl", "--dir", place)
    (name,) = [path.name for path in place.iterdir()]
    (place / name).rename(place / f"{int(name):X}")
    assert verdict(world, tmp_path, LOST, crls=f"{place} dir")[0]


# ---------------------------------------------------------------- facts about OpenVPN


@pytest.fixture
def paper(tmp_path: Path) -> PaperCa:
    place = tmp_path / "paper"
    place.mkdir()
    return PaperCa(place)


def judged(paper: PaperCa, *lists: str) -> tuple[bool, str]:
    """The client before a server with these lists in one file, in this order."""
    crls = paper.place / "crls.pem"
    crls.write_text("".join(lists))
    address = free_address()
    with server(paper.place, address, {**paper.server, "crl-verify": crls}) as started:
        is_in, said = lets_in(started, paper.place, address, paper.client)
        return is_in, said + started.text()


def test_the_later_of_two_valid_lists_wins_whatever_its_number_and_place(paper: PaperCa) -> None:
    earlier = paper.crl(9, revoked=True, this_update=-3 * DAY)
    later = paper.crl(2, this_update=-DAY)
    for order in ((earlier, later), (later, earlier)):
        assert judged(paper, *order)[0]
    earlier = paper.crl(9, this_update=-3 * DAY)
    later = paper.crl(2, revoked=True, this_update=-DAY)
    for order in ((earlier, later), (later, earlier)):
        assert not judged(paper, *order)[0]


def test_of_two_lists_with_one_thisupdate_the_first_in_the_file_wins(paper: PaperCa) -> None:
    free, revoked = paper.crl(1), paper.crl(2, revoked=True)
    assert judged(paper, free, revoked)[0]
    assert not judged(paper, revoked, free)[0]


def test_a_list_that_is_not_yet_valid_locks_out_and_one_below_it_saves(paper: PaperCa) -> None:
    """Why the list that was valid until now stays in the file."""
    coming = paper.crl(2, revoked=True, this_update=timedelta(hours=1))
    is_in, said = judged(paper, coming)
    assert not is_in
    assert "CRL is not yet valid" in said
    assert judged(paper, paper.crl(1), coming)[0]


def test_an_issuing_distribution_point_locks_out_certificates_without_that_cdp(
    paper: PaperCa,
) -> None:
    is_in, said = judged(paper, paper.crl(1, idp=True))
    assert not is_in
    assert "scope" in said.lower()
    assert judged(paper, paper.crl(1))[0]


def test_a_list_of_another_key_under_the_same_name_counts_as_missing(paper: PaperCa) -> None:
    other = paper.crl(1, revoked=True, key=new_key())
    is_in, said = judged(paper, other)
    assert is_in, "if this fails, OpenVPN no longer fails open here: rejoice, and change the docs"
    assert "unable to get certificate CRL" in said


def test_a_list_with_a_spoilt_signature_locks_out(world: World, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.pem"
    spoilt.write_text(
        world.root_crl.read_text() + tampered(world.intermediate_crl, tmp_path).read_text()
    )
    is_in, said = verdict(world, tmp_path, ALICE, crls=spoilt)
    assert not is_in
    assert "CRL signature failure" in said


@pytest.mark.parametrize("which", ["root_crl", "intermediate_crl"])
def test_a_missing_list_is_a_warning_in_the_log_and_nothing_more(
    world: World, tmp_path: Path, which: str
) -> None:
    """Why openvpn.pem has the lists of all issuers, and `crl` warns when one is lacking."""
    is_in, said = verdict(world, tmp_path, ALICE, crls=getattr(world, which))
    assert is_in
    assert "unable to get certificate CRL" in said


def test_an_empty_file_locks_out(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    is_in, said = verdict(world, tmp_path, ALICE, crls=empty)
    assert not is_in
    assert "CRL not loaded" in said
