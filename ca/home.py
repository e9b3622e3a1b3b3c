"""The CA's home: where each file lies, and with which mode it is made.

homeca.toml   settings          homeca.db    the record
keys/         TSS2 key blobs    tpm/         the software TPM's state
certs/ crl/   published         profiles/    the user's own
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from ca.errors import (
    ConfigurationError,
    HomeMissing,
    OutputExists,
    OutputFailed,
    StoreGone,
    UsageError,
)
from ca.files import (
    PRIVATE_FILE,
    check_private,
    make_private_directory,
    read_bounded,
    refuse_no_file,
    write_whole,
)
from ca.names.showing import shell_word, visible


def default_home() -> Path:
    """HOMECA_HOME, else /var/lib/homeca for root, else the user's data directory (XDG).

    Raises: ConfigurationError as `expanded` does.
    """
    chosen = os.environ.get("HOMECA_HOME")
    if chosen:
        return expanded(Path(chosen))
    if os.geteuid() == 0:
        return Path("/var/lib/homeca")
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else expanded(Path("~/.local/share"))) / "homeca"


def expanded(path: Path) -> Path:
    """~ and ~alice as a shell reads them.

    Raises: ConfigurationError where the user is not known, as one by number alone, as in a
            container, who has no HOME either.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        user = path.parts[0].removeprefix("~")
        who = f"there is no user {visible(user)!r}" if user else "you have no home directory here"
        raise ConfigurationError(
            f"{who}, so {visible(str(path))!r} is nowhere",
            remedy="name the CA's home in full: --home /PATH, or HOMECA_HOME",
        ) from error


#: By which a directory is known as a home: SQLite's record, a node's identity.
_MARKS = ("homeca.db", "node")
_OWN_FILES = frozenset(
    {
        "homeca.db",
        "homeca.db-wal",
        "homeca.db-shm",
        "homeca.toml",
        "node",
        "backups.json",
        ".tpm.lock",
        ".issuing.lock",
        ".crl.lock",
    }
)
_OWN_DIRECTORIES = frozenset({"keys", "tpm"})


def refuse_as_output(path: Path) -> None:
    """No result takes the place of what a home lives on, or of what is no file, --force or not.

    Raises: UsageError for the record, the settings, a key or the TPM's state of any home;
            OutputFailed for a device, a pipe, and what names no file.
    """
    refuse_no_file(path)
    place = Path(os.path.realpath(path.parent))
    own = (place, path.name in _OWN_FILES), (place.parent, place.name in _OWN_DIRECTORIES)
    for home, is_own in own:
        if is_own and any((home / mark).exists() for mark in _MARKS):
            raise UsageError(
                f"{visible(str(path))!r} belongs to the CA in {visible(str(home))!r}",
                remedy="choose another file to write to",
            )


#: OpenVPN does not start with two roots of one name, and what two CAs publish at one base URL
#: overwrites each other; both must be trusted side by side until the devices have the new one.
NEW_CA = "begin a new CA in another --home, with another --name and --base-url"


def way_back_of_tpm(state_dir: Path) -> str:
    """The remedy for a software TPM that is gone or damaged: `restore` takes only an empty home."""
    return (
        f"put the newest copy of {str(state_dir)!r} back: `homeca restore BACKUP --home "
        "DIRECTORY` brings one out of a backup made with --include-software-tpm, no other holds "
        f"it; without either, {NEW_CA}"
    )


class Home(Struct, frozen=True):
    """Paths only; `make` creates them, `require` insists on them."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "homeca.toml"

    @property
    def database(self) -> Path:
        return self.path / "homeca.db"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def profile_signing_key(self) -> Path:
        """What signs the Apple profiles of kits; made with the first of them."""
        return self.keys / "profile-signing.tss"

    @property
    def tpm(self) -> Path:
        return self.path / "tpm"

    @property
    def tpm_state(self) -> Path:
        """What swtpm keeps: with it every key of an embedded TPM is gone."""
        return self.tpm / "tpm2-00.permall"

    @property
    def certs(self) -> Path:
        return self.path / "certs"

    @property
    def crl(self) -> Path:
        return self.path / "crl"

    @property
    def profiles(self) -> Path:
        return self.path / "profiles"

    @property
    def node(self) -> Path:
        """Which of the homes that share a record this is: 32 hex digits, drawn once."""
        return self.path / "node"

    @property
    def backups(self) -> Path:
        """When a backup was made last, and when one was last tried out."""
        return self.path / "backups.json"

    @property
    def tpm_lock(self) -> Path:
        """Held for one TPM transaction."""
        return self.path / ".tpm.lock"

    @property
    def issuing_lock(self) -> Path:
        """Shared by everyone who has an intent open; whoever gets it alone settles the rest."""
        return self.path / ".issuing.lock"

    @property
    def crl_lock(self) -> Path:
        """Held from a CRL's number to its publication: a newer list is never overwritten."""
        return self.path / ".crl.lock"

    def make(self) -> None:
        """The directories, 0700. Raises: HomeNotPrivate, OutputFailed, UsageError."""
        try:
            str(self.path).encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"the path {visible(str(self.path))!r} is not in UTF-8, and no record can be there",
                remedy="name another --home",
            ) from error
        for directory in (self.path, self.keys, self.certs, self.crl, self.profiles):
            make_private_directory(directory)

    def make_published(self) -> None:
        """The directories of what can be written again, where they were removed.

        Raises: HomeNotPrivate, OutputFailed.
        """
        for directory in (self.certs, self.crl):
            if not directory.exists():
                make_private_directory(directory)

    def make_node(self) -> None:
        """The identity, unless there is one. Raises: OutputFailed."""
        with suppress(OutputExists):
            identity = f"{os.urandom(16).hex()}\n".encode()
            write_whole(self.node, identity, mode=PRIVATE_FILE)

    def node_identity(self) -> str:
        """What the file says, "" where there is none. Raises: ConfigurationError."""
        try:
            text = read_bounded(self.node, 64).decode("ascii").strip()
        except OutputFailed:
            if not self.node.exists():
                return ""
            raise
        except ValueError:
            text = ""
        if not re.fullmatch(r"[0-9a-f]{32}", text):
            raise ConfigurationError(
                f"{str(self.node)!r} does not hold the 32 hex digits that name this node",
                remedy="restore it from a backup of this home: its keys are recorded under them",
            )
        return text

    @property
    def is_one(self) -> bool:
        """Is there a CA, or a node of one?"""
        return any((self.path / mark).exists() for mark in _MARKS)

    @property
    def has_record(self) -> bool:
        """An SQLite file with something in it."""
        try:
            return self.database.stat().st_size > 0
        except FileNotFoundError:
            return False

    def refuse_lost_record(self) -> None:
        """Keys without a record are a record lost, not a new home: a new root would take the place
        of the old one's key, which no backup of another kind brings back.

        Raises: StoreGone.
        """
        keys = sorted(path.name for path in self.keys.glob("*.tss"))
        if keys:
            raise StoreGone(
                f"the record of what was issued is gone from {str(self.path)!r}, "
                f"and its keys are there ({', '.join(keys)})",
                remedy=self._way_back(),
            )

    def _way_back(self) -> str:
        """The commands. What was revoked after the backup stands in the lists, if anywhere; what
        SQLite left beside the lost record must not be taken for a part of the copy.
        """
        home, joined = shell_word(self.path), self.crl / "openvpn.pem"
        lists = f"--crl {shell_word(joined)} " if joined.exists() else ""
        left = [shell_word(path) for path in sorted(self.path.glob("homeca.db-*"))]
        commands = (
            f"homeca restore BACKUP --home DIRECTORY {lists}--accept-older",
            *([f"rm {' '.join(left)}"] if left else []),
            f"cp DIRECTORY/homeca.db {home}/",
            f"homeca audit accept --home {home} --reason TEXT",
            f"homeca crl --home {home}",
        )
        return (
            "bring the newest copy of it back, by its backup: "
            f"{', '.join(f'`{one}`' for one in commands)}; for a new CA take another --home"
        )

    def require(self) -> None:
        """Raises: HomeMissing, HomeNotPrivate, StoreGone."""
        if not self.has_record:
            self.refuse_lost_record()
        if not self.database.exists():
            raise HomeMissing(
                f"there is no CA in {str(self.path)!r}",
                remedy="run `homeca init-root`, or name its home with --home or HOMECA_HOME",
            )
        check_private(self.path)
