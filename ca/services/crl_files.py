"""CRLs as files: those of each issuer, and the one file that a VPN server reads.

crl/<slug>.crl       DER, what the CDP promises: the list that is valid now
crl/<slug>.crl.pem   PEM, the list or every rung of the ladder, in their order
crl/openvpn.pem      PEM, all of all issuers, for OpenVPN's `crl-verify`

Each file appears whole. openvpn.pem is written anew every time, never appended to: a stale list in
it could win over a newer one (client-rules d.7, CRL 2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ca.encoding.containers import MAX_CRLS_FILE, pem, read_crls
from ca.errors import HomecaError, NotFound
from ca.files import PUBLIC_FILE, read_bounded, write_whole
from ca.home import Home
from ca.interfaces import CertificateStore, CrlTrace, IssuerRecord
from ca.services.ladder import standing_ladder

JOINED = "openvpn.pem"
_LABEL = "X509 CRL"


def write_crls(slug: str, ders: Sequence[bytes], directory: Path) -> tuple[Path, ...]:
    """<slug>.crl.pem with all of them and <slug>.crl with the first, each whole."""
    pem_path = directory / f"{slug}.crl.pem"
    write_whole(pem_path, _joined(ders), mode=PUBLIC_FILE, replace=True)
    return pem_path, _write_current(slug, ders[0], directory)


def _write_current(slug: str, der: bytes, directory: Path) -> Path:
    path = directory / f"{slug}.crl"
    write_whole(path, der, mode=PUBLIC_FILE, replace=True)
    return path


def _joined(ders: Iterable[bytes]) -> bytes:
    return b"".join(pem(_LABEL, der) for der in ders)


def write_joined(ders: Iterable[bytes], directory: Path) -> Path:
    """openvpn.pem: these lists in one file (PEM only; OV6 of client-rules)."""
    path = directory / JOINED
    write_whole(path, _joined(ders), mode=PUBLIC_FILE, replace=True)
    return path


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
    issuer: IssuerRecord, home: Home, store: CertificateStore, *, at: datetime
) -> bytes | None:
    """DER of the list that is valid until the next one is cut; None where there is none.

    It stays in openvpn.pem below its successor: a server whose clock is behind finds the new list
    not yet valid, and with nothing else would refuse everybody until its clock has come that far.
    """
    ladder = standing_ladder(store, issuer.id)
    if ladder is None:
        return None
    current = ladder.current(at)
    if current.next_update is None or current.next_update <= at:
        return None
    kept = store.last_crl(issuer.id)
    if kept is not None and kept.number == current.number:
        return kept.der
    return lists_in(rungs_file(issuer, home)).get(current.sha256 or b"")


def rungs_file(issuer: IssuerRecord, home: Home) -> Path:
    return home.crl / f"{issuer.slug}.crl.pem"


def lists_of_another_home(issuer: IssuerRecord, home: Home) -> tuple[bytes, ...]:
    """DER of the lists that the home with this issuer's key cut, as `take_in` left them here."""
    return tuple(lists_in(rungs_file(issuer, home)).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A rung of a ladder, put where clients fetch it."""

    issuer: IssuerRecord
    rung: CrlTrace
    path: Path


def advance(home: Home, store: CertificateStore, *, at: datetime) -> Iterator[Published]:
    """Put the rung that is valid now into <slug>.crl, where another one is there.

    No key is needed: the rungs lie in <slug>.crl.pem, and the record says which octets they have.
    Raises: NotFound when the rung is not there; OutputFailed.
    """
    for issuer in store.issuers():
        ladder = standing_ladder(store, issuer.id)
        if ladder is None or ladder.is_single:
            continue
        rung = ladder.current(at)
        if is_published(issuer, rung, home):
            continue
        place = rungs_file(issuer, home)
        der = lists_in(place).get(rung.sha256 or b"")
        if der is None:
            raise NotFound(
                f"CRL {rung.number} of {issuer.subject!r} is not in {str(place)!r}",
                remedy="run `homeca crl`: it cuts the whole ladder anew",
            )
        yield Published(issuer=issuer, rung=rung, path=_write_current(issuer.slug, der, home.crl))


def is_published(issuer: IssuerRecord, rung: CrlTrace, home: Home) -> bool:
    """Is it this list that clients fetch?"""
    return published_hash(issuer, home) == rung.sha256


def published_hash(issuer: IssuerRecord, home: Home) -> bytes | None:
    """SHA-256 of what clients fetch; None when there is nothing."""
    try:
        return hashlib.sha256(_octets(home.crl / f"{issuer.slug}.crl")).digest()
    except (HomecaError, ValueError):
        return None
