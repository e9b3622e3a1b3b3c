"""Everything in a certificate. The labels are OpenSSL's where those are clear."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ca.cli.describing.words import (
    EXTENDED_KEY_USAGES,
    Pairs,
    algorithm_text,
    authority_text,
    key_text,
    serial_number,
    span_text,
)
from ca.cli.output import when
from ca.encoding.containers import fingerprint
from ca.encoding.facts import CertificateFacts, NameConstraintsFacts, TbsFacts
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
from ca.names.showing import visible

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

#: Octets of an unknown extension that are shown.
_OCTETS = 32


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
        add("issuer's key id", AUTHORITY_KEY_IDENTIFIER, authority_text(tbs.aki))
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
