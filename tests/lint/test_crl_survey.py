"""What is found in the entries of a CRL does not depend on how many are looked at in one step."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.algorithms import SIGNATURE_ALGORITHMS
from ca.encoding.crl import build_crl_tbs, crl_entry
from ca.encoding.dn import encode_name
from ca.encoding.facts import CrlTbsFacts
from ca.encoding.inspect import read_crl_tbs
from ca.errors import CertificateMalformed
from ca.interfaces.revocation import Reason
from ca.lint.crl_survey import survey
from ca.lint.rule import LintContext
from ca.names.distinguished import DistinguishedName

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONTEXT = LintContext(now=NOON)

serials = st.integers(1 << 158, (1 << 158) + 40)
moments = st.integers(-4, 4).map(lambda hours: NOON + timedelta(hours=hours))


def tbs_of(*entries: bytes) -> CrlTbsFacts:
    return read_crl_tbs(
        build_crl_tbs(
            algorithm=SIGNATURE_ALGORITHMS["sha256_ecdsa"],
            issuer_der=encode_name(DistinguishedName.of(("CN", "Root CA"))),
            issuer_ski=bytes(20),
            number=1,
            this_update=NOON,
            next_update=NOON + timedelta(days=30),
            entries=entries,
        ),
        tolerant=True,
    )


@given(st.lists(st.tuples(serials, moments, st.sampled_from(Reason)), max_size=30), st.booleans())
def test_every_entry_is_counted_where_it_belongs(
    lines: list[tuple[int, datetime, Reason]], is_sorted: bool
) -> None:
    lines = sorted(lines) if is_sorted else lines
    found = survey(tbs_of(*(crl_entry(*line) for line in lines)), CONTEXT)
    assert found.count == len(lines)
    times = Counter(serial for serial, _, _ in lines)
    assert found.twice.count == sum(count - 1 for count in times.values())
    assert found.in_future.count == sum(moment > NOON for _, moment, _ in lines)
    assert found.hold.count == sum(reason is Reason.CERTIFICATE_HOLD for *_, reason in lines)
    assert not found.bad_time
    assert not found.no_serial


@pytest.mark.parametrize("reason", [Reason.SUPERSEDED, Reason.CERTIFICATE_HOLD])
@given(before=st.lists(serials), after=st.lists(serials), expired=st.sets(serials))
def test_who_left_the_list_is_found_unless_it_may(
    reason: Reason, before: list[int], after: list[int], expired: set[int]
) -> None:
    previous, current = (
        tbs_of(*(crl_entry(serial, NOON, reason) for serial in listed))
        for listed in (before, after)
    )
    context = LintContext(now=NOON, previous=previous, expired=expired)
    gone = [serial for serial in before if serial not in after and serial not in expired]
    assert survey(current, context).vanished.count == len(gone)


def test_a_serial_that_returns_a_thousand_entries_later_is_listed_twice() -> None:
    entries = [crl_entry((1 << 158) + n, NOON, Reason.SUPERSEDED) for n in range(1000)]
    assert not survey(tbs_of(*entries), CONTEXT).twice
    assert survey(tbs_of(*entries, entries[0]), CONTEXT).twice.serials == [1 << 158]


def test_a_day_that_does_not_exist_is_refused() -> None:
    entry = crl_entry(1 << 158, NOON, Reason.SUPERSEDED)
    assert not survey(tbs_of(entry.replace(b"261122", b"260228")), CONTEXT).bad_time
    with pytest.raises(CertificateMalformed):
        survey(tbs_of(entry.replace(b"261122", b"260229")), CONTEXT)


def test_after_2049_a_utctime_is_still_in_the_past() -> None:
    late = LintContext(now=datetime(2051, 1, 1, tzinfo=UTC))
    last = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    entries = [crl_entry((1 << 158) + n, last, Reason.SUPERSEDED) for n in range(3)]
    assert not survey(tbs_of(*entries), late).in_future
    assert survey(tbs_of(*entries), CONTEXT).in_future.count == 3
