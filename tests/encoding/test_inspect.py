"""Reading certificates and CRLs from outside: the facts are right, hostile ones refused."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.encoding import tlv
from ca.encoding.inspect import (
    MAX_CERTIFICATE,
    read_certificate,
    read_crl,
    read_crl_tbs,
    read_tbs,
)
from ca.encoding.reader import Reader
from ca.errors import CertificateMalformed
from ca.names.constraints import NameConstraints
from ca.names.general import DNSName, IPName, UPNName
from tests.lint.lintvectors import der, vectors
from tests.vectors.lint import make

CERTIFICATES = tuple(v for v in vectors() if v.kind == "certificate")
CRLS = tuple(v for v in vectors() if v.kind == "crl")
SOUND = tuple(v for v in CERTIFICATES if v.label.startswith("clean-"))


# ---------------------------------------------------------------- the facts


@pytest.mark.parametrize("vector", SOUND, ids=lambda v: v.label)
def test_the_facts_are_those_another_parser_reads(vector: object) -> None:
    octets = vector.der  # type: ignore[attr-defined]
    facts, other = read_certificate(octets), x509.load_der_x509_certificate(octets)
    tbs = facts.tbs
    assert tbs.der == other.tbs_certificate_bytes
    assert facts.signature == other.signature
    assert tbs.serial == other.serial_number
    assert tbs.subject.der == other.subject.public_bytes()
    assert tbs.issuer.der == other.issuer.public_bytes()
    assert tbs.not_before.moment == other.not_valid_before_utc
    assert tbs.not_after.moment == other.not_valid_after_utc
    assert tbs.algorithm.oid == other.signature_algorithm_oid.dotted_string
    assert [(e.oid, e.critical) for e in tbs.extensions] == [
        (e.oid.dotted_string, e.critical) for e in other.extensions
    ]
    assert tbs.version == 3


@pytest.mark.parametrize("vector", SOUND, ids=lambda v: v.label)
def test_the_public_key_is_read_octet_for_octet(vector: object) -> None:
    octets = vector.der  # type: ignore[attr-defined]
    key = x509.load_der_x509_certificate(octets).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert read_certificate(octets).tbs.spki == spki


def test_extensions_become_values() -> None:
    tbs = read_certificate(der("clean-tls-server")).tbs
    assert tbs.basic_constraints is not None
    assert (tbs.is_ca, tbs.basic_constraints.path_len) == (False, None)
    assert tbs.key_usage == frozenset({"digitalSignature"})
    assert tbs.eku == ("1.3.6.1.5.5.7.3.1",)
    assert tbs.names == (DNSName("nas.home.arpa"), IPName.parse("192.168.1.10"))
    assert tbs.crl_urls == ("http://ca.home.arpa/home.crl",)
    assert tbs.access_urls("1.3.6.1.5.5.7.48.2") == ("http://ca.home.arpa/home.cer",)
    assert tbs.aki is not None
    assert tbs.aki.key_id == read_certificate(der("clean-intermediate")).tbs.ski


def test_name_constraints_become_a_value_that_answers() -> None:
    facts = read_certificate(der("clean-intermediate")).tbs.name_constraints
    assert facts is not None
    assert facts.constraints == NameConstraints(
        permitted_dns=("home.arpa",),
        permitted_ip=(ip_network("192.168.0.0/16"), ip_network("fd00::/8")),
    )


def test_a_upn_is_read_from_its_other_name() -> None:
    tbs = read_certificate(der("clean-vpn-client-windows")).tbs
    assert UPNName("alice@home.arpa") in tbs.names


def test_names_show_themselves_without_their_terminal_escapes() -> None:
    subject = read_certificate(der("dn-escape")).tbs.subject
    assert str(subject) == r"O=\x1b[31mHome,CN=nas.home.arpa"


def test_a_crl_of_another_parsers_reading() -> None:
    octets = der("clean-crl")
    facts, other = read_crl(octets), x509.load_der_x509_crl(octets)
    assert facts.tbs.der == other.tbs_certlist_bytes
    assert facts.tbs.this_update.moment == other.last_update_utc
    assert facts.tbs.next_update is not None
    assert facts.tbs.next_update.moment == other.next_update_utc
    assert [(e.serial, e.revoked_at.moment) for e in facts.tbs.entries] == [
        (entry.serial_number, entry.revocation_date_utc) for entry in other
    ]
    assert [e.reason for e in facts.tbs.entries] == [None, 1, 4]
    assert facts.tbs.number == 2


def test_entries_can_be_read_again() -> None:
    entries = read_crl(der("clean-crl")).tbs.entries
    assert list(entries) == list(entries) != []


@pytest.mark.parametrize(
    ("octets", "moment"),
    [
        (tlv.tlv(0x17, b"491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (tlv.tlv(0x17, b"500101000000Z"), datetime(1950, 1, 1, tzinfo=UTC)),
        (tlv.tlv(0x18, b"20500101000000Z"), datetime(2050, 1, 1, tzinfo=UTC)),
        (tlv.tlv(0x18, b"99991231235959Z"), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (tlv.tlv(0x17, b"2606010000-0130"), datetime(2026, 6, 1, 1, 30, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_utc(octets: bytes, moment: datetime) -> None:
    assert read_tbs(make.leaf(not_after=octets).tbs()).not_after.moment == moment


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "label",
    [
        "san-empty",
        "san-is-not-one",
        "ski-followed-by-more",
        "extension-twice",
        "critical-false-written-out",
        "ca-false-written-out",
        "key-usage-trailing-zeros",
        "extensions-empty",
        "eku-empty",
        "version-1-written-out",
        "name-constraints-mask-with-gaps",
    ],
)
def test_a_strict_reading_refuses_what_a_tolerant_one_notes(label: str) -> None:
    noted = read_certificate(der(label), tolerant=True).tbs
    assert noted.faults or label in ("extension-twice", "name-constraints-mask-with-gaps")
    with pytest.raises(CertificateMalformed):
        read_certificate(der(label))


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (b"20260601000000", "tag"),
        (b"260631000000Z", "none that exists"),
        (b"261301000000Z", "none that exists"),
        (b"260601000060Z", "none that exists"),
        (b"260601000000", "none that exists"),
        (b"2" * 1000 + b"Z", "none that exists"),
    ],
)
def test_a_time_that_is_none_is_refused(times: bytes, why: str) -> None:
    tag = 0x04 if why == "tag" else 0x17
    with pytest.raises(CertificateMalformed, match=why):
        read_tbs(make.leaf(not_after=tlv.tlv(tag, times)).tbs(), tolerant=True)


def test_nothing_may_follow_a_certificate() -> None:
    with pytest.raises(CertificateMalformed, match="follows"):
        read_certificate(der("clean-root") + b"\0", tolerant=True)


def test_an_overlong_certificate_costs_nothing() -> None:
    begin = time.perf_counter()
    with pytest.raises(CertificateMalformed, match="more than"):
        read_certificate(b"\x30" + b"\0" * MAX_CERTIFICATE)
    assert time.perf_counter() - begin < 1


def test_the_worst_names_of_a_mebibyte_are_read_within_two_seconds() -> None:
    many = make.san(*[make.gn("dns", f"h{i:06}.home.arpa") for i in range(45_000)])
    octets = make.leaf({"san": many}).der()
    assert len(octets) > 800_000
    begin = time.process_time()
    assert len(read_certificate(octets).tbs.names) == 45_000
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30",
        b"\x30\x80\0\0",
        b"\x30\x81\x02\x05\0",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x85\0\0\0\0\0",
        b"\x3f\x81\x00",
        b"\xa0\x00",
        b"\x30\x00",
        bytes.fromhex("30") * 200_000,
        b"\x30\x82\x7f\xff" * 50_000,
    ],
)
def test_octets_that_are_no_structure_are_malformed(octets: bytes) -> None:
    for read in (read_certificate, read_tbs, read_crl, read_crl_tbs):
        with pytest.raises(CertificateMalformed):
            read(octets, tolerant=True)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_certificates_and_crls_are_read_or_malformed(draw: st.DataObject) -> None:
    vector = draw.draw(st.sampled_from(CERTIFICATES + CRLS))
    octets = bytearray(vector.der)
    for _ in range(draw.draw(st.integers(1, 4))):
        place = draw.draw(st.integers(0, len(octets) - 1))
        how = draw.draw(st.sampled_from(("flip", "cut", "grow", "double")))
        if how == "flip":
            octets[place] = draw.draw(st.integers(0, 255))
        elif how == "cut":
            del octets[place : place + draw.draw(st.integers(0, 8))]
        elif how == "grow":
            octets[place:place] = draw.draw(st.binary(max_size=8))
        else:
            octets[place:place] = octets[place : place + 16]
        if not octets:
            return
    tolerant = draw.draw(st.booleans())
    try:
        if vector.kind == "crl":
            list(read_crl(bytes(octets), tolerant=tolerant).tbs.entries)
        else:
            str(read_certificate(bytes(octets), tolerant=tolerant).tbs.subject)
    except CertificateMalformed as error:
        refusal = error.problem
    else:
        return
    assert refusal.isprintable()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_a_reader_returns_or_refuses(octets: bytes) -> None:
    for read in (Reader.integer, Reader.boolean, Reader.bits, Reader.oid, Reader.element):
        with suppress(CertificateMalformed):
            read(Reader(octets, "sample"))


@given(st.integers(min_value=-(1 << 170), max_value=1 << 170))
def test_an_integer_is_read_as_it_was_written(value: int) -> None:
    assert Reader(tlv.integer(value), "sample").integer() == value


@pytest.mark.parametrize("octets", [b"\x02\x02\x00\x7f", b"\x02\x02\xff\x80", b"\x02\x00"])
def test_an_integer_in_a_longer_form_is_refused(octets: bytes) -> None:
    with pytest.raises(CertificateMalformed, match="shortest"):
        Reader(octets, "sample").integer()


def test_a_multi_valued_rdn_out_of_order_is_refused() -> None:
    pairs = [
        tlv.sequence(tlv.oid(oid), tlv.tlv(tlv.UTF8_STRING, b"x"))
        for oid in ("2.5.4.11", "2.5.4.3")
    ]
    disordered = tlv.sequence(tlv.tlv(tlv.SET, b"".join(pairs)))
    with pytest.raises(CertificateMalformed, match=r"order"):
        read_tbs(make.leaf(subject=disordered).tbs(), tolerant=True)


# ---------------------------------------------------------------- long lists


def test_a_list_of_a_hundred_thousand_is_read_in_a_second_of_computing() -> None:
    entries = [make.entry(1 << 158 | i, make.reason(1 + i % 5)) for i in range(2_000)] * 50
    crl = make.Crl(entries).der()
    begin = time.process_time()
    facts = read_crl(crl)
    assert time.process_time() - begin < 0.1, "the entries were read though nobody asked"
    assert sum(1 for _ in facts.tbs.entries) == 100_000
    assert time.process_time() - begin < 2


def test_an_entry_that_is_none_is_refused_when_it_is_come_to() -> None:
    crl = make.Crl([make.entry(7), tlv.sequence(tlv.integer(8))]).der()
    entries = iter(read_crl(crl).tbs.entries)
    assert next(entries).serial == 7
    with pytest.raises(CertificateMalformed, match="CRL entry"):
        next(entries)
