"""The home as it lies on disk: modes, key blobs, published files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ca.encoding.containers import pem
from ca.home import Home
from ca.interfaces import CertificateStore, IssuerRecord


@dataclass(frozen=True, slots=True)
class Concern:
    """Something about the CA that a person should know. rule: stable id.

    text, remedy:    harmless to show. needs_attention: False for what is so by choice.
    """

    rule: str
    text: str
    remedy: str
    needs_attention: bool = True


def concerns_of_files(home: Home, store: CertificateStore) -> Iterator[Concern]:
    """Modes and owners, keys that are not there, published files that are not the recorded ones."""
    yield from _of_modes(home)
    for issuer in store.issuers():
        yield from _of_key_file(home, issuer)
        yield from _of_published(home, issuer, store)


# ---------------------------------------------------------------- modes


def _of_modes(home: Home) -> Iterator[Concern]:
    for path in (home.path, home.keys, home.tpm):
        yield from _too_open(path, 0o077, "others can look inside", "700")
    for path in (home.database, *_below(home.keys), *_below(home.tpm)):
        yield from _too_open(path, 0o077, "others can read or change it", "600")
    for path in (home.settings, home.certs, home.crl, home.profiles, *_below(home.profiles)):
        yield from _too_open(path, 0o022, "others can change it", "go-w")


def _below(directory: Path) -> list[Path]:
    """Regular files, two levels deep at most: an embedded TPM keeps a few files."""
    try:
        found = sorted(directory.iterdir())
    except OSError:
        return []
    return [path for path in found if not path.is_symlink() and path.is_file()]


def _too_open(path: Path, forbidden: int, why: str, mode: str) -> Iterator[Concern]:
    try:
        status = path.lstat()
    except OSError:
        return
    shown = str(path)
    if stat.S_ISLNK(status.st_mode):
        yield Concern("home.symlink", f"{shown!r} is a symbolic link", "put the file itself there")
        return
    if status.st_uid != os.geteuid():
        yield Concern(
            "home.owner",
            f"{shown!r} belongs to user {status.st_uid}, not to you",
            f"run `chown {os.geteuid()} {shown}`",
        )
    if status.st_mode & forbidden:
        yield Concern(
            "home.mode",
            f"{shown!r} has mode {stat.S_IMODE(status.st_mode):04o}: {why}",
            f"run `chmod {mode} {shown}`",
        )


# ---------------------------------------------------------------- files beside the record


def _of_key_file(home: Home, issuer: IssuerRecord) -> Iterator[Concern]:
    if issuer.has_key and not (home.path / issuer.key_file).is_file():
        yield Concern(
            "key.file-missing",
            f"the key blob {issuer.key_file!r} of {issuer.subject!r} is not there: it cannot sign",
            "restore it from a backup of this home",
        )


def _of_published(home: Home, issuer: IssuerRecord, store: CertificateStore) -> Iterator[Concern]:
    if issuer.certificate is None:
        return
    expected = {
        home.certs / f"{issuer.slug}.pem": pem("CERTIFICATE", issuer.certificate),
        home.certs / f"{issuer.slug}.crt": issuer.certificate,
    }
    yield from _unlike(expected, "the recorded certificate", "homeca export")
    crl = store.last_crl(issuer.id)
    if crl is not None:
        files = {
            home.crl / f"{issuer.slug}.crl.pem": pem("X509 CRL", crl.der),
            home.crl / f"{issuer.slug}.crl": crl.der,
        }
        yield from _unlike(files, f"the recorded CRL {crl.number}", "homeca crl")


def _unlike(expected: dict[Path, bytes], what: str, command: str) -> Iterator[Concern]:
    for path, octets in expected.items():
        try:
            found = _read(path, len(octets) + 1)
        except OSError as error:
            yield Concern(
                "published.missing",
                f"{str(path)!r}, which should hold {what}, cannot be read: {error.strerror}",
                f"write it again with `{command}`",
            )
            continue
        if found != octets:
            yield Concern(
                "published.other",
                f"{str(path)!r} does not hold {what}",
                f"find out who changed it, then write it again with `{command}`",
            )


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(limit)
