"""What is bound comes back, and sorts as it should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from ca.store.types import SERIAL_OCTETS, Lines, SerialOctets, Shown, UtcTime

SQLITE = SQLiteDialect()
POSTGRESQL = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
TIMES = st.datetimes(timezones=st.just(UTC)).filter(lambda time: time.year >= 1950)


@given(TIMES)
def test_a_time_comes_back_without_its_fraction(time: datetime) -> None:
    kept = UtcTime().process_bind_param(time, SQLITE)
    assert UtcTime().process_result_value(kept, SQLITE) == time.replace(microsecond=0)


@given(TIMES, TIMES)
def test_times_sort_as_they_are_kept(a: datetime, b: datetime) -> None:
    kept = UtcTime().process_bind_param(a, SQLITE), UtcTime().process_bind_param(b, SQLITE)
    assert (kept[0] < kept[1]) == (a.replace(microsecond=0) < b.replace(microsecond=0))


@given(TIMES)
def test_both_databases_keep_the_same_second(time: datetime) -> None:
    on_postgresql = UtcTime().process_bind_param(time, POSTGRESQL)
    assert on_postgresql == time.replace(microsecond=0)
    assert on_postgresql.timestamp() == UtcTime().process_bind_param(time, SQLITE)


def test_another_zone_is_the_same_time() -> None:
    east = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    kept = UtcTime().process_bind_param(east, SQLITE)
    assert UtcTime().process_result_value(kept, SQLITE) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])
def test_a_time_without_a_zone_is_refused(dialect: object) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        UtcTime().process_bind_param(datetime(2026, 1, 1), dialect)  # type: ignore[arg-type]  # noqa: DTZ001


@given(st.integers(min_value=0, max_value=2**160 - 1))
def test_a_serial_is_twenty_octets_and_comes_back(serial: int) -> None:
    octets = SerialOctets().process_bind_param(serial, SQLITE)
    assert octets is not None
    assert len(octets) == SERIAL_OCTETS
    assert SerialOctets().process_result_value(octets, SQLITE) == serial


@given(st.lists(st.text(st.characters(codec=None), max_size=20), max_size=5).map(tuple))
def test_names_come_back_whatever_they_hold(names: tuple[str, ...]) -> None:
    kept = Lines().process_bind_param(names, SQLITE)
    assert kept is not None
    assert kept.isascii()
    assert kept.count("\n") == len(names)
    assert Lines().process_result_value(kept, SQLITE) == names


@given(st.text(st.characters(codec=None)))
def test_text_is_always_text_that_a_database_can_hold(value: str) -> None:
    kept = Shown().process_bind_param(value, SQLITE)
    assert kept is not None
    assert "\0" not in kept
    assert kept.encode("utf-8").decode("utf-8") == kept


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_ordinary_text_is_kept_as_it_is(value: str) -> None:
    assert Shown().process_bind_param(value, SQLITE) == value
