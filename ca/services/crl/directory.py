"""The directory form of OpenVPN's `crl-verify DIR dir`: an empty file for each revoked serial.

The name is the serial in decimal; one in hex would be ignored in silence, and the revoked client
let in (client-rules OV8). Nothing in it expires, so nothing can lock anybody out; and nothing in
it is signed, so it belongs on a server that is trusted to keep it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from ca.errors import OutputFailed, UsageError
from ca.failpoints import failpoint
from ca.files import PUBLIC_FILE, sync_directory
from ca.home import Home
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial
from ca.services.crl.files import publishing

_PUBLIC_DIRECTORY = 0o755
_DECIMAL = re.compile(r"[1-9][0-9]{0,48}\Z")  # 20 octets have at most 49 digits


class Listed(Struct, frozen=True, kw_only=True):
    """What was done. strange: names in the directory that are no serial of this CA; left there."""

    revoked: int
    added: int
    removed: int
    strange: tuple[str, ...]


def write_directory(
    directory: Path, home: Home, store: CertificateStore, *, on_wait: Callable[[str], None]
) -> Listed:
    """Bring the directory up to date: first what is new, then what was released goes.

    One at a time: who has read the record before another one revoked must not write after it.
    Made with mode 0755 where it is not there, files with 0644: OpenVPN reads it as `nobody`.
    Raises: OutputFailed, UsageError when the path is not a directory.
    """
    with publishing(home, on_wait):
        return _write(directory, store)


def _write(directory: Path, store: CertificateStore) -> Listed:
    wanted = {
        str(line.serial)
        for issuer in store.issuers()
        for line in store.revoked(issuer.id, expired_since=None)
    }
    failpoint("revoked.read")
    try:
        _make(directory)
        there = {entry.name: entry for entry in os.scandir(directory)}
        added = sorted(wanted - there.keys())
        for name in added:
            _touch(directory / name)
        sync_directory(directory)
        removed, strange = 0, []
        for name in sorted(there.keys() - wanted):
            records = _records_named(there[name], store)
            if not records:
                strange.append(name)
            elif any(record.is_revoked for record in records):
                wanted.add(name)  # since a moment ago: another one put it there, or left it
            else:
                (directory / name).unlink()
                removed += 1
        sync_directory(directory)
    except OSError as error:
        raise OutputFailed(
            f"the directory {str(directory)!r} cannot be written: {error.strerror}",
            remedy="check who owns it, its mode and the free space",
        ) from error
    return Listed(revoked=len(wanted), added=len(added), removed=removed, strange=tuple(strange))


def _make(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise UsageError(
            f"{str(directory)!r} is not a directory", remedy="name one, or a path that is free"
        )
    if not directory.exists():
        directory.mkdir()
        directory.chmod(_PUBLIC_DIRECTORY)


def _touch(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PUBLIC_FILE)
    try:
        os.fchmod(descriptor, PUBLIC_FILE)
    finally:
        os.close(descriptor)


def _records_named(
    entry: os.DirEntry[str], store: CertificateStore
) -> tuple[CertificateRecord, ...]:
    """The certificates an empty file stands for, as they are recorded now; none: it is not ours."""
    if not _DECIMAL.match(entry.name) or not entry.is_file(follow_symlinks=False):
        return ()
    if entry.stat(follow_symlinks=False).st_size:
        return ()
    return tuple(store.by_serial(Serial(int(entry.name))))
