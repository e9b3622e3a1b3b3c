"""Looking: lists, totals, the newest act."""

from __future__ import annotations

import tracemalloc

import pytest
from msgspec.structs import replace

from ca.interfaces.issuing import CertificateCounts, CertificateQuery, IssuerState, Role, State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial, Validity
from ca.store.repository import SqlStore
from tests.store.making import (
    DAY,
    LIFE,
    NOW,
    active_issuer,
    crl,
    der_of,
    draft,
    intent,
    issue,
    revoke,
)

LONG = Validity.of_days(NOW, 400)


@pytest.fixture
def filled(store: SqlStore, issuer: int) -> SqlStore:
    """1 valid, 2 long, 3 revoked, 4 on hold, 5 uncertain, 6 failed, 7 intended, 8 reserved."""
    issue(store, issuer, 1, 3, 4)
    issue(store, issuer, 2, validity=LONG)
    store.record_intents([intent(issuer, n) for n in (5, 6, 7)], at=NOW)
    store.settle(issuer, Serial(5), State.UNCERTAIN, note="lost", at=NOW, entry=b"line")
    store.settle(issuer, Serial(6), State.FAILED, note="no", at=NOW)
    store.reserve(issuer, Serial(8), subject="CN=eight", at=NOW)
    revoke(store, issuer, 3)
    revoke(store, issuer, 4, Reason.CERTIFICATE_HOLD)
    return store


@pytest.mark.parametrize(
    ("query", "serials"),
    [
        (CertificateQuery(), {1, 2, 3, 4, 5, 6, 7, 8}),
        (CertificateQuery(states=(State.ISSUED,)), {1, 2, 3, 4}),
        (CertificateQuery(states=(State.FAILED, State.UNCERTAIN)), {5, 6}),
        (CertificateQuery(revoked=True), {3, 4, 5}),
        (CertificateQuery(revoked=False), {1, 2, 6, 7, 8}),
        (CertificateQuery(states=(State.ISSUED,), revoked=False), {1, 2}),
        (CertificateQuery(expires_before=LIFE.not_after + DAY), {1, 3, 4, 5, 6, 7}),
        (CertificateQuery(expires_before=LIFE.not_after), set()),
        (CertificateQuery(expires_after=LIFE.not_after), {2}),
        (CertificateQuery(profile="web"), {1, 2, 3, 4, 5, 6, 7}),
        (CertificateQuery(profile="none"), set()),
        (CertificateQuery(text="EIGHT"), {8}),
        (CertificateQuery(issuer_id=99), set()),
        (CertificateQuery(subjects=("CN=eight", "CN=nine")), {8}),
        (CertificateQuery(subjects=("CN=EIGHT", "CN=eigh")), set()),
        (CertificateQuery(states=(State.ISSUED,), begins_before=LIFE.not_before), set()),
        (CertificateQuery(states=(State.ISSUED,), begins_before=NOW + DAY), {1, 2, 3, 4}),
    ],
)
def test_a_filter_lets_through_what_it_names(
    filled: SqlStore, query: CertificateQuery, serials: set[int]
) -> None:
    assert {record.serial for record in filled.certificates(query)} == serials


def test_an_issuer_filter_leaves_out_the_others(store: SqlStore, issuer: int) -> None:
    below = active_issuer(store, draft("i", role=Role.INTERMEDIATE))
    issue(store, issuer, 1)
    issue(store, below, 2)
    query = CertificateQuery(issuer_id=below)
    assert [record.serial for record in store.certificates(query)] == [2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nas", {1}),
        ("NAS.Home", {1}),
        ("50%", {2}),
        ("%", {2}),
        ("a_b", {2}),
        ("_", {2}),
        ("\\", {3}),
        ("two\nlines", {3}),
        ("\n", {3}),
        ("é", {3}),
        ("DNS:b", {2}),
        ("\udcff", set()),
        ("\0", set()),
        ("home.arpaDNS", set()),
    ],
)
def test_a_search_matches_what_was_typed_and_nothing_else(
    store: SqlStore, issuer: int, text: str, found: set[int]
) -> None:
    store.record_intents(
        [
            intent(issuer, 1, subject="CN=x", names=("DNS:nas.home.arpa", "DNS:y.home.arpa")),
            intent(issuer, 2, subject="CN=50%", names=("DNS:a_b", "DNS:b")),
            intent(issuer, 3, subject="CN=x", names=("URI:two\nlines", "URI:\\é")),
        ],
        at=NOW,
    )
    assert {r.serial for r in store.certificates(CertificateQuery(text=text))} == found


def test_pages_join_without_gap_or_repeat(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, *range(1, 1302))
    everything = list(store.certificates(CertificateQuery()))
    assert [record.serial for record in everything] == list(range(1, 1302))
    ids = [record.id for record in everything]
    query = CertificateQuery(after_id=ids[99], limit=700)
    assert [record.id for record in store.certificates(query)] == ids[100:800]


def test_a_limit_of_nothing_lists_nothing(filled: SqlStore) -> None:
    assert list(filled.certificates(CertificateQuery(limit=0))) == []


def test_an_id_beyond_all_ids_lists_nothing(filled: SqlStore) -> None:
    assert list(filled.certificates(CertificateQuery(after_id=10**40))) == []


def test_what_is_issued_during_a_listing_comes_at_its_end(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, *range(1, 701))
    listing = store.certificates(CertificateQuery())
    next(listing)
    issue(store, issuer, 9999)
    assert [record.serial for record in listing][-1] == 9999


def test_a_long_list_takes_the_memory_of_a_page(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, *range(1, 2001))

    def peak(limit: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in store.certificates(CertificateQuery(limit=limit))) == limit
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(500)
    assert peak(2000) < peak(500) * 2.5  # a page being read and one being given out


def test_each_serial_is_counted_once(filled: SqlStore) -> None:
    assert filled.counts(at=NOW) == CertificateCounts(
        valid=2, expired=0, revoked=2, uncertain=1, failed=1
    )


def test_what_has_ended_is_expired_unless_it_was_revoked(filled: SqlStore) -> None:
    assert filled.counts(at=NOW + 200 * DAY) == CertificateCounts(
        valid=1, expired=1, revoked=2, uncertain=1, failed=1
    )


def test_a_certificate_counts_as_valid_through_its_last_second(
    store: SqlStore, issuer: int
) -> None:
    issue(store, issuer, 1)
    assert store.counts(at=LIFE.not_after).valid == 1
    assert store.counts(at=LIFE.not_after + DAY).valid == 0


def test_all_certificates_of_a_key_are_found(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1, 2)
    (record,) = store.by_serial(Serial(2))
    assert store.by_spki(record.spki_sha256) == (record,)
    assert store.by_spki(b"\0" * 32) == ()


@pytest.mark.parametrize("serial", [-1, 0, 2**160, 2**5000])
def test_a_serial_nobody_has_is_not_found(filled: SqlStore, serial: int) -> None:
    assert filled.by_serial(Serial(serial)) == ()


@pytest.mark.parametrize(
    ("digits", "serials"),
    [
        (f"{0xAB << 150:040x}"[:4], [0xAB << 150, (0xAB << 150) + 1]),
        (f"{(0xAB << 150) + 1:040x}", [(0xAB << 150) + 1]),
        ("f" * 40, []),
        ("0" * 38, [1]),
    ],
)
def test_serials_are_found_by_their_first_digits(
    store: SqlStore, issuer: int, digits: str, serials: list[int]
) -> None:
    issue(store, issuer, 1, 0xAB << 150, (0xAB << 150) + 1)
    found = store.by_serial_prefix(digits, limit=5)
    assert [record.serial for record in found] == serials


def test_what_renews_a_certificate_is_found_by_it(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1)
    store.record_intents([replace(intent(issuer, n), replaces=Serial(1)) for n in (2, 3)], at=NOW)
    assert [record.serial for record in store.replacements(Serial(1))] == [2, 3]
    assert store.replacements(Serial(2)) == store.replacements(Serial(2**200)) == ()


def test_an_empty_record_has_no_newest_act(store: SqlStore) -> None:
    assert store.last_recorded_act() is None


def test_every_act_moves_the_newest_time(store: SqlStore) -> None:
    day = iter(range(1, 100))
    issuer = active_issuer(store)
    assert store.last_recorded_act() == NOW

    def check(at: int) -> None:
        assert store.last_recorded_act() == NOW + at * DAY

    store.reserve(issuer, Serial(1), subject="CN=a", at=NOW + (n := next(day)) * DAY)
    check(n)
    store.record_intents([intent(issuer, 1), intent(issuer, 2)], at=NOW + (n := next(day)) * DAY)
    check(n)
    store.record_certificates([(issuer, Serial(1), der_of(1))], at=NOW + (n := next(day)) * DAY)
    check(n)
    store.settle(issuer, Serial(2), State.FAILED, note="", at=NOW + (n := next(day)) * DAY)
    check(n)
    revoke(store, issuer, 1, Reason.CERTIFICATE_HOLD, NOW + (n := next(day)) * DAY)
    check(n)
    store.release(issuer, Serial(1), at=NOW + (n := next(day)) * DAY)
    check(n)
    number = store.reserve_crl_number(issuer, at=NOW + (n := next(day)) * DAY)
    check(n)
    store.record_crl(crl(issuer, number))
    store.set_issuer_state(issuer, IssuerState.RETIRED)
    store.begin_issuer(replace(draft("i"), role=Role.INTERMEDIATE), at=NOW + (n := next(day)) * DAY)
    check(n)
