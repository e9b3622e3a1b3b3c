"""Any order of acts: the store and a dictionary agree on what each serial became."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ca.errors import HomecaError
from ca.interfaces.issuing import CertificateCounts, CertificateQuery, State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.repository import open_store
from tests.store.making import (
    LIFE,
    NOW,
    active_issuer,
    crl,
    der_of,
    entry_of,
    intent,
    listed,
    revoke,
)

SERIALS = st.integers(min_value=1, max_value=6)
BATCHES = st.lists(SERIALS, min_size=1, max_size=3)
REASONS = st.sampled_from([Reason.CERTIFICATE_HOLD, Reason.SUPERSEDED, Reason.KEY_COMPROMISE])
HOLD = Reason.CERTIFICATE_HOLD


@dataclass
class Known:
    state: State
    reason: Reason | None = None


class Record(RuleBasedStateMachine):
    """A rule says when the store agrees to an act; else it must refuse, and change nothing."""

    blank: Path

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        place = Path(shutil.copy(self.blank, self.directory.name))
        self.store = open_store(place)
        self.issuer = active_issuer(self.store)
        self.known: dict[int, Known] = {}
        self.numbers: list[int] = []
        self.cut: list[int] = []

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def is_in(self, serial: int, *states: State) -> bool:
        return serial in self.known and self.known[serial].state in states

    @rule(serial=SERIALS)
    def reserve(self, serial: int) -> None:
        allowed = serial not in self.known
        assert allowed == self.agrees(
            lambda: self.store.reserve(self.issuer, Serial(serial), subject="CN=a", at=NOW)
        )
        if allowed:
            self.known[serial] = Known(State.RESERVED)

    @rule(batch=BATCHES)
    def intend(self, batch: list[int]) -> None:
        allowed = len(set(batch)) == len(batch) and all(
            n not in self.known or self.is_in(n, State.RESERVED) for n in batch
        )
        assert allowed == self.agrees(
            lambda: self.store.record_intents([intent(self.issuer, n) for n in batch], at=NOW)
        )
        if allowed:
            self.known |= {n: Known(State.INTENDED) for n in batch}

    @rule(batch=BATCHES)
    def issue(self, batch: list[int]) -> None:
        allowed = len(set(batch)) == len(batch) and all(
            self.is_in(n, State.INTENDED) for n in batch
        )
        issued = [(self.issuer, Serial(n), der_of(n)) for n in batch]
        assert allowed == self.agrees(lambda: self.store.record_certificates(issued, at=NOW))
        if allowed:
            self.known |= {n: Known(State.ISSUED) for n in batch}

    @rule(serial=SERIALS, state=st.sampled_from([State.FAILED, State.UNCERTAIN]))
    def settle(self, serial: int, state: State) -> None:
        before = (State.INTENDED, State.RESERVED) if state is State.FAILED else (State.INTENDED,)
        allowed = self.is_in(serial, *before)
        line = entry_of(serial) if state is State.UNCERTAIN else b""
        assert allowed == self.agrees(
            lambda: self.store.settle(
                self.issuer, Serial(serial), state, note="", at=NOW, entry=line
            )
        )
        if allowed:
            self.known[serial] = Known(
                state, Reason.UNSPECIFIED if state is State.UNCERTAIN else None
            )

    @rule(serial=SERIALS, reason=REASONS)
    def revoke(self, serial: int, reason: Reason) -> None:
        allowed = self.is_in(serial, State.ISSUED) and (
            self.known[serial].reason is None
            or (self.known[serial].reason is HOLD and reason is not HOLD)
        )
        assert allowed == self.agrees(lambda: revoke(self.store, self.issuer, serial, reason))
        if allowed:
            self.known[serial].reason = reason

    @rule(serial=SERIALS)
    def release(self, serial: int) -> None:
        allowed = serial in self.known and self.known[serial].reason is HOLD
        assert allowed == self.agrees(
            lambda: self.store.release(self.issuer, Serial(serial), at=NOW)
        )
        if allowed:
            self.known[serial].reason = None

    @rule()
    def number(self) -> None:
        number = self.store.reserve_crl_number(self.issuer, at=NOW)
        assert number > max(self.numbers, default=0)
        self.numbers.append(number)

    @rule(number=st.integers(min_value=1, max_value=5))
    def cut_crl(self, number: int) -> None:
        allowed = number in self.numbers and number > max(self.cut, default=0)
        assert allowed == self.agrees(lambda: self.store.record_crl(crl(self.issuer, number)))
        if allowed:
            self.cut.append(number)

    def agrees(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except HomecaError:
            return False
        return True

    @invariant()
    def every_serial_is_what_it_became(self) -> None:
        there = {r.serial: r for r in self.store.certificates(CertificateQuery())}
        assert {n: r.state for n, r in there.items()} == {
            n: known.state for n, known in self.known.items()
        }
        assert {n: r.der for n, r in there.items() if r.der} == {
            n: der_of(n) for n, known in self.known.items() if known.state is State.ISSUED
        }

    @invariant()
    def the_crl_holds_what_is_revoked_and_nothing_else(self) -> None:
        wanted = sorted(n for n, known in self.known.items() if known.reason is not None)
        assert listed(self.store, self.issuer) == wanted
        revoked = self.store.certificates(CertificateQuery(revoked=True))
        assert sorted(record.serial for record in revoked) == wanted

    @invariant()
    def the_totals_are_those_of_the_serials(self) -> None:
        issued = [known for known in self.known.values() if known.state is State.ISSUED]
        states = [known.state for known in self.known.values()]
        assert self.store.counts(at=LIFE.not_after) == CertificateCounts(
            valid=sum(known.reason is None for known in issued),
            revoked=sum(known.reason is not None for known in issued),
            uncertain=states.count(State.UNCERTAIN),
            failed=states.count(State.FAILED),
        )

    @invariant()
    def the_last_crl_is_the_highest(self) -> None:
        last = self.store.last_crl(self.issuer)
        assert (last and last.number) == (self.cut[-1] if self.cut else None)


def test_any_order_of_acts_keeps_the_record_true(blank: Path) -> None:
    machine = type("Record", (Record,), {"blank": blank})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
    )
