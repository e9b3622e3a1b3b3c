"""DER has one form; the walk takes it and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.encoding import tlv
from ca.encoding.der import check_der
from ca.errors import EncodingError

LEAVES = st.one_of(
    st.integers(-(2**70), 2**70).map(tlv.integer),
    st.binary(max_size=200).map(tlv.octet_string),
    st.text(max_size=20).map(lambda text: tlv.tlv(tlv.UTF8_STRING, text.encode())),
    st.booleans().map(tlv.boolean),
    st.just(tlv.null()),
    st.sets(st.integers(0, 20), max_size=5).map(tlv.named_bits),
    st.tuples(st.integers(0, 2), st.integers(0, 39), st.integers(0, 2**40)).map(
        lambda arcs: tlv.oid(".".join(map(str, arcs)))
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: tlv.sequence(*parts)),
        st.lists(inner, max_size=4).map(tlv.set_of),
        st.tuples(st.integers(0, 300), inner).map(lambda pair: tlv.tagged(*pair)),
    ),
    max_leaves=12,
)


@given(TREES)
def test_what_is_written_as_der_is_taken(octets: bytes) -> None:
    check_der(octets)


@given(TREES, st.binary(min_size=1, max_size=3))
def test_octets_after_the_end_are_refused(octets: bytes, rest: bytes) -> None:
    with pytest.raises(EncodingError, match="follow the end"):
        check_der(octets + rest)


@given(st.binary(max_size=300))
def test_arbitrary_octets_raise_nothing_but_an_encoding_error(octets: bytes) -> None:
    try:
        check_der(octets)
    except EncodingError as error:
        assert error.remedy  # noqa: PT017 - most octets are not DER; the type is the claim


@given(TREES, st.data())
def test_every_cut_is_refused(octets: bytes, draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(EncodingError):
        check_der(octets[:cut])


@pytest.mark.parametrize(
    ("octets", "clause"),
    [
        ("30 80 00 00", "10.1"),
        ("30 81 00", "10.1"),
        ("04 82 00 80" + "00" * 128, "10.1"),
        ("01 01 01", "11.1"),
        ("02 02 00 7f", "8.3.2"),
        ("02 02 ff 80", "8.3.2"),
        ("02 00", "8.3.1"),
        ("0a 02 00 01", "8.3.2"),
        ("03 02 01 01", "11.2.1"),
        ("03 00", "8.6.2"),
        ("05 01 00", "8.8.2"),
        ("06 02 80 01", "8.19"),
        ("06 01 81", "8.19"),
        ("31 06 02 01 02 02 01 01", "11.6"),
        ("24 02 04 00", "10.2"),
        ("10 00", "10.2"),
        ("9f 1e 00", "8.1.2.2"),
        ("9f 80 1f 00", "8.1.2.4.2"),
    ],
)
def test_a_form_that_only_ber_allows_is_refused_with_its_clause(octets: str, clause: str) -> None:
    with pytest.raises(EncodingError, match=clause.replace(".", r"\.")):
        check_der(bytes.fromhex(octets))


@pytest.mark.parametrize(
    "octets",
    ["01 01 ff", "01 01 00", "02 01 00", "02 02 00 80", "02 01 80", "03 01 00", "03 02 01 fe",
     "0c 00", "31 06 02 01 01 02 01 02", "9f 1f 00", "bf 84 3d 02 05 00"],
)  # fmt: skip
def test_the_one_right_form_is_taken(octets: str) -> None:
    check_der(bytes.fromhex(octets))


def test_the_bounds_are_those_that_were_asked_for() -> None:
    nested = tlv.null()
    for _ in range(9):
        nested = tlv.sequence(nested)
    check_der(nested, max_depth=10)
    with pytest.raises(EncodingError, match="too deep"):
        check_der(nested, max_depth=9)
    with pytest.raises(EncodingError, match="more than the 5"):
        check_der(tlv.octet_string(b"abcd"), max_size=5)
    with pytest.raises(EncodingError, match="more than 3"):
        check_der(tlv.oid("1.2.840.113549"), max_oid=3)
