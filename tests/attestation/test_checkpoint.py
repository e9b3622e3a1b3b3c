"""A checkpoint: what a TPM signed of a ledger, as text that survives paper; no mutant passes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ca.attestation.checkpoint import (
    BEGIN,
    END,
    Position,
    read_checkpoint,
    write_checkpoint,
)
from ca.errors import StatementRefused
from ca.interfaces.ledger import AnchorPlace, AnchorReading
from tests.attestation.forge import Key, Words, signed, sized
from tests.interop.programs import require
from tests.keys.tpm.lab import Lab

LEDGER = b"L" * 32
MADE = datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One that a TPM signed."""
    require("swtpm")
    place: Path = tmp_path_factory.mktemp("checkpoint")
    tpm = Lab(place / "tpm", place / "lock").custody()
    with tpm.hold():
        anchor = tpm.anchor(tpm.place_anchor(LEDGER))
        position = Position(
            ledger=LEDGER, entries=57, link=b"l" * 32, reading=anchor.read(), made=MADE
        )
        return write_checkpoint(position, anchor.place, anchor.certify(position.qualifying))


def refused(text: str) -> list[str]:
    try:
        read_checkpoint(text)
    except StatementRefused as error:
        return [violation.rule.partition(".")[2] for violation in error.violations]
    return []


def test_a_real_checkpoint_says_where_the_ledger_stood(real: str) -> None:
    found = read_checkpoint(real)
    assert found.position.entries == 57
    assert found.position.reading.count == 1
    assert found.place.head == 0x01800200
    assert found.is_clock_safe
    assert found.clock > 0


def test_it_fits_on_a_page(real: str) -> None:
    lines = real.splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) <= 80


def test_what_paper_and_mail_do_to_it_does_not_matter(real: str) -> None:
    for text in (
        real.replace("\n", "\r\n"),
        "Dear me,\n" + real + "\nyours\n",
        "\n".join(f"  {line}  " for line in real.splitlines()),
        real.rstrip("\n"),
    ):
        assert read_checkpoint(text) == read_checkpoint(real)


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("Entries: 57", "Entries: 58", ["qualifying", "qualifying"]),
        ("Count: 1", "Count: 2", ["qualifying", "qualifying", "contents"]),
        ("Link: 6c", "Link: 6d", ["qualifying", "qualifying"]),
        ("Ledger: 4c", "Ledger: 4d", ["qualifying", "index", "qualifying", "index"]),
        ("T08:00:00Z", "T08:00:01Z", ["qualifying", "qualifying"]),
        ("Count: 1", "Count: 01", ["malformed"]),
        ("Count: 1", "Count: -1", ["malformed"]),
        ("Entries: 57\n", "", ["malformed"]),
        ("2026-11-22", "2026-13-22", ["malformed"]),
        (BEGIN, "-----BEGIN-----", ["malformed"]),
        (END, "", ["malformed"]),
    ],
)
def test_no_line_of_it_can_be_changed(real: str, old: str, new: str, rules: list[str]) -> None:
    assert old in real
    found = refused(real.replace(old, new, 1))
    assert sorted(found) == sorted(rules)


def test_no_bit_of_what_was_signed_can_be_changed(real: str) -> None:
    head, _, rest = real.partition("\n\n")
    octets = base64.b64decode(rest.removesuffix(f"{END}\n"))
    for at in range(len(octets)):
        changed = bytearray(octets)
        changed[at] ^= 1
        text = base64.b64encode(bytes(changed)).decode()
        assert refused(f"{head}\n\n{text}\n{END}\n") != [], at


@given(junk=st.text(max_size=300))
@settings(max_examples=100)
def test_junk_is_no_checkpoint_and_no_traceback(junk: str) -> None:
    assert refused(junk) == ["malformed"]
    assert refused(f"{BEGIN}\n{junk}\n{END}\n") == ["malformed"]


# ---------------------------------------------------------------- what no TPM would say

SIGNER = Key()
PLACE = AnchorPlace(tpm=b"", ledger=LEDGER, head=0x01800200, counter=0x01800201)
POSITION = Position(
    ledger=LEDGER,
    entries=5,
    link=b"l" * 32,
    reading=AnchorReading(value=b"v" * 32, count=9),
    made=MADE,
)


def index_name(handle: int, kind: int, size: int, ledger: bytes = LEDGER) -> bytes:
    """By hand: WRITTEN, NO_DA, AUTHREAD, OWNERREAD, AUTHWRITE, the kind; the ledger's policy."""
    policy = hashlib.sha256(b"homeca ledger\0" + ledger).digest()
    area = (
        handle.to_bytes(4, "big")
        + b"\x00\x0b"
        + (0x22060004 | kind << 4).to_bytes(4, "big")
        + sized(policy)
        + size.to_bytes(2, "big")
    )
    return b"\x00\x0b" + hashlib.sha256(area).digest()


def words(which: str) -> Words:
    reading = POSITION.reading
    held = reading.value if which == "head" else reading.count.to_bytes(8, "big")
    name = index_name(0x01800200, 4, 32) if which == "head" else index_name(0x01800201, 1, 8)
    return Words(
        signer=SIGNER.qualified_name,
        extra=POSITION.qualifying,
        type=0x8014,
        name=name,
        rest=b"\0\0" + sized(held),
    )


def text(
    mutate: Callable[[Words], Words] = lambda w: w, which: str = "head", signer: Key = SIGNER
) -> str:
    made = {name: words(name).having(signer=signer.qualified_name) for name in ("head", "counter")}
    made[which] = mutate(made[which])
    return write_checkpoint(
        POSITION,
        PLACE,
        (signer.public, signed(made["head"], signer), signed(made["counter"], signer)),
    )


def test_the_forger_can_make_a_checkpoint_that_passes() -> None:
    assert refused(text()) == []


@pytest.mark.parametrize("which", ["head", "counter"])
@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"magic": 0}, "attest"),
        ({"type": 0x8017, "rest": sized(b"")}, "type contents"),
        ({"signer": b""}, "signer"),
        ({"extra": b""}, "qualifying"),
        ({"name": index_name(0x01800202, 4, 32)}, "index"),
        ({"name": index_name(0x01800200, 4, 32, b"M" * 32)}, "index"),
        ({"rest": b"\0\1" + sized(b"v" * 32)}, "contents"),
        ({"rest": b"\0\0" + sized(b"w" * 32)}, "contents"),
        ({"clock": bytes.fromhex("0000000000000102" + "00000004" + "00000000" + "01")}, "parts"),
        ({"tail": b"\0"}, "attest"),
    ],
)
def test_each_field_of_the_signed_words_must_be_right(
    which: str, changes: dict[str, Any], rule: str
) -> None:
    assert refused(text(lambda w: w.having(**changes), which)) == rule.split()


def test_the_attestation_key_must_be_a_restricted_one() -> None:
    signer = SIGNER.having(attributes=SIGNER.attributes & ~0x10000)
    assert refused(text(signer=signer)) == ["ak-restricted"]


def test_head_and_counter_do_not_pass_for_each_other() -> None:
    swapped = replace(PLACE, head=PLACE.counter, counter=PLACE.head)
    made = write_checkpoint(
        POSITION,
        swapped,
        (SIGNER.public, signed(words("head"), SIGNER), signed(words("counter"), SIGNER)),
    )
    assert refused(made) == ["index", "index"]
