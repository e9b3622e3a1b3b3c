"""Where the program begins: `homeca`, or `python -m ca`."""

from __future__ import annotations

import gc
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # what loads before `main` is what Ctrl-C still ends in Python's own words
    from types import FrameType
    from typing import NoReturn


def main() -> NoReturn:
    """Run one command; see `ca.cli.app.main`."""
    # one command is one short process: collecting garbage, which loading it makes much of, costs
    # more than it frees
    gc.disable()
    try:
        import resource
        import signal

        # a dump would hold the PIN; the software TPM inherits this, with the keys
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # whatever is kept from others: its owner must be able to open again what is made
        os.umask(os.umask(0o077) & 0o077)
        is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if is_heard:  # a shell may have had it ignored
            signal.signal(signal.SIGINT, _cancel)
        from ca.cli.app import main as run

        if is_heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        _cancel()


def _cancel(number: int = 0, frame: FrameType | None = None) -> NoReturn:
    """While the program loads nothing is begun that would have to be ended, and an exception in
    the midst of an import may be lost.
    """
    os.write(2, b"homeca: cancelled\n")
    os._exit(130)


if __name__ == "__main__":
    main()
