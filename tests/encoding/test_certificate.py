"""Certificates as homeca writes them, read by another implementation (RFC 5280 §4.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ca.algorithms import SIGNATURE_ALGORITHMS, SignatureAlgorithm
from ca.encoding.certificate import asn1_time, assemble, build_tbs, new_serial, signature_identifier
from ca.encoding.dn import encode_name
from ca.encoding.extensions import Extension
from ca.errors import EncodingError
from ca.interfaces.values import Serial, Validity
from ca.names.distinguished import DistinguishedName

KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
ISSUER = DistinguishedName.of(("O", "Müller"), ("CN", "Müller Root CA"))
SUBJECT = DistinguishedName.of(("CN", "nas.home.arpa"))
ECDSA = SIGNATURE_ALGORITHMS["sha256_ecdsa"]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

FIRST = datetime(1950, 1, 1, tzinfo=UTC)
#: Whole seconds from 1950 to 9973: a CA's longest lifetime before the last year of X.509.
moments = st.integers(0, 8023 * 365 * 86400).map(lambda n: FIRST + timedelta(seconds=n))


def tbs_of(
    *,
    serial: int = 1 << 158,
    validity: Validity | None = None,
    algorithm: SignatureAlgorithm = ECDSA,
    extensions: tuple[Extension, ...] = (),
) -> bytes:
    return build_tbs(
        serial=Serial(serial),
        algorithm=algorithm,
        issuer_der=encode_name(ISSUER),
        validity=validity or Validity.of_days(NOON, 375),
        subject_der=encode_name(SUBJECT),
        spki=SPKI,
        extensions=extensions,
    )


def signed(tbs: bytes) -> x509.Certificate:
    der = assemble(tbs, ECDSA, KEY.sign(tbs, ec.ECDSA(hashes.SHA256())))
    return x509.load_der_x509_certificate(der)


# ---------------------------------------------------------------- the whole


def test_a_certificate_says_what_it_was_built_from() -> None:
    key_usage = Extension(oid="2.5.29.15", critical=True, value=bytes.fromhex("03020780"))
    certificate = signed(tbs_of(extensions=(key_usage,)))
    assert certificate.version is x509.Version.v3
    assert certificate.serial_number == 1 << 158
    assert certificate.issuer.rfc4514_string() == "CN=Müller Root CA,O=Müller"
    assert certificate.subject.rfc4514_string() == "CN=nas.home.arpa"
    assert certificate.not_valid_before_utc == NOON
    assert certificate.not_valid_after_utc == NOON + timedelta(days=375, seconds=-1)
    found = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert found == SPKI
    (extension,) = certificate.extensions
    assert (extension.oid.dotted_string, extension.critical) == ("2.5.29.15", True)


def test_a_certificate_holds_exactly_the_tbs_that_was_signed() -> None:
    tbs = tbs_of()
    certificate = signed(tbs)
    assert certificate.tbs_certificate_bytes == tbs
    KEY.public_key().verify(certificate.signature, tbs, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("name", SIGNATURE_ALGORITHMS)
def test_the_algorithm_inside_and_outside_are_the_same_octets(name: str) -> None:
    algorithm = SIGNATURE_ALGORITHMS[name]
    identifier = signature_identifier(algorithm)
    serial = bytes.fromhex("0214") + (1 << 158).to_bytes(20, "big")
    tbs = tbs_of(algorithm=algorithm)
    der = assemble(tbs, algorithm, b"signature")
    assert serial + identifier in tbs
    assert der.endswith(tbs + identifier + b"\x03\x0a\x00signature")
    certificate = x509.load_der_x509_certificate(der)
    assert certificate.signature_algorithm_oid.dotted_string == algorithm.oid


def test_a_pss_signature_says_its_hash_and_salt() -> None:
    key = rsa.generate_private_key(65537, 2048)
    pss = SIGNATURE_ALGORITHMS["sha256_pss"]
    tbs = tbs_of(algorithm=pss)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    certificate = x509.load_der_x509_certificate(
        assemble(tbs, pss, key.sign(tbs, scheme, hashes.SHA256()))
    )
    found = certificate.signature_algorithm_parameters
    assert isinstance(found, padding.PSS)
    key.public_key().verify(certificate.signature, tbs, found, hashes.SHA256())


# ---------------------------------------------------------------- serials


@given(st.binary(min_size=20, max_size=20))
def test_a_serial_is_positive_and_twenty_octets_whatever_the_dice_show(octets: bytes) -> None:
    serial = new_serial(lambda n: octets[:n])
    assert 0 < serial < 1 << 159
    assert len(serial.to_bytes((serial.bit_length() + 8) // 8, "big", signed=True)) == 20


@given(st.binary(min_size=20, max_size=20), st.integers(0, 157))
def test_every_one_of_158_random_bits_reaches_the_serial(octets: bytes, bit: int) -> None:
    flipped = (int.from_bytes(octets, "big") ^ (1 << (bit + 2))).to_bytes(20, "big")
    assert new_serial(lambda _: octets) != new_serial(lambda _: flipped)


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("moment", "octets"),
    [
        (datetime(1950, 1, 1, tzinfo=UTC), b"\x17\x0d500101000000Z"),
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x18\x0f99991231235959Z"),
    ],
)
def test_time_changes_its_asn1_type_in_2050(moment: datetime, octets: bytes) -> None:
    assert asn1_time(moment) == octets


def test_a_time_of_another_zone_is_the_same_moment_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert asn1_time(datetime(2050, 1, 1, 1, 0, tzinfo=east)) == b"\x17\x0d491231230000Z"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 1),  # noqa: DTZ001 - a naive time is what is refused
        datetime(2026, 1, 1, microsecond=1, tzinfo=UTC),
        datetime(1949, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
    ids=["naive", "fraction", "before-1950"],
)
def test_a_time_without_an_encoding_is_refused(moment: datetime) -> None:
    with pytest.raises(EncodingError):
        asn1_time(moment)


@given(not_before=moments, days=st.integers(1, 9131))
def test_n_days_are_n_days_both_ends_included(not_before: datetime, days: int) -> None:
    validity = Validity.of_days(not_before, days)
    assert validity.duration == timedelta(days=days)
    certificate = signed(tbs_of(validity=validity))
    assert certificate.not_valid_before_utc == not_before
    assert certificate.not_valid_after_utc == not_before + timedelta(days=days, seconds=-1)
