"""What `cryptography.x509.verification` says of a chain that has nothing else against it.

It follows the web's rules more closely than OpenSSL does, as Python's and Rust's clients may, so
what it refuses is worth knowing and no verdict: a VPN client without a SAN works all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ca.encoding.extensions import SERVER_AUTH
from ca.encoding.facts import CertificateFacts
from ca.names.general import DNSName, IPName, parse_general_name
from ca.names.showing import visible

if TYPE_CHECKING:
    from cryptography import x509


def strict_client(
    chain: Sequence[CertificateFacts], *, at: datetime, purpose: str | None, host: str | None
) -> Iterator[str]:
    """Nothing, or one sentence. purpose: "server", "client", None: what the leaf says it is for."""
    from cryptography import x509
    from cryptography.x509 import verification

    if len(chain) < 2:
        return
    try:
        leaf, *above = (x509.load_der_x509_certificate(facts.der) for facts in chain)
        builder = verification.PolicyBuilder().store(verification.Store([above[-1]])).time(at)
        eku = chain[0].tbs.eku or ()
        if purpose == "server" or (purpose is None and SERVER_AUTH in eku):
            subject = _subject(chain[0], host)
            if subject is not None:
                builder.build_server_verifier(subject).verify(leaf, above[:-1])
        else:
            builder.build_client_verifier().verify(leaf, above[:-1])
    except (verification.VerificationError, ValueError) as error:
        reason = visible(str(error).partition(" (encountered")[0])
        yield f"strict clients (Python's cryptography) refuse it: {reason}"


def _subject(leaf: CertificateFacts, host: str | None) -> x509.DNSName | x509.IPAddress | None:
    """The name to ask for: the one given, else the first of the certificate that can be asked."""
    from cryptography import x509

    names = [parse_general_name(host)] if host is not None else leaf.tbs.names
    for name in names:
        if isinstance(name, DNSName):
            return x509.DNSName(name.value.replace("*", "x", 1))
        if isinstance(name, IPName):
            return x509.IPAddress(name.value)
    return None
