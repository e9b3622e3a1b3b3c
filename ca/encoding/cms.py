"""CMS SignedData around a document, as Apple wants a configuration profile (RFC 5652 §5).

Two steps, because the key is elsewhere: `signed_attributes` gives the octets to sign, and
`signed_data` puts the signature, the document and the signer's chain into one DER file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from ca.algorithms import HASHES, Family, SignatureAlgorithm
from ca.encoding import tlv
from ca.encoding.certificate import asn1_time, signature_identifier
from ca.encoding.inspect import read_certificate

_DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_TIME = "1.2.840.113549.1.9.5"
_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"


def signed_attributes(content: bytes, *, algorithm: SignatureAlgorithm, at: datetime) -> bytes:
    """DER SET OF Attribute: what the signature is over (RFC 5652 §5.4, §11).

    algorithm: of the signer; its hash is the digest of the content.
    Returns:   contentType, messageDigest and signingTime under the tag of a SET.
    Raises:    EncodingError for a time that is not whole seconds in a known zone.
    """
    digest = hashlib.new(algorithm.hash, content).digest()
    return tlv.set_of(
        (
            _attribute(_CONTENT_TYPE, tlv.oid(_DATA)),
            _attribute(_MESSAGE_DIGEST, tlv.octet_string(digest)),
            _attribute(_SIGNING_TIME, asn1_time(at)),
        )
    )


def signed_data(
    content: bytes,
    *,
    attributes: bytes,
    algorithm: SignatureAlgorithm,
    signature: bytes,
    signer: bytes,
    chain: Sequence[bytes] = (),
) -> bytes:
    """DER ContentInfo with one SignerInfo, the content inside (RFC 5652 §5.1 to §5.3).

    attributes: of `signed_attributes`; signature: content of the signatureValue over them.
    signer:     DER certificate of the key that signed. chain: its issuers, DER, no root needed.
    """
    digest_algorithm = tlv.sequence(tlv.oid(HASHES[algorithm.hash].oid))
    tbs = read_certificate(signer).tbs
    signer_info = tlv.sequence(
        tlv.integer(1),
        tlv.sequence(tbs.issuer.der, tlv.tlv(tlv.INTEGER, tbs.serial_octets)),
        digest_algorithm,
        tlv.tagged(0, tlv.read_only(attributes, tlv.SET)),
        _signature_algorithm(algorithm),
        tlv.octet_string(signature),
    )
    certificates = tlv.tagged(0, b"".join(sorted((signer, *chain))))
    return tlv.sequence(
        tlv.oid(_SIGNED_DATA),
        tlv.tagged(
            0,
            tlv.sequence(
                tlv.integer(1),
                tlv.set_of((digest_algorithm,)),
                tlv.sequence(tlv.oid(_DATA), tlv.tagged(0, tlv.octet_string(content))),
                certificates,
                tlv.set_of((signer_info,)),
            ),
        ),
    )


def _attribute(oid: str, value: bytes) -> bytes:
    return tlv.sequence(tlv.oid(oid), tlv.set_of((value,)))


def _signature_algorithm(algorithm: SignatureAlgorithm) -> bytes:
    """rsaEncryption for RSA, which every reader of CMS must know (RFC 3370 §3.2)."""
    if algorithm.family is Family.RSA:
        return tlv.sequence(tlv.oid(_RSA_ENCRYPTION), tlv.null())
    return signature_identifier(algorithm)
