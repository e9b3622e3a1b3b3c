"""Column types that mean the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import TIMESTAMP, BigInteger, Dialect, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from ca.errors import EncodingError, StoreDamaged
from ca.interfaces.values import ONE_SECOND, Serial
from ca.names.showing import visible

SERIAL_OCTETS = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Word = TypeVar("_Word", bound=StrEnum)

#: A count that outgrows 32 bits on PostgreSQL; SQLite's INTEGER holds 64 anyway.
Counter = BigInteger().with_variant(Integer(), "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """An aware time in whole seconds; fractions are dropped, as X.509 times have none.

    SQLite keeps integer seconds since 1970: a third of the space of ISO text, and no parsing.
    `datetime(not_after, 'unixepoch')` shows them. PostgreSQL keeps timestamptz.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        own: TypeEngine[Any] = Integer() if dialect.name == "sqlite" else TIMESTAMP(timezone=True)
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        seconds = (value - _EPOCH) // ONE_SECOND
        return seconds if dialect.name == "sqlite" else _EPOCH + timedelta(seconds=seconds)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            try:
                return _EPOCH + timedelta(seconds=value)
            except OverflowError as error:
                raise _not_ours(value) from error
        return value.astimezone(UTC)  # type: ignore[no-any-return]  # psycopg gives a datetime


class SerialOctets(TypeDecorator[Serial]):
    """certificateSerialNumber as 20 octets, big-endian (RFC 5280 §4.1.2.2).

    Octets and not hex text: half the index, the same order on both databases whatever the
    collation, and no spelling but one. `hex(serial)` shows what `openssl x509 -serial` does.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if not is_storable(value):
            raise EncodingError(
                f"the serial number {value:X} is not one of 1 to {SERIAL_OCTETS} octets",
                remedy="use a certificate that follows RFC 5280 §4.1.2.2",
            )
        return value.to_bytes(SERIAL_OCTETS, "big")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Serial | None:
        return None if value is None else Serial(int.from_bytes(value, "big"))


def is_storable(serial: int) -> bool:
    """Not negative and at most 20 octets: what no row can hold, no lookup can find."""
    return 0 <= serial < 1 << 8 * SERIAL_OCTETS


class Word(TypeDecorator[_Word]):
    """One of an enumeration's values as plain text; each table checks it by name."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[_Word]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: _Word | None, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> _Word | None:
        try:
            return None if value is None else self.words(value)
        except ValueError as error:
            raise _not_ours(value) from error


class Shown(TypeDecorator[str]):
    """Text from elsewhere: what a database cannot hold (NUL, half a surrogate) as its escape.

    A hostile subject, or a search for bytes that are no UTF-8, then fails no statement.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else shown(value)


def shown(text: str) -> str:
    """A text as `Shown` keeps it."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


class Lines(TypeDecorator[tuple[str, ...]]):
    r"""Names, one a line, in ASCII: anything else, and `\`, becomes a Python escape.

    A newline in a hostile name cannot make two names of it, and a search for a part of a name
    never matches what separates names.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        return None if value is None else "".join(f"{escaped(name)}\n" for name in value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:
        if value is None:
            return None
        try:
            return tuple(
                line.encode("ascii").decode("unicode_escape") for line in value.split("\n")[:-1]
            )
        except UnicodeError as error:
            raise _not_ours(value) from error


def _not_ours(value: object) -> StoreDamaged:
    """A value no homeca wrote."""
    return StoreDamaged(
        f"the database holds {visible(str(value))[:80]!r} where that cannot stand",
        remedy="it was changed by hand: restore it from a backup",
    )


def escaped(name: str) -> str:
    """A name as a line of `Lines` spells it."""
    return name.encode("unicode_escape").decode("ascii")
