"""Certificates, CRLs and requests as lines a person reads, and as JSON. Every value is harmless.

The labels are OpenSSL's where those are clear. Lists of pairs, so that one function aligns them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from ca.algorithms import BROKEN_SIGNATURE_OIDS, CURVES, SIGNATURE_ALGORITHMS, Scheme
from ca.cli.output import when
from ca.encoding.containers import fingerprint
from ca.encoding.facts import (
    AuthorityKeyIdentifier,
    CertificateFacts,
    CrlFacts,
    EntryFacts,
    KeyFacts,
    NameConstraintsFacts,
    TbsFacts,
)
from ca.encoding.inspect_extensions import (
    AUTHORITY_INFORMATION_ACCESS,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CRL_DISTRIBUTION_POINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    NAME_CONSTRAINTS,
    SUBJECT_ALT_NAME,
    SUBJECT_KEY_IDENTIFIER,
)
from ca.encoding.spki import spki_sha256
from ca.interfaces.revocation import REASON_CODES
from ca.interfaces.values import serial_text
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.encoding.requests import Request

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
_OTHER_EXTENSIONS: dict[str, str] = {
    "2.5.29.9": "subjectDirectoryAttributes",
    "2.5.29.16": "privateKeyUsagePeriod",
    "2.5.29.18": "issuerAltName",
    "2.5.29.32": "certificatePolicies",
    "2.5.29.33": "policyMappings",
    "2.5.29.36": "policyConstraints",
    "2.5.29.46": "freshestCRL",
    "2.5.29.54": "inhibitAnyPolicy",
    "1.3.6.1.5.5.7.1.24": "tlsfeature",
    "1.3.6.1.5.5.7.48.1.5": "noCheck",
    "2.16.840.1.113730.1.1": "nsCertType",
    "2.16.840.1.113730.1.13": "nsComment",
    "1.3.6.1.4.1.311.20.2": "template name",
    "1.3.6.1.4.1.311.21.7": "certificate template",
    "1.3.6.1.4.1.311.21.10": "application policies",
    "1.3.6.1.4.1.11129.2.4.2": "signed certificate timestamps",
}
_SHOWN_ABOVE = {
    SUBJECT_KEY_IDENTIFIER,
    AUTHORITY_KEY_IDENTIFIER,
    KEY_USAGE,
    EXTENDED_KEY_USAGE,
    BASIC_CONSTRAINTS,
    NAME_CONSTRAINTS,
    SUBJECT_ALT_NAME,
    CRL_DISTRIBUTION_POINTS,
    AUTHORITY_INFORMATION_ACCESS,
}
_CA_ISSUERS, _OCSP = "1.3.6.1.5.5.7.48.2", "1.3.6.1.5.5.7.48.1"
_REASONS = {code: reason.value for reason, code in REASON_CODES.items()}
_ALGORITHMS = {
    algorithm.oid: "RSA-PSS" if algorithm.scheme is Scheme.PSS else algorithm.name
    for algorithm in SIGNATURE_ALGORITHMS.values()
}

#: Octets of an unknown extension, and lines of a CRL, that are shown.
_OCTETS = 32
_ENTRIES = 20


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


# ---------------------------------------------------------------- certificates


def certificate_pairs(facts: CertificateFacts, *, at: datetime) -> Pairs:
    """Everything in a certificate."""
    tbs = facts.tbs
    pairs: Pairs = [
        ("subject", str(tbs.subject) or "(empty)"),
        ("issuer", str(tbs.issuer) + (" (itself)" if tbs.is_self_issued else "")),
        ("serial", serial_number(tbs)),
        ("SHA-256", fingerprint(facts.der)),
        ("valid", f"{when(tbs.not_before.moment)} to {when(tbs.not_after.moment)}"),
        ("", _remaining(tbs, at=at)),
        ("key", key_text(tbs.key)),
        ("key SHA-256", spki_sha256(tbs.spki).hex()),
        ("signed with", algorithm_text(facts.algorithm.oid)),
    ]
    if tbs.version != 3:
        pairs.append(("version", str(tbs.version)))
    return pairs + extension_pairs(tbs)


def serial_number(tbs: TbsFacts) -> str:
    """As `openssl x509 -serial` has it; a negative one keeps its sign."""
    return serial_text(tbs.serial) if tbs.serial >= 0 else f"-{serial_text(-tbs.serial)}"


def _remaining(tbs: TbsFacts, *, at: datetime) -> str:
    start, end = tbs.not_before.moment, tbs.not_after.moment
    if at > end:
        return f"expired {span_text(at - end)} ago"
    if at < start:
        return f"begins in {span_text(start - at)}"
    return f"{span_text(end - at)} left of {span_text(end - start + timedelta(seconds=1))}"


def extension_pairs(tbs: TbsFacts) -> Pairs:
    """One line per extension that is known; of the others OID and first octets."""
    pairs: Pairs = []

    def add(label: str, oid: str, values: str | list[str]) -> None:
        extension = tbs.extension(oid)
        mark = " (critical)" if extension is not None and extension.critical else ""
        if isinstance(values, str):
            pairs.append((label, values + mark))
        else:
            pairs.append((label, [*values[:1], *values[1:]] if not mark else _marked(values, mark)))

    if tbs.san is not None:
        add("names", SUBJECT_ALT_NAME, [str(name) for name in tbs.san] or ["none"])
    if tbs.basic_constraints is not None:
        depth = tbs.basic_constraints.path_len
        below = "" if depth is None else f", at most {depth} CAs below it"
        add(
            "CA",
            BASIC_CONSTRAINTS,
            f"yes{below}" if tbs.basic_constraints.ca else "no",
        )
    if tbs.key_usage is not None:
        add("key usage", KEY_USAGE, ", ".join(sorted(tbs.key_usage)) or "none")
    if tbs.eku is not None:
        add(
            "purposes",
            EXTENDED_KEY_USAGE,
            ", ".join(EXTENDED_KEY_USAGES.get(oid, oid) for oid in tbs.eku),
        )
    if tbs.name_constraints is not None:
        add("constraints", NAME_CONSTRAINTS, list(_constraint_lines(tbs.name_constraints)))
    if tbs.ski is not None:
        add("key id", SUBJECT_KEY_IDENTIFIER, tbs.ski.hex(":").upper())
    if tbs.aki is not None:
        add("issuer's key id", AUTHORITY_KEY_IDENTIFIER, _authority(tbs.aki))
    if tbs.crl_distribution_points is not None:
        found = [visible(url) for url in tbs.crl_urls]
        add("CRL at", CRL_DISTRIBUTION_POINTS, found or ["no URL"])
    if tbs.authority_information is not None:
        for label, method in (("issuer at", _CA_ISSUERS), ("OCSP at", _OCSP)):
            found = [visible(url) for url in tbs.access_urls(method)]
            if found:
                add(label, AUTHORITY_INFORMATION_ACCESS, found)
    pairs.extend(_other_extensions(tbs))
    return pairs


def _marked(values: list[str], mark: str) -> list[str]:
    return [*values[:-1], values[-1] + mark]


def _authority(aki: AuthorityKeyIdentifier) -> str:
    parts = []
    if aki.key_id is not None:
        parts.append(aki.key_id.hex(":").upper())
    if aki.has_issuer or aki.serial is not None:
        serial = serial_text(abs(aki.serial)) if aki.serial is not None else "none"
        parts.append(f"with issuer and serial {serial}")
    return ", ".join(parts) or "empty"


def _constraint_lines(facts: NameConstraintsFacts) -> Iterator[str]:
    for word, subtrees in (("permits", facts.permitted), ("excludes", facts.excluded)):
        for subtree in subtrees:
            base = subtree.base
            if base.tag == 7:
                yield f"{word} IP:{_network(base.octets)}"
            else:
                yield f"{word} {base}"


def _network(octets: bytes) -> str:
    """Address and mask (RFC 5280 §4.2.1.10) as people write them."""
    from ipaddress import ip_network

    half = len(octets) // 2
    address, mask = octets[:half], octets[half:]
    prefix = bin(int.from_bytes(mask, "big")).count("1")
    try:
        return str(ip_network((address, prefix)))
    except ValueError:
        return octets.hex()


def _other_extensions(tbs: TbsFacts) -> Iterator[tuple[str, str | list[str]]]:
    for extension in tbs.extensions:
        if extension.oid in _SHOWN_ABOVE:
            continue
        name = _OTHER_EXTENSIONS.get(extension.oid, extension.oid)
        octets = extension.value
        shown = octets[:_OCTETS].hex() + ("…" if len(octets) > _OCTETS else "")
        mark = " (critical)" if extension.critical else ""
        yield name, f"{len(octets)} octets: {shown}{mark}"


def certificate_json(facts: CertificateFacts) -> dict[str, Any]:
    """The same, for a program."""
    tbs = facts.tbs
    basic = tbs.basic_constraints
    return {
        "subject": str(tbs.subject),
        "issuer": str(tbs.issuer),
        "serial": serial_number(tbs),
        "sha256": fingerprint(facts.der),
        "not_before": tbs.not_before.moment,
        "not_after": tbs.not_after.moment,
        "key": key_text(tbs.key),
        "spki_sha256": spki_sha256(tbs.spki).hex(),
        "signature_algorithm": algorithm_text(facts.algorithm.oid),
        "version": tbs.version,
        "ca": basic.ca if basic is not None else False,
        "path_len": basic.path_len if basic is not None else None,
        "names": [str(name) for name in tbs.san or ()],
        "key_usage": sorted(tbs.key_usage) if tbs.key_usage is not None else None,
        "eku": list(tbs.eku) if tbs.eku is not None else None,
        "constraints": (
            list(_constraint_lines(tbs.name_constraints)) if tbs.name_constraints else None
        ),
        "ski": tbs.ski.hex() if tbs.ski is not None else None,
        "aki": tbs.aki.key_id.hex() if tbs.aki is not None and tbs.aki.key_id else None,
        "crl_urls": list(tbs.crl_urls),
        "issuer_urls": list(tbs.access_urls(_CA_ISSUERS)),
        "ocsp_urls": list(tbs.access_urls(_OCSP)),
        "extensions": [
            {"oid": e.oid, "critical": e.critical, "value": e.value.hex()} for e in tbs.extensions
        ],
    }


# ---------------------------------------------------------------- CRLs


def crl_pairs(facts: CrlFacts, *, at: datetime) -> Pairs:
    """Everything in a CRL; of its entries the first few."""
    tbs = facts.tbs
    entries = list(islice(tbs.entries, _ENTRIES + 1))
    count = len(entries) if len(entries) <= _ENTRIES else sum(1 for _ in tbs.entries)
    pairs: Pairs = [
        ("issuer", str(tbs.issuer)),
        ("number", str(tbs.number) if tbs.number is not None else "none"),
        ("SHA-256", fingerprint(facts.der)),
        ("this update", when(tbs.this_update.moment)),
        ("next update", _next_update(facts, at=at)),
        ("signed with", algorithm_text(facts.algorithm.oid)),
    ]
    if tbs.aki is not None:
        pairs.append(("issuer's key id", _authority(tbs.aki)))
    if tbs.idp is not None:
        pairs.append(("for", [visible(url) for url in tbs.idp.urls] or ["no URL"]))
    lines = [entry_text(entry) for entry in entries[:_ENTRIES]]
    if count > _ENTRIES:
        lines.append(f"and {count - _ENTRIES} more")
    pairs.append(("revoked", lines or ["nothing"]))
    return pairs


def _next_update(facts: CrlFacts, *, at: datetime) -> str:
    end = facts.tbs.next_update
    if end is None:
        return "none"
    if at > end.moment:
        return f"{when(end.moment)}, expired {span_text(at - end.moment)} ago"
    return f"{when(end.moment)}, {span_text(end.moment - at)} left"


def entry_text(entry: EntryFacts) -> str:
    """One line of a CRL."""
    serial = serial_text(abs(entry.serial))
    text = f"{serial}  {when(entry.revoked_at.moment)}"
    if entry.reason is not None:
        text += f"  {_REASONS.get(entry.reason, f'reason {entry.reason}')}"
    if entry.invalidity is not None:
        text += f", key suspected since {when(entry.invalidity.moment)}"
    return text


def crl_json(facts: CrlFacts) -> dict[str, Any]:
    """The same, for a program; all entries."""
    tbs = facts.tbs
    return {
        "issuer": str(tbs.issuer),
        "number": tbs.number,
        "sha256": fingerprint(facts.der),
        "this_update": tbs.this_update.moment,
        "next_update": tbs.next_update.moment if tbs.next_update is not None else None,
        "signature_algorithm": algorithm_text(facts.algorithm.oid),
        "urls": list(tbs.idp.urls) if tbs.idp is not None else [],
        "entries": [
            {
                "serial": serial_text(abs(entry.serial)),
                "revoked_at": entry.revoked_at.moment,
                "reason": _REASONS.get(entry.reason) if entry.reason is not None else None,
                "invalidity": entry.invalidity.moment if entry.invalidity is not None else None,
            }
            for entry in tbs.entries
        ],
    }


# ---------------------------------------------------------------- requests


def request_pairs(request: Request) -> Pairs:
    """What a request asks for, and what is wrong with it."""
    pairs: Pairs = [
        ("subject", visible(str(request.subject)) or "(empty)"),
        ("names", [visible(str(name)) for name in request.names] or ["none"]),
        ("key", request.spki.kind_name if request.spki is not None else "unusable"),
        ("signed with", algorithm_text(request.signature_oid)),
    ]
    if request.spki is not None:
        pairs.append(("key SHA-256", spki_sha256(request.spki.der).hex()))
    if request.extensions:
        pairs.append(
            ("asks for", [f"{visible(e.name)}: {visible(e.shown)}" for e in request.extensions])
        )
    if request.attributes:
        pairs.append(
            ("says", [f"{visible(a.name)}: {visible(a.shown)}" for a in request.attributes])
        )
    if request.notes:
        pairs.append(("note", [visible(note) for note in request.notes]))
    if request.violations:
        pairs.append(("wrong", [f"{visible(v.text)} [{v.rule}]" for v in request.violations]))
    return pairs


def request_json(request: Request) -> dict[str, Any]:
    """The same, for a program."""
    return {
        "subject": str(request.subject),
        "names": [str(name) for name in request.names],
        "key": request.spki.kind_name if request.spki is not None else None,
        "spki_sha256": spki_sha256(request.spki.der).hex() if request.spki is not None else None,
        "signature_algorithm": algorithm_text(request.signature_oid),
        "extensions": [
            {"oid": e.oid, "name": e.name, "critical": e.critical, "shown": e.shown}
            for e in request.extensions
        ],
        "attributes": [
            {"oid": a.oid, "name": a.name, "shown": a.shown} for a in request.attributes
        ],
        "notes": list(request.notes),
        "violations": [
            {"rule": v.rule, "text": v.text, "remedy": v.remedy} for v in request.violations
        ],
    }
