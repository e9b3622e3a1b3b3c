"""Entries of a CRL, read hundreds at a time: the same answers as one by one."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.encoding import tlv
from ca.encoding.crl import crl_entry
from ca.encoding.crl_entries import CrlEntries, entry_facts
from ca.errors import CertificateMalformed
from ca.interfaces.revocation import REASON_CODES, Reason

DAWN = datetime(1999, 12, 31, 12, tzinfo=UTC)
UNUSUAL = (
    bytes.fromhex("3012 020107 170d3236313132323132303030305a"),
    bytes.fromhex("3013 0202ff01 170d3236313132323132303030305a"),
    crl_entry(1 << 158, DAWN + timedelta(days=19000), Reason.KEY_COMPROMISE),  # 2051
    crl_entry(1 << 158 | 1, DAWN, Reason.UNSPECIFIED),  # 1999
)

moments = st.integers(0, 18000 * 86400).map(lambda n: DAWN + timedelta(seconds=n))
serials = st.integers(1 << 158, (1 << 159) - 1) | st.integers(1 << 158, (1 << 158) + 20)
entries = st.builds(
    crl_entry, serials, moments, st.sampled_from(Reason), st.none() | moments
) | st.sampled_from(UNUSUAL)
lists = st.lists(entries, max_size=30)


def listing(*entries: bytes) -> CrlEntries:
    """As in a TBSCertList: with something in front and behind."""
    octets = b"".join(entries)
    return CrlEntries(b"\x30\x33" + octets + b"\xa0\x00", 2, 2 + len(octets))


@given(lists)
def test_runs_hold_every_entry_once_and_in_order(octets: list[bytes]) -> None:
    found = listing(*octets)
    runs = list(found.runs())
    assert list(chain.from_iterable(run.entries.split() for run in runs)) == list(found.split())
    serials = [int.from_bytes(s, "big", signed=True) for run in runs for s in run.serials]
    assert serials == [serial for serial, _ in found.split()]


def test_a_serial_whose_length_is_not_in_its_shortest_form_is_refused() -> None:
    """02 81 14 is read as 20 octets by a lenient reader; here it must not become 129."""
    content = (
        bytes.fromhex("028114") + b"\x11" * 128 + bytes.fromhex("170d3236313132323132303030305a")
    )
    entry = b"\x30\x81" + bytes([len(content)]) + content
    with pytest.raises(CertificateMalformed, match="shortest form"):
        list(listing(entry).split())


def test_a_second_reason_in_one_entry_is_refused() -> None:
    entry = crl_entry(1 << 158, DAWN + timedelta(days=9000), Reason.KEY_COMPROMISE)
    _, date, (tag, reason) = tlv.elements(tlv.read_only(entry, tlv.SEQUENCE))
    assert entry_facts(1, tlv.tlv(*date) + tlv.tlv(tag, reason)).reason == 1
    with pytest.raises(CertificateMalformed, match="twice"):
        entry_facts(1, tlv.tlv(*date) + tlv.tlv(tag, reason * 2))


@given(lists)
def test_only_entries_in_their_usual_form_are_plain(octets: list[bytes]) -> None:
    for run in listing(*octets).runs():
        facts = [entry_facts(serial, rest) for serial, rest in run.entries.split()]
        plain = [
            fact.serial.bit_length() in range(152, 160)
            and fact.revoked_at.tag == tlv.UTC_TIME
            and fact.revoked_at.moment.year >= 2000
            and fact.reason not in (REASON_CODES[Reason.CERTIFICATE_HOLD], 0)
            and fact.invalidity is None
            for fact in facts
        ]
        assert all(plain) if run.newest else not any(plain)
        if run.newest:
            dates = [f"{fact.revoked_at.moment:%y%m%d%H%M%S}".encode() for fact in facts]
            assert run.newest == max(dates)
            assert run.days == {date[:6] for date in dates}


@pytest.mark.parametrize(
    "unlike",
    [
        pytest.param(lambda der: der.replace(b"\x02\x14\x40", b"\x02\x14\xc0"), id="negative"),
        pytest.param(lambda der: der.replace(b"\x02\x14\x40", b"\x02\x14\x00"), id="zero-first"),
        pytest.param(lambda der: der.replace(b"001200Z", b"251200Z"), id="no-such-hour"),
        pytest.param(lambda der: der[:-1] + b"\x00", id="unspecified"),
        pytest.param(lambda der: der[:-1] + b"\x06", id="hold"),
        pytest.param(lambda der: der[:-1] + b"\x07", id="no-such-reason"),
        pytest.param(lambda der: der[:-1] + b"\x08", id="removal"),
        pytest.param(lambda der: der.replace(b"\x55\x1d\x15", b"\x55\x1d\x16"), id="other-oid"),
    ],
)
def test_one_octet_makes_an_entry_one_to_be_looked_at(unlike: object) -> None:
    noon = datetime(2026, 11, 22, 0, 12, tzinfo=UTC)
    usual = crl_entry(1 << 158, noon, Reason.SUPERSEDED)
    assert callable(unlike)
    other = unlike(usual)
    assert other != usual
    assert next(listing(usual).runs()).newest == b"261122001200"
    with suppress(CertificateMalformed):  # refused outright: looked at, too
        assert next(listing(other).runs()).newest == b""


@given(lists, lists, st.data())
def test_what_is_gone_is_what_has_no_serial_in_the_later_list(
    before: list[bytes], added: list[bytes], data: st.DataObject
) -> None:
    kept = [entry for entry in before if data.draw(st.booleans())]
    after = data.draw(st.permutations(kept + added) | st.just(sorted(kept + added)))
    earlier, later = listing(*before), listing(*after)
    listed = {serial for serial, _ in later.split()}
    expected = [(serial, rest) for serial, rest in earlier.split() if serial not in listed]
    assert list(earlier.gone_from(later)) == expected


def test_of_thousands_the_few_that_are_gone_or_new_are_found() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    before = [crl_entry((1 << 158) + 7 * n, noon, Reason.SUPERSEDED) for n in range(3000)]
    after = [crl_entry((1 << 158) + 7 * n + 1, noon, Reason.SUPERSEDED) for n in range(9)]
    after = sorted([*before[:700], *after, *before[702:2999]])
    gone = [serial - (1 << 158) for serial, _ in listing(*before).gone_from(listing(*after))]
    assert gone == [700 * 7, 701 * 7, 2999 * 7]


def test_an_entry_inside_another_ones_extension_does_not_count_as_listed() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    hidden = crl_entry((1 << 158) + 5, noon, Reason.KEY_COMPROMISE)
    inside = tlv.sequence(tlv.sequence(tlv.oid("1.2.3.4"), tlv.octet_string(hidden)))
    carrier = tlv.sequence(tlv.integer(7), b"\x17\x0d261122120000Z", inside)
    first = crl_entry(1 << 158, noon, Reason.SUPERSEDED)
    ((serial, _),) = listing(first, hidden).gone_from(listing(first, carrier))
    assert serial == (1 << 158) + 5
    assert not list(listing(first, hidden).gone_from(listing(first, carrier, hidden)))
