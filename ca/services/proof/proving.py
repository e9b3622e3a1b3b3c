"""What the TPM says of the CA's keys: kept from their ceremony, or asked for now.

certs/<slug>.proof holds what the TPM signed when it made the key (TPM2_CertifyCreation), which
needs no PIN and cannot be asked for later. Without it, or for a nonce, the TPM is asked about the
key it holds now (TPM2_Certify), which needs the key's PIN.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ca.attestation.document import LIMIT, pack, unpack, write_document
from ca.attestation.key_statement import verify_key_statement
from ca.encoding.attest import about_key
from ca.encoding.tsskey import TssKey
from ca.errors import EncodingError, HomecaError, NotFound
from ca.files import PUBLIC_FILE, read_bounded, write_whole
from ca.home import Home
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.ledger import KeyAttestation
from ca.services.facility import Facility


def keep_statement(slug: str, said: KeyAttestation, home: Home) -> None:
    """Beside the certificate to be: it is as public. Raises: OutputFailed."""
    octets = (json.dumps(pack(said), indent=1) + "\n").encode("ascii")
    write_whole(home.certs / f"{slug}.proof", octets, mode=PUBLIC_FILE, replace=True)


def prove(facility: Facility, *, slug: str | None = None, nonce: bytes = b"") -> str:
    """A document about every issuer whose key is here, or about one.

    Raises: NotFound, CustodyError.
    """
    issuers = [
        issuer
        for issuer in facility.store.issuers()
        if issuer.certificate is not None and issuer.has_key and slug in (None, issuer.slug)
    ]
    if not issuers:
        raise NotFound(
            f"no issuer {slug!r} with its key in this home" if slug else "no key is in this home",
            remedy="see `homeca status`",
        )
    said = [(issuer.certificate or b"", _said(issuer, facility, nonce)) for issuer in issuers]
    return write_document(said, nonce=nonce)


def _said(issuer: IssuerRecord, facility: Facility, nonce: bytes) -> KeyAttestation:
    if not nonce:
        for kept in _kept(issuer, facility.home):
            return kept
    return _asked(issuer, facility, nonce)


def _kept(issuer: IssuerRecord, home: Home) -> Iterator[KeyAttestation]:
    """What was kept, if it is there and good."""
    try:
        octets = read_bounded(home.certs / f"{issuer.slug}.proof", LIMIT)
        said = unpack(json.loads(octets))
        verify_key_statement(said, spki=issuer.spki)
    except (HomecaError, ValueError, RecursionError):
        return
    yield said


def _asked(issuer: IssuerRecord, facility: Facility, nonce: bytes) -> KeyAttestation:
    try:
        pem = read_bounded(facility.home.path / issuer.key_file, LIMIT)
        has_pin = not TssKey.from_pem(pem).empty_auth
    except ValueError as error:
        raise EncodingError(
            f"{issuer.key_file!r} is too long for a key",
            remedy="restore it from a backup of this home",
        ) from error
    return facility.custody().certify(
        pem,
        spki=issuer.spki,
        pin=facility.pin(issuer.key_file) if has_pin else None,
        qualifying=about_key(nonce),
    )
