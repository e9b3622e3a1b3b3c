"""Files appear whole or not at all, with their mode, and only where nothing is in the way."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ca.errors import HomeNotPrivate, OutputExists, OutputFailed
from ca.files import (
    check_private,
    locked,
    locked_if_free,
    make_private_directory,
    read_bounded,
    refuse_no_file,
    write_whole,
)


@pytest.fixture(params=[0o000, 0o077, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


# ---------------------------------------------------------------- write_whole


@pytest.mark.parametrize("mode", [0o600, 0o644], ids=oct)
def test_a_file_has_its_mode_whatever_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "f"
    write_whole(path, b"whole", mode=mode)
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"whole", mode)


def test_a_file_in_the_way_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first")
    with pytest.raises(OutputExists):
        write_whole(path, b"second", mode=0o600)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_replaced_file_has_the_new_octets_and_the_new_mode(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first")
    path.chmod(0o644)
    write_whole(path, b"second", mode=0o600, replace=True)
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"second", 0o600)


@pytest.mark.parametrize("replace", [False, True])
def test_a_symlink_in_the_way_is_never_written_through(tmp_path: Path, replace: bool) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"theirs")
    link = tmp_path / "link"
    link.symlink_to(target)
    if replace:
        write_whole(link, b"ours", mode=0o600, replace=True)
        assert link.read_bytes() == b"ours"
        assert not link.is_symlink()
    else:
        with pytest.raises(OutputExists):
            write_whole(link, b"ours", mode=0o600)
    assert target.read_bytes() == b"theirs"


def test_a_dangling_symlink_is_in_the_way_and_creates_nothing(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExists):
        write_whole(link, b"ours", mode=0o600)
    assert list(tmp_path.iterdir()) == [link]


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("kind", ["fifo", "socket", "link to a fifo"])
def test_what_is_no_file_keeps_its_place(tmp_path: Path, kind: str, replace: bool) -> None:
    path = tmp_path / "there"
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to(tmp_path / "fifo")
    before = path.lstat().st_ino
    with pytest.raises(OutputFailed, match="is no file"):
        write_whole(path, b"ours", mode=0o600, replace=replace)
    assert path.lstat().st_ino == before


@pytest.mark.parametrize("name", ["null", "full", "stdout", "something new", "fd/63.crt"])
def test_nothing_is_written_among_the_devices(name: str) -> None:
    with pytest.raises(OutputFailed, match="is no file"):
        refuse_no_file(Path("/dev") / name)


def test_a_file_a_directory_and_what_is_not_there_are_no_devices(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", tmp_path / "new", tmp_path / "not/there"):
        refuse_no_file(path)


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_what_names_no_file_is_refused_in_these_words(path: str) -> None:
    with pytest.raises(OutputFailed, match="names no file"):
        write_whole(Path(path), b"", mode=0o600, replace=True)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk; in a child, for it cannot be lifted again."""
    program = (
        "import resource, signal, sys, pathlib\n"
        "from ca.errors import OutputFailed\n"
        "from ca.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n"
        "    write_whole(pathlib.Path(sys.argv[1]), b'x' * 100, mode=0o600, replace=True)\n"
        "except OutputFailed as error:\n"
        "    print(error.code)\n"
    )
    path = tmp_path / "f"
    path.write_bytes(b"first")
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "output.failed\n"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OutputFailed, match="nowhere"):
        write_whole(tmp_path / "nowhere/f", b"", mode=0o600)


def test_of_eight_writers_of_one_name_exactly_one_wins(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from ca.errors import OutputExists\n"
        "from ca.files import write_whole\n"
        "sys.stdin.read()\n"
        "try:\n"
        "    write_whole(pathlib.Path(sys.argv[1]), sys.argv[2].encode() * 1000, mode=0o600)\n"
        "    print(sys.argv[2])\n"
        "except OutputExists:\n"
        "    pass\n"
    )
    path = tmp_path / "f"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(n)],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(8)
    ]
    for writer in writers:  # all are up and wait: now at once
        assert writer.stdin is not None
        writer.stdin.close()
        writer.stdin = None
    said = [writer.communicate(timeout=30)[0].strip() for writer in writers]
    (winner,) = filter(None, said)
    assert path.read_text() == winner * 1000
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------- directories


def test_a_private_directory_is_closed_to_others_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    make_private_directory(tmp_path / "d")
    assert (tmp_path / "d").stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o777], ids=oct)
def test_a_directory_that_others_can_enter_is_refused_with_the_command_that_closes_it(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "d"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(HomeNotPrivate) as refusal:
        check_private(path)
    assert f"chmod 700 {path}" in refusal.value.remedy
    path.chmod(0o700)
    check_private(path)


def test_a_symlink_to_a_private_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "d")
    with pytest.raises(HomeNotPrivate, match="is a link") as refusal:
        make_private_directory(tmp_path / "link")
    assert f"--home {tmp_path / 'd'}`" in refusal.value.remedy


def test_nobody_else_can_put_another_directory_in_the_place_of_one(
    tmp_path: Path, umask: int
) -> None:
    make_private_directory(tmp_path / "a/b/d")
    for parent in (tmp_path / "a", tmp_path / "a/b"):
        assert parent.stat().st_mode & 0o022 == 0


def test_a_directory_of_somebody_else_is_left_to_them(tmp_path: Path) -> None:
    """Root would be obeyed, and lock out whoever uses it: the way is named that does not."""
    theirs = Path("/")
    if os.geteuid() == 0:
        theirs = tmp_path / "d"
        theirs.mkdir(mode=0o700)
        os.chown(theirs, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(HomeNotPrivate, match=r"belongs to user (root|nobody), not to you") as told:
        check_private(theirs)
    assert ("sudo -u nobody homeca" in told.value.remedy) is (os.geteuid() == 0)
    assert ("chown" in told.value.remedy) is (os.geteuid() != 0)


@pytest.mark.parametrize("above", ["file", "dangling"])
def test_what_is_above_a_directory_and_none_itself_is_named(tmp_path: Path, above: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(OutputFailed, match=f"{above}' cannot be made: Not a directory"):
        make_private_directory(tmp_path / above / "d")


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"")
    with pytest.raises(HomeNotPrivate):
        make_private_directory(tmp_path / "d")


# ---------------------------------------------------------------- reading and locks


def test_a_file_longer_than_its_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(ValueError, match="more than 4"):
        read_bounded(path, 4)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OutputFailed, match="nothing"):
        read_bounded(tmp_path / "nothing", 5)


def test_a_lock_that_is_held_is_waited_for_with_one_word_and_not_for_ever(tmp_path: Path) -> None:
    path, said = tmp_path / "lock", list[str]()
    with (
        locked(path, what="sleeps", on_wait=said.append, patience=1),
        pytest.raises(OutputFailed),
        locked(path, what="sleeps", on_wait=said.append, patience=0.05),
    ):
        pytest.fail("two had it")
    assert said == ["waiting for another homeca, which sleeps"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_shared_holders_keep_out_who_wants_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    def shared() -> AbstractContextManager[None]:
        return locked(path, what="", on_wait=pytest.fail, patience=0.05, shared=True)

    with shared(), shared(), locked_if_free(path) as alone:
        assert not alone
    with locked_if_free(path) as alone:
        assert alone


def test_a_lock_behind_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(OutputFailed, match="symbolic"),
        locked(tmp_path / "lock", what="", on_wait=pytest.fail, patience=0.05),
    ):
        pytest.fail("it was followed")
    assert not (tmp_path / "elsewhere").exists()


def test_a_name_too_long_for_the_file_system_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputFailed):
        write_whole(tmp_path / ("x" * 300), b"octets", mode=0o644)
    assert list(tmp_path.iterdir()) == []
