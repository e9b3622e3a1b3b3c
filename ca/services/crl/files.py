"""CRLs as files: those of each issuer, and the one file that a VPN server reads.

crl/<slug>.crl       DER, what the CDP promises: the list that is valid now
crl/<slug>.crl.pem   PEM, the list or every rung of the ladder, in their order
crl/openvpn.pem      PEM, all of all issuers, for OpenVPN's `crl-verify`

Each file appears whole. openvpn.pem is written anew every time, never appended to: a stale list in
it could win over a newer one (client-rules d.7, CRL 2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import chain
from pathlib import Path

from msgspec import Struct

from ca.encoding.containers import MAX_CRLS_FILE, pem_pieces, read_crls
from ca.encoding.inspect import read_crl
from ca.errors import HomecaError, NotFound, OutputFailed
from ca.files import PUBLIC_FILE, locked, read_bounded, write_whole
from ca.home import Home
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.revocation import CrlRecord, CrlTrace
from ca.interfaces.store import CertificateStore
from ca.names.showing import visible
from ca.services.crl.ladder import standing_ladder
from ca.services.crl.publication import compare
from ca.services.facility import PATIENCE

JOINED = "openvpn.pem"
_LABEL = "X509 CRL"


def write_crls(
    slug: str, ders: Sequence[bytes], directory: Path, *, current: bytes | None = None
) -> tuple[Path, ...]:
    """<slug>.crl.pem with all of them and <slug>.crl with one, the first of them, each whole."""
    pem_path = directory / f"{slug}.crl.pem"
    write_whole(pem_path, _joined(ders), mode=PUBLIC_FILE, replace=True)
    return pem_path, _write_current(slug, current or ders[0], directory)


def _write_current(slug: str, der: bytes, directory: Path) -> Path:
    path = directory / f"{slug}.crl"
    write_whole(path, der, mode=PUBLIC_FILE, replace=True)
    return path


def _joined(ders: Iterable[bytes]) -> Iterator[bytes]:
    return chain.from_iterable(pem_pieces(_LABEL, der) for der in ders)


def write_joined(ders: Iterable[bytes], directory: Path) -> Path:
    """openvpn.pem: these lists in one file (PEM only; OV6 of client-rules)."""
    path = directory / JOINED
    write_whole(path, _joined(ders), mode=PUBLIC_FILE, replace=True)
    return path


class Elsewhere:
    """A second directory for the lists, whose troubles must not keep those in the home from being
    cut: they run out, and what fetches them refuses everybody.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._error: OutputFailed | None = None

    def write(self, writing: Callable[[Path], tuple[Path, ...]]) -> tuple[Path, ...]:
        """What was written there; nothing more after a first failure: its files are of one cut."""
        if self._directory is None or self._error is not None:
            return ()
        try:
            return writing(self._directory)
        except OutputFailed as error:
            self._error = error
            return ()

    def tell(self, home: Home) -> None:
        """Raises: OutputFailed when something could not be written."""
        if self._error is not None:
            raise OutputFailed(
                f"{self._error.problem}; the lists in {visible(str(home.crl))!r} are cut",
                remedy="mend that directory, its mode or the free space, and run `homeca crl` with "
                "the same --out again",
            ) from self._error


def lists_in(path: Path) -> Mapping[bytes, bytes]:
    """SHA-256 → DER of every list in a file; nothing where there is no such file, or no list.

    What is in the file is believed by nobody: a caller looks it up by the hash of the record.
    """
    try:
        return {hashlib.sha256(der).digest(): der for der in read_crls(_octets(path))}
    except (HomecaError, ValueError):
        return {}


def _octets(path: Path) -> bytes:
    return read_bounded(path, MAX_CRLS_FILE)


def predecessor(
    issuer: IssuerRecord,
    home: Home,
    store: CertificateStore,
    *,
    last: CrlRecord | None,
    at: datetime,
) -> bytes | None:
    """DER of the list that is valid until the next one is cut; None where there is none.

    last: the CRL that the record keeps.
    It stays in openvpn.pem below its successor: a server whose clock is behind finds the new list
    not yet valid, and with nothing else would refuse everybody until its clock has come that far.
    """
    ladder = standing_ladder(store, issuer.id)
    if ladder is None:
        return None
    current = ladder.current(at)
    if current.next_update is None or current.next_update <= at:
        return None
    if last is not None and last.number == current.number:
        return last.der
    return lists_in(rungs_file(issuer, home)).get(current.sha256 or b"")


def rungs_file(issuer: IssuerRecord, home: Home) -> Path:
    return home.crl / f"{issuer.slug}.crl.pem"


def lists_at_hand(
    issuer: IssuerRecord, home: Home, store: CertificateStore, *, at: datetime
) -> tuple[bytes, ...]:
    """DER of the issuer's lists that are not over and lie in <slug>.crl.pem, in their order.

    With the key here, or at a node that shares the record, only what the record knows counts;
    lists cut elsewhere were verified when `elsewhere` took them in.
    """
    there = dict(lists_in(rungs_file(issuer, home)))
    kept = store.last_crl(issuer.id) if issuer.is_elsewhere else None
    if kept is not None:
        there[hashlib.sha256(kept.der).digest()] = kept.der
    if not issuer.has_key and kept is None:
        return tuple(der for der in there.values() if not _is_over(der, at))
    ladder = standing_ladder(store, issuer.id)
    if ladder is None:
        return ()
    return tuple(
        there[trace.sha256]
        for trace, rung in zip(ladder.traces, ladder.rungs, strict=True)
        if trace.sha256 is not None and trace.sha256 in there and rung.next_update > at
    )


def ends(home: Home, store: CertificateStore, *, at: datetime) -> Mapping[int, datetime]:
    """Issuer → when the last of its lists in openvpn.pem ends; those without one are left out.

    An issuer that has ended itself needs none.
    """
    found = {}
    for issuer in store.issuers():
        if issuer.not_after is None or issuer.not_after <= at:
            continue
        ladder = standing_ladder(store, issuer.id) if issuer.has_key else None
        if ladder is not None:
            found[issuer.id] = ladder.armed_until
        elif not issuer.has_key:
            times = [
                facts.tbs.next_update.moment
                for facts in map(read_crl, lists_at_hand(issuer, home, store, at=at))
                if facts.tbs.next_update is not None
            ]
            found |= {issuer.id: max(times)} if times else {}
    return found


def valid_now(
    issuer: IssuerRecord, at_hand: Sequence[bytes], store: CertificateStore, *, at: datetime
) -> bytes | None:
    """Which of its lists at hand clients are to fetch; None where the record does not say."""
    ladder = standing_ladder(store, issuer.id)
    rung = ladder.current(at).sha256 if ladder is not None else None
    return next((der for der in at_hand if hashlib.sha256(der).digest() == rung), None)


def _is_over(der: bytes, at: datetime) -> bool:
    end = read_crl(der).tbs.next_update
    return end is not None and end.moment <= at


def is_due(issuer: IssuerRecord, home: Home, store: CertificateStore, *, at: datetime) -> bool:
    """Should this issuer's lists be cut now: none yet, half gone, not as recorded, or lost?

    Never once it has ended itself; half gone is nothing where they last as long as it does.
    """
    if issuer.has_ended(at):
        return False
    ladder, kept = standing_ladder(store, issuer.id), store.last_crl(issuer.id)
    if ladder is None or kept is None:
        return True
    if ladder.due <= at and not ladder.lasts_to(issuer.not_after):
        return True
    if compare(issuer, kept, store):
        return True
    open_rungs = sum(rung.next_update > at for rung in ladder.rungs)
    return len(lists_at_hand(issuer, home, store, at=at)) < open_rungs


def publishing(home: Home, on_wait: Callable[[str], None]) -> AbstractContextManager[None]:
    """One at a time, from a number to its files: a newer list is never overwritten by an older."""
    return locked(home.crl_lock, what="cuts the CRLs", on_wait=on_wait, patience=PATIENCE)


class Published(Struct, frozen=True, kw_only=True):
    """A rung of a ladder, put where clients fetch it."""

    issuer: IssuerRecord
    rung: CrlTrace
    path: Path


def advance(
    home: Home, store: CertificateStore, *, at: datetime, on_wait: Callable[[str], None]
) -> Iterator[Published]:
    """Put the rung that is valid now into <slug>.crl, where another one is there.

    No key is needed: the rungs lie in <slug>.crl.pem, and the record says which octets they have.
    Raises: NotFound when the rung is not there; OutputFailed.
    """
    for issuer in store.issuers():
        if _rung_to_publish(issuer, home, store, at=at) is None:
            continue  # as nearly always: nobody is made to wait
        with publishing(home, on_wait):
            rung = _rung_to_publish(issuer, home, store, at=at)
            if rung is None:
                continue
            place = rungs_file(issuer, home)
            der = lists_in(place).get(rung.sha256 or b"")
            if der is None:
                raise NotFound(
                    f"CRL {rung.number} of {issuer.subject!r} is not in {str(place)!r}",
                    remedy="run `homeca crl`: it cuts the whole ladder anew",
                )
            path = _write_current(issuer.slug, der, home.crl)
        yield Published(issuer=issuer, rung=rung, path=path)


def _rung_to_publish(
    issuer: IssuerRecord, home: Home, store: CertificateStore, *, at: datetime
) -> CrlTrace | None:
    ladder = standing_ladder(store, issuer.id)
    if ladder is None or ladder.is_single:
        return None
    rung = ladder.current(at)
    return None if is_published(issuer, rung, home) else rung


def is_published(issuer: IssuerRecord, rung: CrlTrace, home: Home) -> bool:
    """Is it this list that clients fetch?"""
    return published_hash(issuer, home) == rung.sha256


def published_hash(issuer: IssuerRecord, home: Home) -> bytes | None:
    """SHA-256 of what clients fetch; None when there is nothing."""
    try:
        return hashlib.sha256(_octets(home.crl / f"{issuer.slug}.crl")).digest()
    except (HomecaError, ValueError):
        return None
