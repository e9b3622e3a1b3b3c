"""A kit on the disk: a folder or a zip that appears whole, with the modes it needs."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from pathlib import Path

from ca.errors import OutputExists, OutputFailed
from ca.files import PRIVATE_DIRECTORY, PRIVATE_FILE, PUBLIC_FILE, sync_directory, write_whole
from ca.kits.facts import Kit

_OPEN_DIRECTORY = 0o755
#: The earliest a zip can say: the same kit is the same zip.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def holds_secret(kit: Kit) -> bool:
    """Does it hold a key? Then nobody else may read it."""
    return any(not file.mode & 0o044 for file in kit.files)


def write_folder(kit: Kit, target: Path, *, replace: bool = False) -> None:
    """Made beside its place and moved there whole; with `replace` file by file into what is there.

    Raises: OutputExists, OutputFailed.
    """
    if target.exists() and not replace:
        raise OutputExists(
            f"{str(target)!r} exists already", remedy="choose another with --out, or add --force"
        )
    mode = PRIVATE_DIRECTORY if holds_secret(kit) else _OPEN_DIRECTORY
    try:
        if target.exists():
            _fill(kit, target, mode)
            return
        scratch = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            scratch.mkdir(mode=PRIVATE_DIRECTORY)
            _fill(kit, scratch, mode)
            scratch.chmod(mode)
            scratch.rename(target)
            sync_directory(target.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise OutputFailed(
            f"{str(target)!r} cannot be written: {error.strerror}",
            remedy="check the directory, its mode and the free space",
        ) from error


def write_zip(kit: Kit, target: Path, *, replace: bool = False) -> None:
    """One folder inside, named as the kit. Raises: OutputExists, OutputFailed."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(kit.files, key=lambda one: one.name):
            entry = zipfile.ZipInfo(f"{kit.stem}/{file.name}", _ZIP_TIME)
            entry.create_system = 3  # Unix: the modes below are kept
            entry.external_attr = (0o100000 | file.mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.octets)
    mode = PRIVATE_FILE if holds_secret(kit) else PUBLIC_FILE
    write_whole(target, held.getvalue(), mode=mode, replace=replace)


def _fill(kit: Kit, folder: Path, mode: int) -> None:
    for file in kit.files:
        path = folder / file.name
        path.parent.mkdir(mode=mode, parents=True, exist_ok=True)
        write_whole(path, file.octets, mode=file.mode, replace=True)
