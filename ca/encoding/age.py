"""The age format, version 1: a file for a passphrase or for X25519 recipients.

Chosen because it outlives homeca: `age --decrypt` opens such a file with nothing of ours installed.
The primitives are those of `cryptography`; the format is C2SP's age.md:

    header   "age-encryption.org/v1", one stanza per recipient, "--- " HMAC-SHA256
    stanza   "-> X25519 SHARE" or "-> scrypt SALT LOG2N", then the wrapped file key
    payload  a nonce of 16 octets, then 64 KiB chunks under ChaCha20-Poly1305; the nonce of a chunk
             counts them and says which is the last, so that nothing can be left out or cut off
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ca.encoding.age_keys import (
    VERSION,
    Identity,
    Passphrase,
    Recipient,
    Stanza,
    damaged,
    decoded,
    derived,
    encoded,
    file_key_in,
    stanzas_for,
)
from ca.errors import BackupTruncated, NotABackup
from ca.interfaces.values import Entropy

CHUNK = 65536
_TAG = 16
_HEADER_LIMIT = 65536
_STANZAS = 64

# ---------------------------------------------------------------- sealing


def seal(
    plain: Iterable[bytes], to: Passphrase | Sequence[Recipient], *, entropy: Entropy
) -> Iterator[bytes]:
    """The age file of `plain`, in pieces; flat memory at any size."""
    file_key = entropy(16)
    stanzas = stanzas_for(to, file_key, entropy)
    if not stanzas:
        raise ValueError("a file for nobody")
    header = b"\n".join([VERSION, *stanzas, b"---"])
    nonce = entropy(16)
    yield header + b" " + encoded(_header_mac(file_key, header)) + b"\n" + nonce
    cipher = ChaCha20Poly1305(derived(file_key, nonce, b"payload"))
    for counter, (chunk, is_last) in enumerate(_chunks(plain)):
        yield cipher.encrypt(_chunk_nonce(counter, is_last), chunk, None)


def sealed_size(header: int, plain: int) -> int:
    """How long a file is whose header, with its nonce, and content have these lengths."""
    return header + plain + _TAG * max(1, -(-plain // CHUNK))


def _chunks(plain: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """64 KiB each; the last one, which may be full, is marked. None is empty but of nothing."""
    buffer = bytearray()
    for piece in plain:
        buffer += piece
        while len(buffer) > CHUNK:
            yield bytes(buffer[:CHUNK]), False
            del buffer[:CHUNK]
    yield bytes(buffer), True


# ---------------------------------------------------------------- opening


def takes_passphrase(stream: BinaryIO) -> bool:
    """What an age file's header says, which is not proven without the key.

    Raises: NotABackup, BackupDamaged, BackupTruncated.
    """
    text, _ = _read_header(stream)
    return any(stanza.arguments[0] == "scrypt" for stanza in _stanzas_in(text))


class Opened:
    """An age file whose header has been read and proven. Iterate for its content.

    header: octets before the first chunk, nonce included.
    """

    def __init__(self, stream: BinaryIO, key: Passphrase | Sequence[Identity]) -> None:
        """Raises: NotABackup, BackupLocked, BackupDamaged, BackupTruncated."""
        self._stream = stream
        text, mac = _read_header(stream)
        stanzas = _stanzas_in(text)
        file_key = file_key_in(stanzas, key)
        _check_header(file_key, text, mac)
        nonce = stream.read(16)
        if len(nonce) < 16:
            raise _truncated()
        self.header = len(text) + 1 + len(encoded(mac)) + 1 + len(nonce)
        self._cipher = ChaCha20Poly1305(derived(file_key, nonce, b"payload"))

    def __iter__(self) -> Iterator[bytes]:
        """Authentic pieces in their order. Raises: BackupDamaged, BackupTruncated."""
        counter = 0
        chunk = self._stream.read(CHUNK + _TAG)
        while True:
            following = self._stream.read(CHUNK + _TAG) if len(chunk) == CHUNK + _TAG else b""
            is_last = not following
            plain = self._decrypted(chunk, counter, is_last)
            if not plain and counter:
                raise damaged("its last part is empty")
            yield plain
            if is_last:
                return
            chunk, counter = following, counter + 1

    def _decrypted(self, chunk: bytes, counter: int, is_last: bool) -> bytes:
        try:
            return self._cipher.decrypt(_chunk_nonce(counter, is_last), chunk, None)
        except InvalidTag:
            pass
        if is_last and self._is_good(chunk, counter):
            raise _truncated()
        raise damaged(f"octets from {counter * CHUNK} on are not the ones that were written")

    def _is_good(self, chunk: bytes, counter: int) -> bool:
        try:
            self._cipher.decrypt(_chunk_nonce(counter, False), chunk, None)
        except InvalidTag:
            return len(chunk) < _TAG
        return True


def _read_header(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The header up to and with "---", and the MAC after it."""
    lines: list[bytes] = []
    size = 0
    while True:
        line = stream.readline(_HEADER_LIMIT)
        size += len(line)
        if not lines and line != VERSION + b"\n":
            if line and (VERSION + b"\n").startswith(line):
                raise _truncated()
            raise NotABackup(
                "the file is not a homeca backup: it does not begin as an age file does",
                remedy="give the file that `homeca backup` wrote",
            )
        if not line.endswith(b"\n"):
            raise _truncated() if size < _HEADER_LIMIT else damaged("its header has no end")
        if line.startswith(b"---"):
            break
        lines.append(line)
        if size >= _HEADER_LIMIT:
            raise damaged("its header has no end")
    if not line.startswith(b"--- "):
        raise damaged("its header does not end as it should")
    return b"".join(lines) + b"---", decoded(line[4:-1])


def _stanzas_in(text: bytes) -> list[Stanza]:
    found: list[Stanza] = []
    lines = text.split(b"\n")[1:-1]
    at = 0
    while at < len(lines) and len(found) < _STANZAS:
        if not re.fullmatch(rb"->( [!-~]+)+", lines[at]):
            raise damaged("its header cannot be read")
        arguments = tuple(lines[at][3:].decode("ascii").split(" "))
        body = b""
        at += 1
        while at < len(lines):
            line = lines[at]
            body += line
            at += 1
            if len(line) < 64:
                break
        else:
            raise damaged("its header cannot be read")
        found.append(Stanza(arguments, decoded(body)))
    return found


def _check_header(file_key: bytes, text: bytes, mac: bytes) -> None:
    check = hmac.HMAC(derived(file_key, b"", b"header"), hashes.SHA256())
    check.update(text)
    try:
        check.verify(mac)
    except InvalidSignature as error:
        raise damaged("its header was changed") from error


# ---------------------------------------------------------------- primitives


def _header_mac(file_key: bytes, header: bytes) -> bytes:
    check = hmac.HMAC(derived(file_key, b"", b"header"), hashes.SHA256())
    check.update(header)
    return check.finalize()


def _chunk_nonce(counter: int, is_last: bool) -> bytes:
    return counter.to_bytes(11, "big") + bytes([is_last])


def _truncated() -> BackupTruncated:
    return BackupTruncated(
        "the backup is cut off: its end is missing",
        remedy="copy it again from where it was made, or use another backup",
    )
