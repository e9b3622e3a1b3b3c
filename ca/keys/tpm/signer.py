"""One loaded key, and what may go wrong between asking it and having the signature."""

from __future__ import annotations

import hashlib

from ca.algorithms import HASHES, TPM_SCHEMES, SignatureAlgorithm
from ca.encoding.tpm import BORN_AND_BOUND, Attributes, PublicArea, signature_value
from ca.encoding.tsskey import TssKey
from ca.errors import (
    CustodyError,
    EncodingError,
    KeyRefused,
    PinNeeded,
    PinUnusable,
    SignatureUncertain,
    TpmTampered,
)
from ca.failpoints import failpoint
from ca.interfaces.values import Secret
from ca.keys.tpm.return_codes import CC_SIGN
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import (
    ESYS_TR,
    TPM2_ALG,
    TPMS_SCHEME_HASH,
    TPMT_SIG_SCHEME,
    TPMU_SIG_SCHEME,
)

#: authValue is at most as long as the nameAlg's digest (Part 1 §19.6.5); all our Names are SHA-256.
MAX_PIN = 32


class TpmSigner:
    """A `ca.interfaces.Signer` inside a Transaction."""

    def __init__(self, tpm: Transaction, handle: ESYS_TR, area: PublicArea) -> None:
        self._tpm = tpm
        self._handle = handle
        self._kind = area.kind
        self._spki = area.spki
        self._algorithm = area.signature_algorithm
        self._scheme = _scheme(area, self._algorithm)

    @property
    def algorithm(self) -> SignatureAlgorithm:
        return self._algorithm

    @property
    def spki(self) -> bytes:
        return self._spki

    def sign(self, octets: bytes) -> bytes:
        """The content of signatureValue over `octets`; one TPM2_Sign with their digest.

        Raises: SignatureUncertain when the TPM was asked and what it did is not known.
        """
        digest = hashlib.new(self._algorithm.hash, octets).digest()
        sent = len(self._tpm.wire.commands)
        failpoint("signature.asking")
        try:
            with self._tpm.esapi() as esapi:
                signature = esapi.sign(
                    self._handle, digest, self._scheme, session1=self._tpm.session
                )
                answer = bytes(signature.marshal())
            failpoint("signature.made")
            return signature_value(answer, algorithm=self._algorithm, kind=self._kind)
        except (TpmTampered, EncodingError) as error:
            if CC_SIGN in self._tpm.wire.commands[sent:]:
                raise _uncertain("its answer is not to be trusted") from error
            raise
        except CustodyError as error:
            if self._tpm.wire.pending == CC_SIGN:
                raise _uncertain("its answer was lost") from error
            raise


def _uncertain(why: str) -> SignatureUncertain:
    return SignatureUncertain(
        f"the TPM was asked for a signature and {why}: one may exist",
        remedy="sign again: it gets a new serial, and this one goes on the CRL",
    )


def _scheme(area: PublicArea, algorithm: SignatureAlgorithm) -> TPMT_SIG_SCHEME:
    """NULL for a key with a scheme of its own, else the one we want."""
    if area.scheme is not None:
        return TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL)
    digest = TPMS_SCHEME_HASH(hashAlg=TPM2_ALG(HASHES[algorithm.hash].tpm))
    return TPMT_SIG_SCHEME(
        scheme=TPM2_ALG(TPM_SCHEMES[algorithm.scheme]), details=TPMU_SIG_SCHEME(any=digest)
    )


def require_own_key(key: TssKey, *, spki: bytes) -> PublicArea:
    """The public area of a key file, if it may sign for the owner of `spki`.

    Raises: KeyRefused for another key, one that could have been or could go elsewhere, one
            that signs only what the TPM hashed itself, or cannot sign; EncodingError.
    """
    area = PublicArea.from_tpm2b(key.public)
    attributes = area.attributes
    if area.spki != spki:
        raise KeyRefused(
            "the key file holds another key than the certificate names",
            remedy="put the key file back that belongs to this issuer, from a backup of the home",
        )
    if attributes & BORN_AND_BOUND != BORN_AND_BOUND:
        raise KeyRefused(
            "the key was not made inside this TPM or may leave it",
            remedy="make the issuer's key with homeca: it never leaves the TPM",
        )
    if attributes & Attributes.RESTRICTED:
        raise KeyRefused(
            "the key is restricted: it signs only what the TPM itself has hashed",
            remedy="use a key that is not restricted; `openssl -algorithm RSA-PSS` makes such ones",
        )
    if not attributes & Attributes.SIGN or not attributes & Attributes.USER_WITH_AUTH:
        raise KeyRefused(
            "the key cannot sign, or not with a PIN alone",
            remedy="use a key with the attributes sign and userWithAuth",
        )
    return area


def auth_value(key: TssKey, pin: Secret | None) -> bytes:
    """What the TPM is to be told for this key; a key without PIN ignores one.

    Raises: PinNeeded, PinUnusable.
    """
    if key.empty_auth:
        return b""
    if pin is None or not pin.reveal():
        raise PinNeeded(
            "this key has a PIN", remedy="give it when asked, or in a file with `--pin-file`"
        )
    return require_usable_pin(pin)


def require_usable_pin(pin: Secret) -> bytes:
    """The PIN's octets. Raises: PinUnusable."""
    octets = pin.reveal()
    if len(octets) > MAX_PIN:
        raise PinUnusable(
            f"a PIN in a TPM has at most {MAX_PIN} octets, this one has {len(octets)}",
            remedy="choose a shorter one",
        )
    if b"\0" in octets:
        raise PinUnusable(
            "a PIN in a TPM has no NUL octets: it would drop them at the end",
            remedy="choose one of printable characters",
        )
    return octets
