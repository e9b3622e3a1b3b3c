"""TPMs reached through a TCTI of tpm2-tss: swtpm sockets, tabrmd, mssim, remote ones.

Those libraries wait for ever and no signal interrupts them, so they run in a thread of their
own, which is left behind when the deadline passes.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ca.errors import CustodyError, TpmUnreachable
from ca.keys.tpm.link import (
    HEADER,
    MAX_ANSWER,
    answer_length,
    connection_lost,
    not_responding,
)
from ca.keys.tpm.tss import TCTILdr, TSS2_Exception

CLOSE_SECONDS = 5.0


class LibraryLink:
    """A TCTI string given to tpm2-tss: "swtpm:path=/run/x", "tabrmd".

    deadline: seconds to connect, and to hand a command over.
    """

    is_ours = False

    def __init__(self, tcti: str, *, deadline: float) -> None:
        self.name = tcti
        self._deadline = deadline
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]
        self._jobs = queue.SimpleQueue()
        self._stuck = False
        threading.Thread(target=self._work, name=f"tcti {tcti}", daemon=True).start()
        try:
            self._tcti = self._run(lambda: TCTILdr.parse(tcti), deadline)
        except TSS2_Exception as error:
            self._jobs.put(None)
            raise TpmUnreachable(
                f"the TPM at {tcti!r} cannot be reached: {error}", remedy=_remedy(tcti)
            ) from error

    def send(self, command: bytes) -> None:
        try:
            self._run(lambda: self._tcti.transmit(command), self._deadline)
        except TSS2_Exception as error:
            raise connection_lost(self.name, str(error)) from error

    def receive(self, seconds: float) -> bytes:
        try:
            octets = bytes(self._run(lambda: self._tcti.receive(MAX_ANSWER), seconds))
        except TSS2_Exception as error:
            raise connection_lost(self.name, str(error)) from error
        if len(octets) < HEADER or answer_length(octets) != len(octets):
            raise connection_lost(self.name, "what came back is not one answer")
        return octets

    def close(self, *, orderly: bool) -> None:
        if not self._stuck:
            with contextlib.suppress(CustodyError):
                self._run(self._tcti.close, CLOSE_SECONDS)
        self._jobs.put(None)

    def _run(self, call: Callable[[], Any], seconds: float) -> Any:
        """The result of `call` in the worker. Raises: TpmNotResponding, or what `call` raises."""
        if self._stuck:
            raise not_responding(self.name, seconds)
        result: Future[Any] = Future()
        self._jobs.put((call, result))
        try:
            return result.result(timeout=seconds)
        except TimeoutError:
            self._stuck = True
            raise not_responding(self.name, seconds) from None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, result = job
            try:
                result.set_result(call())
            except BaseException as error:  # noqa: BLE001  # raised again where it was asked for
                result.set_exception(error)


def _remedy(tcti: str) -> str:
    library = tcti.partition(":")[0]
    if library == "swtpm":
        return "start that swtpm, and check its path or port"
    if library == "tabrmd":
        return "run `sudo systemctl start tpm2-abrmd`"
    return f"check the TCTI, and that libtss2-tcti-{library} is installed"
