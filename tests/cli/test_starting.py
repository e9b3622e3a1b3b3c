"""The first moments: Ctrl-C while it loads, what a crash leaves, a fault of the system."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.interop.homeca import CHECKOUT

#: `homeca --version`; SIGINT comes when it begins to load the module named.
START = """
import _signal, sys

wanted = sys.argv.pop(1)

class Interrupting:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == wanted:
            _signal.raise_signal(_signal.SIGINT)

sys.meta_path.insert(0, Interrupting)
from ca.__main__ import main
main()
"""
IGNORED = "_signal.signal(_signal.SIGINT, _signal.SIG_IGN)\n"


def start(interrupted_at: str, *, script: str = START) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, interrupted_at, "--version"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("module", ["signal", "ca.cli.app", "typer", "ca.errors", "ca.failpoints"])
def test_ctrl_c_while_a_module_loads_ends_in_homecas_words(module: str) -> None:
    done = start(module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "homeca: cancelled\n")


def test_a_start_that_nobody_interrupts_goes_on() -> None:
    done = start("none of these")
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "homeca", "")


def test_ctrl_c_that_the_shell_has_ignored_is_ignored() -> None:
    ignoring = START.replace("wanted =", IGNORED + "wanted =")
    done = start("ca.cli.app", script=ignoring)
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "homeca", "")


#: The limit that the program, and what it starts, has once its commands load.
DUMPING = """
import resource, sys

class Asking:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "ca.cli.app":
            print(*resource.getrlimit(resource.RLIMIT_CORE))

sys.argv.pop(1)
resource.setrlimit(resource.RLIMIT_CORE, (4096, 4096))
sys.meta_path.insert(0, Asking)
from ca.__main__ import main
main()
"""


def test_no_crash_leaves_a_dump_with_a_pin_in_it() -> None:
    done = start("", script=DUMPING)
    assert done.stdout.splitlines()[0] == "0 0"


#: `homeca list`, whose module the disk gives up on.
FAILING = """
import errno, sys

class Failing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "ca.cli.reports":
            raise OSError(errno.EIO, "Input/output error")

sys.meta_path.insert(0, Failing)
sys.argv[1:] = ["list"]
from ca.__main__ import main
main()
"""


def test_a_fault_of_the_system_is_two_lines_and_a_traceback_only_when_asked_for() -> None:
    plain = start("", script=FAILING)
    assert plain.returncode == 1
    assert plain.stderr.splitlines() == [
        "homeca: the system says: Input/output error [unforeseen]",
        "   try: check disk space and modes, and who owns it",
    ]

    debugging = start("", script="import os; os.environ['HOMECA_DEBUG'] = '1'\n" + FAILING)
    assert "Traceback" in debugging.stderr
    assert debugging.stderr.splitlines()[-1] == "OSError: [Errno 5] Input/output error"
