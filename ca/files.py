"""Files that appear whole or not at all, private directories, and one lock at a time.

Every file gets its mode when it is created, whatever the umask; a result replaces nothing unless
it was asked to; what was acknowledged has reached the disk (file and directory synced).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import shlex
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ca.errors import HomeNotPrivate, OutputExists, OutputFailed
from ca.failpoints import failpoint

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
_PARENT = 0o755
PUBLIC_FILE = 0o644


def make_private_directory(path: Path) -> None:
    """The directory exists, is a real one, is ours, and is closed to everybody else.

    Raises: HomeNotPrivate for a symlink, a foreign owner, or a mode another user can enter.
    """
    make_parents(path)
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=PRIVATE_DIRECTORY)
            # mkdir applies the umask; a umask of 0277 would lock the owner out
            path.chmod(PRIVATE_DIRECTORY)
    except OSError as error:
        raise _not_made(path, error) from error
    check_private(path)


def make_parents(path: Path) -> None:
    """The directories above `path`, where they are not there: whatever the umask, nobody else can
    put another directory in its place.

    Raises: OutputFailed.
    """
    missing = []
    for parent in path.parents:
        if parent.is_dir():
            break
        missing.append(parent)
    for directory in reversed(missing):
        try:
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=_PARENT)
            if not directory.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except OSError as error:
            raise _not_made(directory, error) from error


def _not_made(path: Path, error: OSError) -> OutputFailed:
    return OutputFailed(
        f"the directory {str(path)!r} cannot be made: {error.strerror}",
        remedy="choose another with --home, or mend its parent directory",
    )


def check_private(path: Path) -> None:
    """Raises: HomeNotPrivate when somebody else could read or swap what lies in `path`."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode) and path.is_dir():
        raise HomeNotPrivate(
            f"{str(path)!r} is a link, which can be made to lead elsewhere",
            remedy=f"name where it leads: `--home {_word(path.resolve())}`",
        )
    if not stat.S_ISDIR(status.st_mode):
        raise HomeNotPrivate(
            f"{str(path)!r} is not a directory", remedy="choose another with --home"
        )
    if status.st_uid != os.geteuid():
        raise HomeNotPrivate(
            f"{str(path)!r} belongs to user {user_name(status.st_uid)}, not to you",
            remedy=_as_owner(path, status.st_uid),
        )
    if status.st_mode & 0o077:
        raise HomeNotPrivate(
            f"{str(path)!r} has mode {stat.S_IMODE(status.st_mode):04o}: others can look inside",
            remedy=f"run `chmod 700 {_word(path)}`",
        )


def user_name(number: int) -> str:
    """The name of a user, where it has one; else the number, which systemd takes as well."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _as_owner(path: Path, owner: int) -> str:
    """Root could take it, but would lock out whoever uses it: others may still have to ask."""
    user = user_name(owner)
    option = f"'#{owner}'" if user == str(owner) else user
    if os.geteuid() == 0:
        return f"run homeca as its owner: `sudo -u {option} homeca … --home {_word(path)}`"
    return (
        "run homeca as its owner, or, if it is to be yours, "
        f"`sudo chown -R {os.geteuid()} {_word(path)}`"
    )


def _word(path: Path) -> str:
    return shlex.quote(str(path))


def read_bounded(path: Path, limit: int) -> bytes:
    """At most `limit` octets of a regular file or pipe. Raises: OutputFailed, ValueError when
    it is longer."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(limit + 1)
    except OSError as error:
        raise OutputFailed(
            f"{str(path)!r} cannot be read: {error.strerror}", remedy="check the path and its mode"
        ) from error
    if len(octets) > limit:
        raise ValueError(f"more than {limit} octets")
    return octets


def write_whole(
    path: Path, octets: bytes | Iterable[bytes], *, mode: int, replace: bool = False
) -> None:
    """Write, sync, then let it appear under its name, then sync the directory.

    octets: all of them, or piece by piece; what the pieces raise leaves no file.
    Without `replace` the name must be free: `link` decides, so two writers cannot both win.
    Raises: OutputExists, OutputFailed. Nothing but the finished file is left behind.
    """
    refuse_no_file(path)
    # not made of the name, which may already be as long as a file system takes
    scratch = path.with_name(f".homeca.{os.getpid()}.{os.urandom(6).hex()}")
    try:
        descriptor = os.open(
            scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode
        )
        try:
            os.fchmod(descriptor, mode)
            for piece in (octets,) if isinstance(octets, bytes) else octets:
                view = memoryview(piece)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        failpoint("file.synced")
        if replace:
            scratch.replace(path)
        else:
            _appear(scratch, path)
        failpoint("file.appeared")
        sync_directory(path.parent)
    except FileExistsError as error:
        raise OutputExists(
            f"{str(path)!r} exists already", remedy="choose another name, or add --force"
        ) from error
    except OSError as error:
        raise OutputFailed(
            f"{str(path)!r} cannot be written: {error.strerror}",
            remedy="check the directory, its mode and the free space",
        ) from error
    finally:
        # a read-only disk refuses even what is not there to be removed
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def refuse_no_file(path: Path) -> None:
    """What appears under a name takes its place: /dev/null must not become a file, for everybody.

    Raises: OutputFailed for a device, a pipe or a socket, also behind a link; for a name in /dev,
            as /dev/stdout is one, or in /proc; for "" and "/", which name no file.
    """
    if not path.name:
        raise OutputFailed(f"{str(path)!r} names no file", remedy="give the name of a file")
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing is there, or it is told when it is opened
        mode = stat.S_IFREG
    is_file = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    place = os.path.realpath(path.parent)
    if not is_file or place == "/dev" or place.startswith("/proc/"):
        raise OutputFailed(
            f"{str(path)!r} is no file: what is written would take its place",
            remedy="name a file; where --out takes it, `-` is standard output",
        )


def refuse_closed_directory(path: Path) -> None:
    """Before work whose result is to lie there. Raises: OutputFailed."""
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
        why = "read-only disk" if is_on_read_only_disk(path) else "permission denied"
        raise OutputFailed(
            f"nothing can be written in {str(path)!r}: {why}",
            remedy="name a file in a directory of yours",
        )


def is_on_read_only_disk(path: Path) -> bool:
    """Is nobody here allowed to write where it lies, whatever the modes say?"""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _appear(scratch: Path, path: Path) -> None:
    try:
        os.link(scratch, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # FAT and some network file systems have no links: the check is then not atomic
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        scratch.replace(path)


def sync_directory(path: Path) -> None:
    """A rename is durable only when its directory is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(
    path: Path,
    *,
    what: str,
    on_wait: Callable[[str], None],
    patience: float,
    shared: bool = False,
) -> Iterator[None]:
    """Hold an flock on `path` (made 0600); say so once if another process has it.

    patience: seconds to wait before giving up. The kernel drops the lock of a killed process.
    Raises: OutputFailed when it does not come free in time.
    """
    descriptor = _open_lock(path)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        if not _try_lock(descriptor, kind):
            on_wait(f"waiting for another homeca, which {what}")
            _wait_for_lock(descriptor, kind, path, patience)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, PRIVATE_FILE)
    except OSError as error:
        raise OutputFailed(
            f"the lock {str(path)!r} cannot be opened: {error.strerror}",
            remedy="check that the home is writable and its disk not full",
        ) from error


def _wait_for_lock(descriptor: int, kind: int, path: Path, patience: float) -> None:
    end = time.monotonic() + patience
    pause = 0.002
    while not _try_lock(descriptor, kind):
        if time.monotonic() > end:
            raise OutputFailed(
                f"the lock {str(path)!r} is held for more than {patience:.0f} s",
                remedy=f"see which homeca hangs: `fuser -v {_word(path)}`",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """The same lock, exclusive, if nobody holds it; yields whether it was had."""
    descriptor = _open_lock(path)
    try:
        yield _try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)
