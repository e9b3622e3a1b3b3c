"""Certificates and CRLs as values: a strict reading of what homeca or others made (RFC 5280).

A strict reading refuses whatever is not DER or not what its OID says, so that nobody takes an
extension that cannot be read for one that is absent. A tolerant one, for `ca.lint`, notes the
same in `faults`. Neither verifies a signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ca.encoding import inspect_fields as fields
from ca.encoding import tlv
from ca.encoding.crl_entries import CrlEntries
from ca.encoding.der import check_der
from ca.encoding.facts import (
    AlgorithmFacts,
    CertificateFacts,
    CrlFacts,
    CrlTbsFacts,
    ExtensionFacts,
    Fault,
    TbsFacts,
)
from ca.encoding.inspect_extensions import CERTIFICATE_EXTENSIONS, CRL_EXTENSIONS
from ca.encoding.reader import Reader, malformed
from ca.errors import CertificateMalformed, EncodingError

MAX_CERTIFICATE = 1 << 20  # octets
MAX_CRL = 64 << 20
MAX_EXTENSIONS = 256

_Decoders = Mapping[str, tuple[str, str, Callable[[Reader, list[Fault] | None], object]]]


def read_certificate(der: bytes, *, tolerant: bool = False) -> CertificateFacts:
    """A Certificate (RFC 5280 §4.1), at most 1 MiB.

    tolerant: note faults that leave the rest readable in `tbs.faults` instead of refusing.
    Raises:   CertificateMalformed, nothing else, whatever the octets.
    """
    tbs, algorithm, signature = _signed(der, "certificate", MAX_CERTIFICATE)
    return CertificateFacts(
        der=der, tbs=read_tbs(tbs, tolerant=tolerant), algorithm=algorithm, signature=signature
    )


def read_crl(der: bytes, *, tolerant: bool = False) -> CrlFacts:
    """A CertificateList (RFC 5280 §5.1), at most 64 MiB; entries are read as they are iterated.

    Raises: CertificateMalformed, nothing else, whatever the octets.
    """
    tbs, algorithm, signature = _signed(der, "CRL", MAX_CRL)
    return CrlFacts(
        der=der, tbs=read_crl_tbs(tbs, tolerant=tolerant), algorithm=algorithm, signature=signature
    )


def _signed(der: bytes, what: str, limit: int) -> tuple[bytes, AlgorithmFacts, bytes]:
    """SIGNED { tbs }: the tbs element, the outer algorithm, the signature."""
    _limit(der, what, limit)
    whole = Reader(der, what)
    inside = whole.enter()
    whole.done()
    tbs = inside.element(tlv.SEQUENCE)
    algorithm = fields.algorithm(inside)
    unused, signature = inside.bits()
    inside.done()
    if unused:
        malformed(what, "the signature is not whole octets")
    return tbs, algorithm, signature


def _limit(der: bytes, what: str, limit: int) -> None:
    if len(der) > limit:
        malformed(what, f"it has {len(der)} octets; more than {limit} are not read")


def read_tbs(der: bytes, *, tolerant: bool = False) -> TbsFacts:
    """A TBSCertificate (RFC 5280 §4.1.2). Raises: CertificateMalformed."""
    _limit(der, "certificate", MAX_CERTIFICATE)
    try:
        check_der(der, max_size=MAX_CERTIFICATE)  # also what nobody reads: qualifiers, parameters
    except EncodingError as error:
        malformed("certificate", error.problem)
    faults: list[Fault] | None = [] if tolerant else None
    whole = Reader(der, "certificate")
    at = whole.enter()
    whole.done()
    version = 1
    if at.tag == 0xA0:
        explicit = at.enter(0xA0)
        version = explicit.integer() + 1
        explicit.done()
        if version == 1:
            fields.default(at, faults, "version v1")
    serial_octets = at.integer_octets()
    algorithm = fields.algorithm(at)
    issuer = fields.name(at)
    validity = at.enter()
    not_before, not_after = fields.time(validity), fields.time(validity)
    validity.done()
    subject = fields.name(at)
    key = fields.key(at)
    has_unique_ids = at.tag in (0x81, 0x82)
    for tag in (0x81, 0x82):
        if at.tag == tag:
            at.bits(tag)
    has_extensions = at.tag == 0xA3
    extensions: tuple[ExtensionFacts, ...] = ()
    if has_extensions:
        explicit = at.enter(0xA3)
        extensions = fields.extensions(explicit, faults)
        explicit.done()
    at.done()
    return TbsFacts(
        der=der,
        version=version,
        serial=int.from_bytes(serial_octets, "big", signed=True),
        serial_octets=serial_octets,
        algorithm=algorithm,
        issuer=issuer,
        not_before=not_before,
        not_after=not_after,
        subject=subject,
        key=key,
        has_unique_ids=has_unique_ids,
        has_extensions=has_extensions,
        extensions=extensions,
        **_decode(extensions, CERTIFICATE_EXTENSIONS, faults, "certificate"),
    )


def read_crl_tbs(der: bytes, *, tolerant: bool = False) -> CrlTbsFacts:
    """A TBSCertList (RFC 5280 §5.1.2). Raises: CertificateMalformed."""
    _limit(der, "CRL", MAX_CRL)
    faults: list[Fault] | None = [] if tolerant else None
    whole = Reader(der, "CRL")
    at = whole.enter()
    whole.done()
    version = at.integer() + 1 if at.tag == tlv.INTEGER else 1
    algorithm = fields.algorithm(at)
    issuer = fields.name(at)
    this_update = fields.time(at)
    next_update = fields.time(at) if at.tag in (tlv.UTC_TIME, tlv.GENERALIZED_TIME) else None
    has_entries_field = at.tag == tlv.SEQUENCE
    start = end = at.position
    if has_entries_field:
        start, end = at.skip(tlv.SEQUENCE)
    extensions: tuple[ExtensionFacts, ...] = ()
    if at.tag == 0xA0:
        explicit = at.enter(0xA0)
        extensions = fields.extensions(explicit, faults)
        explicit.done()
    at.done()
    decoded = _decode(extensions, CRL_EXTENSIONS, faults, "CRL")
    number = decoded.get("number_octets")
    return CrlTbsFacts(
        der=der,
        version=version,
        algorithm=algorithm,
        issuer=issuer,
        this_update=this_update,
        next_update=next_update,
        has_entries_field=has_entries_field,
        entries=CrlEntries(der, start, end),
        extensions=extensions,
        number=None if number is None else int.from_bytes(number, "big", signed=True),
        **decoded,
    )


def _decode(
    extensions: tuple[ExtensionFacts, ...],
    decoders: _Decoders,
    faults: list[Fault] | None,
    what: str,
) -> dict[str, Any]:
    """Known extensions by field name, and `faults`. The first of two with one OID counts."""
    if len(extensions) > MAX_EXTENSIONS:
        malformed(what, f"it has {len(extensions)} extensions")
    found: dict[str, Any] = {}
    seen: set[str] = set()
    for extension in extensions:
        if extension.oid in seen and faults is None:
            malformed(what, f"extension {extension.oid} is there twice")
        if extension.oid not in decoders or extension.oid in seen:
            seen.add(extension.oid)
            continue
        seen.add(extension.oid)
        field, label, read = decoders[extension.oid]
        at = Reader(extension.value, label)
        try:
            value = read(at, faults)
            at.done()
        except CertificateMalformed as error:
            if faults is None:
                raise
            faults.append(Fault("value", label, error.problem))
        else:
            found[field] = value
    found["faults"] = tuple(faults or ())
    return found
