"""Small values everyone speaks in: serials, times, secrets, lifetimes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NewType

from msgspec import Struct

#: certificateSerialNumber (RFC 5280 §4.1.2.2): positive, 20 octets when homeca makes it.
Serial = NewType("Serial", int)

#: Aware UTC, whole seconds.
Clock = Callable[[], datetime]

#: n -> n octets from a cryptographic generator.
Entropy = Callable[[int], bytes]

ONE_SECOND = timedelta(seconds=1)


def serial_text(serial: int) -> str:
    """A serial as people and `openssl x509 -serial` write it: upper-case hex, whole octets."""
    digits = f"{serial:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


class Secret:
    """A PIN or passphrase that does not show itself in a repr, a log or a traceback."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def reveal(self) -> bytes:
        """The octets, for the one call that needs them."""
        return self._octets

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._octets == other._octets

    def __hash__(self) -> int:
        return hash(self._octets)


class Validity(Struct, frozen=True, kw_only=True):
    """A lifetime in whole seconds, UTC, both ends included (RFC 5280 §4.1.2.5)."""

    not_before: datetime
    not_after: datetime

    @property
    def duration(self) -> timedelta:
        return self.not_after - self.not_before + ONE_SECOND

    @classmethod
    def of_days(cls, not_before: datetime, days: int) -> Validity:
        """N days: notBefore + N days - 1 second (invariant 4)."""
        return cls(
            not_before=not_before,
            not_after=not_before + timedelta(days=days) - ONE_SECOND,
        )
