"""A disk with a volatile cache: what may be on it after a power cut, from a log of system calls.

Content written is volatile until fsync or fdatasync of its file. A name (made, renamed, linked,
taken away) is volatile until its directory is synced, or, for a new name, until its file is, as
ext4, XFS and btrfs do. Nothing orders what is volatile: a renamed file may lack its content. Writes
may be torn into sectors. Directories themselves are taken to be there. Shared memory of SQLite
(-shm) is not on disk: it is rebuilt.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Create:
    path: str


@dataclass(frozen=True, slots=True)
class Write:
    """offset: None: at the end."""

    path: str
    octets: bytes
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Truncate:
    path: str
    length: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Of a file or a directory."""

    path: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Link:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Unlink:
    path: str


@dataclass(frozen=True, slots=True)
class Said:
    """Octets on standard output: what is acknowledged from here on."""

    octets: bytes


Operation = Create | Write | Truncate | Sync | Rename | Link | Unlink | Said


@dataclass(frozen=True, slots=True)
class Content:
    """A pending change of an inode. offset: None: cut to `length`."""

    inode: int
    offset: int | None
    octets: bytes = b""
    length: int = 0


@dataclass(frozen=True, slots=True)
class Name:
    """A pending change of one directory entry. inode: None: it goes. gone: a rename's old name."""

    path: str
    inode: int | None
    gone: str | None = None


Pending = Content | Name
Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Image:
    """What a power cut after operation `after` may leave, and what had been said by then."""

    after: int
    variant: str
    files: Files
    said: bytes


@dataclass
class Disk:
    """durable: inode -> octets; names: path -> inode; both as they are on the platter."""

    durable: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    live: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)

    @classmethod
    def holding(cls, files: Files) -> Disk:
        """Everything in `files` has been there for long."""
        disk = cls()
        for path, octets in files.items():
            inode = len(disk.durable) + 1
            disk.durable[inode], disk.names[path] = octets, inode
            disk.live[path], disk.sizes[inode] = inode, len(octets)
        return disk

    def apply(self, operation: Operation) -> None:
        match operation:
            case Create(path):
                if path not in self.live:
                    inode = len(self.sizes) + 1
                    self.live[path], self.sizes[inode] = inode, 0
                    self.pending.append(Name(path, inode))
            case Write(path, octets, offset):
                inode = self._inode(path)
                at = self.sizes[inode] if offset is None else offset
                self.sizes[inode] = max(self.sizes[inode], at + len(octets))
                self.pending.append(Content(inode, at, octets))
            case Truncate(path, length):
                inode = self._inode(path)
                self.sizes[inode] = length
                self.pending.append(Content(inode, None, length=length))
            case Rename(old, new):
                if old in self.live:
                    self.live[new] = self.live.pop(old)
                    self.pending.append(Name(new, self.live[new], gone=old))
            case Link(old, new):
                if old in self.live:
                    self.live[new] = self.live[old]
                    self.pending.append(Name(new, self.live[new]))
            case Unlink(path):
                if self.live.pop(path, None) is not None:
                    self.pending.append(Name(path, None))
            case Sync(path):
                self._sync(path)
            case Said():
                pass

    def _inode(self, path: str) -> int:
        if path not in self.live:
            self.apply(Create(path))
        return self.live[path]

    def _sync(self, path: str) -> None:
        """What this sync makes durable, in the order it was done; the rest stays pending."""
        inode = self.live.get(path)
        rest: list[Pending] = []
        for change in self.pending:
            if isinstance(change, Content):
                mine = change.inode == inode
            else:
                is_new = inode is not None and change.inode == inode and change.gone is None
                mine = is_new or str(PurePosixPath(change.path).parent) == path
            if mine:
                self._settle(change, self.names, self.durable)
            else:
                rest.append(change)
        self.pending = rest

    @staticmethod
    def _settle(
        change: Pending,
        names: dict[str, int],
        contents: dict[int, bytes],
        *,
        torn: int | None = None,
    ) -> None:
        """torn: only so many octets of a write arrived."""
        if isinstance(change, Name):
            if change.gone is not None:
                names.pop(change.gone, None)
            if change.inode is None:
                names.pop(change.path, None)
            else:
                names[change.path] = change.inode
            return
        octets = contents.get(change.inode, b"")
        if change.offset is None:
            contents[change.inode] = octets[: change.length].ljust(change.length, b"\0")
            return
        new = change.octets[:torn]
        octets = octets.ljust(change.offset, b"\0")
        contents[change.inode] = octets[: change.offset] + new + octets[change.offset + len(new) :]

    def after_cut(self, dice: random.Random | None, *, keep: bool = False) -> Files:
        """dice: which of the pending changes made it; None: none of them, or with keep all."""
        names, contents = dict(self.names), dict(self.durable)
        for change in self.pending:
            fate = dice.random() if dice is not None else (0.0 if keep else 1.0)
            if fate < 0.5:
                self._settle(change, names, contents)
            elif fate < 0.65 and isinstance(change, Content) and change.octets and dice is not None:
                sectors = len(change.octets) // SECTOR
                self._settle(change, names, contents, torn=SECTOR * dice.randint(0, sectors))
        return {path: contents.get(inode, b"") for path, inode in names.items()}


def images(
    files: Files, operations: Sequence[Operation], *, randoms: int = 4, seed: int = 1
) -> Iterator[Image]:
    """Every different disk there may be after a power cut at any point, and what was said by then.

    After each operation: all that is volatile lost, all of it kept (a kill), and `randoms` draws.
    """
    disk = Disk.holding(files)
    dice = random.Random(seed)
    seen: set[int] = set()
    said = b""
    for number, operation in enumerate(operations):
        disk.apply(operation)
        if isinstance(operation, Said):
            said += operation.octets
        draws: list[tuple[str, Files]] = [("lost", disk.after_cut(None))]
        if disk.pending:
            draws.append(("kept", disk.after_cut(None, keep=True)))
            draws += [(f"draw{n}", disk.after_cut(dice)) for n in range(randoms)]
        for variant, found in draws:
            key = hash((said, frozenset(found.items())))
            if key not in seen:
                seen.add(key)
                yield Image(number, variant, found, said)
