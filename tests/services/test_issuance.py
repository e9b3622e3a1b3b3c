"""The one path of a certificate, and every way it can be cut short (invariants 1 to 4)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from msgspec.structs import replace

from ca.algorithms import SignatureAlgorithm
from ca.errors import (
    ClockSuspect,
    RequestRefused,
    SerialReserved,
    SignatureInvalid,
    SignatureUncertain,
    StoreUnwritable,
    TpmBroken,
)
from ca.failpoints import arm
from ca.interfaces.custody import KeyCustody, Signer
from ca.interfaces.issuing import State
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Secret, Serial
from ca.keys.tpm.link import Link
from ca.keys.tpm.return_codes import (
    CC_LOAD,
    CC_NV_EXTEND,
    CC_NV_INCREMENT,
    CC_NV_READ,
    CC_SHUTDOWN,
    CC_SIGN,
    CC_START_AUTH_SESSION,
)
from ca.policy.terms import Wishes
from ca.resources import resource
from ca.services.facility import Facility, authorities, signing_authority
from ca.services.inspection.inspecting import inspect
from ca.services.issuance.issuing import (
    CHUNK,
    FIRST_CHUNK,
    SERIAL_ATTEMPTS,
    Issuance,
    Issued,
    NotIssued,
)
from ca.services.issuance.preparation import Order, Preparation, Prepared
from ca.services.issuance.renewal import renewal_of
from tests.keys.tpm.links import Changing, Recorder, Refusing, flipped, lost
from tests.services.rig import Hands, Rig, Unwritable, cut, issue, issue_one, order, serials

TPM_RC_FAILURE = 0x101


def refusing_to_sign(link: Link) -> Link:
    return Refusing(link, lambda code, _: TPM_RC_FAILURE if code == CC_SIGN else 0)


def losing_the_signature(link: Link) -> Link:
    return Changing(link, lost(CC_SIGN))


# ---------------------------------------------------------------- what is issued


def test_a_certificate_is_its_recorded_tbs_under_its_issuers_key(rig: Rig) -> None:
    row = issue_one(rig)
    assert row.state is State.ISSUED
    certificate = x509.load_der_x509_certificate(row.der or b"")
    issuer = x509.load_pem_x509_certificate((rig.path / "certs/intermediate-1.pem").read_bytes())
    assert certificate.tbs_certificate_bytes == row.tbs
    assert certificate.serial_number == row.serial
    certificate.verify_directly_issued_by(issuer)


def with_own_names(rig: Rig, names: str) -> None:
    """A profile `own`: vpn-client with these in subjectAltName."""
    text = (resource("templates") / "profiles/vpn-client.cnf.j2").read_text()
    lines = [one for one in text.splitlines() if "subjectAltName" not in one]
    at = lines.index("authorityKeyIdentifier = keyid")
    lines.insert(at, f"subjectAltName = {names}")
    (rig.path / "profiles/own.cnf.j2").write_text("\n".join(lines) + "\n")


def own_order(name: str = "phone") -> Order:
    return replace(order(name, san=()), profile="own")


def test_a_name_of_the_profiles_own_is_asked_about_like_any_other(rig: Rig) -> None:
    with_own_names(rig, "IP:203.0.113.7")
    with rig.facility() as facility, pytest.raises(RequestRefused) as refused:
        issue(facility, own_order())
    assert [one.rule for one in refused.value.violations] == ["name.not-permitted"]
    assert rig.rows() == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("DNS:vpn.home.arpa", ("DNS:vpn.home.arpa",)),
        ("DNS:vpn.home.arpa, email:copy", ("DNS:vpn.home.arpa",)),
    ],
)
def test_a_name_of_the_profiles_own_is_shown_recorded_and_renewed(
    rig: Rig, names: str, expected: tuple[str, ...]
) -> None:
    with_own_names(rig, names)
    with rig.facility() as facility:
        (first,) = issue(facility, own_order())
        assert isinstance(first, Issued)
        assert tuple(map(str, first.prepared.names)) == expected
        assert not [one for one in first.prepared.warnings if "no subjectAltName" in one]
        (row,) = facility.store.by_serial(first.prepared.serial)
        (second,) = issue(facility, renewal_of(row, profile=None, wishes=Wishes()))
        assert isinstance(second, Issued)
        (renewed,) = facility.store.by_serial(second.prepared.serial)
        found = [one for one in inspect(facility) if one.rule.startswith("check.row")]
    assert (row.names, renewed.names, found) == (expected, expected, [])


def test_the_rendered_profile_is_kept_with_its_certificate(rig: Rig) -> None:
    row = issue_one(rig)
    with rig.facility() as facility:
        text = facility.store.profile_text(row.profile_sha256)
    assert text is not None
    assert "extendedKeyUsage = clientAuth" in text


def test_fifty_requests_share_one_session_one_loaded_key_and_one_anchor(rig: Rig) -> None:
    record = Recorder()
    with rig.facility(around=record.around) as facility:
        outcomes = issue(facility, *(order(f"d{n}") for n in range(50)))
    assert all(isinstance(outcome, Issued) for outcome in outcomes)
    assert record.codes == [
        *(CC_START_AUTH_SESSION, CC_NV_READ, CC_NV_READ, CC_LOAD),
        *([CC_SIGN] * 50),
        *(CC_NV_EXTEND, CC_NV_INCREMENT, CC_SHUTDOWN),
    ]
    assert len({row.serial for row in rig.rows()}) == 50


# ---------------------------------------------------------------- the key does not answer


def test_a_refused_signature_leaves_a_failed_serial_and_no_certificate(rig: Rig) -> None:
    with rig.facility(around=refusing_to_sign) as facility:
        (outcome,) = issue(facility, order())
    assert isinstance(outcome, NotIssued)
    assert isinstance(outcome.error, TpmBroken)
    (row,) = rig.rows()
    assert (row.state, row.der, row.is_revoked) == (State.FAILED, None, False)
    assert serials(cut(rig)) == set()


def test_after_one_refused_signature_no_other_is_asked_for(rig: Rig) -> None:
    record = Recorder()
    with rig.facility(around=lambda link: refusing_to_sign(record.around(link))) as facility:
        outcomes = issue(facility, *(order(f"d{n}") for n in range(3)))
    assert CC_SIGN not in record.codes
    assert [type(outcome) for outcome in outcomes] == [NotIssued] * 3
    assert [row.state for row in rig.rows()] == [State.FAILED] * 3


@pytest.mark.parametrize(
    "around",
    [losing_the_signature, lambda link: Changing(link, flipped(CC_SIGN, 20))],
    ids=["lost", "changed"],
)
def test_a_signature_that_did_not_arrive_is_uncertain_and_on_the_next_crl(
    rig: Rig, around: object
) -> None:
    with rig.facility(around=around) as facility:  # type: ignore[arg-type]
        (outcome,) = issue(facility, order())
    assert isinstance(outcome, NotIssued)
    assert isinstance(outcome.error, SignatureUncertain)
    (row,) = rig.rows()
    assert (row.state, row.der) == (State.UNCERTAIN, None)
    assert serials(cut(rig)) == {row.serial}


def test_what_was_signed_before_an_answer_was_lost_is_issued(rig: Rig) -> None:
    def lose_the_third(link: Link) -> Link:
        def change(code: int, count: int, answer: bytes) -> bytes:
            return lost(CC_SIGN)(code, count, answer) if count == 3 else answer

        return Changing(link, change)

    with rig.facility(around=lose_the_third) as facility:
        issue(facility, *(order(f"d{n}") for n in range(4)))
    states = [State.ISSUED, State.ISSUED, State.UNCERTAIN, State.FAILED]
    assert [row.state for row in rig.rows()] == states


# ---------------------------------------------------------------- one chunk beside another


def test_the_next_request_is_prepared_while_the_tpm_signs(rig: Rig) -> None:
    meeting = threading.Barrier(2, timeout=20)

    def wait_for_it(link: Link) -> Link:
        def change(code: int, count: int, answer: bytes) -> bytes:
            if code == CC_SIGN and count == 1:
                meeting.wait()
            return answer

        return Changing(link, change)

    with rig.facility(around=wait_for_it) as facility:
        prepare = preparing(facility)

        def requests() -> Iterator[Prepared]:
            for n in range(FIRST_CHUNK + 1):
                if n == FIRST_CHUNK:
                    meeting.wait()
                yield prepare(order(f"d{n}"))

        outcomes = list(Issuance(facility).issue(requests()))
    assert [type(outcome) for outcome in outcomes] == [Issued] * (FIRST_CHUNK + 1)


def test_after_a_lost_answer_the_chunk_behind_it_was_never_asked_for(rig: Rig) -> None:
    record = Recorder()
    count = FIRST_CHUNK + 6 + CHUNK
    with rig.facility(around=lambda link: losing_the_signature(record.around(link))) as facility:
        outcomes = issue(facility, *(order(f"d{n}") for n in range(count)))
    assert record.codes.count(CC_SIGN) == 1
    assert [type(outcome) for outcome in outcomes] == [NotIssued] * count
    states = [row.state for row in rig.rows()]
    assert states == [State.UNCERTAIN] + [State.FAILED] * (len(states) - 1)
    assert FIRST_CHUNK < len(states) < count, "what was not recorded when it failed never is"


def test_who_takes_no_more_certificates_leaves_none_that_was_signed_unrecorded(rig: Rig) -> None:
    record = Recorder()
    with rig.facility(around=record.around) as facility:
        prepare = preparing(facility)
        orders = (order(f"d{n}") for n in range(FIRST_CHUNK + 3 * CHUNK))
        with closing(Issuance(facility).issue(map(prepare, orders))) as outcomes:
            next(outcomes)
    states = Counter(row.state for row in rig.rows())
    assert states[State.ISSUED] == record.codes.count(CC_SIGN) >= FIRST_CHUNK
    assert states.total() < FIRST_CHUNK + 3 * CHUNK


def test_a_fault_of_our_own_takes_no_signed_certificate_along(rig: Rig) -> None:
    def faulty(facility: Facility) -> Iterator[Prepared]:
        prepare = preparing(facility)
        for n in range(FIRST_CHUNK + 3):
            yield prepare(order(f"d{n}"))
        raise ZeroDivisionError

    with rig.facility() as facility, pytest.raises(ZeroDivisionError):
        list(Issuance(facility).issue(faulty(facility)))
    assert [row.state for row in rig.rows()] == [State.ISSUED] * FIRST_CHUNK


def test_breaking_a_run_off_leaves_no_intent_open_and_no_certificate_unclaimed(rig: Rig) -> None:
    """Ctrl-C comes while the second chunk is prepared."""
    record = Recorder()
    with rig.facility(around=record.around) as facility:
        issuance, prepare = Issuance(facility), preparing(facility)

        def interrupted() -> Iterator[Prepared]:
            for n in range(FIRST_CHUNK + 3):
                yield prepare(order(f"d{n}"))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(issuance.issue(interrupted()))
    states = Counter(row.state for row in rig.rows())
    signed = record.codes.count(CC_SIGN)
    assert states == Counter({State.ISSUED: signed, State.FAILED: FIRST_CHUNK - signed})
    issued = [row.serial for row in rig.rows() if row.state is State.ISSUED]
    assert [one.prepared.serial for one in issuance.not_taken] == issued


def test_after_ctrl_c_the_key_is_asked_for_no_other_signature(rig: Rig) -> None:
    """It comes while the first of four is being made: that one is kept, the others are not."""
    asked, heard = threading.Event(), threading.Event()
    record = Recorder()

    def slowly(link: Link) -> Link:
        def change(code: int, count: int, answer: bytes) -> bytes:
            if code == CC_SIGN and count == 1:
                asked.set()
                assert heard.wait(20)
            return answer

        return Changing(record.around(link), change)

    class Listening(Hands):
        """The time is asked for when what was not signed is settled."""

        def __call__(self) -> datetime:
            if asked.is_set():
                heard.set()
            return super().__call__()

    rig.clock = Listening(rig.clock.now)
    with rig.facility(around=slowly) as facility:
        prepare = preparing(facility)

        def interrupted() -> Iterator[Prepared]:
            for n in range(FIRST_CHUNK):
                yield prepare(order(f"d{n}"))
            assert asked.wait(20)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(Issuance(facility).issue(interrupted()))
    assert record.codes.count(CC_SIGN) == 1
    states = [row.state for row in rig.rows()]
    assert states == [State.ISSUED] + [State.FAILED] * (FIRST_CHUNK - 1)


@pytest.mark.parametrize("step", ["record_intents", "record_certificates"])
def test_ctrl_c_at_a_commit_waits_until_it_is_known(rig: Rig, step: str) -> None:
    """It comes when the first chunk was committed, before the caller knows."""
    with rig.facility(store=lambda store: Interrupting(store, step)) as facility:
        issuance, prepare = Issuance(facility), preparing(facility)
        orders = (order(f"d{n}") for n in range(FIRST_CHUNK + 1))
        with pytest.raises(KeyboardInterrupt):
            list(issuance.issue(map(prepare, orders)))
    rows = rig.rows()
    assert {row.state for row in rows} <= {State.ISSUED, State.FAILED}
    issued = [row.serial for row in rows if row.state is State.ISSUED]
    assert [one.prepared.serial for one in issuance.not_taken] == issued


class Interrupting:
    """A store that the user presses Ctrl-C at: when one method of it first has done its work."""

    def __init__(self, store: CertificateStore, method: str) -> None:
        self._store, self._method = store, method

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name != self._method:
            return real
        self._method = ""

        def then_interrupted(*args: Any, **named: Any) -> Any:
            done = real(*args, **named)
            signal.raise_signal(signal.SIGINT)
            return done

        return then_interrupted


def test_what_was_handed_over_before_a_run_was_broken_off_is_not_handed_over_twice(
    rig: Rig,
) -> None:
    with rig.facility() as facility:
        issuance, prepare = Issuance(facility), preparing(facility)
        orders = (order(f"d{n}") for n in range(FIRST_CHUNK + 2 * CHUNK))
        with closing(issuance.issue(map(prepare, orders))) as outcomes:
            taken = [outcome.prepared.serial for outcome in (next(outcomes), next(outcomes))]
    left = [one.prepared.serial for one in issuance.not_taken]
    rows = rig.rows()
    assert [*taken, *left] == [row.serial for row in rows if row.state is State.ISSUED]
    assert not [row for row in rows if row.state not in (State.ISSUED, State.FAILED)]


def test_ctrl_c_while_the_tpm_loads_the_key_leaves_no_serial_in_doubt(rig: Rig) -> None:
    def interrupting(link: Link) -> Link:
        def change(code: int, count: int, answer: bytes) -> bytes:
            if code == CC_LOAD:
                raise KeyboardInterrupt
            return answer

        return Changing(link, change)

    with rig.facility(around=interrupting) as facility, pytest.raises(KeyboardInterrupt):
        issue(facility, order("a"), order("b"))
    assert [row.state for row in rig.rows()] == [State.FAILED] * 2


def test_ctrl_c_as_the_key_is_asked_is_not_followed_before_the_tpm_has_answered(rig: Rig) -> None:
    """Whoever closes libtss2 under a call of the signing thread corrupts memory."""
    alive: list[bool] = []

    def pressing(point: str) -> None:
        if point == "signature.asking":
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.05)

    class Watching:
        def __init__(self, inner: KeyCustody) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        @contextmanager
        def open(self, pem: bytes, *, spki: bytes, pin: Secret | None) -> Iterator[Signer]:
            with self._inner.open(pem, spki=spki, pin=pin) as signer:
                try:
                    yield signer
                finally:
                    names = [thread.name for thread in threading.enumerate()]
                    alive.append(any(name.startswith("signing") for name in names))

    with rig.facility(custody=Watching) as facility:
        for number in range(10):
            arm(pressing)
            try:
                with pytest.raises(KeyboardInterrupt):
                    issue(facility, order(f"d{number}"))
            finally:
                arm(None)
    assert alive == [False] * 10
    assert [row.state for row in rig.rows()] == [State.ISSUED] * 10


def preparing(facility: Facility) -> Callable[[Order], Prepared]:
    authority = signing_authority(authorities(facility.store))
    return partial(Preparation(facility).prepare, authority=authority, now=facility.check_clock())


def test_signing_again_after_a_lost_answer_takes_a_new_serial(rig: Rig) -> None:
    with rig.facility(around=losing_the_signature) as facility:
        issue(facility, order())
    again = issue_one(rig)
    first, second = rig.rows()
    assert second.serial == again.serial != first.serial


@pytest.mark.parametrize("code", [CC_NV_EXTEND, CC_SHUTDOWN], ids=["anchor", "shutdown"])
def test_a_tpm_lost_after_its_signature_arrived_takes_nothing_away(rig: Rig, code: int) -> None:
    with rig.facility(around=lambda link: Changing(link, lost(code))) as facility:
        (outcome,) = issue(facility, order())
    assert isinstance(outcome, Issued)
    assert [row.state for row in rig.rows()] == [State.ISSUED]


class Misprinting:
    """A custody whose signatures have a wrong last bit: a TPM that computes wrongly."""

    def __init__(self, inner: KeyCustody) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def open(self, pem: bytes, *, spki: bytes, pin: Secret | None) -> Iterator[Signer]:
        with self._inner.open(pem, spki=spki, pin=pin) as signer:
            yield _MisprintingSigner(signer)


class _MisprintingSigner:
    def __init__(self, inner: Signer) -> None:
        self._inner = inner

    @property
    def algorithm(self) -> SignatureAlgorithm:
        return self._inner.algorithm

    @property
    def spki(self) -> bytes:
        return self._inner.spki

    def sign(self, octets: bytes) -> bytes:
        signature = self._inner.sign(octets)
        return signature[:-1] + bytes([signature[-1] ^ 1])


def test_a_wrong_signature_never_becomes_a_certificate(rig: Rig) -> None:
    with rig.facility(custody=Misprinting) as facility:
        (outcome,) = issue(facility, order())
    assert isinstance(outcome, NotIssued)
    assert isinstance(outcome.error, SignatureInvalid)
    (row,) = rig.rows()
    assert (row.state, row.der) == (State.UNCERTAIN, None)
    assert serials(cut(rig)) == {row.serial}


# ---------------------------------------------------------------- the record does not take it


def test_a_key_that_is_gone_fails_every_certificate_and_puts_none_in_doubt(rig: Rig) -> None:
    (rig.path / "keys/intermediate-1.tss").rename(rig.path / "elsewhere.tss")
    with rig.facility() as facility:
        outcomes = issue(facility, *(order(f"d{n}") for n in range(FIRST_CHUNK + 3)))
    assert [type(outcome) for outcome in outcomes] == [NotIssued] * (FIRST_CHUNK + 3)
    (said,) = {outcome.error.problem for outcome in outcomes if isinstance(outcome, NotIssued)}
    assert "keys/intermediate-1.tss' cannot be read: No such file" in said
    assert [row.state for row in rig.rows()] == [State.FAILED] * FIRST_CHUNK
    (rig.path / "elsewhere.tss").rename(rig.path / "keys/intermediate-1.tss")
    assert serials(cut(rig)) == set()


def test_without_a_recorded_intent_the_key_is_never_asked(rig: Rig) -> None:
    record = Recorder()
    with (
        rig.facility(
            around=record.around, store=lambda store: Unwritable(store, "record_intents")
        ) as facility,
        pytest.raises(StoreUnwritable),
    ):
        issue(facility, order())
    assert record.codes == [CC_START_AUTH_SESSION, CC_NV_READ, CC_NV_READ, CC_SHUTDOWN]
    assert rig.rows() == []


def test_a_certificate_that_could_not_be_recorded_is_settled_as_uncertain(rig: Rig) -> None:
    with (
        rig.facility(store=lambda store: Unwritable(store, "record_certificates")) as facility,
        pytest.raises(StoreUnwritable),
    ):
        issue(facility, order())
    assert [row.state for row in rig.rows()] == [State.INTENDED]
    with rig.facility():
        pass
    (settlement,) = rig.settlements
    assert (settlement.before, settlement.after) == ("intended", "uncertain")
    (row,) = rig.rows()
    assert "a signature may exist" in (row.note or "")
    assert serials(cut(rig)) == {row.serial}


def test_a_number_without_a_tbs_is_settled_as_failed_and_goes_on_no_list(rig: Rig) -> None:
    with rig.facility() as facility:
        issuer = signing_authority(authorities(facility.store)).issuer
        facility.store.reserve(issuer.id, Serial(7), subject="CN=begun", at=rig.clock())
    with rig.facility():
        pass
    (row,) = rig.rows()
    assert row.state is State.FAILED
    assert "no signature can exist" in (row.note or "")
    assert serials(cut(rig)) == set()


def test_a_full_disk_in_the_second_chunk_keeps_the_first(rig: Rig) -> None:
    with (
        rig.facility(store=lambda store: Unwritable(store, "record_intents", after=1)) as facility,
        pytest.raises(StoreUnwritable),
    ):
        issue(facility, *(order(f"d{n}") for n in range(40)))
    rows = rig.rows()
    assert len(rows) == FIRST_CHUNK
    assert {row.state for row in rows} == {State.ISSUED}


# ---------------------------------------------------------------- serials


def repeating(times: int) -> object:
    """Dice that show the same octets the first `times` times."""
    left = [times]

    def entropy(n: int) -> bytes:
        left[0] -= 1
        return b"\x5a" * n if left[0] >= 0 else os.urandom(n)

    return entropy


def test_a_serial_that_is_taken_is_drawn_again(rig: Rig) -> None:
    with rig.facility(entropy=repeating(2)) as facility:  # type: ignore[arg-type]
        first, second = (issue(facility, order(name))[0] for name in ("a", "b"))
    assert isinstance(first, Issued)
    assert isinstance(second, Issued)
    rows = rig.rows()
    assert len({row.serial for row in rows}) == 2
    for row in rows:
        certificate = x509.load_der_x509_certificate(row.der or b"")
        assert (certificate.serial_number, certificate.tbs_certificate_bytes) == (
            row.serial,
            row.tbs,
        )


def test_two_requests_of_one_batch_never_share_a_serial(rig: Rig) -> None:
    with rig.facility(entropy=repeating(2)) as facility:  # type: ignore[arg-type]
        outcomes = issue(facility, order("a"), order("b"))
    assert [type(outcome) for outcome in outcomes] == [Issued, Issued]
    assert len({row.serial for row in rig.rows()}) == 2


def test_a_generator_that_always_repeats_is_given_up_before_the_key_is_asked(rig: Rig) -> None:
    issue_one_with = repeating(10**6)
    record = Recorder()
    with rig.facility(entropy=issue_one_with, around=record.around) as facility:  # type: ignore[arg-type]
        issue(facility, order("a"))
        signatures = record.codes.count(CC_SIGN)
        with pytest.raises(SerialReserved):
            issue(facility, order("b"))
    assert record.codes.count(CC_SIGN) == signatures == 1
    assert len(rig.rows()) == 1
    assert SERIAL_ATTEMPTS > 1


# ---------------------------------------------------------------- time


def test_nothing_is_signed_by_a_clock_before_the_last_act(rig: Rig) -> None:
    issue_one(rig)
    rig.clock.move(minutes=-4)
    issue_one(rig, "within-the-tolerance")
    rig.clock.move(minutes=-2)
    with rig.facility() as facility, pytest.raises(ClockSuspect):
        issue(facility, order("b"))
    with rig.facility(believe_clock=True) as facility:
        assert isinstance(issue(facility, order("b"))[0], Issued)


def test_nothing_is_signed_by_a_clock_a_year_ahead(rig: Rig) -> None:
    rig.clock.move(days=367)
    with rig.facility() as facility, pytest.raises(ClockSuspect):
        issue(facility, order())


def test_a_lifetime_ends_one_second_before_its_days_are_full(rig: Rig) -> None:
    row = issue_one(rig, days=90)
    assert row.not_before == rig.clock.now
    assert row.not_after - row.not_before == timedelta(days=90, seconds=-1)


def test_a_certificate_that_would_outlive_its_issuer_is_refused_and_not_shortened(
    rig: Rig,
) -> None:
    rig.clock.move(days=300)
    issue_one(rig)
    for _ in range(4):  # a year ahead is suspicious: go there in steps that leave an act
        rig.clock.move(days=300)
        issue_one(rig, days=10)
    with rig.facility() as facility:
        with pytest.raises(RequestRefused) as refusal:
            issue(facility, order(days=375))
        assert isinstance(issue(facility, order(days=300))[0], Issued)
    assert "validity.past-issuer" in {v.rule for v in refusal.value.violations}
