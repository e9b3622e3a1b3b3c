"""The whole ledger against itself, the record, the published lists, the TPM and a checkpoint.

Nothing is written. What is found is a Violation each: missing, changed, out of place, set back.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from ca.attestation.checkpoint import Checkpoint
from ca.encoding import ledger as details
from ca.encoding.inspect import read_certificate, read_crl
from ca.encoding.nv import extended, first_value
from ca.errors import HomecaError, StoreError, Violation
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.ledger import AnchorReading, LedgerEntry, LedgerEvent
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial, serial_text
from ca.ledger.anchoring import Found, Known, reconcile
from ca.ledger.chain import Chain, wrong
from ca.ledger.history import contradictions
from ca.ledger.issuers import Told, ToldIssuer
from ca.names.showing import visible

#: Links of the last entries are at hand when an entry about the anchor names one of them.
_WINDOW = 5000

#: The CA goes on working meanwhile: when the record tells of more than the ledger did, what was
#: added to the ledger since is read, this often at most.
_AGAIN = 10


class Audit(Struct):
    """One walk. `violations` first; then the counts are there.

    anchor: what the ledger knows of the anchor and what the TPM holds; None: the TPM is not asked.
    published: CRLs as they lie in the home, DER, by the issuer's slug.
    certificates: DER of certificates that must be in the ledger.
    refused: why the anchor could not even be read.
    """

    store: CertificateStore
    anchor: tuple[Known, AnchorReading] | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    published: Mapping[str, bytes] = field(default_factory=dict)
    certificates: tuple[bytes, ...] = ()
    refused: Violation | None = None
    entries: int = 0
    serials: int = 0
    found: Found | None = None
    _told: Told = field(default_factory=Told)
    _anchors: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    _keys: set[str] = field(default_factory=set)
    _links: OrderedDict[int, bytes] = field(default_factory=OrderedDict)

    def violations(self) -> Iterator[Violation]:
        """Everything that is not as it should be."""
        chain = Chain()
        wanted = {one.position.entries: one for one in self.checkpoints}
        links: dict[int, bytes] = {}
        differing: list[Violation] = []
        for _ in range(_AGAIN):
            seen = chain.count
            for entry in chain.walk(self.store.ledger(after=chain.last)):
                if entry.seq in wanted:
                    links[entry.seq] = entry.link
                self._links[entry.seq] = entry.link
                if len(self._links) > _WINDOW:
                    self._links.popitem(last=False)
                yield from self._tell(entry, chain.first)
            if differing and chain.count == seen:
                break  # nobody has added anything since: it is so
            differing = list(self._told.contradictions(self.store))
            if not differing:
                break
        self.entries = chain.count
        yield from chain.violations()
        yield from self._of_anchor()
        for checkpoint in self.checkpoints:
            yield from self._of_checkpoint(checkpoint, chain, links)
        yield from differing
        certified: set[bytes] = set()
        for history in self.store.histories():
            self.serials += 1
            if history.record is not None and history.record.profile_sha256:
                certified.add(history.record.profile_sha256)
            yield from contradictions(history)
        yield from self._of_profiles(certified)
        yield from self._of_published()
        yield from self._of_certificates()

    # -- what the ledger tells

    def _tell(self, entry: LedgerEntry, ledger: bytes) -> Iterator[Violation]:
        """Take in what an entry says of issuers, lists and anchors."""
        self._told.tell(entry)
        if entry.event in (
            LedgerEvent.ANCHOR_PLACED,
            LedgerEvent.ANCHORED,
            LedgerEvent.ACCEPTED,
        ):
            yield from self._of_note(entry, ledger)

    def _of_note(self, entry: LedgerEntry, ledger: bytes) -> Iterator[Violation]:
        """Does what the TPM is said to have held follow from what it held before?"""
        said = details.read_details(entry.details) or {}
        try:
            tpm, seq, value = str(said["tpm"]), int(said["seq"]), bytes.fromhex(said["value"])
            count = int(said["count"])
        except (KeyError, OverflowError, TypeError, ValueError):
            yield wrong("anchor-entry", f"entry {entry.seq}, about the anchor, cannot be read")
            return
        if said.get("attestation_key"):
            self._keys.add(str(said["attestation_key"]))
        before = self._anchors.get(tpm)
        self._anchors[tpm] = value, count
        if entry.event == LedgerEvent.ACCEPTED:
            return
        if entry.event == LedgerEvent.ANCHOR_PLACED:
            fits = before is None and value == first_value(ledger)
        else:
            fits = before is not None and extended(before[0], self._link(seq)) == value
            fits = fits and before is not None and count == before[1] + 1 and seq < entry.seq
        if not fits:
            yield wrong(
                "anchor-entry",
                f"entry {entry.seq} says that the TPM held something that does not follow from "
                "the entries before",
            )

    def _link(self, seq: int) -> bytes:
        if seq in self._links:
            return self._links[seq]
        entry = next(iter(self.store.ledger(after=seq - 1, until=seq)), None)
        return entry.link if entry is not None else b""

    # -- against the TPM and a checkpoint

    def _of_anchor(self) -> Iterator[Violation]:
        if self.refused is not None:
            yield self.refused
        if self.anchor is None:
            return
        known, reading = self.anchor
        try:
            self.found = reconcile(known, reading, self.store.ledger(after=max(known.seq - 1, 0)))
        except StoreError as error:
            yield Violation("ledger.anchor", error.problem, error.remedy)

    def _of_checkpoint(
        self, checkpoint: Checkpoint, chain: Chain, links: Mapping[int, bytes]
    ) -> Iterator[Violation]:
        position = checkpoint.position
        made = f"the checkpoint of {position.made:%Y-%m-%d %H:%M} UTC"
        if position.ledger != chain.first:
            yield wrong("checkpoint", f"{made} is of another ledger")
            return
        if checkpoint.attestation_key.hex() not in self._keys:
            yield wrong("checkpoint", f"{made} was signed by a key that is not this ledger's TPM's")
        if position.entries not in links:
            yield wrong(
                "set-back",
                f"{made} saw {position.entries} entries, and the ledger has {chain.count}: an "
                "old copy of the database was put back",
            )
        elif links[position.entries] != position.link:
            yield wrong(
                "rewritten",
                f"{made} saw another entry {position.entries}: the ledger was rewritten before it",
            )
        if self.anchor is not None and self.anchor[1].count < position.reading.count:
            yield wrong(
                "tpm-set-back",
                f"{made} saw the TPM at command {position.reading.count}, and now it is at "
                f"{self.anchor[1].count}: the state of the software TPM was set back",
            )

    # -- against the record

    def _of_profiles(self, certified: set[bytes]) -> Iterator[Violation]:
        """The texts of the profiles themselves: the ledger has their hashes.

        certified: SHA-256 of each that a certificate names; there are few.
        """
        for sha256, text in self.store.profile_texts():
            certified.discard(sha256)
            if hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() != sha256:
                yield wrong(
                    "profile",
                    f"the profile {sha256.hex()[:16]}… is not the text that was certified by",
                )
        for sha256 in sorted(certified):
            yield wrong("profile", f"the profile {sha256.hex()[:16]}… is gone from the record")

    # -- against what lies outside

    def _of_published(self) -> Iterator[Violation]:
        """A published list was signed by the CA: it tells of revocations the record must know."""
        for row in self.store.issuers():
            octets = self.published.get(row.slug)
            if octets is None:
                continue
            try:
                tbs = read_crl(octets).tbs
            except HomecaError as error:
                yield wrong("published", f"the published CRL of {row.slug!r}: {error.problem}")
                continue
            told = self._told.issuers.get(row.id, ToldIssuer())
            number = tbs.number or 0
            if number not in told.lists:
                newest = max(told.lists, default=0)
                yield wrong(
                    "set-back" if number > newest else "published",
                    f"the published CRL of {row.slug!r} has number {number}, and the newest the "
                    f"ledger tells of is {newest}",
                )
            elif f'"sha256":"{details.digest(octets)}"' not in told.lists[number]:
                yield wrong("published", f"the published CRL of {row.slug!r} is another one")
            yield from self._of_listed(row, (Serial(line.serial) for line in tbs.entries))

    def _of_listed(self, row: IssuerRecord, serials: Iterable[Serial]) -> Iterator[Violation]:
        revoked = {line.serial for line in self.store.revoked(row.id, expired_since=None)}
        for serial in serials:
            if serial in revoked:
                continue
            known = [r for r in self.store.by_serial(serial) if r.issuer_id == row.id]
            if not known:
                yield wrong(
                    "outside",
                    f"serial {serial_text(serial)} is on the published CRL of {row.slug!r}, and "
                    "the record does not know it",
                )

    def _of_certificates(self) -> Iterator[Violation]:
        for octets in self.certificates:
            tbs = read_certificate(octets, tolerant=True).tbs
            if not any(row.der == octets for row in self.store.by_serial(Serial(tbs.serial))):
                yield wrong(
                    "outside",
                    f"the certificate {serial_text(tbs.serial)} for "
                    f"{visible(str(tbs.subject)) or 'nobody'} is not in the ledger",
                )
