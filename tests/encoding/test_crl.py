"""CRLs as homeca writes them, read by another implementation (RFC 5280 §5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ca.algorithms import SIGNATURE_ALGORITHMS
from ca.encoding.certificate import assemble
from ca.encoding.crl import build_crl_tbs, crl_entry
from ca.encoding.dn import encode_name
from ca.encoding.inspect import read_crl
from ca.interfaces.revocation import Reason
from ca.names.distinguished import DistinguishedName

KEY = ec.generate_private_key(ec.SECP256R1())
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
SKI = bytes(range(20))
ECDSA = SIGNATURE_ALGORITHMS["sha256_ecdsa"]


def crl_of(
    *entries: bytes, number: int = 1, this_update: datetime = NOON
) -> x509.CertificateRevocationList:
    tbs = build_crl_tbs(
        algorithm=ECDSA,
        issuer_der=encode_name(DistinguishedName.of(("CN", "Root CA"))),
        issuer_ski=SKI,
        number=number,
        this_update=this_update,
        next_update=this_update + timedelta(days=30),
        entries=entries,
    )
    signature = KEY.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return x509.load_der_x509_crl(assemble(tbs, ECDSA, signature))


def test_an_empty_crl_has_no_list_at_all() -> None:
    """RFC 5280 §5.1.2.6: absent, not an empty SEQUENCE. After nextUpdate come the extensions."""
    crl = crl_of()
    assert list(crl) == []
    times = b"\x17\x0d261122120000Z\x17\x0d261222120000Z"
    before, found, after = crl.tbs_certlist_bytes.partition(times)
    assert found
    assert after[:1] == b"\xa0"
    assert before


def test_a_crl_says_what_it_was_built_from() -> None:
    crl = crl_of(number=7)
    assert crl.issuer.rfc4514_string() == "CN=Root CA"
    assert (crl.last_update_utc, crl.next_update_utc) == (NOON, NOON + timedelta(days=30))
    assert crl.is_signature_valid(KEY.public_key())
    assert [(e.oid.dotted_string, e.critical) for e in crl.extensions] == [
        ("2.5.29.35", False),
        ("2.5.29.20", False),
    ]
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    aki = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert aki.value.key_identifier == SKI


def test_a_crl_names_no_distribution_point() -> None:
    """With one, OpenSSL refuses every certificate that has not the same ("different CRL scope")."""
    with pytest.raises(x509.ExtensionNotFound):
        crl_of().extensions.get_extension_for_class(x509.IssuingDistributionPoint)


@given(
    serials=st.lists(st.integers(1, (1 << 159) - 1), max_size=30, unique=True),
    number=st.integers(1, (1 << 159) - 1),
)
def test_every_serial_is_listed_once_in_the_order_given(serials: list[int], number: int) -> None:
    crl = crl_of(*(crl_entry(n, NOON, Reason.SUPERSEDED) for n in serials), number=number)
    assert [entry.serial_number for entry in crl] == serials
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == number


@given(
    reason=st.sampled_from(Reason),
    revoked_at=st.integers(0, 110 * 365 * 86400).map(lambda n: LONG_AGO + timedelta(seconds=n)),
    before=st.none() | st.integers(0, 10**8),
)
def test_an_entry_says_when_why_and_since_when(
    reason: Reason, revoked_at: datetime, before: int | None
) -> None:
    invalidity = revoked_at - timedelta(seconds=before) if before is not None else None
    (entry,) = crl_of(crl_entry(5, revoked_at, reason, invalidity))
    assert entry.revocation_date_utc == revoked_at
    found = {extension.oid.dotted_string: extension for extension in entry.extensions}
    assert not any(extension.critical for extension in entry.extensions)
    assert ("2.5.29.21" in found) is (reason is not Reason.UNSPECIFIED)
    if reason is not Reason.UNSPECIFIED:
        assert found["2.5.29.21"].value.reason.value == reason.value
    assert ("2.5.29.24" in found) is (invalidity is not None)
    if invalidity is not None:
        assert found["2.5.29.24"].value.invalidity_date_utc == invalidity


def test_an_invalidity_date_is_generalized_time_also_before_2050() -> None:
    """RFC 5280 §5.3.2."""
    assert b"\x18\x0f20261122120000Z" in crl_entry(1, NOON, Reason.KEY_COMPROMISE, NOON)


def test_revocation_dates_from_2050_on_are_generalized_time() -> None:
    late = datetime(2050, 1, 1, tzinfo=UTC)
    assert b"\x18\x0f20500101000000Z" in crl_entry(1, late, Reason.SUPERSEDED)
    assert crl_of(this_update=late).last_update_utc == late


def test_a_thousand_entries_are_read_back_by_homeca_itself() -> None:
    crl = crl_of(*(crl_entry(n, NOON, Reason.SUPERSEDED) for n in range(1, 1001)))
    facts = read_crl(crl.public_bytes(Encoding.DER))
    assert [entry.serial for entry in facts.tbs.entries] == list(range(1, 1001))


def test_the_year_of_a_date_of_loss_has_four_digits() -> None:
    """RFC 5280 §4.1.2.5.2; strftime would write 226 with three."""
    lost_at = datetime(226, 11, 1, tzinfo=UTC)
    entry = crl_entry(5, LONG_AGO, Reason.KEY_COMPROMISE, lost_at)
    assert b"02261101000000Z" in entry
