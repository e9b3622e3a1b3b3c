"""`homeca backup`: the whole CA in one encrypted file, while it goes on working.

Where the record is in PostgreSQL, the file holds the rest of the home; `pg_dump` does the record.

It holds no usable private key: the blobs in keys/ are nothing without their TPM. The state of a
software TPM is left out, because with it whoever opens the backup has the keys; it comes along only
when asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

from ca.encoding.age import seal
from ca.encoding.age_keys import Passphrase, Recipient
from ca.errors import OutputFailed, UsageError
from ca.files import PRIVATE_FILE, locked, read_bounded, write_whole
from ca.home import Home
from ca.interfaces.custody import CustodyKind
from ca.interfaces.store import CertificateStore
from ca.services.backup.file import (
    DIRECTORIES,
    RECORD,
    KnownIssuer,
    Manifest,
    member_of,
    octets_of,
    tar_of,
)
from ca.services.facility import PATIENCE, Facility
from ca.services.scratch import scratch_directory

_SMALL = 64 << 20
_TPM = "tpm"


class _Content(Struct, frozen=True, kw_only=True):
    """What a manifest says of the record."""

    certificates: int
    revoked: int
    entries: int
    issuers: tuple[KnownIssuer, ...]


class Backup(Struct, frozen=True, kw_only=True):
    """One that was made. sha256: of the file; size in octets.

    dump: the command that backs up the record, which is not in it; None: it is.
    """

    path: Path
    manifest: Manifest
    sha256: bytes
    size: int
    dump: str | None


def make_backup(
    target: Path,
    to: Passphrase | Sequence[Recipient],
    facility: Facility,
    *,
    with_software_tpm: bool = False,
    replace: bool = False,
) -> Backup:
    """Write it to `target`, mode 0600, whole or not at all; other commands go on meanwhile.

    A record in PostgreSQL is not in it: see `Backup.dump`.
    Raises: UsageError for a software TPM that is not there; StoreError, OutputFailed, OutputExists.
    """
    home = facility.home
    if with_software_tpm:
        _check_software_tpm(facility)
    made_at = facility.clock()
    digest, size = hashlib.sha256(), 0

    def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal size
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            yield piece

    with scratch_directory(home.path, ".backup-") as scratch:
        manifest, sources = _gather(scratch, facility, with_software_tpm, made_at)
        sealed = seal(tar_of(manifest, sources), to, entropy=facility.entropy)
        write_whole(target, counted(sealed), mode=PRIVATE_FILE, replace=replace)
    backup = Backup(
        path=target,
        manifest=manifest,
        sha256=digest.digest(),
        size=size,
        dump=facility.store.dump_command(),
    )
    remember(home, "made", at=made_at, sha256=digest.hexdigest())
    return backup


def has_software_tpm(facility: Facility) -> bool:
    """Are the keys in a software TPM whose state is in the home?"""
    return _is_in_software(facility) and facility.home.tpm_state.exists()


def _is_in_software(facility: Facility) -> bool:
    custody = facility.store.custody()
    return custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM


def _check_software_tpm(facility: Facility) -> None:
    if not _is_in_software(facility):
        raise UsageError(
            "the keys of this CA are not in a software TPM",
            remedy="leave out --include-software-tpm: no backup can hold a hardware TPM",
        )
    if not facility.home.tpm.is_dir():
        raise UsageError(
            f"the state of the software TPM is not in {str(facility.home.tpm)!r}",
            remedy="back it up where it is, or leave out --include-software-tpm",
        )


def _gather(
    scratch: Path, facility: Facility, with_software_tpm: bool, made_at: datetime
) -> tuple[Manifest, dict[str, Path | bytes]]:
    """The record first: a key blob or list that comes after it does no harm.

    No CRL is cut meanwhile, and with a software TPM nothing is asked of it.
    """
    home = facility.home
    sources: dict[str, Path | bytes] = {}
    modes: dict[str, int] = {}
    with contextlib.ExitStack() as held:
        if with_software_tpm:
            held.enter_context(_waiting(home.tpm_lock, "uses the TPM", facility))
        held.enter_context(_waiting(home.crl_lock, "cuts the CRLs", facility))
        if facility.store.dump_command() is None:
            sources[RECORD], modes[RECORD] = scratch / RECORD, PRIVATE_FILE
            facility.store.copy_to(scratch / RECORD)
            # what came into the record since then is not in the copy
            with facility.store.opened_copy(scratch / RECORD) as copy:
                content = _content(copy, made_at)
        else:
            content = _content(facility.store, made_at)
        for path in _small_files(home, with_software_tpm):
            name = path.relative_to(home.path).as_posix()
            sources[name], modes[name] = _taken(path)
    members = tuple(member_of(name, source, modes[name]) for name, source in sources.items())
    manifest = Manifest(
        made_at=made_at,
        homeca=_version(),
        certificates=content.certificates,
        revoked=content.revoked,
        entries=content.entries,
        software_tpm=with_software_tpm,
        issuers=content.issuers,
        members=members,
        octets=octets_of(members, made_at),
    )
    return manifest, sources


def _waiting(lock: Path, what: str, facility: Facility) -> contextlib.AbstractContextManager[None]:
    return locked(lock, what=what, on_wait=facility.on_wait, patience=PATIENCE)


def _small_files(home: Home, with_software_tpm: bool) -> Iterator[Path]:
    yield from (path for path in (home.settings, home.node) if path.is_file())
    for name in DIRECTORIES:
        if name == _TPM and not with_software_tpm:
            continue
        directory = home.path / name
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            # scratch files and locks begin with a dot
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                yield path


def _taken(path: Path) -> tuple[bytes, int]:
    try:
        return read_bounded(path, _SMALL), stat.S_IMODE(path.stat().st_mode) & 0o755
    except ValueError as error:
        raise OutputFailed(
            f"{str(path)!r} is too long to be a file of a CA",
            remedy="move it out of the home; homeca did not put it there",
        ) from error


def _content(store: CertificateStore, made_at: datetime) -> _Content:
    counts = store.counts(at=made_at)
    return _Content(
        certificates=counts.valid + counts.expired + counts.revoked,
        revoked=counts.revoked,
        entries=store.ledger_end().seq,
        issuers=tuple(
            KnownIssuer(
                slug=issuer.slug,
                subject=issuer.subject,
                crl=max((trace.number for trace in store.crl_history(issuer.id)), default=0),
            )
            for issuer in store.issuers()
        ),
    )


def _version() -> str:
    try:
        return version("homeca")
    except PackageNotFoundError:
        return "unknown"


# ---------------------------------------------------------------- remembering


_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class Memory(Struct, frozen=True):
    """When a backup was last made, and when one was last tried out; None: never.

    newest: when the newest of those that were tried out was made.
    """

    made: datetime | None
    drilled: datetime | None
    newest: datetime | None


def recall(home: Home) -> Memory:
    """What backups.json says; a file that cannot be read says nothing."""
    found = _memory(home)
    drilled = found.get("drilled")
    at = _moment(drilled)
    return Memory(_moment(found.get("made")), at, _moment(drilled, "newest") or at)


def remember(
    home: Home, what: str, *, at: datetime, sha256: str, made_at: datetime | None = None
) -> None:
    """what: "made" or "drilled". made_at: of the backup that was drilled. Raises: OutputFailed."""
    found = _memory(home)
    noted = {"at": _text(at), "sha256": sha256}
    if made_at is not None:
        before = recall(home).newest
        noted["newest"] = _text(made_at if before is None else max(before, made_at))
    found[what] = noted
    octets = json.dumps(found, indent=1).encode() + b"\n"
    write_whole(home.backups, octets, mode=PRIVATE_FILE, replace=True)


def _memory(home: Home) -> dict[str, object]:
    try:
        found = json.loads(read_bounded(home.backups, 65536))
    except (OutputFailed, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(moment: datetime) -> str:
    return moment.strftime(_MOMENT)


def _moment(noted: object, which: str = "at") -> datetime | None:
    text = noted.get(which) if isinstance(noted, dict) else None
    try:
        return datetime.strptime(str(text), _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None
