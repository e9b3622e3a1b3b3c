"""`homeca restore` and `homeca drill`: a backup becomes a home again, or proves that it could.

Everything is unpacked beside the place where it is to be and judged there. Only when nothing is
wrong does the directory get its name, so a backup that is refused has changed nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from ca.encoding.age_keys import Identity, Passphrase
from ca.encoding.facts import CrlFacts
from ca.errors import (
    AlreadyInitialised,
    BackupDamaged,
    BackupStale,
    DrillFailed,
    OutputFailed,
    SettingsMalformed,
    UsageError,
    Violation,
)
from ca.files import make_parents, sync_directory
from ca.home import Home
from ca.interfaces.ledger import LedgerEvent
from ca.services.backup.file import DIRECTORIES, Manifest, Member, Reading, unreadable
from ca.services.backup.forgotten import say_again, what_lists_know
from ca.services.backup.making import remember
from ca.services.backup.strange import Spell, check_own, check_server, check_way
from ca.services.facility import Facility
from ca.services.finding import Finding, Gravity
from ca.services.inspection.inspecting import inspect
from ca.services.premises import inspect_keys
from ca.services.scratch import scratch_directory
from ca.settings import Settings, read_settings

#: Opens a home that a backup was unpacked into: its record, and no TPM.
Open = Callable[[Home], AbstractContextManager[Facility]]

#: Something outside that remembers: what it knows and this record does not. Empty: nothing.
Witness = Callable[[Facility], Iterable[Violation]]

#: CRL numbers that a forgotten copy of the record may have given after the backup was made.
NUMBERS_LEFT_OUT = 1 << 20

_LISTED = 20


class Restored(Struct, frozen=True, kw_only=True):
    """A home that came back. forgotten: what the witnesses know and it does not."""

    home: Home
    manifest: Manifest
    forgotten: tuple[Violation, ...]


def restore(
    source: Path,
    key: Passphrase | Sequence[Identity],
    home: Home,
    *,
    opened: Open,
    spelled: Spell,
    lists: Sequence[CrlFacts] = (),
    witnesses: Sequence[Witness] = (),
    accept_older: bool = False,
    tpm: str | None = None,
    database: str | None = None,
    at: datetime,
) -> Restored:
    """Make `home`, which must not be there or be an empty directory, from a backup.

    lists:     CRLs that are still out there. What they revoke and the backup does not is revoked
               again where the backup has the certificate.
    witnesses: asked whether the backup is of the newest state they know of.
               Neither is asked when the record is in PostgreSQL and not in the backup.
    tpm, database: the TCTI and the URL of the record that the operator named.
    Raises:    AlreadyInitialised; UsageError for lists that no record can be held against;
               BackupError's leaves; BackupStale with everything that would be
               forgotten, unless `accept_older`; BackupStrange for a way to the TPM that is
               not a TPM's device, unless it is `tpm`, and for a record elsewhere that is not
               `database`; StoreError, OutputFailed.
    """
    _check_empty(home.path)
    make_parents(home.path)
    with (
        scratch_directory(home.path.parent, f".{home.path.name}.restoring-") as scratch,
        _reading(source, key) as reading,
    ):
        staged = Home(scratch / "home")
        unpack(reading, staged.path)
        if not reading.manifest.has_record:
            settings = _check_elsewhere(staged, lists)
            check_way(settings.tpm, tpm)
            check_server(str(settings.database), database, spelled)
            _appear(staged.path, home.path)
            return Restored(home=home, manifest=reading.manifest, forgotten=())
        with opened(staged) as facility:
            _check_record(facility, reading.manifest)
            check_own(facility.settings.database, home.database, spelled)
            custody = facility.store.custody()
            for way in (facility.settings.tpm, custody.tcti if custody is not None else None):
                check_way(way, tpm)
            known = what_lists_know(lists, facility)
            others = [found for witness in witnesses for found in witness(facility)]
            forgotten = (*known.violations, *others)
            if forgotten and not accept_older:
                raise _stale(reading.manifest, forgotten)
            say_again(known, facility.store, at=at)
            _begin_anew(facility, reading.manifest, forgotten, at=at)
        _appear(staged.path, home.path)
    return Restored(home=home, manifest=reading.manifest, forgotten=forgotten)


def _check_empty(path: Path) -> None:
    try:
        is_empty = not any(path.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise AlreadyInitialised(
            f"{str(path)!r} cannot be a home: {error.strerror}", remedy="name another --home"
        ) from error
    if not is_empty:
        raise AlreadyInitialised(
            f"{str(path)!r} is not empty: a backup is restored into an empty home",
            remedy="name another --home, or move this one away first",
        )


@contextmanager
def _reading(source: Path, key: Passphrase | Sequence[Identity]) -> Iterator[Reading]:
    try:
        stream: BinaryIO = source.open("rb")
    except OSError as error:
        raise unreadable(source, error) from error
    with stream:
        yield Reading(stream, key, size=os.fstat(stream.fileno()).st_size)


def unpack(reading: Reading, place: Path) -> None:
    """All files into a new private directory. Raises: BackupError's leaves, OutputFailed."""
    try:
        for directory in (place, *(place / name for name in DIRECTORIES if name != "tpm")):
            directory.mkdir(mode=0o700)
        if any(member.path.startswith("tpm/") for member in reading.manifest.members):
            (place / "tpm").mkdir(mode=0o700)
        for member, pieces in reading.files():
            _write(place / member.path, member, pieces)
    except OSError as error:
        raise OutputFailed(
            f"the backup cannot be unpacked: {error.strerror}",
            remedy="check the free space and the mode of the directory above the home",
        ) from error


def _write(path: Path, member: Member, pieces: Iterable[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        # nothing that others could write, whoever made this backup
        os.fchmod(descriptor, 0o644 if member.mode & 0o044 else 0o600)
        for piece in pieces:
            stream.write(piece)
        stream.flush()
        os.fsync(descriptor)


def _check_record(facility: Facility, manifest: Manifest) -> None:
    """The record is sound and is the one the manifest describes. Raises: BackupDamaged."""
    faults = [fault.text for fault in facility.store.faults()]
    known = {one.slug: one.subject for one in manifest.issuers}
    there = {issuer.slug: issuer.subject for issuer in facility.store.issuers()}
    if known != there:
        faults.append("its issuers are not those of the manifest")
    if faults:
        raise BackupDamaged(
            f"the record in the backup is not sound: {faults[0]}", remedy="use another backup"
        )


def _check_elsewhere(staged: Home, lists: Sequence[CrlFacts] = ()) -> Settings:
    """Without a record in it, its settings must say where that is. Raises: BackupDamaged."""
    try:
        settings = read_settings(staged.settings.read_bytes())
    except SettingsMalformed as error:
        raise BackupDamaged(
            f"its homeca.toml cannot be read: {error.problem}", remedy="use another backup"
        ) from error
    if settings.database is None:
        raise BackupDamaged(
            "the backup holds neither a record nor where it is", remedy="use another backup"
        )
    if lists:
        raise UsageError(
            "the record is not in this backup, so no CRL can be held against it",
            remedy="leave out --crl; restore the database from its own dump, then give them to "
            "`homeca audit accept --crl`",
        )
    return settings


def _stale(manifest: Manifest, forgotten: tuple[Violation, ...]) -> BackupStale:
    return BackupStale(
        f"the backup of {manifest.made_at:%Y-%m-%d %H:%M} UTC is older than the newest state that "
        f"is known: {len(forgotten)} things would be forgotten",
        remedy="use a newer backup; if there is none, add --accept-older",
        violations=forgotten[:_LISTED],
    )


def _begin_anew(
    facility: Facility, manifest: Manifest, forgotten: Sequence[Violation], *, at: datetime
) -> None:
    """Numbers that were given after the backup are never given again; the ledger is told."""
    said = {
        "made": manifest.made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "forgotten": [one.text for one in forgotten[:_LISTED]],
    }
    facility.store.note(LedgerEvent.RESTORED, said, at=at)
    for issuer in facility.store.issuers():
        if issuer.has_key:
            facility.store.skip_crl_numbers(issuer.id, NUMBERS_LEFT_OUT, at=at)


def _appear(staged: Path, path: Path) -> None:
    try:
        for directory in (staged, *(one for one in staged.iterdir() if one.is_dir())):
            sync_directory(directory)
        staged.replace(path)  # takes the place of an empty directory
        sync_directory(path.parent)
    except OSError as error:
        raise OutputFailed(
            f"the restored home cannot be put at {str(path)!r}: {error.strerror}",
            remedy="name a --home that is not there yet, on a disk with room",
        ) from error


# ---------------------------------------------------------------- drill


class Drill(Struct, frozen=True, kw_only=True):
    """What a drill found. findings: of `homeca check` over the restored home, none of them errors.

    Where the record is in PostgreSQL, they are of the key blobs alone.
    behind: entries of the live ledger that the backup does not have; None: there is no live one.
    """

    manifest: Manifest
    findings: tuple[Finding, ...]
    certificates: int
    behind: int | None


def drill(
    source: Path,
    key: Passphrase | Sequence[Identity],
    *,
    place: Path,
    opened: Open,
    live: Facility | None = None,
    at: datetime,
    on_row: Callable[[], None] = lambda: None,
) -> Drill:
    """Restore into a directory below `place` that is gone afterwards, and check all that can be.

    What cannot be checked is whether a TPM still takes the keys: only the one they were made in
    can say so. live: the CA that is drilled; the date is recorded in its home.
    Raises: BackupError's leaves; DrillFailed with what is wrong.
    """
    with (
        scratch_directory(place, ".drill-") as scratch,
        _reading(source, key) as reading,
    ):
        staged = Home(scratch / "home")
        unpack(reading, staged.path)
        count = 0

        def counted() -> None:
            nonlocal count
            count += 1
            on_row()

        behind = None
        if reading.manifest.has_record:
            with opened(staged) as facility:
                _check_record(facility, reading.manifest)
                findings = tuple(inspect(facility, on_row=counted))
                end = facility.store.ledger_end()
            behind = live.store.ledger_end().seq - end.seq if live is not None else None
        else:
            _check_elsewhere(staged)
            findings = tuple(inspect_keys(staged, live.store.issuers())) if live is not None else ()
        errors = [one for one in findings if one.gravity is Gravity.ERROR]
        if errors:
            raise DrillFailed(
                f"the backup opens, and what is in it is not sound: {errors[0].where}: "
                f"{errors[0].text}, and {len(errors) - 1} more errors",
                remedy="run `homeca check` on the live home, mend it, and make a new backup",
            )
        if live is not None:
            made_at = reading.manifest.made_at
            remember(live.home, "drilled", at=at, sha256=_sha256(source), made_at=made_at)
    return Drill(manifest=reading.manifest, findings=findings, certificates=count, behind=behind)


def _sha256(source: Path) -> str:
    with source.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
