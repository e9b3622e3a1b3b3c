"""Public keys: canonical or refused, weak ones named, signatures verified."""

from __future__ import annotations

import hashlib
import math
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from ca.algorithms import SIGNATURE_ALGORITHMS, Family
from ca.encoding import weakness
from ca.encoding.spki import PublicKey, parse_spki, ski, spki_sha256, verify
from ca.encoding.weakness import weaknesses
from ca.errors import EncodingError, SignatureInvalid
from tests.vectors.requests import testkeys
from tests.vectors.requests.build import rsa_keys, sign, spki

SOUND = {
    "rsa-2048": "rsa-2048",
    "rsa-2304": "rsa-2304",
    "rsa-4096": "rsa-4096",
    "ec-p256": "ec-p256",
    "ec-p384": "ec-p384",
    "ec-p521": "ec-p521",
    "ed25519": "ed25519",
}


@pytest.mark.parametrize(("key", "kind"), SOUND.items())
def test_a_sound_key_keeps_its_octets_and_gets_its_kind(key: str, kind: str) -> None:
    parsed = parse_spki(spki(key))
    assert (parsed.der, parsed.kind_name, weaknesses(parsed)) == (spki(key), kind, ())


@pytest.mark.parametrize("key", ["rsa-2048", "ec-p256", "ed25519"])
def test_the_ski_is_the_one_cryptography_computes(key: str) -> None:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    public = load_der_public_key(spki(key))
    expected = x509.SubjectKeyIdentifier.from_public_key(public).digest  # type: ignore[arg-type]
    assert ski(spki(key)) == expected
    assert spki_sha256(spki(key)) == hashlib.sha256(spki(key)).digest()


ALGORITHMS = {
    ("rsa-2048", "sha256"): "sha256_rsa",
    ("rsa-2048", "sha512"): "sha512_rsa",
    ("ec-p256", "sha256"): "sha256_ecdsa",
    ("ec-p384", "sha384"): "sha384_ecdsa",
    ("ec-p521", "sha512"): "sha512_ecdsa",
    ("ed25519", "sha256"): "ed25519",
}


@pytest.mark.parametrize(("key", "digest"), ALGORITHMS)
def test_a_signature_verifies_under_its_key_and_over_its_octets_only(key: str, digest: str) -> None:
    algorithm = SIGNATURE_ALGORITHMS[ALGORITHMS[key, digest]]
    signature = sign(key, b"octets", digest)[1]
    verify(spki(key), algorithm, signature, b"octets")
    wrong = [
        (spki(key), signature, b"other octets"),
        (spki(key), signature[:-1] + bytes([signature[-1] ^ 1]), b"octets"),
        (spki(key), b"", b"octets"),
        (spki("ec-p256" if key != "ec-p256" else "ec-p384"), signature, b"octets"),
        (b"\x30\x00", signature, b"octets"),
    ]
    for public, octets, message in wrong:
        with pytest.raises(SignatureInvalid):
            verify(public, algorithm, octets, message)


def test_a_pss_signature_needs_the_salt_length_that_is_said() -> None:
    algorithm = SIGNATURE_ALGORITHMS["sha256_pss"]
    key = rsa_keys()["rsa-2048"]
    verify(spki("rsa-2048"), algorithm, testkeys.pss_signature(key, b"x", "sha256", 32), b"x")
    longest = testkeys.pss_signature(key, b"x", "sha256", 222)
    verify(spki("rsa-2048"), algorithm, longest, b"x", salt=222)
    with pytest.raises(SignatureInvalid):
        verify(spki("rsa-2048"), algorithm, longest, b"x")


@given(st.binary(max_size=400))
def test_arbitrary_octets_are_no_key_and_raise_an_encoding_error(octets: bytes) -> None:
    with pytest.raises(EncodingError):
        parse_spki(octets)


@given(st.sampled_from(sorted(SOUND)), st.data())
def test_a_key_with_any_octet_changed_is_another_key_or_none(key: str, draw: st.DataObject) -> None:
    octets = bytearray(spki(key))
    octets[draw.draw(st.integers(0, len(octets) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        parsed = parse_spki(bytes(octets))
    except EncodingError:
        return
    assert parsed.der == bytes(octets) != spki(key)


# ---------------------------------------------------------------- weakness


def _key(n: int, e: int = 65537) -> PublicKey:
    return PublicKey(
        der=b"", kind_name="rsa", family=Family.RSA, bits=n.bit_length(), modulus=n, exponent=e
    )


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("rsa-roca", "key.rsa-roca"),
        ("rsa-close", "key.rsa-close-primes"),
        ("rsa-square", "key.rsa-close-primes"),
        ("rsa-factor-751", "key.rsa-small-factor"),
    ],
)
def test_own_checks_find_what_badkeys_finds(name: str, rule: str) -> None:
    from badkeys.checks import checkrsa

    key = rsa_keys()[name]
    checks = {"key.rsa-roca": "roca", "key.rsa-close-primes": "fermat",
              "key.rsa-small-factor": "smallfactors"}  # fmt: skip
    assert checks[rule] in checkrsa(key.n, e=key.e, checks=[checks[rule]])
    assert [v.rule for v in weaknesses(_key(key.n))] == [rule]


def test_badkeys_adds_what_own_checks_do_not_know() -> None:
    # a factor above our bound of 752 and below badkeys' of 65537
    assert [v.rule for v in weaknesses(_key(_with_factor(65521)))] == ["key.rsa-small-factor"]
    assert [v.rule for v in weaknesses(_key(_with_factor(65539)))] == []


def _with_factor(factor: int) -> int:
    """2048 bits, one small prime factor; the cofactor has none below 2^17."""
    other = (1 << 2047) // factor | 1
    sieve = [n for n in range(3, 1 << 17, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]
    while any(other % prime == 0 for prime in sieve):
        other += 2
    return factor * other


@pytest.mark.parametrize(("rounds", "found"), [(0, True), (50, True), (95, True), (105, False)])
def test_close_primes_are_found_for_100_rounds_and_no_further(rounds: int, found: bool) -> None:
    a = (1 << 1024) + 12345
    b = math.isqrt(2 * a * rounds) + 1  # (a - b)(a + b) lies b²/2a below a²
    modulus = a * a - b * b
    steps = a - math.isqrt(modulus - 1) - 1
    assert steps in (rounds, rounds + 1)
    assert weakness._has_close_primes(modulus) is found


def test_a_normal_rsa_key_costs_less_than_three_milliseconds() -> None:
    key = _key(rsa.generate_private_key(65537, 2048).public_key().public_numbers().n)
    assert weaknesses(key) == ()  # the first call imports badkeys and makes its tables
    spent = []
    for _ in range(20):
        started = time.process_time()
        weaknesses(key)
        spent.append(time.process_time() - started)
    assert min(spent) < 0.003  # the best of them: others use the processor too
