"""The `homeca` program: its commands, and the one place where an error ends a process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from ca.cli.loading import LazyGroup
from ca.cli.output import say, show_error
from ca.cli.streams import complete_streams
from ca.errors import (
    ConfigurationError,
    CustodyError,
    HomecaError,
    LintRefused,
    Refused,
    StoreError,
    UnforeseenError,
    UsageError,
    VerificationFailed,
)
from ca.failpoints import failpoint
from ca.names.showing import visible

#: Exit statuses, by family; the first that fits. 0 is success, 2 also typer's usage errors.
EXIT_STATUSES: tuple[tuple[type[HomecaError], int], ...] = (
    (ConfigurationError, 2),
    (LintRefused, 3),
    (Refused, 3),
    (CustodyError, 4),
    (StoreError, 5),
    (VerificationFailed, 6),
    (HomecaError, 1),
)

#: As a shell counts SIGINT.
CANCELLED = 130

EPILOG = """Exit status: 0 done; 1 failed, or some of many failed; 2 wrong usage, settings or home;
3 refused by policy, profile or lint; 4 the TPM cannot be used; 5 the database cannot be used;
6 verification says no; 130 cancelled."""

app = typer.Typer(
    name="homeca",
    cls=LazyGroup,
    help="A certificate authority for a home, with its keys in a TPM.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"homeca {version('homeca')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A certificate authority for a home, with its keys in a TPM.

    Start with `homeca init-root`, then `homeca init-intermediate`, then sign requests.
    """


def exit_status(error: HomecaError) -> int:
    """The status a script sees for this error."""
    return next(status for family, status in EXIT_STATUSES if isinstance(error, family))


def main() -> NoReturn:
    """Run, speak, leave. No traceback reaches a user unless HOMECA_DEBUG asks for it."""
    complete_streams()
    _leave(_run())


def _run() -> int:
    try:
        failpoint("command.begun")
        outcome = app(standalone_mode=False)
    except HomecaError as error:
        if os.environ.get("HOMECA_DEBUG"):
            raise
        show_error(error, as_json="--json" in sys.argv)
        return exit_status(error)
    except typer.TyperException as error:
        return _misused(error)
    except (KeyboardInterrupt, typer.Abort):
        say("homeca: cancelled")
        return CANCELLED
    except BrokenPipeError:
        # the reader of a pipe went away: not an error of ours, and nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _broken("this machine has no memory left for it", "end other programs, or add swap")
    except OSError as error:
        named = error.filename
        where = f" of {visible(os.fsdecode(named))!r}" if isinstance(named, str | bytes) else ""
        problem = f"the system says{where}: {error.strerror or error}"
        return _broken(problem, "check disk space and modes, and who owns it", error)
    except Exception as error:  # noqa: BLE001 - the last door: nobody else may show a traceback
        return _broken(
            f"homeca itself has a fault: {type(error).__name__}",
            "run it again with HOMECA_DEBUG=1 and report what it prints",
            error,
        )
    if outcome == CANCELLED:  # typer makes it of Ctrl-C in a command, and says nothing
        say("homeca: cancelled")
    return outcome if isinstance(outcome, int) else 0


def _broken(problem: str, remedy: str, error: Exception | None = None) -> int:
    """What no room has foreseen: one sentence, exit status 1."""
    if os.environ.get("HOMECA_DEBUG") and error is not None:
        raise error
    with contextlib.suppress(OSError):  # what could not be written once cannot be told either
        show_error(UnforeseenError(problem, remedy=remedy), as_json="--json" in sys.argv)
    return 1


def _misused(error: typer.TyperException) -> int:
    """Wrong command, option or argument: typer's own words in our form."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "homeca"
    text = error.format_message().rstrip(".")
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        say(text)
        return 2
    wrong = UsageError(text[:1].lower() + text[1:], remedy=f"run `{command} --help`")
    show_error(wrong, as_json="--json" in sys.argv)
    return exit_status(wrong)


def _leave(status: int) -> NoReturn:
    """Flush, then skip the interpreter's teardown: everything durable has been synced."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # too late to cancel: it is done
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = status or 1
    except OSError as error:  # a full disk behind `> file`: what was done is done, but not told
        _broken(f"standard output cannot be written: {error.strerror}", "see `homeca status`")
        status = status or 1
    failpoint("command.acknowledged")
    os._exit(status)
