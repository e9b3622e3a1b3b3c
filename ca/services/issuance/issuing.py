"""The one path of a certificate: record, sign, verify, record, for what `preparation` made ready.

No other code signs a certificate. The intent is stored before the key is used, so a crash between
the two leaves a serial we can revoke and never a certificate we do not know about (invariant 1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice

from msgspec import Struct, field

from ca.errors import HomecaError, SerialReserved
from ca.failpoints import failpoint
from ca.interfaces.issuing import Intent, State
from ca.interruption import uninterrupted
from ca.services.facility import Facility
from ca.services.issuance.preparation import Prepared, redrawn
from ca.services.issuance.signing import settle_unsigned
from ca.services.issuance.thread import SigningThread

#: Certificates whose intents share one commit. Large enough to spread the cost of a sync, small
#: enough that a crash, which finds two chunks open, leaves few serials to settle.
CHUNK = 16
FIRST_CHUNK = 4

#: A serial is 158 random bits: a second collision means a broken generator, not bad luck.
SERIAL_ATTEMPTS = 3


class Issued(Struct, frozen=True, kw_only=True):
    """der: the certificate as recorded. chain: its issuers, DER, the root left out."""

    prepared: Prepared
    der: bytes
    chain: tuple[bytes, ...]


class NotIssued(Struct, frozen=True, kw_only=True):
    """A prepared certificate that did not come to be. state: how its serial ended."""

    prepared: Prepared
    error: HomecaError
    state: State


class Issuance(Struct):
    """Record, sign, record, for what `ca.services.issuance.preparation` has prepared.

    not_taken: recorded when the run was broken off, and not yielded any more: hand them over too.
    """

    facility: Facility
    not_taken: list[Issued] = field(default_factory=list)

    def issue(self, prepared: Iterable[Prepared]) -> Generator[Issued | NotIssued]:
        """Sign what was prepared, all by one authority, in one TPM transaction.

        prepared: taken as the TPM comes to need it: with a generator the next ones are prepared
                  while it signs. Close what this returns, when not all of it is taken.

        Nothing is recorded when the TPM is out of reach, or its anchor of the ledger says that
        this record is not the newest: LedgerMismatch, CustodyError.
        Yields as chunks are durably recorded. A key that cannot be used ends the run: what was
        not asked for is `failed`, what may have been signed is `uncertain`.
        """
        chunks = _chunks(prepared)
        first = next(chunks, None)
        if first is None:
            return
        authority = first[0].authority
        with self.facility.changing(authority.issuer), self.facility.issuing():
            recorded: Sequence[Prepared] = ()
            with ExitStack() as transaction:
                try:
                    with uninterrupted():
                        recorded = self._record_intents(first)
                    signer = transaction.enter_context(self.facility.key_of(authority.issuer))
                except HomecaError as error:
                    if not recorded:
                        raise
                    yield from self._give_up(recorded, error, error)
                    yield from _never_begun(chunks, error)
                    return
                except BaseException:  # Ctrl-C, before the key was asked
                    self._settle(recorded, None)
                    raise
                thread = transaction.enter_context(SigningThread(signer, authority.issuer))
                yield from self._pass_through(thread, recorded, chunks)

    def _pass_through(
        self, thread: SigningThread, first: Sequence[Prepared], chunks: Iterator[Sequence[Prepared]]
    ) -> Iterator[Issued | NotIssued]:
        """Every chunk: recorded, signed, recorded. Two at a time are on their way."""
        under_way: deque[_Begun] = deque()
        failure: HomecaError | None = None
        try:
            with uninterrupted():
                under_way.append(_Begun(first, thread))
                first = ()
            while under_way:
                following = next(chunks, None) if failure is None else None
                if following is not None:
                    with uninterrupted():
                        under_way.append(_Begun(self._record_intents(following), thread))
                for outcome in self._finish(under_way[0], failure):
                    under_way[0].handed_over += 1
                    yield outcome
                failure = failure or under_way[0].run.failure
                under_way.popleft()
            if failure is not None:
                yield from _never_begun(chunks, failure)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C, or nobody wants the others
                thread.stop()
            self._settle(first, None)
            for begun in under_way:
                self._leave(begun)
            raise

    def _record_intents(self, chunk: Sequence[Prepared]) -> Sequence[Prepared]:
        """Durable before the key is asked. A taken serial is drawn again, with a new TBS."""
        for attempt in range(SERIAL_ATTEMPTS):
            now = self.facility.clock()
            try:
                self.facility.store.record_intents([_intent(p) for p in chunk], at=now)
            except SerialReserved:
                if attempt + 1 == SERIAL_ATTEMPTS:
                    raise
                chunk = [redrawn(one, self.facility.entropy, now=now) for one in chunk]
            else:
                break
        failpoint("intents.stored")
        return chunk

    def _keep(self, begun: _Begun) -> None:
        """Wait for the chunk; record all that are good in one commit, once."""
        begun.run.wait()
        with uninterrupted():
            if begun.run.ders and not begun.is_kept:
                self.facility.store.record_certificates(
                    [
                        (one.authority.issuer.id, one.serial, der)
                        for one, der in zip(begun.chunk, begun.run.ders, strict=False)
                    ],
                    at=self.facility.clock(),
                )
            begun.is_kept = True
        begun.run.end.result()  # raises what nobody foresaw

    def _leave(self, begun: _Begun) -> None:
        """What the TPM has signed must not stay an open intent, nor what it was never asked for."""
        begun.run.wait()
        with uninterrupted():
            self._keep(begun)
            self.not_taken.extend(_issued(begun)[begun.handed_over :])
            if not begun.is_settled:
                self._settle(begun.chunk[len(begun.run.ders) :], begun.run.failure)
            begun.is_settled = True

    def _finish(self, begun: _Begun, after: HomecaError | None = None) -> list[Issued | NotIssued]:
        """after: the failure that ended the run, when it was in a chunk before this one."""
        self._keep(begun)
        run = begun.run
        outcomes: list[Issued | NotIssued] = [*_issued(begun)]
        with uninterrupted():
            if failure := run.failure or after:
                rest = begun.chunk[len(outcomes) :]
                outcomes.extend(self._give_up(rest, failure, run.failure))
            begun.is_settled = True
        return outcomes

    def _give_up(
        self, rest: Sequence[Prepared], error: HomecaError, first: HomecaError | None
    ) -> list[NotIssued]:
        """Settle what will not be signed. first: what the key answered when asked for `rest[0]`;
        for none of the others was it asked."""
        return [
            NotIssued(prepared=one, error=error, state=state)
            for one, state in zip(rest, self._settle(rest, first), strict=True)
        ]

    def _settle(self, rest: Sequence[Prepared], first: HomecaError | None) -> list[State]:
        """first: as above; None when the key was asked for none of them."""
        now = self.facility.clock()
        return [
            settle_unsigned(
                self.facility,
                one.authority.issuer.id,
                one.serial,
                first if index == 0 else None,
                at=now,
            )
            for index, one in enumerate(rest)
        ]


class _Begun:
    """A chunk whose intents are recorded, and which waits for the TPM or its certificates do."""

    def __init__(self, chunk: Sequence[Prepared], thread: SigningThread) -> None:
        self.chunk = chunk
        self.run = thread.begin([one.tbs for one in chunk])
        self.is_kept = False
        self.is_settled = False
        self.handed_over = 0


def _issued(begun: _Begun) -> list[Issued]:
    return [
        Issued(prepared=one, der=der, chain=one.authority.chain[:-1])
        for one, der in zip(begun.chunk, begun.run.ders, strict=False)
    ]


def _chunks(prepared: Iterable[Prepared]) -> Iterator[tuple[Prepared, ...]]:
    """A small one first, so that the TPM soon has something to do."""
    rest = iter(prepared)
    size = FIRST_CHUNK
    while chunk := tuple(islice(rest, size)):
        yield chunk
        size = min(2 * size, CHUNK)


def _never_begun(chunks: Iterator[Sequence[Prepared]], error: HomecaError) -> Iterator[NotIssued]:
    for chunk in chunks:
        for one in chunk:
            yield NotIssued(prepared=one, error=error, state=State.FAILED)


def _intent(prepared: Prepared) -> Intent:
    return Intent(
        issuer_id=prepared.authority.issuer.id,
        serial=prepared.serial,
        tbs=prepared.tbs.der,
        profile=prepared.profile.name,
        profile_text=prepared.profile.text,
        subject=str(prepared.grant.subject),
        names=tuple(str(name) for name in prepared.names),
        spki=prepared.grant.spki.der,
        validity=prepared.grant.validity,
        request_sha256=prepared.order.request.sha256,
        replaces=prepared.order.replaces,
    )
