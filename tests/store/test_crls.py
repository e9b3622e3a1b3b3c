"""CRL numbers and the newest CRL."""

from __future__ import annotations

import hashlib

import pytest

from ca.errors import CrlSuperseded, NotFound, StateConflict
from ca.interfaces.issuing import Role
from ca.store.repository import SqlStore
from tests.store.making import DAY, NOW, active_issuer, crl, draft


def test_numbers_begin_at_one_and_rise(store: SqlStore, issuer: int) -> None:
    assert [store.reserve_crl_number(issuer, at=NOW) for _ in range(3)] == [1, 2, 3]


def test_each_issuer_counts_for_itself(store: SqlStore, issuer: int) -> None:
    below = active_issuer(store, draft("i", role=Role.INTERMEDIATE))
    store.reserve_crl_number(issuer, at=NOW)
    assert store.reserve_crl_number(below, at=NOW) == 1


def test_a_number_whose_crl_was_never_made_is_not_given_again(store: SqlStore, issuer: int) -> None:
    store.reserve_crl_number(issuer, at=NOW)
    assert store.last_crl(issuer) is None
    assert store.reserve_crl_number(issuer, at=NOW) == 2


def test_the_newest_crl_comes_back_as_it_was_recorded(store: SqlStore, issuer: int) -> None:
    for days in range(3):
        number = store.reserve_crl_number(issuer, at=NOW)
        store.record_crl(crl(issuer, number, NOW + days * DAY))
    assert store.last_crl(issuer) == crl(issuer, 3, NOW + 2 * DAY)
    (trace,) = store.last_cut(issuer)
    assert (trace.number, trace.this_update) == (3, NOW + 2 * DAY)


def test_a_crl_overtaken_by_a_newer_one_is_refused(store: SqlStore, issuer: int) -> None:
    slow = store.reserve_crl_number(issuer, at=NOW)
    quick = store.reserve_crl_number(issuer, at=NOW)
    store.record_crl(crl(issuer, quick))
    with pytest.raises(CrlSuperseded, match="CRL 2 was recorded"):
        store.record_crl(crl(issuer, slow))
    assert store.last_crl(issuer) == crl(issuer, quick)


def test_a_number_takes_one_crl(store: SqlStore, issuer: int) -> None:
    number = store.reserve_crl_number(issuer, at=NOW)
    store.record_crl(crl(issuer, number))
    with pytest.raises(StateConflict):
        store.record_crl(crl(issuer, number, NOW + DAY))
    assert store.last_crl(issuer) == crl(issuer, number)


def test_a_number_nobody_reserved_takes_no_crl(store: SqlStore, issuer: int) -> None:
    store.record_crl(crl(issuer, store.reserve_crl_number(issuer, at=NOW)))
    with pytest.raises(StateConflict):
        store.record_crl(crl(issuer, 9))
    assert store.last_crl(issuer) == crl(issuer, 1)


def test_an_unknown_issuer_gets_no_number(store: SqlStore) -> None:
    with pytest.raises(NotFound):
        store.reserve_crl_number(77, at=NOW)


def test_every_number_leaves_its_trace(store: SqlStore, issuer: int) -> None:
    store.record_crl(crl(issuer, store.reserve_crl_number(issuer, at=NOW)))
    store.reserve_crl_number(issuer, at=NOW)
    store.record_crl(crl(issuer, store.reserve_crl_number(issuer, at=NOW), NOW + DAY))
    assert [(t.number, t.this_update, t.sha256) for t in store.crl_history(issuer)] == [
        (1, NOW, hashlib.sha256(b"crl 1").digest()),
        (2, None, None),
        (3, NOW + DAY, hashlib.sha256(b"crl 3").digest()),
    ]


def test_only_the_octets_of_the_newest_crl_take_room(store: SqlStore, issuer: int) -> None:
    for _ in range(4):
        store.record_crl(crl(issuer, store.reserve_crl_number(issuer, at=NOW)))
    with store._database.read() as connection:
        kept = connection.exec_driver_sql(
            "SELECT number, der IS NOT NULL, sha256 IS NOT NULL FROM crls ORDER BY number"
        ).all()
    assert [tuple(row) for row in kept] == [(1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 1, 1)]


# ---------------------------------------------------------------- cut together


def test_of_a_ladder_the_first_rung_is_kept_and_every_hash(store: SqlStore, issuer: int) -> None:
    store.record_crl(crl(issuer, store.reserve_crl_number(issuer, at=NOW)))
    numbers = [store.reserve_crl_number(issuer, at=NOW) for _ in range(3)]
    rungs = [crl(issuer, number, NOW + number * DAY) for number in numbers]
    store.record_ladder(rungs)
    assert store.last_crl(issuer) == rungs[0]
    assert [trace.number for trace in store.last_cut(issuer)] == [rung.number for rung in rungs]
    hashes = [trace.sha256 for trace in store.crl_history(issuer)][1:]
    assert hashes == [hashlib.sha256(rung.der).digest() for rung in rungs]


def test_a_ladder_with_a_number_nobody_reserved_is_not_recorded_at_all(
    store: SqlStore, issuer: int
) -> None:
    number = store.reserve_crl_number(issuer, at=NOW)
    with pytest.raises(StateConflict):
        store.record_ladder([crl(issuer, number), crl(issuer, number + 1, NOW + DAY)])
    assert store.last_crl(issuer) is None


def test_a_crl_numbered_below_the_last_rung_is_refused(store: SqlStore, issuer: int) -> None:
    first, slow, last = (store.reserve_crl_number(issuer, at=NOW) for _ in range(3))
    store.record_ladder([crl(issuer, first), crl(issuer, last, NOW + DAY)])
    with pytest.raises(CrlSuperseded, match="CRL 3 was recorded"):
        store.record_crl(crl(issuer, slow))


def test_numbers_that_were_left_out_are_never_given(store: SqlStore, issuer: int) -> None:
    store.reserve_crl_number(issuer, at=NOW)
    assert store.skip_crl_numbers(issuer, 1000, at=NOW) == 1001
    assert store.reserve_crl_number(issuer, at=NOW) == 1002
