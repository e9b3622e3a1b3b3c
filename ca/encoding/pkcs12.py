"""PKCS#12: a device's key with its certificate, for phones that can take it in no other way.

The one place where homeca reads a device's private key: given by its owner for this purpose,
checked against the certificate, and never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from ca.errors import PrivateKeyUnusable
from ca.interfaces.values import Secret

if TYPE_CHECKING:  # cryptography's own modules load when a file is made
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12PrivateKeyTypes

MAX_KEY_FILE = 65536


class Pkcs12Form(StrEnum):
    """How the file is encrypted.

    legacy: 3DES with SHA-1: all that older phones, Macs and Windows read, who call anything else
            a wrong password (client-rules AP6, SS4; chris2511/xca#536, OpenVPN/easy-rsa#957).
    modern: AES-256 with SHA-256 (RFC 8018 PBES2).
    """

    LEGACY = "legacy"
    MODERN = "modern"


#: Iterations of the password's derivation. Old phones take seconds over more of the old kind.
_ROUNDS = {Pkcs12Form.LEGACY: 10_000, Pkcs12Form.MODERN: 100_000}


def pkcs12(
    *,
    key: bytes,
    key_password: Secret | None,
    certificate: bytes,
    chain: Sequence[bytes],
    name: str,
    password: Secret,
    form: Pkcs12Form,
) -> bytes:
    """DER PFX with one key, its certificate and `chain` (RFC 7292).

    key:    PKCS#8, PKCS#1 or SEC 1; PEM or DER; under `key_password`, if it has one.
    name:   the friendlyName people see.
    Raises: PrivateKeyUnusable when it is no such file, its password is wrong or missing, or it
            is the key of another certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs12

    loaded = _load(key, key_password)
    leaf = x509.load_der_x509_certificate(certificate)
    form_of_key = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if loaded.public_key().public_bytes(*form_of_key) != leaf.public_key().public_bytes(
        *form_of_key
    ):
        raise PrivateKeyUnusable(
            "the key file holds the key of another certificate",
            remedy="give the key that the certificate's request was made with",
        )
    return pkcs12.serialize_key_and_certificates(
        name.encode(),
        loaded,
        leaf,
        [x509.load_der_x509_certificate(der) for der in chain] or None,
        _encryption(form, password),
    )


def _load(key: bytes, password: Secret | None) -> PKCS12PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    if b"BEGIN TSS2 PRIVATE KEY" in key:
        raise PrivateKeyUnusable(
            "the key lies in a TPM and cannot leave it",
            remedy="use a kit for keys in a TPM, without --pkcs12",
        )
    load = (
        serialization.load_pem_private_key
        if b"-----BEGIN" in key
        else serialization.load_der_private_key
    )
    try:
        loaded = load(key, password.reveal() if password is not None else None)
    except TypeError as error:  # a password is missing, or one too many
        raise PrivateKeyUnusable(
            "the key file is encrypted and no password was given"
            if password is None
            else "the key file has no password, and one was given",
            remedy="give --key-password-file FILE exactly when the key has a password",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PrivateKeyUnusable(
            "the key file cannot be read, or its password is another one",
            remedy="give a private key as PEM or DER: `openssl pkey -in FILE -noout` reads it",
        ) from error
    fit = (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)
    if not isinstance(loaded, (*fit, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        raise PrivateKeyUnusable(
            "the key file holds a kind of key that no certificate of homeca has",
            remedy="give the key that the certificate's request was made with",
        )
    return cast("PKCS12PrivateKeyTypes", loaded)


def _encryption(form: Pkcs12Form, password: Secret) -> KeySerializationEncryption:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import PrivateFormat
    from cryptography.hazmat.primitives.serialization.pkcs12 import PBES

    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(_ROUNDS[form])
    if form is Pkcs12Form.LEGACY:
        builder = builder.key_cert_algorithm(PBES.PBESv1SHA1And3KeyTripleDESCBC)
        builder = builder.hmac_hash(hashes.SHA1())  # noqa: S303 - the form's own MAC (AP6, SS4)
    else:
        builder = builder.key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
        builder = builder.hmac_hash(hashes.SHA256())
    return builder.build(password.reveal())
