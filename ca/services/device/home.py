"""The files of a device that asks for certificates; it needs no CA and no database.

    device/              in the home, 0700
        tpm.json         which TPM holds the keys, with its storage key: the pin of invariant 6
        roots.pem        the roots this device was told to trust, by fingerprint
        NAME/            one request and its renewals, called what its owner called it
            1/           a generation: made aside and moved here whole
                request.json     what was asked for; never changed afterwards
                key.tss          0600, useless away from the TPM
                request.csr
                certificate.pem  the answer; chain.pem: it and its intermediates; root.pem
            2/           a renewal, waiting or accepted
            current      -> 1: the pair in use; moved over in one step

A generation is pending until `current` has pointed at it. Programs are given paths through
`current`, so that a renewal changes key and certificate in one step and no path.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from ca.encoding.extensions import Extension
from ca.errors import ConfigurationError, DeviceRefused, NotFound, OutputFailed
from ca.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    check_private,
    make_private_directory,
    sync_directory,
    write_whole,
)
from ca.interfaces.custody import Custody, CustodyKind
from ca.names.showing import visible

SCHEMA = 1
KEY, REQUEST, FACTS = "key.tss", "request.csr", "request.json"
CERTIFICATE, CHAIN, ROOT = "certificate.pem", "chain.pem", "root.pem"
CURRENT = "current"
TPM_FILE, ROOTS_FILE = "tpm.json", "roots.pem"

#: Names of requests: what is safe as a directory, in a shell, and in every program's settings.
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")
_GENERATION = re.compile(r"[1-9][0-9]{0,5}\Z")


class Standing(StrEnum):
    """pending: waits for its certificate. active: in use. replaced: a renewal took its place."""

    PENDING = "pending"
    ACTIVE = "active"
    REPLACED = "replaced"


class DeviceRequest(Struct, frozen=True, kw_only=True):
    """One generation, as its request.json says; that file never changes.

    subject:     for people; subject_der: DER Name.
    names:       SAN values for people: "DNS:nas.home.arpa".
    extensions:  of extensionRequest.
    spki:        DER. has_pin: the key wants a PIN. machine: for the machine, not one user.
    directory:   where its files lie. standing: found by looking, not by reading.
    """

    name: str
    generation: int
    kind: str
    subject: str
    subject_der: bytes
    names: tuple[str, ...]
    extensions: tuple[Extension, ...]
    machine: bool
    friendly_name: str
    created_at: datetime
    spki: bytes
    has_pin: bool
    directory: Path
    standing: Standing

    def path(self, file: str) -> Path:
        return self.directory / file


class DeviceHome:
    """Reading and writing those files, each step whole or not at all."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "device"
        self.lock = home / ".device.lock"

    def make(self) -> None:
        """The directories, 0700. Raises: HomeNotPrivate, OutputFailed."""
        make_private_directory(self.home)
        make_private_directory(self.path)

    def check(self) -> None:
        """Raises: HomeNotPrivate."""
        check_private(self.home)
        check_private(self.path)

    # ------------------------------------------------------------ the TPM

    def custody(self) -> Custody | None:
        """The TPM the keys are in; None before the first key. Raises: ConfigurationError."""
        path = self.path / TPM_FILE
        found = _read_json(path)
        if found is None:
            return None
        with _sound(path):
            return Custody(
                kind=CustodyKind(found["kind"]),
                tcti=str(found["tcti"]),
                manufacturer=str(found["manufacturer"]),
                model=str(found["model"]),
                firmware=str(found["firmware"]),
                srk_public=bytes.fromhex(found["srk_public"]),
            )

    def pin(self, custody: Custody) -> None:
        """Record the TPM before the first key is made in it."""
        _write_json(
            self.path / TPM_FILE,
            {
                "kind": custody.kind.value,
                "tcti": custody.tcti,
                "manufacturer": custody.manufacturer,
                "model": custody.model,
                "firmware": custody.firmware,
                "srk_public": custody.srk_public.hex(),
            },
        )

    # ------------------------------------------------------------ roots

    def roots(self) -> bytes:
        """PEM of the roots this device was told; empty before."""
        with contextlib.suppress(FileNotFoundError):
            return (self.path / ROOTS_FILE).read_bytes()
        return b""

    def remember_roots(self, pem: bytes) -> None:
        write_whole(self.path / ROOTS_FILE, pem, mode=PUBLIC_FILE, replace=True)

    # ------------------------------------------------------------ requests

    def all(self) -> tuple[DeviceRequest, ...]:
        """Every generation of every request, by name and age. Raises: ConfigurationError."""
        with contextlib.suppress(FileNotFoundError):
            names = sorted(e.name for e in self.path.iterdir() if NAME.match(e.name) and e.is_dir())
            return tuple(one for name in names for one in self.generations(name))
        return ()

    def generations(self, name: str) -> tuple[DeviceRequest, ...]:
        """The oldest first; none when there is no such request."""
        if not NAME.match(name):
            raise self.missing(name)
        place = self.path / name
        numbers: list[int] = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            numbers = sorted(int(e.name) for e in place.iterdir() if _GENERATION.match(e.name))
        current = self._current(name)
        return tuple(self._read(name, number, current) for number in numbers)

    def require(self, name: str) -> tuple[DeviceRequest, ...]:
        """The same. Raises: NotFound when there is none."""
        found = self.generations(name)
        if not found:
            raise self.missing(name)
        return found

    def missing(self, name: str) -> NotFound:
        return NotFound(
            f"this device has no request called {visible(name)!r}",
            remedy="see `homeca request list`",
        )

    def stable(self, request: DeviceRequest, file: str) -> Path:
        """Where a program finds a file of the pair in use, now and after a renewal."""
        return self.path / request.name / CURRENT / file

    def _current(self, name: str) -> int:
        with contextlib.suppress(OSError):
            target = str((self.path / name / CURRENT).readlink())
            if _GENERATION.match(target):
                return int(target)
        return 0

    def _read(self, name: str, number: int, current: int) -> DeviceRequest:
        directory = self.path / name / str(number)
        standing = Standing.ACTIVE if number == current else Standing.PENDING
        if number < current:
            standing = Standing.REPLACED
        found = _read_json(directory / FACTS)
        if found is None:
            raise _damaged(directory / FACTS)
        with _sound(directory / FACTS):
            return DeviceRequest(
                name=name,
                generation=number,
                kind=str(found["kind"]),
                subject=str(found["subject"]),
                subject_der=bytes.fromhex(found["subject_der"]),
                names=tuple(map(str, found["names"])),
                extensions=tuple(
                    Extension(str(e["oid"]), bool(e["critical"]), bytes.fromhex(e["value"]))
                    for e in found["extensions"]
                ),
                machine=bool(found["machine"]),
                friendly_name=str(found["friendly_name"]),
                created_at=datetime.fromisoformat(found["created_at"]),
                spki=bytes.fromhex(found["spki"]),
                has_pin=bool(found["has_pin"]),
                directory=directory,
                standing=standing,
            )

    def add(self, request: DeviceRequest, *, key_pem: bytes, csr_pem: bytes) -> DeviceRequest:
        """A new generation, whole: made aside, synced, moved to its number.

        Raises: DeviceRefused when the number is taken; OutputFailed.
        """
        place = self.path / request.name
        make_private_directory(place)
        scratch = place / f".new.{secrets.token_hex(4)}"
        target = place / str(request.generation)
        try:
            make_private_directory(scratch)
            write_whole(scratch / KEY, key_pem, mode=PRIVATE_FILE)
            write_whole(scratch / REQUEST, csr_pem, mode=PUBLIC_FILE)
            _write_json(scratch / FACTS, _facts(request))
            scratch.rename(target)
            sync_directory(place)
        except OSError as error:
            raise OutputFailed(
                f"{str(target)!r} cannot be made: {error.strerror}",
                remedy="see what lies there, and the free space",
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return self._read(request.name, request.generation, self._current(request.name))

    def install(
        self, request: DeviceRequest, *, certificate: bytes, chain: bytes, root: bytes
    ) -> None:
        """Put the answer beside its key, then make that pair the one in use, in one step."""
        for file, pem in ((CERTIFICATE, certificate), (CHAIN, chain), (ROOT, root)):
            write_whole(request.path(file), pem, mode=PUBLIC_FILE, replace=True)
        place = self.path / request.name
        scratch = place / f".current.{secrets.token_hex(4)}"
        scratch.symlink_to(str(request.generation))
        scratch.replace(place / CURRENT)
        sync_directory(place)

    def remove(self, name: str) -> None:
        """The whole request, key blobs and all. With the last one goes the pin: nothing is left
        that it protects."""
        self.require(name)
        gone = self.path / f".removed.{secrets.token_hex(4)}"
        (self.path / name).rename(gone)
        sync_directory(self.path)
        shutil.rmtree(gone)
        if not self.all():
            (self.path / TPM_FILE).unlink(missing_ok=True)

    def forget_replaced(self, name: str) -> int:
        """Remove the generations that a renewal replaced; how many there were."""
        old = [one for one in self.require(name) if one.standing is Standing.REPLACED]
        for one in old:
            gone = one.directory.with_name(f".removed.{secrets.token_hex(4)}")
            one.directory.rename(gone)
            shutil.rmtree(gone)
        return len(old)


def require_name(text: str) -> str:
    """A name for a request. Raises: DeviceRefused."""
    if not NAME.match(text) or text in (TPM_FILE, ROOTS_FILE):
        raise DeviceRefused(
            f"{visible(text)!r} cannot be the name of a request",
            remedy="use lower-case letters, digits, dots and hyphens, at most 63",
        )
    return text


def name_from(text: str) -> str:
    """A name made of a common name or host: "Alice's phone" gives "alice-s-phone"."""
    slug = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:63].strip("-.")
    return slug or "device"


def _facts(request: DeviceRequest) -> dict[str, Any]:
    return {
        "kind": request.kind,
        "subject": request.subject,
        "subject_der": request.subject_der.hex(),
        "names": list(request.names),
        "extensions": [
            {"oid": e.oid, "critical": e.critical, "value": e.value.hex()}
            for e in request.extensions
        ],
        "machine": request.machine,
        "friendly_name": request.friendly_name,
        "created_at": request.created_at.isoformat(),
        "spki": request.spki.hex(),
        "has_pin": request.has_pin,
    }


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    octets = json.dumps({"schema": SCHEMA, **fields}, indent=2).encode() + b"\n"
    write_whole(path, octets, mode=PRIVATE_FILE)


def _read_json(path: Path) -> dict[str, Any] | None:
    with _sound(path):
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        if found["schema"] != SCHEMA:
            raise ValueError("another schema")
        return dict(found)


@contextlib.contextmanager
def _sound(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{str(path)!r} is not what homeca wrote there",
        remedy="restore it from a backup, or remove its directory and make a new request",
    )
