"""DER written by hand, one element at a time."""

from __future__ import annotations

import contextlib

import pytest
from asn1crypto import core
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.encoding import tlv
from ca.errors import EncodingError

ARCS = st.builds(
    lambda top, rest: ".".join(map(str, (*top, *rest))),
    st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 39)), st.tuples(st.just(2), st.integers(0, 999))
    ),
    st.lists(st.integers(0, 2**40), max_size=5),
)


@settings(deadline=None)
@given(st.integers(-(2**200), 2**200))
def test_an_integer_has_the_fewest_octets(value: int) -> None:
    assert tlv.integer(value) == core.Integer(value).dump()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_an_element_is_read_back(octets: bytes) -> None:
    element = tlv.octet_string(octets)
    assert tlv.read_only(element, tlv.OCTET_STRING) == octets
    assert element == core.OctetString(octets).dump()


@settings(deadline=None)
@given(ARCS)
def test_an_oid_is_read_back(dotted: str) -> None:
    content = tlv.read_only(tlv.oid(dotted), tlv.OID)
    assert tlv.read_oid(content) == dotted


@pytest.mark.parametrize(
    "text", ["", "1", "1.", ".1", "1..2", "3.1", "1.40", "a.b", "1.2.-3", "1.²"]
)
def test_what_is_no_oid_is_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        tlv.oid(text)


@pytest.mark.parametrize(
    ("bits", "der"),
    [
        ((), "030100"),
        ((0,), "03020780"),
        ((0, 2), "030205a0"),
        ((7,), "03020001"),
        ((8,), "0303070080"),
    ],
)
def test_a_named_bit_list_has_no_trailing_zeros(bits: tuple[int, ...], der: str) -> None:
    assert tlv.named_bits(bits).hex() == der


def test_a_set_is_sorted() -> None:
    assert (
        tlv.set_of([b"\x0c\x01z", b"\x02\x01\x05", b"\x0c\x01a"]).hex() == "31090201050c01610c017a"
    )


@pytest.mark.parametrize(
    ("number", "head"), [(0, "a0"), (30, "be"), (31, "bf1f"), (128, "bf8100"), (16384, "bf818000")]
)
def test_any_tag_number_can_be_written(number: int, head: str) -> None:
    assert tlv.tagged(number, b"").hex() == head + "00"


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "04",
        "0401",
        "0480",
        "048101",
        "04820001",
        "0482000100",
        "04820080" + "00" * 128,
        "1f0100",
        "0485010000000000",
        "040500",
    ],
)
def test_what_is_not_minimal_definite_and_whole_is_refused(octets: str) -> None:
    with pytest.raises(EncodingError):
        tlv.read(bytes.fromhex(octets))


@pytest.mark.parametrize("octets", ["0500ff", "0400", ""])
def test_one_element_means_one_of_that_kind(octets: str) -> None:
    with pytest.raises(EncodingError):
        tlv.read_only(bytes.fromhex(octets), tlv.NULL)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_octets_make_the_reader_stumble(octets: bytes) -> None:
    with contextlib.suppress(EncodingError):
        for tag, content in tlv.elements(octets):
            assert 0 <= tag < 256
            assert len(content) < len(octets)
    with contextlib.suppress(EncodingError):
        assert tlv.read_oid(octets)
