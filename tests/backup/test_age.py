"""The age format, with the age program of Debian as the judge in both directions."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import subprocess
import termios
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.encoding import bech32
from ca.encoding.age import CHUNK, Opened, seal, sealed_size
from ca.encoding.age_keys import Identity, Passphrase, Recipient
from ca.errors import BackupDamaged, BackupLocked, BackupTruncated, NotABackup, UsageError
from ca.interfaces.values import Secret
from tests.interop.programs import must, require

PASSPHRASE = Passphrase(Secret(b"correct horse battery"), 10)
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK)


@pytest.fixture(scope="module")
def identity_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("age") / "identity.txt"
    must("age-keygen", "-o", path)
    return path


@pytest.fixture(scope="module")
def public(identity_file: Path) -> str:
    return must("age-keygen", "-y", identity_file).strip()


def identities(path: Path) -> tuple[Identity, ...]:
    return Identity.parse_file(path.read_text())


def sealed(plain: bytes, to: Passphrase | list[Recipient] = PASSPHRASE) -> bytes:
    return b"".join(seal([plain], to, entropy=os.urandom))


def opened(octets: bytes, key: Passphrase | tuple[Identity, ...] = PASSPHRASE) -> bytes:
    return b"".join(Opened(io.BytesIO(octets), key))


def age(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [require("age"), *map(str, arguments)],
        input=given,
        capture_output=True,
        check=False,
        timeout=30,
    )


# ---------------------------------------------------------------- age, the program


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_homeca_sealed_for_a_recipient(
    identity_file: Path, public: str, size: int
) -> None:
    plain = os.urandom(size)
    octets = sealed(plain, [Recipient.parse(public)])
    assert age("--decrypt", "-i", identity_file, given=octets).stdout == plain


@pytest.mark.parametrize("size", SIZES)
def test_homeca_opens_what_age_sealed_for_a_recipient(
    identity_file: Path, public: str, size: int
) -> None:
    plain = os.urandom(size)
    octets = age("-r", public, given=plain).stdout
    assert opened(octets, identities(identity_file)) == plain


def test_age_refuses_what_homeca_sealed_for_somebody_else(
    identity_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    must("age-keygen", "-o", other)
    stranger = Recipient.parse(must("age-keygen", "-y", other).strip())
    done = age("--decrypt", "-i", identity_file, given=sealed(b"plain", [stranger]))
    assert (done.returncode, done.stdout) == (1, b"")


def typed(argv: list[str], passphrase: bytes) -> int:
    """Run a program on a terminal of its own that types the passphrase whenever it is asked."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        argv,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # age asks /dev/tty
    )
    os.close(slave)
    give_up = time.monotonic() + 30
    said = b""
    try:
        while process.poll() is None and time.monotonic() < give_up:
            if not select.select([master], [], [], 0.05)[0]:
                continue
            try:
                said += os.read(master, 4096)
            except OSError:  # the terminal went away with the program
                break
            if b"passphrase" in said.lower() and said.rstrip(b" ").endswith(b":"):
                os.write(master, passphrase + b"\n")
                said = b""
        return process.wait(10)
    finally:
        process.kill()
        process.wait(10)
        os.close(master)


def test_age_opens_what_homeca_sealed_with_a_passphrase(tmp_path: Path) -> None:
    (tmp_path / "sealed.age").write_bytes(sealed(b"plain"))
    argv = [require("age"), "-d", "-o", str(tmp_path / "plain"), str(tmp_path / "sealed.age")]
    assert typed(argv, b"correct horse battery") == 0
    assert (tmp_path / "plain").read_bytes() == b"plain"


def test_age_refuses_it_with_another_passphrase(tmp_path: Path) -> None:
    (tmp_path / "sealed.age").write_bytes(sealed(b"plain"))
    argv = [require("age"), "-d", "-o", str(tmp_path / "plain"), str(tmp_path / "sealed.age")]
    assert typed(argv, b"wrong horse battery") != 0


def test_homeca_opens_what_age_sealed_with_a_passphrase(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"plain")
    argv = [require("age"), "-p", "-o", str(tmp_path / "sealed.age"), str(tmp_path / "plain")]
    assert typed(argv, b"correct horse battery") == 0
    assert opened((tmp_path / "sealed.age").read_bytes()) == b"plain"


# ---------------------------------------------------------------- spoilt files


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3 * CHUNK), st.lists(st.integers(1, CHUNK), max_size=4))
def test_what_is_sealed_in_pieces_comes_out_whole(plain: bytes, cuts: list[int]) -> None:
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(plain[at : at + cut])
        at += cut
    octets = b"".join(seal([*pieces, plain[at:]], PASSPHRASE, entropy=os.urandom))
    assert opened(octets) == plain
    header = Opened(io.BytesIO(octets), PASSPHRASE).header
    assert sealed_size(header, len(plain)) == len(octets)


WHOLE = sealed(bytes(2 * CHUNK + 100))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_no_bit_can_be_changed_unnoticed(at: int, bit: int) -> None:
    spoilt = bytearray(WHOLE)
    spoilt[at] ^= 1 << bit
    with pytest.raises((BackupDamaged, BackupLocked, BackupTruncated, NotABackup)):
        opened(bytes(spoilt))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_no_end_can_be_missing_unnoticed(length: int) -> None:
    with pytest.raises((BackupDamaged, BackupTruncated, NotABackup)):
        opened(WHOLE[:length])


def test_nothing_can_be_added_unnoticed() -> None:
    with pytest.raises(BackupDamaged):
        opened(WHOLE + b"x")


def test_chunks_cannot_change_places() -> None:
    first = len(WHOLE) - 2 * (CHUNK + 16) - 116
    one, two = WHOLE[first : first + CHUNK + 16], WHOLE[first + CHUNK + 16 : -116]
    with pytest.raises(BackupDamaged, match="octets from 0 on"):
        opened(WHOLE[:first] + two + one + WHOLE[-116:])


def test_a_file_cut_between_two_chunks_is_said_to_be_cut_off() -> None:
    with pytest.raises(BackupTruncated):
        opened(WHOLE[:-116])


def test_a_file_of_another_kind_is_said_to_be_one() -> None:
    for octets in (b"", b"SQLite format 3\0", b"-----BEGIN X509 CRL-----\n", b"\x1f\x8b\x08"):
        with pytest.raises(NotABackup):
            opened(octets)


def test_a_wrong_passphrase_is_said_to_be_wrong() -> None:
    with pytest.raises(BackupLocked, match="passphrase is not the one"):
        opened(WHOLE, Passphrase(Secret(b"wrong horse battery"), 10))


def test_the_kind_of_key_it_was_made_for_is_told(identity_file: Path, public: str) -> None:
    with pytest.raises(BackupLocked, match="for a passphrase"):
        opened(WHOLE, identities(identity_file))
    with pytest.raises(BackupLocked, match="for an age recipient"):
        opened(sealed(b"", [Recipient.parse(public)]))


def test_a_prepared_file_cannot_ask_for_all_memory() -> None:
    greedy = WHOLE.replace(b" 10\n", b" 62\n", 1)
    with pytest.raises(BackupDamaged, match="2\\^62 rounds"):
        opened(greedy)


def test_a_header_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(BackupDamaged, match="no end"):
        opened(b"age-encryption.org/v1\n" + b"-> X25519 AAAA\nAAAA\n" * 10000)


# ---------------------------------------------------------------- keys


@given(st.binary(min_size=32, max_size=32))
def test_bech32_round_trips(octets: bytes) -> None:
    assert bech32.decode(bech32.encode("age", octets)) == ("age", octets)


def test_one_mistyped_character_of_a_recipient_is_noticed(public: str) -> None:
    for at in range(4, len(public)):
        other = "q" if public[at] != "q" else "p"
        with pytest.raises(UsageError):
            Recipient.parse(public[:at] + other + public[at + 1 :])


def test_a_recipient_is_not_an_identity(identity_file: Path, public: str) -> None:
    with pytest.raises(UsageError, match="not an identity"):
        Identity.parse_file(public)
    with pytest.raises(UsageError, match="not a recipient"):
        Recipient.parse(identity_file.read_text().splitlines()[-1])
    with pytest.raises(UsageError, match="holds no identity"):
        Identity.parse_file("# nothing\n")


def test_a_recipient_that_shares_its_secret_with_everybody_is_refused() -> None:
    with pytest.raises(UsageError, match="same secret"):
        sealed(b"", [Recipient(bytes(32))])
