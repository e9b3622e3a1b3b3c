"""What the database takes and does not keep is never called recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ca.errors import StoreDamaged
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.repository import SqlStore, open_store
from tests.store.making import NOW, active_issuer, der_of, entry_of, intent, issue, revocation

Act = Callable[[SqlStore, int], object]


def revoke(store: SqlStore, issuer: int) -> None:
    store.revoke(issuer, Serial(1), revocation(), entry=entry_of(1))


def release(store: SqlStore, issuer: int) -> None:
    store.release(issuer, Serial(2), at=NOW)


def worsen(store: SqlStore, issuer: int) -> None:
    graver = revocation(Reason.KEY_COMPROMISE)
    store.compromise(issuer, Serial(3), graver, entry=entry_of(3), at=NOW)


def intend(store: SqlStore, issuer: int) -> None:
    store.record_intents([intent(issuer, n) for n in (7, 8)], at=NOW)


def certify(store: SqlStore, issuer: int) -> None:
    store.record_certificates([(issuer, Serial(9), der_of(9))], at=NOW)


def number(store: SqlStore, issuer: int) -> None:
    store.reserve_crl_number(issuer, at=NOW)


ACTS: list[tuple[Act, str]] = [
    (revoke, "INSERT ON revocations"),
    (revoke, "INSERT ON ledger"),
    (release, "UPDATE ON revocations"),
    (worsen, "UPDATE ON revocations"),
    (intend, "INSERT ON certificates"),
    (intend, "INSERT ON certificates WHEN hex(NEW.serial) LIKE '%8'"),
    (certify, "UPDATE ON certificates"),
    (number, "INSERT ON crls"),
]


def furnished(store: SqlStore) -> int:
    """An issuer with a certificate, one on hold, one revoked, and an intent."""
    issuer = active_issuer(store)
    issue(store, issuer, 1, 2, 3)
    store.revoke(issuer, Serial(2), revocation(Reason.CERTIFICATE_HOLD), entry=entry_of(2))
    store.revoke(issuer, Serial(3), revocation(), entry=entry_of(3))
    store.record_intents([intent(issuer, 9)], at=NOW)
    return issuer


@pytest.mark.parametrize(("act", "swallowed"), ACTS)
def test_a_row_that_a_trigger_swallows_is_an_error_and_leaves_nothing(
    place: Path, act: Act, swallowed: str
) -> None:
    with closing(open_store(place)) as store:
        issuer = furnished(store)
    with closing(sqlite3.connect(place)) as plain:
        plain.execute(f"CREATE TRIGGER aside BEFORE {swallowed} BEGIN SELECT RAISE(IGNORE); END")
    with closing(open_store(place)) as store:
        before = [entry.link for entry in store.ledger()]
        with pytest.raises(StoreDamaged, match="swallows") as refused:
            act(store, issuer)
        assert "homeca check" in refused.value.remedy
        assert [entry.link for entry in store.ledger()] == before


@pytest.mark.parametrize("act", dict(ACTS))
def test_without_one_the_same_act_is_recorded(store: SqlStore, act: Act) -> None:
    issuer = furnished(store)
    before = len(list(store.ledger()))
    act(store, issuer)
    assert len(list(store.ledger())) > before
