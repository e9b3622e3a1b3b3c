"""A checkpoint: where the ledger stood, signed by the TPM, small enough for a sheet of paper.

    -----BEGIN HOMECA CHECKPOINT-----
    Ledger: the link of its first entry, 64 hex digits
    Entries: 57
    Link: of the newest of them
    Value: what the head index held
    Count: 12
    Made: 2026-11-22T08:00:00Z

    base64 of: TPM2B_PUBLIC of the attestation key ‖ handles of head and counter (4, 4)
               ‖ for each of the two: length (2) TPMS_ATTEST ‖ length (2) TPMT_SIGNATURE
    -----END HOMECA CHECKPOINT-----

Both attestations (TPM2_NV_Certify) carry the digest of the six lines as qualifyingData, and the
TPM's clock. The Names they are about hold the ledger's own name, so a checkpoint of another
ledger in the same TPM is another checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from msgspec import Struct

from ca.attestation.signer import read_attested, read_signer
from ca.encoding.attest import ST_NV, Attest, qualifying
from ca.encoding.nv import NvKind, NvPublic
from ca.encoding.tpm import Unmarshaller, sized
from ca.errors import EncodingError, StatementRefused, Violation
from ca.interfaces.ledger import AnchorPlace, AnchorReading, Attested

BEGIN = "-----BEGIN HOMECA CHECKPOINT-----"
END = "-----END HOMECA CHECKPOINT-----"
_WHAT = "checkpoint"
_TIME = "%Y-%m-%dT%H:%M:%SZ"

#: Two kilobytes of base64 are far more than any checkpoint has.
LIMIT = 16384


class Position(Struct, frozen=True, kw_only=True):
    """What the six lines say. entries: how many there were; link: of the newest."""

    ledger: bytes
    entries: int
    link: bytes
    reading: AnchorReading
    made: datetime

    @property
    def lines(self) -> str:
        return "\n".join(
            (
                f"Ledger: {self.ledger.hex()}",
                f"Entries: {self.entries}",
                f"Link: {self.link.hex()}",
                f"Value: {self.reading.value.hex()}",
                f"Count: {self.reading.count}",
                f"Made: {self.made:{_TIME}}",
            )
        )

    @property
    def qualifying(self) -> bytes:
        """What the attestation key signs with it."""
        return qualifying(b"checkpoint 1", self.lines.encode("ascii"))


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A verified one. attestation_key: its Name. clock: milliseconds, as the TPM counts."""

    position: Position
    place: AnchorPlace
    attestation_key: bytes
    clock: int
    reset_count: int
    is_clock_safe: bool


def write_checkpoint(
    position: Position, place: AnchorPlace, certified: tuple[bytes, Attested, Attested]
) -> str:
    """The text. certified: as `ca.interfaces.Anchor.certify` returns it."""
    public, head, counter = certified
    octets = public + place.head.to_bytes(4, "big") + place.counter.to_bytes(4, "big")
    for attested in (head, counter):
        octets += sized(attested.attest) + sized(attested.signature)
    folded = re.findall(".{1,64}", base64.b64encode(octets).decode("ascii"))
    return "\n".join((BEGIN, position.lines, "", *folded, END, ""))


def read_checkpoint(text: str) -> Checkpoint:
    """A good one. Blanks at the ends of lines, and what stands around it, do not matter.

    Raises: StatementRefused with everything that is wrong.
    """
    try:
        position, octets = _parsed(text)
        return _verified(position, octets)
    except EncodingError as error:
        raise _refused((Violation("checkpoint.malformed", error.problem),)) from error


_LINES = re.compile(
    r"Ledger: ([0-9a-f]{64})\nEntries: (\d{1,18})\nLink: ([0-9a-f]{64})\n"
    r"Value: ([0-9a-f]{64})\nCount: (\d{1,18})\nMade: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n\n"
    r"([A-Za-z0-9+/=\n]+)",
    re.ASCII,
)


def _parsed(text: str) -> tuple[Position, bytes]:
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin or len(text) > LIMIT:
        raise EncodingError("it is not a checkpoint", remedy="give the file as it was written")
    inner = "\n".join(line.strip() for line in text[begin + len(BEGIN) : end].splitlines()).strip()
    match = _LINES.fullmatch(inner)
    if match is None:
        raise EncodingError(
            "its lines are not those of a checkpoint", remedy="compare it with the original"
        )
    ledger, entries, link, value, count, made, packed = match.groups()
    try:
        octets = base64.b64decode(packed.replace("\n", ""), validate=True)
        moment = datetime.strptime(made, _TIME).replace(tzinfo=UTC)
    except (binascii.Error, ValueError) as error:
        raise EncodingError(
            "its lines are not those of a checkpoint", remedy="compare it with the original"
        ) from error
    position = Position(
        ledger=bytes.fromhex(ledger),
        entries=int(entries),
        link=bytes.fromhex(link),
        reading=AnchorReading(value=bytes.fromhex(value), count=int(count)),
        made=moment,
    )
    if position.lines != inner[: len(position.lines)]:
        raise EncodingError(
            "its numbers are not written as homeca writes them", remedy="take the zeros away"
        )
    return position, octets


def _verified(position: Position, octets: bytes) -> Checkpoint:
    r = Unmarshaller(octets, _WHAT)
    public = sized(r.sized())
    handles = r.number(4), r.number(4)
    parts = [Attested(attest=r.sized(), signature=r.sized()) for _ in range(2)]
    r.end()
    signer, found = read_signer(public)
    reading = position.reading
    said: list[Attest] = []
    for kind, handle, attested, held in (
        (NvKind.EXTEND, handles[0], parts[0], reading.value),
        (NvKind.COUNTER, handles[1], parts[1], reading.count.to_bytes(8, "big")),
    ):
        attest, wrong = read_attested(attested, signer, qualifying=position.qualifying)
        found += wrong
        if attest is not None:
            said.append(attest)
            wanted = NvPublic.of_anchor(handle, kind, ledger=position.ledger).name
            found += _about_index(attest, wanted, held)
    if len({attest.reset_count for attest in said}) > 1:
        found.append(Violation("checkpoint.parts", "its two halves were signed at different times"))
    if found:
        raise _refused(tuple(found))
    return Checkpoint(
        position=position,
        place=AnchorPlace(tpm=b"", ledger=position.ledger, head=handles[0], counter=handles[1]),
        attestation_key=signer.name,
        clock=said[0].clock,
        reset_count=said[0].reset_count,
        is_clock_safe=all(attest.is_safe for attest in said),
    )


def _about_index(attest: Attest, name: bytes, held: bytes) -> list[Violation]:
    found = []
    if attest.type != ST_NV:
        found.append(Violation("checkpoint.type", "it is not about an NV index"))
    if attest.name != name:
        found.append(
            Violation("checkpoint.index", "it is about another index than one of this ledger")
        )
    if attest.offset or attest.contents != held:
        found.append(
            Violation("checkpoint.contents", "the index held something else than its lines say")
        )
    return found


def _refused(violations: tuple[Violation, ...]) -> StatementRefused:
    return StatementRefused(
        "the checkpoint is not good",
        remedy="compare it with another copy; it was changed, or another TPM signed it",
        violations=violations,
    )
