"""The root in the trust stores of this machine: the system's, NSS's (Firefox, Chromium), Java's.

Each store's own program does the work. What homeca puts there bears a name made of the root's
fingerprint, so removing takes away exactly that: a root somebody else installed stays, and no
state is kept anywhere else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from ca.encoding.containers import pem, read_certificates
from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate
from ca.errors import (
    CertificateMalformed,
    HomecaError,
    ProgramMissing,
    SignatureInvalid,
    TrustStoreFailed,
    VerificationFailed,
)
from ca.files import PUBLIC_FILE, sync_directory, write_whole
from ca.names.showing import shell_word, visible
from ca.services.trust import check_signature
from ca.services.verification.path import judge_path

_SECONDS = 120
_SYSTEM_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: The password of every Java trust store nobody changed: documented, so no secret.
JAVA_DEFAULT = b"changeit"


class TrustStore(Protocol):
    """One place where roots are trusted. label: for people."""

    @property
    def label(self) -> str: ...

    def holds(self, root: CertificateFacts) -> bool:
        """Has homeca put this root here?"""
        ...

    def install(self, root: CertificateFacts) -> None:
        """Raises: TrustStoreFailed, ProgramMissing; then nothing was changed."""
        ...

    def remove(self, root: CertificateFacts) -> None: ...


def read_root(octets: bytes, *, at: datetime) -> CertificateFacts:
    """The one root in a file: self-signed, a CA, valid now.

    Raises: VerificationFailed for what has no place in a trust store; CertificateMalformed.
    """
    found = [read_certificate(der) for der in read_certificates(octets)]
    roots = [facts for facts in found if facts.tbs.is_self_issued and facts.tbs.is_ca]
    if len(roots) != 1:
        if len(found) == 1 and not found[0].tbs.is_self_issued:
            what = f"{found[0].tbs.subject} is not a root: {found[0].tbs.issuer} signed it"
        else:
            what = f"the file holds {len(roots)} roots"
        raise VerificationFailed(
            what, remedy="give the root alone: certs/root.pem in the CA's home"
        )
    root = roots[0]
    try:
        check_signature(root, root.tbs.spki)
    except SignatureInvalid as error:
        raise VerificationFailed(
            f"the root {root.tbs.subject} is not signed by its own key: it was changed",
            remedy="fetch it again from the CA",
        ) from error
    reasons = tuple(judge_path([root], at=at))
    if reasons:
        raise VerificationFailed(
            reasons[0].text, remedy="ask the CA for its present root", violations=reasons
        )
    return root


def mark(root: CertificateFacts) -> str:
    """What homeca calls this root in every store: "homeca-" and 16 digits of its SHA-256."""
    return f"homeca-{sha256(root.der).hexdigest()[:16]}"


# ---------------------------------------------------------------- the system's


class SystemStore(Struct, frozen=True):
    """Debian's ca-certificates, or Fedora's p11-kit anchors.

    anchors: where an administrator's roots lie. add, drop: the programs that take them over.
    """

    anchors: Path
    add: tuple[str, ...]
    drop: tuple[str, ...]

    @classmethod
    def found(cls, sysroot: Path | None = None) -> SystemStore:
        """The one this machine has. sysroot: a directory with such a system in it, Debian only.

        Raises: ProgramMissing.
        """
        if sysroot is not None:
            local = sysroot / "usr/local/share/ca-certificates"
            add: tuple[str, ...] = (
                *("update-ca-certificates", "--localcertsdir", str(local)),
                *("--etccertsdir", str(sysroot / "etc/ssl/certs")),
                *("--hooksdir", str(sysroot / "etc/ca-certificates/update.d")),
            )
            return cls(local, add, (*add, "--fresh"))
        if _found("update-ca-certificates"):
            add = ("update-ca-certificates",)
            return cls(Path("/usr/local/share/ca-certificates"), add, (*add, "--fresh"))
        if _found("update-ca-trust"):
            add = ("update-ca-trust", "extract")
            return cls(Path("/etc/pki/ca-trust/source/anchors"), add, add)
        raise ProgramMissing(
            "this system has neither update-ca-certificates nor update-ca-trust",
            remedy="run `sudo apt install ca-certificates`, or `sudo dnf install ca-certificates`",
        )

    @property
    def label(self) -> str:
        return f"the system's store ({self.anchors})"

    def _file(self, root: CertificateFacts) -> Path:
        return self.anchors / f"{mark(root)}.crt"

    def holds(self, root: CertificateFacts) -> bool:
        return self._file(root).exists()

    def install(self, root: CertificateFacts) -> None:
        self._require_access()
        write_whole(self._file(root), pem("CERTIFICATE", root.der), mode=PUBLIC_FILE, replace=True)
        try:
            _run(self.add)
        except HomecaError:
            self._file(root).unlink(missing_ok=True)
            raise

    def remove(self, root: CertificateFacts) -> None:
        self._require_access()
        self._file(root).unlink(missing_ok=True)
        sync_directory(self.anchors)
        _run(self.drop)

    def _require_access(self) -> None:
        if not os.access(self.anchors, os.W_OK | os.X_OK):
            raise TrustStoreFailed(
                f"{str(self.anchors)!r} cannot be written",
                remedy="run the same command with sudo, or choose --store nss",
            )


# ---------------------------------------------------------------- NSS


def _chromium_databases(home: Path, data: Path | None) -> Iterator[Path]:
    """Chromium keeps to .pki where it is there, and makes the other since 146."""
    for place in (home, home / "snap/chromium/current"):
        yield place / ".pki/nssdb"
        yield place / ".local/share/pki/nssdb"
    if data is not None:
        yield data / "pki/nssdb"


def _profiles(home: Path, config: Path | None) -> Iterator[Path]:
    """Firefox keeps to .mozilla where it is there, and makes the other since 147."""
    found = [
        place / name
        for place in (home, home / "snap/firefox/common", home / "snap/firefox/current")
        for name in (".mozilla/firefox", ".config/mozilla/firefox")
    ]
    for profiles in (*found, *([config / "mozilla/firefox"] if config is not None else ())):
        yield from sorted(profiles.glob("*"))


class NssStore(Struct, frozen=True):
    """One NSS database: the directory of a Firefox profile, or Chromium's of a user."""

    database: Path

    @classmethod
    def found(
        cls, home: Path, *, config: Path | None = None, data: Path | None = None
    ) -> tuple[NssStore, ...]:
        """Every database of a user. Raises: TrustStoreFailed when there is none.

        config, data: XDG_CONFIG_HOME and XDG_DATA_HOME, where they are set.
        """
        places = dict.fromkeys((*_chromium_databases(home, data), *_profiles(home, config)))
        stores = tuple(cls(one) for one in places if (one / "cert9.db").is_file())
        if not stores:
            # the old place: a Chromium of any age takes it when it is there
            made = home / ".pki/nssdb"
            raise TrustStoreFailed(
                f"there is no NSS database below {visible(str(home))!r}",
                remedy="start Firefox or Chromium once, or run "
                f"`mkdir -p {shell_word(made)} && "
                f"certutil -d {shell_word(f'sql:{made}')} -N --empty-password`",
            )
        return stores

    @property
    def label(self) -> str:
        return f"the NSS database {self.database}"

    @property
    def _place(self) -> tuple[str, ...]:
        return ("-d", f"sql:{self.database}")

    def holds(self, root: CertificateFacts) -> bool:
        listed = _run(("certutil", *self._place, "-L"))
        return any(line.split(" ", 1)[0] == mark(root) for line in listed.splitlines())

    def install(self, root: CertificateFacts) -> None:
        """Trusted for TLS servers alone. One already there under another name is left alone:
        NSS would change its trust and keep its name, and nobody could undo that."""
        for nickname in self._nicknames():
            shown = _run(("certutil", *self._place, "-L", "-a", "-n", nickname))
            if nickname != mark(root) and root.der in _certificates(shown):
                raise TrustStoreFailed(
                    f"the root is in {self.label} already, as {visible(nickname)!r}",
                    remedy="change its trust yourself: `certutil "
                    f"-d {shell_word(f'sql:{self.database}')} -M -t C,, -n {shell_word(nickname)}`",
                )
        with _as_file(root) as path:
            _run(
                (
                    *("certutil", *self._place, "-A", "-t", "C,,"),
                    *("-n", mark(root), "-i", str(path)),
                )
            )

    def _nicknames(self) -> Iterator[str]:
        for line in _run(("certutil", *self._place, "-L")).splitlines():
            name, _, flags = line.rstrip().rpartition(" ")
            if flags.count(",") == 2 and name.strip():
                yield name.strip()

    def remove(self, root: CertificateFacts) -> None:
        _run(("certutil", *self._place, "-D", "-n", mark(root)))


# ---------------------------------------------------------------- Java


class JavaStore(Struct, frozen=True):
    """A Java keystore. keystore: None: the one of the Java on PATH. password: to open it."""

    keystore: Path | None
    password: bytes = JAVA_DEFAULT

    @property
    def label(self) -> str:
        return f"the Java keystore {self.keystore or '(cacerts)'}"

    def _keytool(self, *arguments: str) -> str:
        place = ("-cacerts",) if self.keystore is None else ("-keystore", str(self.keystore))
        with _secret_file(self.password) as secret:
            return _run(("keytool", *arguments, *place, "-storepass:file", str(secret)))

    def _aliases(self) -> Iterator[str]:
        for line in self._keytool("-list").splitlines():
            yield line.partition(",")[0].strip()

    def holds(self, root: CertificateFacts) -> bool:
        return mark(root) in self._aliases()

    def install(self, root: CertificateFacts) -> None:
        if self.keystore is not None and not self.keystore.is_file():
            raise TrustStoreFailed(
                f"there is no keystore {str(self.keystore)!r}",
                remedy="name the file your Java program reads, or leave --keystore out",
            )
        with _as_file(root) as path:
            self._keytool("-importcert", "-noprompt", "-alias", mark(root), "-file", str(path))

    def remove(self, root: CertificateFacts) -> None:
        self._keytool("-delete", "-alias", mark(root))


# ---------------------------------------------------------------- programs

_PACKAGES = {
    "certutil": "libnss3-tools",
    "keytool": "default-jre-headless",
    "update-ca-certificates": "ca-certificates",
}


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PLACES}")


def _run(argv: Sequence[str]) -> str:
    """What the program says on stdout. Raises: ProgramMissing, TrustStoreFailed."""
    program = _found(argv[0])
    if program is None:
        raise ProgramMissing(
            f"the program {argv[0]!r} is not installed",
            remedy=f"run `sudo apt install {_PACKAGES.get(argv[0], argv[0])}`",
        )
    kept = {key: os.environ[key] for key in ("HOME", "JAVA_HOME") if key in os.environ}
    try:
        done = subprocess.run(  # noqa: S603  # no shell; the names of roots are made of digits
            [program, *argv[1:]],
            env={**kept, "PATH": f"{os.environ.get('PATH', '')}:{_SYSTEM_PLACES}", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrustStoreFailed(
            f"{argv[0]} did not end well: {visible(str(error))}", remedy="run it by hand"
        ) from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise TrustStoreFailed(
            f"{argv[0]} failed (status {done.returncode}); it says: {visible(said)[:200]}",
            remedy="mend what it says, then try again",
        )
    return done.stdout


def _certificates(text: str) -> tuple[bytes, ...]:
    try:
        return read_certificates(text.encode())
    except CertificateMalformed:
        return ()


@contextmanager
def _as_file(root: CertificateFacts) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="homeca-trust-") as scratch:
        path = Path(scratch) / "root.pem"
        path.write_bytes(pem("CERTIFICATE", root.der))
        yield path


@contextmanager
def _secret_file(secret: bytes) -> Iterator[Path]:
    """A password where only its program looks: not in argv, not in the environment."""
    with tempfile.TemporaryDirectory(prefix="homeca-trust-") as scratch:
        path = Path(scratch) / "password"
        write_whole(path, secret + b"\n", mode=0o600)
        yield path
