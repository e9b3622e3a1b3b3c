"""Bech32 (BIP 173), as age writes its keys: a human-readable part, "1", data, six check digits."""

from __future__ import annotations

from collections.abc import Iterable

_DIGITS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def decode(text: str) -> tuple[str, bytes]:
    """The human-readable part in lower case and the octets.

    Raises: ValueError for mixed case, a strange character, a wrong check or bits left over.
    """
    if text not in (text.lower(), text.upper()):
        raise ValueError("mixed case")
    prefix, found, tail = text.lower().rpartition("1")
    if not found or not prefix or len(tail) < 6 or not prefix.isascii() or not prefix.isprintable():
        raise ValueError("not Bech32")
    try:
        digits = [_DIGITS.index(character) for character in tail]
    except ValueError:
        raise ValueError("a character that Bech32 does not have") from None
    if _polymod([*_expanded(prefix), *digits]) != 1:
        raise ValueError("a wrong check: some characters were mistyped")
    return prefix, _octets(digits[:-6])


def encode(prefix: str, octets: bytes) -> str:
    """The text of `octets` under `prefix`, in lower case."""
    count = -(-len(octets) * 8 // 5)
    number = int.from_bytes(octets, "big") << (count * 5 - len(octets) * 8)
    digits = [number >> 5 * (count - 1 - place) & 31 for place in range(count)]
    check = _polymod([*_expanded(prefix), *digits, *[0] * 6]) ^ 1
    digits += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(_DIGITS[digit] for digit in digits)


def _octets(digits: list[int]) -> bytes:
    spare = len(digits) * 5 % 8
    number = 0
    for digit in digits:
        number = number << 5 | digit
    if spare >= 5 or number & (1 << spare) - 1:
        raise ValueError("bits left over")
    return (number >> spare).to_bytes(len(digits) * 5 // 8, "big")


def _expanded(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, term in enumerate(_GENERATOR):
            check ^= term if top >> place & 1 else 0
    return check
