"""What a backup holds and how: a tar in an age file, its manifest first.

    homeca-backup.json    the manifest: format, date, the CA, each file with size and SHA-256
    homeca.db             the record, one snapshot; not there when it is in PostgreSQL
    homeca.toml node      where they are there
    keys/ certs/ crl/ profiles/    and tpm/, when a software TPM was asked for

`age --decrypt FILE | tar --extract` takes it apart without homeca. Reading believes nothing: a
backup for an age recipient can be made by anybody who knows the recipient.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import MsgspecError, Struct, convert, to_builtins

from ca.encoding.age import Opened, sealed_size, takes_passphrase
from ca.encoding.age_keys import Identity, Passphrase, damaged, not_for_passphrase
from ca.errors import BackupDamaged, BackupTooNew, BackupTruncated, NotABackup, OutputFailed
from ca.interfaces.values import ONE_SECOND

FORMAT = 1
MANIFEST = "homeca-backup.json"
_MANIFEST_LIMIT = 16 << 20
_SIZE_LIMIT = 1 << 63
_BLOCK = 512
_PIECE = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Top-level files, and directories of which the plain files are taken.
RECORD, SETTINGS = "homeca.db", "homeca.toml"
FILES = (RECORD, SETTINGS, "node")
DIRECTORIES = ("keys", "certs", "crl", "profiles", "tpm")
_NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,200}")


class Member(Struct, frozen=True, kw_only=True):
    """A file. path: relative to the home, with "/". sha256: hex."""

    path: str
    size: int
    mode: int
    sha256: str


class KnownIssuer(Struct, frozen=True, kw_only=True):
    """An issuer as the backup knows it. crl: its highest CRL number, 0 for none."""

    slug: str
    subject: str
    crl: int


class Manifest(Struct, frozen=True, kw_only=True):
    """The first thing in a backup.

    made_at:      UTC. homeca: the version that made it.
    certificates: issued until then; revoked: of them. entries: of the ledger.
    octets:       of the tar after the manifest.
    """

    made_at: datetime
    homeca: str
    certificates: int
    revoked: int
    entries: int
    software_tpm: bool
    issuers: tuple[KnownIssuer, ...]
    members: tuple[Member, ...]
    octets: int

    @property
    def has_record(self) -> bool:
        """Or is it in PostgreSQL, so that only the rest of the home is here?"""
        return any(member.path == RECORD for member in self.members)

    def as_json(self) -> bytes:
        text = {
            "format": FORMAT,
            **to_builtins(self),
            "made_at": self.made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return json.dumps(text, indent=1).encode()

    @classmethod
    def from_json(cls, octets: bytes) -> Manifest:
        """Raises: NotABackup, BackupTooNew, BackupDamaged."""
        try:
            fields = json.loads(octets)
            form = fields.pop("format")
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise _no_manifest() from error
        if not isinstance(form, int) or isinstance(form, bool) or form < 1:
            raise _no_manifest()
        if form > FORMAT:
            raise BackupTooNew(
                f"the backup has format {form}, this homeca knows {FORMAT}",
                remedy="install the homeca that made it, or a newer one",
            )
        try:
            return _checked(fields)
        except (KeyError, TypeError, ValueError, MsgspecError) as error:
            raise damaged("its manifest does not say what it should") from error


def _checked(fields: Mapping[str, Any]) -> Manifest:
    members = convert(fields["members"], tuple[Member, ...])
    for member in members:
        _check_path(member.path)
        if not 0 <= member.size < _SIZE_LIMIT or member.mode & ~0o777:
            raise ValueError(member.path)
    paths = [member.path for member in members]
    if len(set(paths)) != len(paths) or not {RECORD, SETTINGS} & set(paths):
        raise ValueError("members")
    names = ("certificates", "revoked", "entries", "octets")
    numbers = {name: convert(fields[name], int) for name in names}
    return Manifest(
        made_at=datetime.strptime(fields["made_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        homeca=str(fields["homeca"]),
        software_tpm=bool(fields["software_tpm"]),
        issuers=convert(fields["issuers"], tuple[KnownIssuer, ...]),
        members=members,
        **numbers,
    )


def _check_path(path: str) -> None:
    """Only what a backup of ours can hold, and never a way out. Raises: ValueError."""
    if path in FILES:
        return
    directory, _, name = path.partition("/")
    if directory not in DIRECTORIES or name in (".", "..") or not _NAME.fullmatch(name):
        raise ValueError(path)
    os.fsencode(path)  # half a surrogate names no file


# ---------------------------------------------------------------- writing


def tar_of(manifest: Manifest, sources: Mapping[str, Path | bytes]) -> Iterator[bytes]:
    """The tar in pieces. sources: where the octets of each member are."""
    octets = manifest.as_json()
    yield _header(MANIFEST, len(octets), 0o600, manifest.made_at)
    yield from _padded([octets], len(octets))
    for member in manifest.members:
        yield _header(member.path, member.size, member.mode, manifest.made_at)
        yield from _padded(_pieces(sources[member.path]), member.size)
    yield bytes(2 * _BLOCK)


def octets_of(members: Sequence[Member], made_at: datetime) -> int:
    """How long the tar is after its manifest."""
    return 2 * _BLOCK + sum(
        len(_header(one.path, one.size, one.mode, made_at)) + one.size + -one.size % _BLOCK
        for one in members
    )


def member_of(path: str, source: Path | bytes, mode: int) -> Member:
    """Measured and hashed. Raises: OSError."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(source):
        digest.update(piece)
        size += len(piece)
    return Member(path=path, size=size, mode=mode, sha256=digest.hexdigest())


def _pieces(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _header(path: str, size: int, mode: int, made_at: datetime) -> bytes:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.mtime = size, mode, (made_at - _EPOCH) // ONE_SECOND
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padded(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Exactly `size` octets and the rest of a block; a file that changed meanwhile is noticed."""
    left = size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise BackupDamaged(
            "a file of the home changed while it was being backed up", remedy="try again"
        )
    yield bytes(-size % _BLOCK)


# ---------------------------------------------------------------- reading


def check_takes_passphrase(source: Path) -> None:
    """Before anybody is asked for one. A pipe can be read only once, and is not looked at.

    Raises: BackupLocked for a backup made for recipients; NotABackup, BackupDamaged,
            BackupTruncated; OutputFailed when it cannot be read.
    """
    if source.exists() and not source.is_file():
        return
    try:
        stream: BinaryIO = source.open("rb")
    except OSError as error:
        raise unreadable(source, error) from error
    with stream:
        if not takes_passphrase(stream):
            raise not_for_passphrase()


def unreadable(source: Path, error: OSError) -> OutputFailed:
    """The error for a backup that is not there or is another's."""
    return OutputFailed(
        f"the backup {str(source)!r} cannot be read: {error.strerror}",
        remedy="check the path and its mode",
    )


class Reading:
    """A backup being read, in one pass. The manifest first, then `files`.

    size: of the whole age file, to tell one that was cut off from a damaged one.
    """

    def __init__(
        self, stream: BinaryIO, key: Passphrase | Sequence[Identity], *, size: int
    ) -> None:
        """Raises: BackupError's leaves."""
        self._size = size
        opened = Opened(stream, key)
        self._header = opened.header
        self._source = _Source(opened)
        self._before = 0
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        try:
            head = tarfile.TarInfo.frombuf(self._source.take(_BLOCK), "utf-8", "strict")
        except (tarfile.TarError, ValueError) as error:
            raise _no_manifest() from error
        if head.name != MANIFEST or not 0 < head.size <= _MANIFEST_LIMIT:
            raise _no_manifest()
        octets = self._source.take(head.size)
        self._source.take(-head.size % _BLOCK)
        self._before = self._source.taken
        return Manifest.from_json(octets)

    def files(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Each member with its octets, which must be taken before the next one.

        Raises: BackupDamaged, BackupTruncated, at the latest at the end: what was taken before
                must not be used until then.
        """
        for member in self.manifest.members:
            expected = _header(member.path, member.size, member.mode, self.manifest.made_at)
            if self._take(len(expected)) != expected:
                raise damaged(f"{member.path!r} is not where its manifest says")
            yield member, self._contents(member)
        if self._take(2 * _BLOCK) != bytes(2 * _BLOCK) or not self._source.is_at_end():
            raise damaged("there is something behind its end")

    def _contents(self, member: Member) -> Iterator[bytes]:
        digest, left = hashlib.sha256(), member.size
        while left:
            piece = self._take(min(left, _PIECE))
            digest.update(piece)
            left -= len(piece)
            yield piece
        self._take(-member.size % _BLOCK)
        if digest.hexdigest() != member.sha256:
            raise damaged(f"{member.path!r} is not the file its manifest names")

    def _take(self, count: int) -> bytes:
        try:
            return self._source.take(count)
        except BackupDamaged as error:
            # the last piece of a file that was cut off looks damaged; its length tells
            whole = sealed_size(self._header, self._before + self.manifest.octets)
            if self._size < whole:
                raise BackupTruncated(
                    f"the backup is cut off: {self._size} of {whole} octets are there",
                    remedy="copy it again from where it was made, or use another backup",
                ) from error
            raise


class _Source:
    """Pieces, taken in the sizes that are asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self.taken = 0

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            piece = next(self._pieces, None)
            if piece is None:
                raise damaged("it ends before its manifest says")
            self._buffer += piece
        octets = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.taken += count
        return octets

    def is_at_end(self) -> bool:
        return not self._buffer and next(self._pieces, None) is None


def _no_manifest() -> NotABackup:
    return NotABackup(
        "the file opens, and holds no homeca backup",
        remedy="give the file that `homeca backup` wrote",
    )
