"""The INF reader against whatever octets somebody puts before it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ca.encoding.inf import MAX_INF, Entry, Faults, read_inf
from ca.encoding.inf_request import parse_inf
from ca.errors import InfRefused

#: What may stand in a value between quotes: no line ends, no NUL, no lone surrogates.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0%"),
    max_size=40,
)
KEYS = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,12}", fullmatch=True)


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def entries(text: str, codec: str = "utf-8") -> list[Entry]:
    faults = Faults("x.inf")
    sections = read_inf(text.encode(codec), faults)
    faults.settle()
    return [entry for section in sections for entry in section.entries]


def outcome(octets: bytes) -> str:
    try:
        parse_inf(octets, source="x.inf")
    except InfRefused as refused:
        return "refusal with reasons" if refused.violations else "refusal without"
    return "request"


@given(st.binary(max_size=400))
@example(b"\xff\xfe[\x00")
@example(b'[NewRequest]\nSubject="CN=x"\n[Extensions]\n2.999 = {hex}30\nCritical=2.5.29.17.\n')
@example(b"[NewRequest]\nKeyAlgorithm=ECDSA_P\xe2\x91\xa0\nKeyLength=0x\n")
@example(b'[Extensions]\n2.5.29.37="{text}0.40,9.1,2.99999999999999999999999999"\n[NewRequest]\n')
def test_any_octets_give_a_request_or_a_refusal(octets: bytes) -> None:
    assert outcome(octets) in ("request", "refusal with reasons")


WORDS = st.sampled_from(
    [
        *("[NewRequest]", "[Extensions]", "[Strings]", "[EnhancedKeyUsageExtension]"),
        *("[RequestAttributes]", "[Version]", "Subject", "KeyAlgorithm", "KeyLength", "KeyUsage"),
        *("=", '"', '""', "%", "%a%", ";", "\\", "\n", "\r\n", "_continue_", "{text}", "{hex}"),
        *("dns=a.lan", "&", "|", "0x80", "ECDSA_P256", "RSA", "2.5.29.17", "2.5.29.19", "ca=1"),
        *("CN=x", ",", "+", "TRUE", "Critical", "OID", "1.3.6.1.5.5.7.3.2", "X500NameFlags"),
    ]
)


@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_any_arrangement_of_its_words_gives_a_request_or_a_refusal(text: str) -> None:
    assert outcome(text.encode()) in ("request", "refusal with reasons")


@given(st.lists(st.tuples(KEYS, TEXT), min_size=1, max_size=8))
def test_quoted_values_come_back_as_written_and_repeated_keys_stay(
    pairs: list[tuple[str, str]],
) -> None:
    text = "[Section]\n" + "".join(f"{key} = {quoted(value)} ; note\n" for key, value in pairs)
    assert [(e.key, e.value) for e in entries(text)] == pairs


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_continued_values_are_joined_and_none_is_lost(parts: list[str]) -> None:
    head, *rest = parts
    text = f"[S]\nkey = {quoted(head)}\n"
    text += "".join(f"_continue_ = {quoted(part)}\n" for part in rest)
    assert entries(text) == [Entry("key", "".join(parts), 2)]


@given(TEXT)
def test_every_encoding_of_windows_reads_the_same(value: str) -> None:
    text = f"[S]\nkey = {quoted(value)}\n"
    expected = entries(text)
    for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        assert entries(text, codec) == expected
    assert entries(text.replace("\n", "\r\n")) == expected


@given(TEXT.filter(lambda value: '"' not in value))
def test_a_string_stands_for_its_value(value: str) -> None:
    text = f"[S]\nkey = before %Name% after\n[Strings]\nname = {quoted(value)}\n"
    assert entries(text)[0].value == f"before {value} after"


def test_a_comment_begins_outside_quotes_only() -> None:
    text = '[S]\na = "x;y" ; "z"\nb = c;d\n;e = f\n'
    assert [(e.key, e.value) for e in entries(text)] == [("a", "x;y"), ("b", "c")]


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"\xff\xfe\x00", "neither UTF-8 nor UTF-16"),
        (b"Subject=\xfc", "neither UTF-8 nor UTF-16"),
        (b"[S]\na=\0", "NUL"),
        (b";" * (MAX_INF + 1), "more than"),
        (b"\n" * 6000, "lines"),
    ],
)
def test_what_is_no_text_is_refused_with_the_reason(octets: bytes, words: str) -> None:
    with pytest.raises(InfRefused, match=words):
        parse_inf(octets, source="x.inf")


def test_faults_show_no_control_characters_of_the_file() -> None:
    with pytest.raises(InfRefused) as caught:
        parse_inf(b"[New\x1b]0;Request]\nx\x1b[31m=1\n", source="a\x1b.inf")
    assert "\x1b" not in caught.value.problem + caught.value.remedy
    assert not any("\x1b" in v.text + v.remedy for v in caught.value.violations)
