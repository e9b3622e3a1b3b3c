"""Requests without end: each a new P-256 key and a name of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path


def requests(place: Path) -> Iterator[Path]:
    """PKCS#10 files, made as they are asked for."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    place.mkdir()
    for number in count():
        name = f"device-{number}.home.arpa"
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
        )
        path = place / f"device-{number}.csr"
        path.write_bytes(request.public_bytes(Encoding.PEM))
        yield path
