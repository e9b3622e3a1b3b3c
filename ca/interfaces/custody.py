"""Where a private key lives, who may use it, and what a TPM says of itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from msgspec import Struct, field

from ca.algorithms import KeyKind, SignatureAlgorithm
from ca.interfaces.ledger import Anchor, AnchorPlace, KeyAttestation
from ca.interfaces.values import Secret


class CustodyKind(StrEnum):
    """Where a private key lives. Shown in every status; a software TPM is never silent."""

    HARDWARE_TPM = "hardware-tpm"
    SOFTWARE_TPM = "software-tpm"
    TOKEN = "pkcs11"  # noqa: S105 - a kind of device, not a password
    FILE = "file"


class Custody(Struct, frozen=True, kw_only=True):
    """The TPM (or token) a CA is bound to, as recorded at its first ceremony.

    tcti:         how it is reached: "embedded", "device:/dev/tpmrm0", "swtpm:path=/run/x".
    manufacturer: TPM_PT_MANUFACTURER as text, "IBM". model: the vendor string, "SW   TPM".
    firmware:     "8217.4131.22.13878" or as the vendor writes it.
    srk_public:   TPM2B_PUBLIC of the storage key at 0x81000001: the pin of invariant 6.
    """

    kind: CustodyKind
    tcti: str
    manufacturer: str
    model: str
    firmware: str
    srk_public: bytes


class SealedKey(Struct, frozen=True, kw_only=True):
    """A new key: `pem` is useless away from its TPM, `spki` is its public half (DER).

    attestation: the TPM's own word that it was made inside, where it gave one.
    """

    kind: KeyKind
    pem: bytes
    spki: bytes
    attestation: KeyAttestation | None = None


class Signer(Protocol):
    """One key, ready to sign. Live only inside `KeyCustody.open`."""

    @property
    def algorithm(self) -> SignatureAlgorithm: ...

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo of the key that signs."""
        ...

    def sign(self, octets: bytes) -> bytes:
        """The content of signatureValue over `octets` (hashed here, one digest to the TPM).

        Raises: SignatureUncertain when the answer was lost; CustodyError when none was made.
        """
        ...


class KeyCustody(Protocol):
    """A TPM or token: makes keys that stay inside, and signs with them."""

    def describe(self) -> Custody:
        """Which TPM this is, asked of the TPM itself. The storage key is made if missing."""
        ...

    def create(self, kind: KeyKind, *, pin: Secret | None, attest: bool = False) -> SealedKey:
        """A new fixedTPM, fixedParent, sensitiveDataOrigin signing key, PIN as authValue.

        attest: have the TPM say so as well (TPM2_CertifyCreation).
        Raises: CustodyError naming the kinds this TPM can make when `kind` is not one.
        """
        ...

    def open(
        self, pem: bytes, *, spki: bytes, pin: Secret | None
    ) -> AbstractContextManager[Signer]:
        """One transaction with the key loaded: 1 command per signature, the rest constant.

        spki: the public key the certificate names; a blob with another one is refused.
        """
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Keep one transaction open: everything asked meanwhile goes through it."""
        ...

    def tpm_name(self) -> bytes:
        """The Name of the storage key (Part 1 §16): which TPM this is. Within `hold`."""
        ...

    def anchor(self, place: AnchorPlace) -> Anchor:
        """The indices where they were placed; the TPM is not asked yet. Within `hold`."""
        ...

    def place_anchor(self, ledger: bytes) -> AnchorPlace:
        """The indices of this ledger, made when they are not there. Within `hold`."""
        ...

    def attestation_key(self) -> bytes | None:
        """TPM2B_PUBLIC of the attestation key; None when this TPM makes none. Within `hold`."""
        ...

    def certify(
        self, pem: bytes, *, spki: bytes, pin: Secret | None, qualifying: bytes
    ) -> KeyAttestation:
        """What the attestation key says of a key that is here: TPM2_Certify."""
        ...


class KeyCapability(Struct, frozen=True, kw_only=True):
    """Whether this TPM can make a kind of key, and if not, in a sentence, why."""

    kind: KeyKind
    supported: bool
    reason: str = ""


class TpmReport(Struct, frozen=True, kw_only=True):
    """What a TPM says of itself (`homeca tpm info`).

    spec:      "2.0 rev 1.64".
    algorithms, curves: names in the TCG registry's spelling, upper case.
    rsa_sizes: those TPM2_TestParms accepts.
    lockout_counter, max_tries: dictionary attack state; lockout_interval, recovery: seconds.
    transient_free, session_free: slots (-1: not told); persistent: handles in use.
    """

    custody: CustodyKind
    tcti: str
    manufacturer: str
    model: str
    firmware: str
    spec: str
    algorithms: tuple[str, ...]
    curves: tuple[str, ...]
    rsa_sizes: tuple[int, ...]
    hashes: tuple[str, ...]
    in_lockout: bool
    lockout_counter: int
    max_tries: int
    lockout_interval: int
    lockout_recovery: int
    owner_auth_set: bool
    transient_free: int
    session_free: int
    persistent: tuple[int, ...]
    key_kinds: tuple[KeyCapability, ...] = field(default_factory=tuple)
