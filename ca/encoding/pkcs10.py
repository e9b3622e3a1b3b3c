"""CertificationRequestInfo, as homeca writes it (RFC 2986 §4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from asn1crypto import core, csr, keys, x509

from ca.encoding.extensions import Extension


def build_request_info(
    *, subject_der: bytes, spki: bytes, extensions: Sequence[Extension]
) -> bytes:
    """DER CertificationRequestInfo, version 0, with at most one extensionRequest.

    Sign it and wrap it with `ca.encoding.certificate.assemble`: the outer shape is the same.
    """
    attributes: list[dict[str, object]] = []
    if extensions:
        wanted = [
            {
                "extn_id": extension.oid,
                "critical": extension.critical,
                "extn_value": core.ParsableOctetString(extension.value),
            }
            for extension in extensions
        ]
        attributes.append({"type": "extension_request", "values": [wanted]})
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": x509.Name.load(subject_der),
            "subject_pk_info": keys.PublicKeyInfo.load(spki),
            "attributes": attributes,
        }
    )
    return bytes(info.dump())
