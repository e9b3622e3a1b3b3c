"""Who may open an age file: a passphrase or X25519 recipients, and the stanza for each.

C2SP's age.md: a stanza wraps the file key, 16 octets, under ChaCha20-Poly1305 with a key that is
stretched from the passphrase by scrypt, or agreed with the recipient's public key.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

from ca.encoding import bech32
from ca.errors import BackupDamaged, BackupLocked, UsageError
from ca.interfaces.values import Entropy, Secret

VERSION = b"age-encryption.org/v1"
_TAG = 16

#: 2^17 × 8 × 128 octets = 128 MiB and about half a second (OWASP's value for scrypt).
LOG_N = 17
#: What is opened at most, so that a prepared file cannot ask for all memory: 1 GiB.
_LOG_N_LIMIT = 20


class Passphrase(Struct, frozen=True):
    """scrypt, N = 2**log_n, r = 8, p = 1."""

    secret: Secret
    log_n: int = LOG_N


class Recipient(Struct, frozen=True):
    """Whoever has the identity to this X25519 public key, 32 octets: "age1…"."""

    public: bytes

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """Raises: UsageError."""
        return cls(_key(text.strip(), "age", "a recipient", "age1…, as `age-keygen` prints it"))


class Identity(Struct, frozen=True):
    """An X25519 private key, 32 octets: "AGE-SECRET-KEY-1…"."""

    private: Secret

    @classmethod
    def parse_file(cls, text: str) -> tuple[Identity, ...]:
        """The identities in a file as `age-keygen` writes it: one a line, # begins a comment.

        Raises: UsageError; nothing of the file is repeated.
        """
        lines = [line.strip() for line in text.splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise UsageError(
                "the identity file holds no identity", remedy="make one with `age-keygen -o FILE`"
            )
        wanted = "AGE-SECRET-KEY-1…, as `age-keygen` writes it"
        return tuple(
            cls(Secret(_key(key, "age-secret-key-", "an identity", wanted))) for key in keys
        )


def _key(text: str, prefix: str, what: str, wanted: str) -> bytes:
    try:
        found, octets = bech32.decode(text)
    except ValueError:
        found, octets = "", b""
    if found != prefix or len(octets) != 32:
        raise UsageError(f"that is not {what} of age", remedy=f"give {wanted}")
    return octets


# ---------------------------------------------------------------- stanzas


class Stanza(Struct, frozen=True):
    """One of a header. arguments: its kind first. body: the wrapped file key."""

    arguments: tuple[str, ...]
    body: bytes


def stanzas_for(
    to: Passphrase | Sequence[Recipient], file_key: bytes, entropy: Entropy
) -> list[bytes]:
    """The file key for each who may open it. Raises: UsageError for a recipient that is no key."""
    if isinstance(to, Passphrase):
        return [_scrypt_stanza(to, file_key, entropy)]
    return [_x25519_stanza(recipient, file_key, entropy) for recipient in to]


def _scrypt_stanza(to: Passphrase, file_key: bytes, entropy: Entropy) -> bytes:
    salt = entropy(16)
    body = _wrap(_stretched(to.secret, salt, to.log_n), file_key)
    return _stanza(b"scrypt", encoded(salt), str(to.log_n).encode(), body=body)


def _x25519_stanza(to: Recipient, file_key: bytes, entropy: Entropy) -> bytes:
    ephemeral = X25519PrivateKey.from_private_bytes(entropy(32))
    share = ephemeral.public_key().public_bytes_raw()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(to.public))
    except ValueError as error:
        raise UsageError(
            "that recipient is no key: it gives the same secret to everybody",
            remedy="give the recipient that `age-keygen` printed",
        ) from error
    body = _wrap(derived(shared, share + to.public, VERSION + b"/X25519"), file_key)
    return _stanza(b"X25519", encoded(share), body=body)


def _stanza(*arguments: bytes, body: bytes) -> bytes:
    return b"-> " + b" ".join(arguments) + b"\n" + encoded(body)


def file_key_in(stanzas: Sequence[Stanza], key: Passphrase | Sequence[Identity]) -> bytes:
    """Raises: BackupLocked, BackupDamaged."""
    is_for_passphrase = any(stanza.arguments[0] == "scrypt" for stanza in stanzas)
    if isinstance(key, Passphrase):
        if not is_for_passphrase:
            raise not_for_passphrase()
        if len(stanzas) != 1:
            raise damaged("its header names a passphrase and others")
        return _by_passphrase(stanzas[0], key)
    if is_for_passphrase:
        raise BackupLocked(
            "the backup was made for a passphrase, not for an age recipient",
            remedy="leave out --identity",
        )
    for stanza in stanzas:
        for identity in key:
            file_key = _by_identity(stanza, identity)
            if file_key is not None:
                return file_key
    raise BackupLocked(
        "the backup was not made for any of these identities",
        remedy="give the identity file to the recipient it was made for",
    )


def not_for_passphrase() -> BackupLocked:
    """The error for a passphrase where there is none."""
    return BackupLocked(
        "this backup is for an age recipient, not for a passphrase",
        remedy="give --identity FILE, the recipient's identity as `age-keygen` wrote it",
    )


def _by_passphrase(stanza: Stanza, key: Passphrase) -> bytes:
    arguments = stanza.arguments
    if len(arguments) != 3 or not re.fullmatch(r"[1-9][0-9]?", arguments[2]):
        raise damaged("its header cannot be read")
    salt, log_n = decoded(arguments[1].encode()), int(arguments[2])
    if len(salt) != 16 or len(stanza.body) != 16 + _TAG:
        raise damaged("its header cannot be read")
    if log_n > _LOG_N_LIMIT:
        raise damaged(f"its header asks for 2^{log_n} rounds of scrypt")
    try:
        return _unwrap(_stretched(key.secret, salt, log_n), stanza.body)
    except InvalidTag as error:
        raise BackupLocked(
            "the passphrase is not the one this backup was made with",
            remedy="try again; without it nobody can open this backup",
        ) from error


def _by_identity(stanza: Stanza, identity: Identity) -> bytes | None:
    """The file key; None when the stanza is for somebody else or of another kind."""
    if stanza.arguments[0] != "X25519" or len(stanza.arguments) != 2:
        return None
    share = decoded(stanza.arguments[1].encode())
    if len(share) != 32 or len(stanza.body) != 16 + _TAG:
        raise damaged("its header cannot be read")
    private = X25519PrivateKey.from_private_bytes(identity.private.reveal())
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
        public = private.public_key().public_bytes_raw()
        return _unwrap(derived(shared, share + public, VERSION + b"/X25519"), stanza.body)
    except (InvalidTag, ValueError):
        return None


# ---------------------------------------------------------------- primitives


def _stretched(passphrase: Secret, salt: bytes, log_n: int) -> bytes:
    kdf = Scrypt(salt=VERSION + b"/scrypt" + salt, length=32, n=1 << log_n, r=8, p=1)
    return kdf.derive(passphrase.reveal())


def derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """32 octets by HKDF-SHA256 (RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(secret)


def _wrap(key: bytes, file_key: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)


def _unwrap(key: bytes, body: bytes) -> bytes:
    return ChaCha20Poly1305(key).decrypt(bytes(12), body, None)


def encoded(octets: bytes) -> bytes:
    """Base64 without padding."""
    return base64.b64encode(octets).rstrip(b"=")


def decoded(text: bytes) -> bytes:
    """Base64 without padding, in its one canonical spelling."""
    try:
        octets = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise damaged("its header cannot be read") from error
    if encoded(octets) != text:
        raise damaged("its header cannot be read")
    return octets


def damaged(why: str) -> BackupDamaged:
    """The error for octets that are not as they were. why: lower case, no full stop."""
    return BackupDamaged(
        f"the backup is damaged: {why}", remedy="use another copy of it, or another backup"
    )
