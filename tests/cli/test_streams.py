"""Standard streams that are closed, full, or speak no UTF-8."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import on_terminal, run
from tests.house import House
from tests.interop.homeca import Homeca


def _closing(*descriptors: int) -> Callable[[], None]:
    def prepare() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return prepare


def _run(
    house: House, *arguments: str | Path, prepare: Callable[[], None]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        Homeca.argv(*arguments),
        cwd=house.place,
        env=house.homeca.environment,
        capture_output=True,
        preexec_fn=prepare,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", ["list", "status", "--help", "audit log", "profile list"])
def test_a_closed_standard_output_is_an_error_of_one_sentence(
    common_house: House, command: str
) -> None:
    ended = _run(common_house, *command.split(), prepare=_closing(1))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "itself has a fault" not in ended.stderr
    assert "Bad file descriptor" in ended.stderr


def test_with_standard_error_closed_the_result_is_still_told(common_house: House) -> None:
    whole = run(common_house, "list")
    ended = _run(common_house, "list", prepare=_closing(0, 2))
    assert (ended.returncode, ended.stdout) == (0, whole.text)


def test_a_request_from_a_closed_standard_input_is_an_empty_one(common_house: House) -> None:
    ended = _run(common_house, "sign", "-", "--profile", "vpn-client", prepare=_closing(0))
    assert ended.returncode == 1
    assert "the file is empty" in ended.stderr


def test_json_that_a_full_disk_does_not_take_ends_in_one_sentence(common_house: House) -> None:
    def fill() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

    ended = _run(common_house, "audit", "log", "--json", prepare=fill)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "No space left on device" in ended.stderr


def test_a_locale_without_the_characters_shows_them_escaped(house: House) -> None:
    request = house.file("nas.csr")
    house.homeca.must(
        "sign", request, "--profile", "vpn-client", "--subject", "CN=Zo\u00eb", "--force"
    )
    latin = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = run(house, "list", environment=latin)
    assert said.status == 0
    assert b"CN=Zo\\xeb" in said.out
    assert "CN=Zo\u00eb" in run(house, "list").text
    assert b"\\u2514\\u2500" in run(house, "status", environment=latin).out
    assert "\u2514\u2500" in run(house, "status").text


def test_the_name_of_a_file_that_was_made_is_harmless_on_a_terminal_and_whole_in_a_pipe(
    house: House,
) -> None:
    request = house.place / "\x1b[31mred.csr"
    house.file("nas.csr").rename(request)
    shown = on_terminal(house, "sign", request.name, "--profile", "tls-server")
    assert b"\\x1b[31mred.crt" in shown
    assert b"\x1b[31mred" not in shown
    piped = run(house, "sign", request.name, "--profile", "tls-server", "--force")
    assert "\x1b[31mred.crt" in piped.text.splitlines()
