"""The three standard streams, made whole: a parent may have closed them, or speak no UTF-8."""

from __future__ import annotations

import io
import os
import sys

#: A closed standard output stays one that cannot be written to: what is not told is an error.
_IN_PLACE_OF = ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY))


def complete_streams() -> None:
    """Nothing opened later becomes a standard stream, and every character can be shown.

    A closed standard input is empty, a closed standard error is nobody's. A character that the
    locale has no octets for is shown as an escape, as standard error always does.
    """
    for descriptor, flags in _IN_PLACE_OF:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # the lowest that is free: this one
            os.set_inheritable(descriptor, True)
    # Python leaves None where it found a stream closed
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w", errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
