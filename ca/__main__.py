"""Where the program begins: `homeca`, or `python -m ca`."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run one command; see `ca.cli.app.main`."""
    # one command is one short process: collecting garbage, which loading it makes much of, costs
    # more than it frees
    gc.disable()
    from ca.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
