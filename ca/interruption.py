"""Ctrl-C that waits: for a commit and what has to be known of it, and for C that has called us.

What a Python handler raises in the glue between C and Python is printed by cffi and lost: a command
to the TPM is then never sent, or its answer never read. So around each call into libtss2 the signal
is only noted, and handled in the Wire, which knows how to end, or when the call has come back.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType


class Interruption:
    """SIGINT in the main thread, where Python handles signals; in any other nothing is done.

    What one of these holds does not nest, and is in one thread at a time; several may.
    """

    def __init__(self) -> None:
        self._handler: Callable[[int, FrameType | None], object] | None = None
        self._is_heard = False
        self._came: list[FrameType | None] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """A SIGINT that comes meanwhile is handled at the end, or where it is heard."""
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(handler):
            yield
            return
        self._handler = handler
        signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
            self._handler = None
            if self._came:
                handler(signal.SIGINT, self._came.pop())

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within what is held, where what is raised is caught: the handler runs at once."""
        self._is_heard = True
        try:
            if self._came and self._handler is not None:
                self._handler(signal.SIGINT, self._came.pop())
            yield
        finally:
            self._is_heard = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._is_heard and self._handler is not None:
            self._handler(number, frame)
        else:
            self._came[:] = [frame]


def uninterrupted() -> AbstractContextManager[None]:
    """Steps that nothing comes between: short ones, and what must be waited for."""
    return Interruption().held()
