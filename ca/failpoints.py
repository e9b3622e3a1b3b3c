"""Named places in the order of effects where a test may end the process or break something.

The names stand in the code for ever and do nothing there: without a trap a passage is one
comparison (about 30 ns, `tests/faults/test_failpoints.py` measures it; a command passes some
fifty). Nothing in this program sets a trap, and no environment variable, option or setting can:
a program that signs must not be killable from outside by its own doing. Only code in the same
process that calls `arm` can, and only the tests' own launcher (`tests.faults.running`, which no
wheel contains) has such code.
"""

from __future__ import annotations

from collections.abc import Callable

#: Told the name of each point as it is passed; what it raises or does happens there.
Trap = Callable[[str], None]

_trap: Trap | None = None


def failpoint(name: str) -> None:
    """The effects before this line have happened, those after it have not."""
    if _trap is not None:
        _trap(name)


def arm(trap: Trap | None) -> None:
    """Have `trap` told of every passage from now on; None: nobody."""
    global _trap
    _trap = trap
