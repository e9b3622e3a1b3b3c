"""Options that many commands share, and the secrets that none takes as a value."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ca.cli.output import warn
from ca.errors import ConfigurationError, UsageError
from ca.home import default_home, expanded
from ca.interfaces.values import Secret
from ca.names.showing import shell_word

#: Longer than any person types, shorter than any TPM's limit for an authValue (SHA-256 name).
PIN_LIMIT = 32

#: A wrong PIN locks no key (noDA), so it can be tried out, at 20 to 1,000 a second: shorter ones
#: are found within days.
PIN_LEAST = 8
PIN_LEAST_DIGITS = 12

#: Of a backup: scrypt takes half a second a guess, and a thief has all the time there is.
PASSPHRASE_LIMIT = 1024
PASSPHRASE_LEAST = 12

#: Of a file's password; no phone takes a longer one.
PASSWORD_LIMIT = 128

#: Seconds for whoever writes a secret into a pipe: it may have to ask a person first.
PIPE_PATIENCE = 120.0

PinOption = Annotated[
    bool,
    typer.Option(
        "--pin",
        help="Protect the key with a PIN, asked for twice or taken from --pin-file. The TPM "
        f"counts no wrong ones: take {PIN_LEAST} characters or more, not only digits.",
    ),
]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        envvar="HOMECA_HOME",
        show_envvar=True,
        help="The CA's home. Default: /var/lib/homeca for root, else ~/.local/share/homeca.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
TpmOption = Annotated[
    str | None,
    typer.Option(
        "--tpm",
        metavar="TCTI",
        envvar="HOMECA_TPM",
        show_envvar=True,
        help='Which TPM: a TCTI such as "device:/dev/tpmrm0", or "embedded" for the software '
        "TPM in the CA's home. Default: the hardware TPM if there is one, else embedded.",
    ),
]
PinFileOption = Annotated[
    Path | None,
    typer.Option(
        "--pin-file",
        metavar="FILE",
        envvar="HOMECA_PIN_FILE",
        show_envvar=True,
        help="Read the key's PIN from a file of mode 0600 instead of asking for it.",
    ),
]
NewPinFileOption = Annotated[
    Path | None,
    typer.Option(
        "--new-pin-file",
        metavar="FILE",
        help="Protect the new key with the PIN in this file of mode 0600; --pin-file is then the "
        "root's alone.",
    ),
]
OwnerFileOption = Annotated[
    Path | None,
    typer.Option(
        "--tpm-owner-file",
        metavar="FILE",
        help="The password of the TPM's owner, in a file of mode 0600, if it has one.",
    ),
]
BelieveClockOption = Annotated[
    bool,
    typer.Option(
        "--believe-clock",
        help="The clock is right although the record disagrees: after a year of rest, or when "
        "an earlier act was dated wrongly.",
    ),
]


def chosen_home(home: Path | None) -> Path:
    return (expanded(home) if home is not None else default_home()).absolute()


def read_pin(pin_file: Path | None, *, key: str) -> Secret:
    """The PIN of a key: --pin-file, else a systemd credential, else asked for on the terminal.

    Raises: UsageError when there is nobody to ask, ConfigurationError for a readable file.
    """
    if pin_file is not None:
        return _from_file(pin_file)
    directory = os.environ.get("CREDENTIALS_DIRECTORY")  # systemd.exec(5), LoadCredential=
    if directory:
        slug = Path(key).stem
        for name in (f"homeca.pin.{slug}", "homeca.pin"):
            credential = Path(directory) / name
            if credential.exists():
                return Secret(_stripped(credential.read_bytes()))
    return _asked(f"PIN of {key}: ")


def new_pin(pin_file: Path | None) -> Secret:
    """A PIN for a key to be made, typed twice unless it comes from a file."""
    pin = _from_file(pin_file) if pin_file is not None else _asked("New PIN: ")
    if pin_file is None and pin != _asked("Again: "):
        raise UsageError("the two PINs differ", remedy="try again")
    _warn_if_short(pin)
    return pin


def _warn_if_short(pin: Secret) -> None:
    text = pin.reveal()
    if len(text) < (PIN_LEAST_DIGITS if text.isdigit() else PIN_LEAST):
        warn(
            "this PIN is short: a TPM counts no wrong ones, so whoever gets at this machine can "
            f"try them all; take {PIN_LEAST} characters or more, not only digits"
        )


def read_passphrase(path: Path | None, *, is_new: bool) -> Secret:
    """A backup's passphrase: --passphrase-file, else a systemd credential, else asked for.

    is_new: it is to encrypt, so it is asked for twice and must not be short.
    Raises: UsageError, ConfigurationError.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if path is not None:
        secret = _from_file(path, what="passphrase", limit=PASSPHRASE_LIMIT)
    elif directory and (Path(directory) / "homeca.backup").exists():
        octets = (Path(directory) / "homeca.backup").read_bytes()
        secret = Secret(_stripped(octets, what="passphrase", limit=PASSPHRASE_LIMIT))
    elif not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for the backup's passphrase",
            remedy="give --passphrase-file FILE, or use an age key",
        )
    else:
        secret = _asked("Passphrase of the backup: ", limit=PASSPHRASE_LIMIT)
        if is_new and secret != _asked("Again: ", limit=PASSPHRASE_LIMIT):
            raise UsageError("the two passphrases differ", remedy="try again")
    if is_new and len(secret.reveal()) < PASSPHRASE_LEAST:
        raise UsageError(
            f"the passphrase has fewer than {PASSPHRASE_LEAST} characters",
            remedy="take five or six words; whoever finds the file can try for ever",
        )
    return secret


def read_owner_auth(path: Path | None) -> Secret | None:
    """The TPM owner's password; most TPMs have none."""
    return _from_file(path) if path is not None else None


def read_password(path: Path) -> Secret:
    """A password of some file, in a file of mode 0600: at most PASSWORD_LIMIT octets.

    Raises: ConfigurationError, UsageError.
    """
    return _from_file(path, what="password", limit=PASSWORD_LIMIT)


#: What pipes gave. They give it once, and a ceremony needs the PIN again to use its new key.
_GIVEN: dict[Path, Secret] = {}


def _from_file(path: Path, *, what: str = "PIN", limit: int = PIN_LIMIT) -> Secret:
    if path in _GIVEN:
        return _GIVEN[path]
    try:
        # a pipe that nobody writes to would be waited for before it could be looked at
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                raise ConfigurationError(
                    f"the {what} file {str(path)!r} can be read by others "
                    f"(mode {stat.S_IMODE(mode):04o})",
                    remedy=f"run `chmod 600 {shell_word(path)}`",
                )
            if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
                raise ConfigurationError(
                    f"the {what} file {str(path)!r} is neither a file nor a pipe",
                    remedy=f"write the {what} into a file of mode 0600",
                )
            octets = _read_out(descriptor, limit + 3)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(
            f"the {what} file {str(path)!r} cannot be read: {error.strerror}",
            remedy="check the path and its mode",
        ) from error
    if not octets and stat.S_ISFIFO(mode):
        raise ConfigurationError(
            f"the pipe {str(path)!r} gives no {what}",
            remedy=f"see that something writes into it, or write the {what} into a file of "
            "mode 0600",
        )
    secret = Secret(_stripped(octets, what=what, limit=limit))
    if stat.S_ISFIFO(mode):
        _GIVEN[path] = secret
    return secret


def _read_out(descriptor: int, limit: int) -> bytes:
    """At most `limit` octets of a file or a pipe that was opened without blocking.

    A pipe with a writer is waited for, such as a program that asks a person first; b"" is what one
    without any gives. Raises: OSError, TimeoutError when its writer takes too long.
    """
    octets, end = b"", time.monotonic() + PIPE_PATIENCE
    while len(octets) < limit:
        try:
            piece = os.read(descriptor, limit - len(octets))
        except BlockingIOError:
            left = end - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise TimeoutError(
                    errno.ETIMEDOUT, f"nothing came for {PIPE_PATIENCE:.0f} s"
                ) from None
            continue
        if not piece:
            break
        octets += piece
    return octets


def _stripped(octets: bytes, *, what: str = "PIN", limit: int = PIN_LIMIT) -> bytes:
    secret = octets.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise UsageError(f"the {what} is empty", remedy="write at least one character")
    if len(secret) > limit:
        raise UsageError(f"the {what} is longer than {limit} octets", remedy="choose a shorter one")
    return secret


def _asked(prompt: str, *, limit: int = PIN_LIMIT) -> Secret:
    if not sys.stdin.isatty():
        raise UsageError(
            "the key has a PIN and there is no terminal to ask for it",
            remedy="give --pin-file FILE, or set HOMECA_PIN_FILE",
        )
    import getpass

    return Secret(_stripped(getpass.getpass(prompt, stream=sys.stderr).encode(), limit=limit))
