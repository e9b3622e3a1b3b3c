"""Keys, algorithms, purposes, serials and spans of time, in words a person knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ca.algorithms import BROKEN_SIGNATURE_OIDS, CURVES, SIGNATURE_ALGORITHMS, Scheme
from ca.interfaces.values import serial_text
from ca.names.showing import visible

if TYPE_CHECKING:
    from datetime import timedelta

    from ca.encoding.facts import AuthorityKeyIdentifier, KeyFacts, TbsFacts
    from ca.interfaces.issuing import CertificateRecord
    from ca.interfaces.revocation import Reason


def worsening(record: CertificateRecord, reason: Reason) -> str:
    """ "4A3F… CN=nas, revoked since 2026-11-22, from superseded to keyCompromise"."""
    before = record.revocation
    assert before is not None  # noqa: S101 - only what is revoked can be for a worse reason
    return (
        f"{serial_text(record.serial)} {visible(record.subject)}, revoked since "
        f"{before.revoked_at:%Y-%m-%d}, from {before.reason.value} to {reason.value}"
    )


#: Lines of a description; a list, so that `output.fields` aligns them all.
Pairs = list[tuple[str, str | list[str]]]

EXTENDED_KEY_USAGES: dict[str, str] = {
    "1.3.6.1.5.5.7.3.1": "TLS server",
    "1.3.6.1.5.5.7.3.2": "TLS client",
    "1.3.6.1.5.5.7.3.3": "code signing",
    "1.3.6.1.5.5.7.3.4": "e-mail protection",
    "1.3.6.1.5.5.7.3.5": "IPsec end system",
    "1.3.6.1.5.5.7.3.6": "IPsec tunnel",
    "1.3.6.1.5.5.7.3.7": "IPsec user",
    "1.3.6.1.5.5.7.3.8": "time stamping",
    "1.3.6.1.5.5.7.3.9": "OCSP signing",
    "1.3.6.1.5.5.7.3.13": "EAP over PPP",
    "1.3.6.1.5.5.7.3.14": "EAP over LAN",
    "1.3.6.1.5.5.7.3.17": "IPsec IKE",
    "1.3.6.1.5.5.8.2.2": "IKE intermediate",
    "1.3.6.1.4.1.311.20.2.2": "smart card logon",
    "2.5.29.37.0": "any",
}
_ALGORITHMS = {
    algorithm.oid: "RSA-PSS" if algorithm.scheme is Scheme.PSS else algorithm.name
    for algorithm in SIGNATURE_ALGORITHMS.values()
}


def key_text(key: KeyFacts) -> str:
    """ "ec-p256", "rsa-2048", or the OID of what homeca does not know."""
    if key.modulus_bits is not None:
        odd = f" with exponent {key.exponent}" if key.exponent != 65537 else ""
        return f"rsa-{key.modulus_bits}{odd}"
    if key.curve_oid is not None:
        kind = CURVES.get(key.curve_oid)
        return kind.name if kind is not None else f"ec on {key.curve_oid}"
    return "ed25519" if key.algorithm.oid == "1.3.101.112" else key.algorithm.oid


def algorithm_text(oid: str) -> str:
    """A signature algorithm's name, or its OID."""
    return _ALGORITHMS.get(oid) or BROKEN_SIGNATURE_OIDS.get(oid) or oid


def span_text(span: timedelta) -> str:
    """ "375 days", "5 hours", "less than an hour"."""
    if span.days >= 2:
        return f"{span.days} days"
    hours = int(span.total_seconds()) // 3600
    return f"{hours} hours" if hours > 1 else "less than two hours"


def serial_number(tbs: TbsFacts) -> str:
    """As `openssl x509 -serial` has it; a negative one keeps its sign."""
    return serial_text(tbs.serial) if tbs.serial >= 0 else f"-{serial_text(-tbs.serial)}"


def authority_text(aki: AuthorityKeyIdentifier) -> str:
    """The issuer's key identifier, and whether its name and serial stand beside it."""
    parts = []
    if aki.key_id is not None:
        parts.append(aki.key_id.hex(":").upper())
    if aki.has_issuer or aki.serial is not None:
        serial = serial_text(abs(aki.serial)) if aki.serial is not None else "none"
        parts.append(f"with issuer and serial {serial}")
    return ", ".join(parts) or "empty"
