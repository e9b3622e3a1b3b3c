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
from ca.interfaces.issuing import IssuerRecord, IssuerState
from ca.interfaces.ledger import AnchorReading, LedgerEntry, LedgerEvent
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial, serial_text
from ca.ledger.anchoring import Found, Known, reconcile
from ca.ledger.chain import RESTORE, Chain
from ca.ledger.history import contradictions
from ca.names.showing import visible

#: Links of the last entries are at hand when an entry about the anchor names one of them.
_WINDOW = 5000

#: The CA goes on working meanwhile: when the record tells of more than the ledger did, what was
#: added to the ledger since is read, this often at most.
_AGAIN = 10


class _Issuer(Struct):
    """An issuer as the ledger tells it."""

    begun: str = ""
    key: str = ""
    active: str = ""
    state: IssuerState = IssuerState.PENDING
    numbers: set[int] = field(default_factory=set)
    lists: dict[int, str] = field(default_factory=dict)


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
    _issuers: dict[int, _Issuer] = field(default_factory=dict)
    _custodies: dict[str, str] = field(default_factory=dict)  # of each node; "": not shared
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
            differing = list(self._of_issuers())
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
        if entry.issuer_id is not None:
            self._of_issuer(entry, self._issuers.setdefault(entry.issuer_id, _Issuer()))
        elif entry.event == LedgerEvent.CUSTODY:
            self._custodies[_node(entry)] = entry.details
        elif entry.event in (
            LedgerEvent.ANCHOR_PLACED,
            LedgerEvent.ANCHORED,
            LedgerEvent.ACCEPTED,
        ):
            yield from self._of_note(entry, ledger)

    @staticmethod
    def _of_issuer(entry: LedgerEntry, issuer: _Issuer) -> None:
        match entry.event:
            case LedgerEvent.ISSUER_BEGUN:
                issuer.begun = entry.details
            case LedgerEvent.ISSUER_KEY:
                issuer.key = entry.details
            case LedgerEvent.ISSUER_ACTIVE:
                issuer.active, issuer.state = entry.details, IssuerState.ACTIVE
            case LedgerEvent.ISSUER_RETIRED:
                issuer.state = IssuerState.RETIRED
            case LedgerEvent.ISSUER_ABANDONED:
                issuer.state = IssuerState.ABANDONED
            case LedgerEvent.CRL_RESERVED:
                issuer.numbers.add(_number(entry))
            case LedgerEvent.CRL:
                issuer.lists[_number(entry)] = entry.details

    def _of_note(self, entry: LedgerEntry, ledger: bytes) -> Iterator[Violation]:
        """Does what the TPM is said to have held follow from what it held before?"""
        said = details.read_details(entry.details) or {}
        try:
            tpm, seq, value = str(said["tpm"]), int(said["seq"]), bytes.fromhex(said["value"])
            count = int(said["count"])
        except (KeyError, OverflowError, TypeError, ValueError):
            yield _wrong("anchor-entry", f"entry {entry.seq}, about the anchor, cannot be read")
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
            yield _wrong(
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
            yield _wrong("checkpoint", f"{made} is of another ledger")
            return
        if checkpoint.attestation_key.hex() not in self._keys:
            yield _wrong(
                "checkpoint", f"{made} was signed by a key that is not this ledger's TPM's"
            )
        if position.entries not in links:
            yield _wrong(
                "set-back",
                f"{made} saw {position.entries} entries, and the ledger has {chain.count}: an "
                "old copy of the database was put back",
            )
        elif links[position.entries] != position.link:
            yield _wrong(
                "rewritten",
                f"{made} saw another entry {position.entries}: the ledger was rewritten before it",
            )
        if self.anchor is not None and self.anchor[1].count < position.reading.count:
            yield _wrong(
                "tpm-set-back",
                f"{made} saw the TPM at command {position.reading.count}, and now it is at "
                f"{self.anchor[1].count}: the state of the software TPM was set back",
            )

    # -- against the record

    def _of_issuers(self) -> Iterator[Violation]:
        rows = {issuer.id: issuer for issuer in self.store.issuers()}
        for number, told in self._issuers.items():
            if not told.begun and number not in rows:
                yield _wrong("issuer", f"the ledger knows acts of an issuer {number} that is none")
            elif number not in rows and told.state is not IssuerState.ABANDONED:
                yield _wrong("issuer", f"the issuer {number} is gone from the record")
        for row in rows.values():
            entry = self._issuers.get(row.id)
            if entry is None:
                yield _wrong("issuer", f"the issuer {row.slug!r} is not in the ledger")
                continue
            yield from _issuer_differs(row, entry)
            yield from self._lists_differ(row, entry)
        if self._recorded_custodies() != self._custodies:
            yield _wrong("custody", "the recorded TPM is not the one the ledger tells of")

    def _recorded_custodies(self) -> dict[str, str]:
        """Node → what the entry about its TPM must say."""
        nodes = self.store.nodes()
        found = {node.identity: node.custody for node in nodes} or {"": self.store.custody()}
        return {
            node: details.details_text(
                details.custody(
                    kind=custody.kind.value,
                    tcti=custody.tcti,
                    manufacturer=custody.manufacturer,
                    model=custody.model,
                    firmware=custody.firmware,
                    srk_public=custody.srk_public,
                    node=node or None,
                )
            )
            for node, custody in found.items()
            if custody is not None
        }

    def _lists_differ(self, row: IssuerRecord, told: _Issuer) -> Iterator[Violation]:
        seen: set[int] = set()
        for trace in self.store.crl_history(row.id):
            seen.add(trace.number)
            entry = told.lists.get(trace.number)
            found = None
            if trace.sha256 is not None:
                said = details.crl(
                    number=trace.number,
                    this_update=trace.this_update,
                    next_update=trace.next_update,
                    entries=trace.entries,
                    sha256=trace.sha256,
                )
                found = details.details_text(said)
            if trace.number not in told.numbers or found != entry:
                yield _wrong(
                    "crl", f"CRL {trace.number} of {row.slug!r} is not as the ledger tells of it"
                )
        for number in sorted(told.numbers - seen):
            yield _wrong("crl", f"CRL {number} of {row.slug!r} is gone from the record")

    def _of_profiles(self, certified: set[bytes]) -> Iterator[Violation]:
        """The texts of the profiles themselves: the ledger has their hashes.

        certified: SHA-256 of each that a certificate names; there are few.
        """
        for sha256, text in self.store.profile_texts():
            certified.discard(sha256)
            if hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() != sha256:
                yield _wrong(
                    "profile",
                    f"the profile {sha256.hex()[:16]}… is not the text that was certified by",
                )
        for sha256 in sorted(certified):
            yield _wrong("profile", f"the profile {sha256.hex()[:16]}… is gone from the record")

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
                yield _wrong("published", f"the published CRL of {row.slug!r}: {error.problem}")
                continue
            told = self._issuers.get(row.id, _Issuer())
            number = tbs.number or 0
            if number not in told.lists:
                newest = max(told.lists, default=0)
                yield _wrong(
                    "set-back" if number > newest else "published",
                    f"the published CRL of {row.slug!r} has number {number}, and the newest the "
                    f"ledger tells of is {newest}",
                )
            elif f'"sha256":"{details.digest(octets)}"' not in told.lists[number]:
                yield _wrong("published", f"the published CRL of {row.slug!r} is another one")
            yield from self._of_listed(row, (Serial(line.serial) for line in tbs.entries))

    def _of_listed(self, row: IssuerRecord, serials: Iterable[Serial]) -> Iterator[Violation]:
        revoked = {line.serial for line in self.store.revoked(row.id, expired_since=None)}
        for serial in serials:
            if serial in revoked:
                continue
            known = [r for r in self.store.by_serial(serial) if r.issuer_id == row.id]
            if not known:
                yield _wrong(
                    "outside",
                    f"serial {serial_text(serial)} is on the published CRL of {row.slug!r}, and "
                    "the record does not know it",
                )

    def _of_certificates(self) -> Iterator[Violation]:
        for octets in self.certificates:
            tbs = read_certificate(octets, tolerant=True).tbs
            if not any(row.der == octets for row in self.store.by_serial(Serial(tbs.serial))):
                yield _wrong(
                    "outside",
                    f"the certificate {serial_text(tbs.serial)} for "
                    f"{visible(str(tbs.subject)) or 'nobody'} is not in the ledger",
                )


def _issuer_differs(row: IssuerRecord, told: _Issuer) -> Iterator[Violation]:
    begun = details.issuer_begun(
        role=row.role.value,
        slug=row.slug,
        subject=row.subject,
        subject_der=row.subject_der,
        crl_url=row.crl_url,
        issuer_url=row.issuer_url,
    )
    # where the key of another node's issuer lies, that node knows alone
    place = _key_file(told.key) if row.is_elsewhere else row.key_file
    key = details.issuer_key(spki=row.spki, key_kind=row.key_kind, key_file=place)
    active = details.issuer_active(
        parent_id=row.parent_id,
        certificate=row.certificate,
        serial=row.serial,
        not_before=row.not_before,
        not_after=row.not_after,
    )
    wanted = (
        (told.begun, begun, True),
        (told.key, key, bool(row.spki)),
        (told.active, active, row.certificate is not None),
    )
    for entry, found, is_there in wanted:
        if entry != (details.details_text(found) if is_there else ""):
            yield _wrong("issuer", f"the issuer {row.slug!r} is not as the ledger tells of it")
            return
    if told.state is not row.state:
        yield _wrong(
            "issuer",
            f"the issuer {row.slug!r} is {row.state.value!r}, and {told.state.value!r} in the "
            "ledger",
        )


def _key_file(key: str) -> str:
    said = details.read_details(key) or {}
    return str(said.get("key_file", ""))


def _node(entry: LedgerEntry) -> str:
    """Whose custody an entry is about."""
    said = details.read_details(entry.details) or {}
    return str(said.get("node", ""))


def _number(entry: LedgerEntry) -> int:
    said = details.read_details(entry.details) or {}
    try:
        return int(said["number"])
    except (KeyError, OverflowError, TypeError, ValueError):
        return -1


def _wrong(rule: str, text: str) -> Violation:
    return Violation(f"ledger.{rule}", text, RESTORE)
