"""Weak public keys: what can be told from the public half alone (CA/B BR 6.1.1.3, 6.1.5, 6.1.6).

Own checks for size, exponent, small factors, close primes and ROCA; where the `badkeys` package
is installed, its other RSA checks (known shared primes, small private exponents) as well.
"""

from __future__ import annotations

from functools import cache
from math import gcd, isqrt

from ca.algorithms import Family
from ca.encoding.spki import PublicKey
from ca.errors import Violation

MIN_BITS, MAX_BITS = 2048, 8192
MIN_EXPONENT, MAX_EXPONENT_BITS = 65537, 256

#: BR 6.1.1.3 asks for 100 rounds; a random key survives more than the age of the universe.
FERMAT_ROUNDS = 100

#: The primes ROCA's generator works modulo: below 168, where 65537 generates a small subgroup.
_ROCA_PRIMES = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip

_NEW_RSA = "make a new key: `openssl genrsa 3072`, or an ec-p256 one"


def weaknesses(key: PublicKey) -> tuple[Violation, ...]:
    """Every reason not to certify this key; empty for a sound one."""
    if key.family is not Family.RSA or key.modulus is None or key.exponent is None:
        return ()
    found = [*_sizes(key.modulus, key.exponent)]
    if any(v.rule in ("key.rsa-too-large", "key.rsa-modulus-even") for v in found):
        return tuple(found)  # no arithmetic with those
    if gcd(key.modulus, _small_primes()) != 1:
        text = "the RSA modulus has a small prime factor"
        found.append(Violation("key.rsa-small-factor", text, _NEW_RSA))
    if _has_close_primes(key.modulus):
        found.append(
            Violation(
                "key.rsa-close-primes",
                "the two primes of the RSA key are so close that the key is factored at once "
                "(Fermat)",
                _NEW_RSA,
            )
        )
    if _is_roca(key.modulus):
        found.append(
            Violation(
                "key.rsa-roca",
                "the RSA key was made by the Infineon library of CVE-2017-15361 (ROCA)",
                "update the TPM's or card's firmware, then make a new key, best an ec-p256 one",
            )
        )
    found.extend(_by_badkeys(key.modulus, key.exponent, {v.rule for v in found}))
    return tuple(found)


def _sizes(modulus: int, exponent: int) -> list[Violation]:
    found: list[Violation] = []
    bits = modulus.bit_length()
    if bits < MIN_BITS:
        text = f"the RSA key has {bits} bits, fewer than {MIN_BITS}"
        found.append(Violation("key.rsa-too-small", text, _NEW_RSA))
    if bits > MAX_BITS:
        text = f"the RSA key has {bits} bits, more than {MAX_BITS}"
        found.append(Violation("key.rsa-too-large", text, _NEW_RSA))
    if bits % 8:
        text = f"the RSA key has {bits} bits, not a multiple of 8"
        found.append(Violation("key.rsa-odd-size", text, _NEW_RSA))
    if modulus % 2 == 0:
        text = "the RSA modulus is even"
        found.append(Violation("key.rsa-modulus-even", text, _NEW_RSA))
    if exponent % 2 == 0:
        text = "the RSA exponent is even"
        found.append(Violation("key.rsa-exponent-even", text, _NEW_RSA))
    elif exponent < MIN_EXPONENT:
        text = f"the RSA exponent is {exponent}, below {MIN_EXPONENT}"
        found.append(Violation("key.rsa-exponent-small", text, _NEW_RSA))
    if exponent.bit_length() > MAX_EXPONENT_BITS:
        text = f"the RSA exponent has {exponent.bit_length()} bits, more than {MAX_EXPONENT_BITS}"
        found.append(Violation("key.rsa-exponent-large", text, _NEW_RSA))
    return found


@cache
def _small_primes() -> int:
    """The product of the odd primes below 752 (BR 6.1.6 leaves the bound open)."""
    product = 1
    for candidate in range(3, 752, 2):
        if gcd(candidate, product) == 1:
            product *= candidate
    return product


def _has_close_primes(modulus: int) -> bool:
    """Fermat: n = a² - b² with a near √n, tried for FERMAT_ROUNDS values of a."""
    a = isqrt(modulus - 1) + 1
    square = a * a - modulus
    for _ in range(FERMAT_ROUNDS):
        # squares are 0, 1, 4, 9 modulo 16: spares most of the roots
        if square & 15 in (0, 1, 4, 9) and isqrt(square) ** 2 == square:
            return True
        square += 2 * a + 1
        a += 1
    return False


def _is_roca(modulus: int) -> bool:
    """Is n a power of 65537 modulo each of the primes? One random key in 240 million is too."""
    return all(modulus % prime in _powers_of_65537(prime) for prime in _ROCA_PRIMES)


@cache
def _powers_of_65537(prime: int) -> frozenset[int]:
    powers, value = set(), 1
    while value not in powers:
        powers.add(value)
        value = value * 65537 % prime
    return frozenset(powers)


def _by_badkeys(modulus: int, exponent: int, known: set[str]) -> list[Violation]:
    """A second opinion where it is installed; what was found already is not said twice."""
    try:
        from badkeys.checks import checkrsa  # 90 ms, so only for an RSA key
    except ImportError:
        return []
    rules = {
        "fermat": "key.rsa-close-primes",
        "roca": "key.rsa-roca",
        "smallfactors": "key.rsa-small-factor",
        "sharedprimes": "key.rsa-shared-prime",
        "smalld": "key.rsa-small-private-exponent",
        "rsapoly": "key.rsa-pattern",
    }
    results = checkrsa(modulus, e=exponent, checks=list(rules))
    return [
        Violation(rules[check], f"the RSA key is known to be weak ({check})", _NEW_RSA)
        for check in rules
        if check in results and rules[check] not in known
    ]
