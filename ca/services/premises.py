"""The home as it lies on disk: modes, key blobs, published files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ca.encoding.containers import pem, read_crls
from ca.encoding.tpm import BORN_AND_BOUND, PublicArea
from ca.encoding.tsskey import TssKey
from ca.errors import HomecaError, OutputFailed
from ca.files import read_bounded
from ca.home import Home
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.revocation import CrlRecord
from ca.interfaces.store import CertificateStore
from ca.names.showing import shell_word, visible
from ca.services.finding import Finding, error, warning

#: A TSS2 PRIVATE KEY takes one or two kB.
KEY_LIMIT = 65536


class Concern(Struct, frozen=True):
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
            f"run `chown {os.geteuid()} {shell_word(path)}`",
        )
    if status.st_mode & forbidden:
        yield Concern(
            "home.mode",
            f"{shown!r} has mode {stat.S_IMODE(status.st_mode):04o}: {why}",
            f"run `chmod {mode} {shell_word(path)}`",
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
    if issuer.certificate is None or issuer.is_elsewhere:
        return  # another node publishes its own
    certificates = {
        home.certs / f"{issuer.slug}.pem": pem("CERTIFICATE", issuer.certificate),
        home.certs / f"{issuer.slug}.crt": issuer.certificate,
    }
    for path, octets in certificates.items():
        form = path.suffix.removeprefix(".").replace("crt", "der")
        command = (
            f"homeca export issuer --issuer {issuer.slug} --format {form} --force "
            f"--out {shell_word(path)}"
        )
        yield from _unlike(path, octets, "the recorded certificate", command)
    crl = store.last_crl(issuer.id)
    published = home.crl / f"{issuer.slug}.crl"
    if crl is None and issuer.has_key and published.exists():
        yield Concern(
            "published.unrecorded",
            f"{str(published)!r} is there, and the record knows of no CRL",
            "the record was set back, or the file is not this CA's: run `homeca check`",
        )
    if crl is not None:
        hashes = [trace.sha256 for trace in store.last_cut(issuer.id)]
        yield from _unlike_crls(published, crl, [[one] for one in hashes])
        yield from _unlike_crls(home.crl / f"{issuer.slug}.crl.pem", crl, [hashes])


def _unlike_crls(
    path: Path, crl: CrlRecord, expected: Sequence[Sequence[bytes | None]]
) -> Iterator[Concern]:
    """The DER file holds one of the CRLs that were cut together, the PEM file all in order.

    expected: SHA-256 of the lists a file may hold, one way or the other.
    """
    limit = 2 * len(crl.der) * max(map(len, expected), default=1) + 4096
    octets = b""
    ders: tuple[bytes, ...] = ()
    try:
        octets = read_bounded(path, limit)
        ders = read_crls(octets)
    except OutputFailed as error:
        yield Concern("published.missing", error.problem, "write it again: `homeca crl`")
        return
    except (HomecaError, ValueError):
        pass  # then it is not what it should be
    is_whole = octets in (b"".join(ders), b"".join(pem("X509 CRL", der) for der in ders))
    if not is_whole or [hashlib.sha256(der).digest() for der in ders] not in expected:
        yield Concern(
            "published.other",
            f"{str(path)!r} does not hold the recorded CRL {crl.number}",
            "find out who changed it, then write it again: `homeca crl`",
        )


def inspect_keys(home: Home, issuers: Sequence[IssuerRecord]) -> Iterator[Finding]:
    """Each key blob against its issuer's certificate, in pure Python, and blobs without issuer."""
    for issuer in issuers:
        if issuer.has_key and (home.path / issuer.key_file).is_file():
            yield from _inspect_key(home.path / issuer.key_file, issuer)
    known = {home.path / issuer.key_file for issuer in issuers if issuer.has_key}
    known.add(home.profile_signing_key)
    for path in _below(home.keys):
        if path not in known and not path.name.startswith("."):
            yield warning(
                "check.key.stray",
                f"keys/{visible(path.name)}",
                "no issuer of the record uses this file",
                "keep it if you know what it is; homeca does not need it",
            )


def _inspect_key(path: Path, issuer: IssuerRecord) -> Iterator[Finding]:
    where = visible(issuer.key_file)
    restore = "restore the file from a backup of this home"
    try:
        key = TssKey.from_pem(read_bounded(path, KEY_LIMIT))
        area = PublicArea.from_tpm2b(key.public)
        spki = area.spki
    except ValueError:
        yield error("check.key.malformed", where, "it is too long for a key blob", restore)
        return
    except HomecaError as fault:
        yield error("check.key.malformed", where, fault.problem, restore)
        return
    if spki != issuer.spki:
        yield error(
            "check.key.other",
            where,
            f"it holds another key than the certificate of {visible(issuer.subject)}",
            restore,
        )
    if area.attributes & BORN_AND_BOUND != BORN_AND_BOUND:
        yield error(
            "check.key.can-leave",
            where,
            "the TPM lets this key leave, or it was made outside (TPMA_OBJECT)",
            "make a new CA: this key may exist elsewhere",
        )


def _unlike(path: Path, octets: bytes, what: str, command: str) -> Iterator[Concern]:
    try:
        with path.open("rb") as stream:
            found = stream.read(len(octets) + 1)
    except OSError as error:
        yield Concern(
            "published.missing",
            f"{str(path)!r}, which should hold {what}, cannot be read: {error.strerror}",
            f"write it again: `{command}`",
        )
        return
    if found != octets:
        yield Concern(
            "published.other",
            f"{str(path)!r} does not hold {what}",
            f"find out who changed it, then write it again: `{command}`",
        )
