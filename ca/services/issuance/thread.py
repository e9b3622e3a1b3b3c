"""A thread that asks the key, so that the TPM waits neither for what comes before nor for what
comes after: it signs one chunk of a batch while the next is prepared and the last is recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from msgspec import Struct, field

from ca.errors import CustodyError, HomecaError, PinWrong, SignatureInvalid
from ca.interfaces.custody import Signer
from ca.interfaces.issuing import IssuerRecord
from ca.interruption import uninterrupted
from ca.lint.gate import LintedTbs
from ca.services.facility import pin_wrong
from ca.services.issuance.signing import sign_linted

#: Seconds after which a thread that computes gives way to another. A signature takes eight turns:
#: beside a busy thread, 2.7 ms with a software TPM become 32 ms with Python's own 5 ms, and 3.7 ms
#: with these.
_TURN = 0.00005

#: Seconds between two looks at a run, and so the longest that Ctrl-C waits for one.
_LOOK = 0.05


class Run(Struct):
    """Some certificates on their way. What it says holds once `end` has a result.

    ders:    DER of those that were signed and verified, in order.
    failure: why the next one was not. None when all were, or when the key was not asked for it.
    """

    end: Future[None] = field(default_factory=Future)
    ders: list[bytes] = field(default_factory=list)
    failure: HomecaError | None = None

    def wait(self) -> None:
        """Until it has ended; Ctrl-C comes between two looks.

        Within one it would leave a lock of the Future's taken, for which the thread that is to
        end the run then waits for ever, and this one for the thread.
        """
        has_ended = False
        while not has_ended:
            with uninterrupted():
                has_ended = bool(wait((self.end,), timeout=_LOOK).done)


class SigningThread:
    """Signs in the order in which it is told to. After a failure the key is not asked again."""

    def __init__(self, signer: Signer, issuer: IssuerRecord) -> None:
        self._signer = signer
        self._issuer = issuer
        self._is_over = False  # no Event: its lock, too, would stay taken
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="signing")
        self._turn = sys.getswitchinterval()

    def __enter__(self) -> Self:
        sys.setswitchinterval(_TURN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits for the signature that was asked for last: the key is still in use."""
        with uninterrupted():  # who leaves sooner closes the TPM's library under a call
            self.stop()
            self._pool.shutdown(wait=True)
        sys.setswitchinterval(self._turn)

    def begin(self, linted: Sequence[LintedTbs]) -> Run:
        """Sign these, whose intents are recorded, after all that was begun before."""
        run = Run()
        # interrupted here, the pool would not know its thread, and not wait for it at the end
        with uninterrupted():
            run.end = self._pool.submit(self._sign, linted, run)
        return run

    def stop(self) -> None:
        """Ask for no more; the signature that is being made is still taken."""
        self._is_over = True

    def _sign(self, linted: Sequence[LintedTbs], run: Run) -> None:
        for tbs in linted:
            if self._is_over:
                return
            try:
                run.ders.append(sign_linted(tbs, self._signer, self._issuer.spki))
            except PinWrong as wrong:  # only now: a TPM asks for it when the key is used
                run.failure = pin_wrong(self._issuer, wrong)
                self.stop()
            except (CustodyError, SignatureInvalid) as error:
                run.failure = error
                self.stop()
            except BaseException:
                self.stop()
                raise
