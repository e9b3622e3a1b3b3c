"""Secrets from files: a file, or a pipe that gives something; nothing is waited for in vain."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ca.cli.options import new_pin, read_password, read_pin
from ca.errors import ConfigurationError, HomecaError
from tests.interop.homeca import CHECKOUT, Homeca
from tests.interop.programs import require

READ = """
import sys
from pathlib import Path
from ca.cli.options import new_pin, read_password, read_pin
print(read_password(Path(sys.argv[1])).reveal().decode())
"""


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    return path


def soon_refused(path: Path) -> str:
    began = time.monotonic()
    with pytest.raises(ConfigurationError) as refused:
        read_password(path)
    assert time.monotonic() - began < 5
    return refused.value.problem


def test_a_pipe_nobody_writes_to_is_refused_at_once(pipe: Path) -> None:
    # what would wait for ever is ended, so that this test ends too
    late = threading.Timer(8, lambda: os.close(os.open(pipe, os.O_RDWR)))
    late.start()
    try:
        assert soon_refused(pipe) == f"the pipe {str(pipe)!r} gives no password"
    finally:
        late.cancel()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev"])
def test_what_is_neither_a_file_nor_a_pipe_is_refused(path: str) -> None:
    assert soon_refused(Path(path)) == f"the password file {path!r} is neither a file nor a pipe"


def test_a_pipe_is_read_when_its_writer_comes_to_write(pipe: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", 'exec 3<>"$1"; exec 4>"$1" 3<&-; echo open; sleep 0.3; printf 12 >&4; '
         "sleep 0.2; echo 34 >&4", "sh", str(pipe)],
        stdout=subprocess.PIPE,
    ) as writer:  # fmt: skip
        assert writer.stdout is not None
        writer.stdout.readline()
        assert read_password(pipe).reveal() == b"1234"


@pytest.mark.parametrize(
    ("given", "said"), [("sleep 0.2; echo 1234", "1234\n"), ("echo 1234", "1234\n"), ("true", "")]
)
def test_what_a_shell_puts_in_place_of_a_file_is_read(given: str, said: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" <({given})', sys.executable, READ],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == said, done.stderr
    assert ("gives no password" in done.stderr) == (not said)


def test_a_ceremony_takes_its_pin_out_of_a_pipe(tmp_path: Path) -> None:
    """As a password manager gives it, once; the new key is used with it as soon as it is made."""
    require("swtpm")
    homeca = Homeca(tmp_path / "home")
    given = 'exec "$@" --key ec-p256 --pin --pin-file <(echo "horse battery")'
    for ceremony in (("init-root", "--name", "Pipe"), ("init-intermediate",)):
        done = subprocess.run(
            ["bash", "-c", given, "bash", *homeca.argv(*ceremony)],
            env=homeca.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "has a PIN" in homeca.run("schedule").stderr


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("1234")
    path.chmod(0o640)
    assert "can be read by others" in soon_refused(path)
    path.chmod(0o600)
    assert read_password(path).reveal() == b"1234"


def test_an_empty_file_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(0o600)
    with pytest.raises(HomecaError, match="the password is empty"):
        read_password(path)


@pytest.mark.parametrize(
    ("text", "is_short"),
    [
        ("1", True),
        ("7 chars", True),
        ("8 chars.", False),
        ("12345678901", True),
        ("123456789012", False),
        ("correct horse", False),
    ],
)
def test_a_new_pin_that_can_be_tried_out_is_warned_about_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, is_short: bool
) -> None:
    path = tmp_path / "pin"
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    assert new_pin(path).reveal() == text.encode()
    said = capsys.readouterr()
    assert (said.out, "this PIN is short" in said.err) == ("", is_short)
    assert text not in said.err


def test_a_pin_that_a_key_has_already_is_not_talked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pin"
    path.touch(mode=0o600)
    path.write_text("1")
    assert read_pin(path, key="keys/root.tss").reveal() == b"1"
    assert capsys.readouterr() == ("", "")
