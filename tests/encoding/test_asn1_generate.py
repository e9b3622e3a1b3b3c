"""The ASN.1 mini-language beside real `openssl asn1parse -genstr`, and its bounds."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.encoding.asn1_generate import MAX_OCTETS, Generator
from ca.errors import EncodingError


def generator(sections: dict[str, list[str]] | None = None) -> Generator:
    def oid(text: str) -> str:
        if not text[:1].isdigit():
            raise EncodingError("no name is known here", remedy="write the number")
        return text

    return Generator(lambda name: (sections or {}).get(name), oid)


@pytest.mark.parametrize(
    "text",
    [
        "BOOLEAN:TRUE",
        "INTEGER:-32769",
        "EXPLICIT:3A,IMPLICIT:5P,UTF8:x",
        "FORMAT:HEX,OCTWRAP,OCT:00ff",
        "FORMAT:BITLIST,BITSTRING:0,8,15",
        "SEQWRAP,SETWRAP,OID:1.2.840.113549",
        "BITWRAP,GENTIME:20250101000000Z",
    ],
)
def test_openssl_generates_the_same(text: str, tmp_path: Path) -> None:
    out = tmp_path / "der"
    done = subprocess.run(
        ["openssl", "asn1parse", "-genstr", text, "-noout", "-out", str(out)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert generator().generate(text) == out.read_bytes()


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"a": ["SEQUENCE:a"]}, "deep"),
        ({"a": ["SEQUENCE:b", "SEQUENCE:b"], "b": ["SET:a", "SET:a"]}, "deep|more than"),
        ({"a": ["SEQUENCE:b"] * 60, "b": ["SEQUENCE:c"] * 60, "c": ["NULL"] * 60}, "elements"),
        ({"a": ["OCT:" + "x" * 3000] * 60}, "octets"),
    ],
)
def test_sections_that_grow_for_ever_are_stopped_at_once(
    sections: dict[str, list[str]], said: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(EncodingError, match=said):
        generator(sections).generate("SEQUENCE:a")
    assert time.monotonic() - begun < 2


def test_many_tags_are_stopped() -> None:
    with pytest.raises(EncodingError, match="tags"):
        generator().generate("SEQWRAP," * 21 + "NULL")


VOCABULARY = (
    "EXP:0 IMP:1C SEQWRAP OCTWRAP BITWRAP FORMAT:HEX FORMAT:BITLIST SEQ:s SET:s UTF8:x INT:5 "
    "BITSTR:1 NULL BOOL:TRUE OID:1.2 UTC: : , ü"
)
WORDS = st.sampled_from(VOCABULARY.split(" "))


@settings(deadline=None)
@given(st.lists(WORDS, max_size=8).map(",".join), st.lists(WORDS, max_size=3))
def test_no_text_makes_it_stumble(text: str, section: list[str]) -> None:
    with contextlib.suppress(EncodingError):
        assert len(generator({"s": section}).generate(text)) <= MAX_OCTETS
