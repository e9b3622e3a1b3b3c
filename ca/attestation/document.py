"""Statements about a CA's keys as a file that can be verified anywhere.

    {"homeca": "key statement 1", "nonce": "hex, or nothing", "keys": [
      {"certificate": …, "attestation_key": …, "public": …, "attest": …, "signature": …,
       "creation": … or ""}]}

Every value is base64 of octets: an issuer's certificate in DER, and the structures of
`ca.interfaces.KeyAttestation`. Nothing in it is believed: `verify_document` asks the signatures.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ca.attestation.key_statement import ProvenKey, verify_key_statement
from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate
from ca.errors import EncodingError, StatementRefused, Violation
from ca.interfaces.ledger import Attested, KeyAttestation

_FORMAT = "key statement 1"
_KEYS = ("attestation_key", "public", "attest", "signature", "creation")

#: A statement about one key takes 2 kB, with an RSA key 3 kB.
LIMIT = 1 << 18
_MOST = 64


class Proven(Struct, frozen=True, kw_only=True):
    """An issuer whose key is proven."""

    certificate: CertificateFacts
    key: ProvenKey


def pack(said: KeyAttestation) -> dict[str, str]:
    """One statement, without the certificate: what is kept from the ceremony."""
    octets = (
        said.attestation_key,
        said.public,
        said.attested.attest,
        said.attested.signature,
        said.creation,
    )
    return {
        name: base64.b64encode(value).decode("ascii")
        for name, value in zip(_KEYS, octets, strict=True)
    }


def unpack(table: object) -> KeyAttestation:
    """The reverse. Raises: EncodingError."""
    if not isinstance(table, dict):
        raise _malformed("a statement is not a table")
    key, public, attest, signature, creation = (_octets(table, name) for name in _KEYS)
    return KeyAttestation(
        attestation_key=key,
        public=public,
        attested=Attested(attest=attest, signature=signature),
        creation=creation,
    )


def write_document(keys: Sequence[tuple[bytes, KeyAttestation]], *, nonce: bytes = b"") -> str:
    """keys: (certificate in DER, what the TPM said of its key)."""
    rows = [
        {"certificate": base64.b64encode(der).decode("ascii")} | pack(said) for der, said in keys
    ]
    return json.dumps({"homeca": _FORMAT, "nonce": nonce.hex(), "keys": rows}, indent=1) + "\n"


def verify_document(
    text: str, *, nonce: bytes | None = None, attestation_key: bytes | None = None
) -> tuple[Proven, ...]:
    """Every key in it was made inside one TPM and cannot leave it.

    nonce:           the one it was asked for with; None: whichever it names.
    attestation_key: the Name it must be signed by; None: any, so compare it.
    Raises:          StatementRefused with everything that speaks against it.
    """
    try:
        rows, found_nonce = _read(text)
        proven = tuple(_verified(row, found_nonce) for row in rows)
    except EncodingError as error:
        raise _refused(Violation("statement.malformed", error.problem)) from error
    if nonce is not None and nonce != found_nonce:
        raise _refused(Violation("statement.nonce", "it was made for another nonce"))
    signers = {one.key.attestation_key for one in proven}
    if len(signers) > 1:
        raise _refused(Violation("statement.signers", "its parts are signed by different TPMs"))
    if attestation_key is not None and signers != {attestation_key}:
        raise _refused(
            Violation("statement.attestation-key", "another attestation key has signed it")
        )
    return proven


def _read(text: str) -> tuple[list[Any], bytes]:
    if len(text) > LIMIT:
        raise _malformed(f"it has more than {LIMIT} characters")
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed("it is not JSON") from error
    if not isinstance(table, dict) or table.get("homeca") != _FORMAT:
        raise _malformed(f"it is not a {_FORMAT!r}")
    rows, nonce = table.get("keys"), table.get("nonce")
    if not isinstance(rows, list) or not 0 < len(rows) <= _MOST or not isinstance(nonce, str):
        raise _malformed("it holds no keys")
    try:
        return rows, bytes.fromhex(nonce)
    except ValueError as error:
        raise _malformed("its nonce is not in hex") from error


def _verified(row: object, nonce: bytes) -> Proven:
    said = unpack(row)
    assert isinstance(row, dict)  # noqa: S101 - `unpack` has seen to it
    certificate = read_certificate(_octets(row, "certificate"))
    key = verify_key_statement(said, spki=certificate.tbs.spki, nonce=nonce)
    return Proven(certificate=certificate, key=key)


def _octets(table: dict[Any, Any], name: str) -> bytes:
    value = table.get(name)
    if not isinstance(value, str):
        raise _malformed(f"{name!r} is missing")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(f"{name!r} is not base64") from error


def _malformed(why: str) -> EncodingError:
    return EncodingError(why, remedy="ask for it again: `homeca prove --out FILE`")


def _refused(violation: Violation) -> StatementRefused:
    return StatementRefused(
        f"the statement proves nothing: {violation.text}",
        remedy="ask for a new one: `homeca prove --out FILE` on the CA's machine",
        violations=(violation,),
    )
