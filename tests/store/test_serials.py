"""The life of a serial: reserved → intended → issued | uncertain | failed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from ca.errors import EncodingError, NotFound, SerialReserved, StateConflict, TbsMismatch
from ca.interfaces.issuing import Role, State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.repository import SqlStore
from tests.store.making import (
    DAY,
    LIFE,
    NOW,
    der_of,
    draft,
    entry_of,
    intent,
    issue,
    listed,
    tbs_of,
)

BIG = 2**158 + 12345


def state_of(store: SqlStore, serial: int) -> State:
    (record,) = store.by_serial(Serial(serial))
    return record.state


def test_an_intent_is_there_with_every_fact_before_anything_is_signed(
    store: SqlStore, issuer: int
) -> None:
    wanted = replace(intent(issuer, BIG), replaces=Serial(5))
    store.record_intents([wanted], at=NOW)
    (found,) = store.open_serials()
    assert found.state is State.INTENDED
    assert (found.serial, found.tbs, found.der) == (BIG, wanted.tbs, None)
    assert (found.subject, found.names, found.profile) == (
        wanted.subject,
        wanted.names,
        wanted.profile,
    )
    assert found.spki_sha256 == hashlib.sha256(wanted.spki).digest()
    assert (found.not_before, found.not_after) == (LIFE.not_before, LIFE.not_after)
    assert (found.created_at, found.issued_at) == (NOW, None)
    assert (found.request_sha256, found.replaces) == (wanted.request_sha256, Serial(5))


def test_the_profile_that_decided_is_kept_word_for_word(store: SqlStore, issuer: int) -> None:
    wanted = intent(issuer, 7)
    store.record_intents([wanted, intent(issuer, 8)], at=NOW)
    (found,) = store.by_serial(Serial(7))
    assert found.profile_sha256 == hashlib.sha256(wanted.profile_text.encode()).digest()
    assert store.profile_text(found.profile_sha256) == wanted.profile_text
    assert store.profile_text(b"\0" * 32) is None


def test_a_certificate_is_kept_octet_for_octet(store: SqlStore, issuer: int) -> None:
    store.record_intents([intent(issuer, BIG)], at=NOW)
    store.record_certificates([(issuer, Serial(BIG), der_of(BIG))], at=NOW + DAY)
    (found,) = store.by_serial(Serial(BIG))
    assert (found.state, found.der, found.issued_at) == (State.ISSUED, der_of(BIG), NOW + DAY)
    assert found.tbs == tbs_of(BIG)
    assert store.open_serials() == ()


def test_a_reserved_serial_becomes_the_intent(store: SqlStore, issuer: int) -> None:
    store.reserve(issuer, Serial(7), subject="CN=Root", at=NOW)
    assert [(r.state, r.subject, r.tbs) for r in store.open_serials()] == [
        (State.RESERVED, "CN=Root", b"")
    ]
    store.record_intents([intent(issuer, 7)], at=NOW + DAY)
    (found,) = store.open_serials()
    assert (found.state, found.tbs, found.created_at) == (State.INTENDED, tbs_of(7), NOW)


def test_a_serial_is_reserved_once(store: SqlStore, issuer: int) -> None:
    store.reserve(issuer, Serial(7), subject="CN=a", at=NOW)
    with pytest.raises(SerialReserved):
        store.reserve(issuer, Serial(7), subject="CN=b", at=NOW)
    assert [r.subject for r in store.by_serial(Serial(7))] == ["CN=a"]


@pytest.mark.parametrize("state", [State.INTENDED, State.ISSUED, State.UNCERTAIN, State.FAILED])
def test_a_serial_with_a_tbs_is_never_given_another(
    store: SqlStore, issuer: int, state: State
) -> None:
    bring_to(store, issuer, 7, state)
    before = store.by_serial(Serial(7))
    batch = [intent(issuer, 8), replace(intent(issuer, 7), tbs=b"another"), intent(issuer, 9)]
    with pytest.raises(SerialReserved, match="07"):
        store.record_intents(batch, at=NOW)
    assert store.by_serial(Serial(7)) == before
    assert store.by_serial(Serial(8)) == store.by_serial(Serial(9)) == ()


def test_a_batch_with_one_serial_twice_leaves_nothing(store: SqlStore, issuer: int) -> None:
    with pytest.raises(SerialReserved):
        store.record_intents([intent(issuer, 7), intent(issuer, 8), intent(issuer, 7)], at=NOW)
    assert store.open_serials() == ()


def test_no_two_issuers_share_a_serial(store: SqlStore, issuer: int) -> None:
    other = store.begin_issuer(replace(draft("i"), role=Role.INTERMEDIATE), at=NOW).id
    store.record_intents([intent(issuer, 7)], at=NOW)
    with pytest.raises(SerialReserved):
        store.record_intents([intent(other, 7)], at=NOW)
    assert [r.issuer_id for r in store.by_serial(Serial(7))] == [issuer]


def test_a_long_batch_is_one_act(store: SqlStore, issuer: int) -> None:
    serials = range(1, 1201)
    issue(store, issuer, *serials)
    assert all(state_of(store, n) is State.ISSUED for n in (1, 500, 501, 1200))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda der: der[:40] + bytes([der[40] ^ 1]) + der[41:],
        lambda der: der[4:],
        lambda der: b"\0" * 100 + der,
        lambda der: b"",
    ],
    ids=["one bit", "no header", "somewhere inside", "empty"],
)
def test_a_certificate_of_another_tbs_is_refused(
    store: SqlStore, issuer: int, spoil: Callable[[bytes], bytes]
) -> None:
    store.record_intents([intent(issuer, 7), intent(issuer, 8)], at=NOW)
    batch = [(issuer, Serial(8), der_of(8)), (issuer, Serial(7), spoil(der_of(7)))]
    with pytest.raises(TbsMismatch):
        store.record_certificates(batch, at=NOW)
    assert state_of(store, 7) is state_of(store, 8) is State.INTENDED


@pytest.mark.parametrize("state", [s for s in State if s is not State.INTENDED])
def test_only_an_intent_becomes_a_certificate(store: SqlStore, issuer: int, state: State) -> None:
    bring_to(store, issuer, 7, state)
    before = store.by_serial(Serial(7))
    with pytest.raises(StateConflict):
        store.record_certificates([(issuer, Serial(7), der_of(7))], at=NOW + DAY)
    assert store.by_serial(Serial(7)) == before


def test_a_certificate_without_an_intent_is_not_recorded(store: SqlStore, issuer: int) -> None:
    with pytest.raises(NotFound):
        store.record_certificates([(issuer, Serial(7), der_of(7))], at=NOW)
    assert store.by_serial(Serial(7)) == ()


def test_a_serial_takes_one_step_in_one_act(store: SqlStore, issuer: int) -> None:
    """Twice in one batch, it would have two entries in the ledger and one certificate."""
    store.record_intents([intent(issuer, 7), intent(issuer, 8)], at=NOW)
    before = store.ledger_end()
    batch = [(issuer, Serial(n), der_of(n)) for n in (7, 8, 7)]
    with pytest.raises(NotFound, match="no open serial 07"):
        store.record_certificates(batch, at=NOW)
    assert state_of(store, 7) is state_of(store, 8) is State.INTENDED
    assert store.ledger_end() == before


def test_an_uncertain_serial_is_on_the_crl_at_once(store: SqlStore, issuer: int) -> None:
    store.record_intents([intent(issuer, 7)], at=NOW)
    store.settle(
        issuer, Serial(7), State.UNCERTAIN, note="answer lost", at=NOW + DAY, entry=b"line"
    )
    (found,) = store.by_serial(Serial(7))
    assert (found.state, found.note, found.der) == (State.UNCERTAIN, "answer lost", None)
    (line,) = store.revoked(issuer, expired_since=None)
    assert (line.serial, line.reason, line.revoked_at, line.entry) == (
        7,
        Reason.UNSPECIFIED,
        NOW + DAY,
        b"line",
    )


@pytest.mark.parametrize("before", [State.RESERVED, State.INTENDED])
def test_a_failed_serial_is_not_on_the_crl(store: SqlStore, issuer: int, before: State) -> None:
    bring_to(store, issuer, 7, before)
    store.settle(issuer, Serial(7), State.FAILED, note="PIN wrong", at=NOW)
    (found,) = store.by_serial(Serial(7))
    assert (found.state, found.note, found.is_revoked) == (State.FAILED, "PIN wrong", False)
    assert store.open_serials() == ()


def test_a_serial_without_a_tbs_is_never_uncertain(store: SqlStore, issuer: int) -> None:
    store.reserve(issuer, Serial(7), subject="CN=a", at=NOW)
    with pytest.raises(StateConflict):
        store.settle(issuer, Serial(7), State.UNCERTAIN, note="", at=NOW, entry=b"line")
    assert listed(store, issuer) == []


@pytest.mark.parametrize("state", [State.ISSUED, State.UNCERTAIN, State.FAILED])
@pytest.mark.parametrize("target", [State.UNCERTAIN, State.FAILED, State.INTENDED])
def test_what_is_settled_stays_so(
    store: SqlStore, issuer: int, state: State, target: State
) -> None:
    bring_to(store, issuer, 7, state)
    before = store.by_serial(Serial(7))
    entry = b"line" if target is State.UNCERTAIN else b""
    with pytest.raises(StateConflict):
        store.settle(issuer, Serial(7), target, note="again", at=NOW, entry=entry)
    assert store.by_serial(Serial(7)) == before


def test_uncertain_without_its_crl_line_is_an_error_of_the_caller(
    store: SqlStore, issuer: int
) -> None:
    store.record_intents([intent(issuer, 7)], at=NOW)
    with pytest.raises(ValueError, match="CRL line"):
        store.settle(issuer, Serial(7), State.UNCERTAIN, note="", at=NOW)
    assert state_of(store, 7) is State.INTENDED


@pytest.mark.parametrize("serial", [-1, 2**160])
def test_a_serial_of_no_twenty_octets_is_refused(store: SqlStore, issuer: int, serial: int) -> None:
    with pytest.raises(EncodingError):
        store.reserve(issuer, Serial(serial), subject="CN=a", at=NOW)
    assert store.open_serials() == ()


def test_names_that_no_database_can_hold_are_recorded_all_the_same(
    store: SqlStore, issuer: int
) -> None:
    names = ("DNS:a\nDNS:b", "URI:\\n", "é", "\ud800", "\0", "")
    store.record_intents([intent(issuer, 7, subject="CN=\udcff\0", names=names)], at=NOW)
    (found,) = store.by_serial(Serial(7))
    assert found.names == names
    assert found.subject == r"CN=\udcff\x00"


def bring_to(store: SqlStore, issuer: int, serial: int, state: State) -> None:
    """A serial by the shortest way to a state."""
    if state is State.RESERVED:
        store.reserve(issuer, Serial(serial), subject="CN=a", at=NOW)
        return
    store.record_intents([intent(issuer, serial)], at=NOW)
    if state is State.ISSUED:
        store.record_certificates([(issuer, Serial(serial), der_of(serial))], at=NOW)
    elif state is not State.INTENDED:
        line = entry_of(serial) if state is State.UNCERTAIN else b""
        store.settle(issuer, Serial(serial), state, note="settled", at=NOW, entry=line)
