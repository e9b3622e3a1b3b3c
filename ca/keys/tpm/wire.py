"""The TCTI under every ESAPI here: a Link with a deadline, a memory and patience.

libtss2 turns what a TCTI raises into one number, so the Wire keeps the real reason. It also
knows whether a command is on its way: that decides between "not signed" and "uncertain".
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import NoReturn

from ca.errors import CustodyError, TpmConnectionLost
from ca.interruption import Interruption
from ca.keys.tpm import return_codes
from ca.keys.tpm.link import SHUTDOWN, Link, command_code, connection_lost
from ca.keys.tpm.tss import PollData, PyTCTI, TSS2_Exception

#: TPM_RC_YIELDED, TESTING, NV_RATE, RETRY: the command was not done; send it again (Part 3 §5.4).
AGAIN = frozenset({0x908, 0x90A, 0x920, 0x922})

SHUTDOWN_SECONDS = 5.0

TCTI_IO_ERROR = 0x000A000A


class Wire(PyTCTI):  # type: ignore[misc]  # tpm2_pytss is untyped
    """One open Link as a TCTI.

    commands: TPM_CC of everything sent, in order.
    failure:  what broke the link; from then on nothing is sent any more.
    pending:  TPM_CC of a command that the TPM may have and has not answered, else 0.
    interruption: hold it around every call into libtss2.
    """

    def __init__(self, link: Link, *, deadline: float) -> None:
        super().__init__()
        self.link = link
        self.commands: list[int] = []
        self.failure: BaseException | None = None
        self.pending = 0
        self.interruption = Interruption()
        self._deadline = deadline
        self._command = b""

    @contextlib.contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Another deadline for a while: making an RSA key takes a slow TPM a minute."""
        before, self._deadline = self._deadline, seconds
        try:
            yield
        finally:
            self._deadline = before

    def close(self) -> None:
        """Close the link, after TPM2_Shutdown where the TPM is ours and nothing broke.

        Without it a TPM counts the stop as a dictionary attack once any object under that
        protection was used: swtpm locks itself after the third (Part 1 §19.8.6).
        """
        orderly = self.failure is None
        try:
            if self.link.is_ours and orderly:
                orderly = False
                with contextlib.suppress(CustodyError):
                    self._send(SHUTDOWN)
                    self.link.receive(SHUTDOWN_SECONDS)
                    orderly = True
        finally:
            self.link.close(orderly=orderly)

    def do_transmit(self, command: bytes) -> None:
        try:
            with self.interruption.heard():
                self._send(command)
        except BaseException as error:  # noqa: BLE001  # C calls us; it is kept and raised there
            self._fail(error)

    def do_receive(self, timeout: int) -> bytes:
        if self.failure is not None:
            raise TSS2_Exception(TCTI_IO_ERROR)
        try:
            with self.interruption.heard():
                return self._answer()
        except BaseException as error:  # noqa: BLE001  # as above; Ctrl-C arrives here too
            self._fail(error)

    def do_get_poll_handles(self) -> tuple[PollData, ...]:
        return ()

    def _send(self, command: bytes) -> None:
        if self.failure is not None:
            raise connection_lost(self.link.name, "it broke before")
        self.pending = command_code(command)
        self._command = command
        self.commands.append(self.pending)
        try:
            self.link.send(command)
        except TpmConnectionLost:
            self.pending = 0  # the TPM cannot have got it
            raise

    def _answer(self) -> bytes:
        give_up = time.monotonic() + self._deadline
        pause = 0.01
        while True:
            answer = self.link.receive(max(give_up - time.monotonic(), 0.001))
            self.pending = 0
            code = command_code(answer)
            if code not in AGAIN:
                return answer
            if time.monotonic() + pause > give_up:
                command = command_code(self._command)
                raise return_codes.error(code, command=command, tcti=self.link.name)
            time.sleep(pause)
            pause = min(2 * pause, 0.5)
            self._send(self._command)

    def _fail(self, error: BaseException) -> NoReturn:
        if self.failure is None:
            self.failure = error
        raise TSS2_Exception(TCTI_IO_ERROR) from error
