"""`homeca show`: one certificate of the record, or whatever a file holds."""

from __future__ import annotations

import sys
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from ca.cli.describing.certificates import certificate_json, certificate_pairs
from ca.cli.describing.words import Pairs
from ca.cli.listing import record_fields, state_text
from ca.cli.opening import record
from ca.cli.output import bad, document, fields, good, result, say, strong, when
from ca.cli.selecting import find_record
from ca.encoding.containers import pem, read_certificates, read_crls, read_request
from ca.encoding.inspect import read_certificate, read_crl
from ca.encoding.shapes import shape_of
from ca.errors import EncodingError, HomeMissing, NotFound, UsageError
from ca.files import read_bounded
from ca.home import Home
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial, serial_text
from ca.names.showing import visible
from ca.services.revocation.issuers import revoked_issuers
from ca.services.standing.condition import Condition, condition_of
from ca.wiring.opening import system_clock

#: The longest CRL that is read.
_FILE_LIMIT = 64 << 20


def show_serial(
    text: str, store: CertificateStore, home: Home, *, as_pem: bool, as_json: bool
) -> None:
    """A row of the record with its certificate. Raises: NotFound, UsageError."""
    found = find_record(text, store)
    if as_pem:
        _print_pem(found, store)
        return
    now = system_clock()
    if as_json:
        document(**record_json(found, store, home, at=now))
        return
    octets = found.der or found.tbs
    result(fields([*_record_pairs(found, store, home, at=now)], indent=""))
    if found.der is not None:
        result("")
        result(fields(certificate_pairs(read_certificate(found.der), at=now), indent=""))
    elif octets:
        say("only its TBS is recorded: no certificate came of it, or none that is known")


def record_json(
    found: CertificateRecord, store: CertificateStore, home: Home, *, at: datetime
) -> dict[str, Any]:
    """The row and its certificate as JSON."""
    issuers = store.issuers()
    slugs = {issuer.id: issuer.slug for issuer in issuers}
    described = record_fields(found, slugs, revoked_issuers(issuers, store, home), at=at)
    described["replaced_by"] = [
        serial_text(later.serial) for later in store.replacements(found.serial)
    ]
    described["request_sha256"] = found.request_sha256.hex() or None
    described["profile_sha256"] = found.profile_sha256.hex() or None
    if found.der is not None:
        described["certificate"] = certificate_json(read_certificate(found.der))
        described["pem"] = pem("CERTIFICATE", found.der).decode("ascii")
    return described


def _print_pem(found: CertificateRecord, store: CertificateStore) -> None:
    """The certificate and its intermediates, the root left out: what `sign` wrote."""
    if found.der is None:
        raise NotFound(
            f"there is no certificate with serial {serial_text(found.serial)}: it is "
            f"{found.state.value}",
            remedy="sign the request again",
        )
    by_id = {issuer.id: issuer for issuer in store.issuers()}
    ders = [found.der]
    issuer = by_id.get(found.issuer_id)
    while issuer is not None and issuer.parent_id is not None and len(ders) <= len(by_id):
        if issuer.certificate is not None and issuer.certificate != found.der:
            ders.append(issuer.certificate)
        issuer = by_id.get(issuer.parent_id)
    sys.stdout.flush()
    sys.stdout.buffer.write(b"".join(pem("CERTIFICATE", der) for der in ders))
    sys.stdout.buffer.flush()


def _record_pairs(
    found: CertificateRecord, store: CertificateStore, home: Home, *, at: datetime
) -> Pairs:
    """What the record knows beside the certificate."""
    issuers = store.issuers()
    issuer = next((one for one in issuers if one.id == found.issuer_id), None)
    pairs: Pairs = [
        ("serial", strong(serial_text(found.serial))),
        ("state", _coloured(found, revoked_issuers(issuers, store, home), at=at)),
        ("issued by", visible(issuer.slug) if issuer is not None else "an issuer unknown"),
        ("profile", visible(found.profile) or "none"),
    ]
    if found.issued_at is not None:
        pairs.append(("issued at", when(found.issued_at)))
    if found.revocation is not None:
        pairs.append(("revoked at", when(found.revocation.revoked_at)))
        if found.revocation.invalidity is not None:
            pairs.append(("suspected since", when(found.revocation.invalidity)))
    if found.replaces is not None:
        pairs.append(("replaces", serial_text(found.replaces)))
    later = store.replacements(found.serial)
    if later:
        pairs.append(("replaced by", [serial_text(one.serial) for one in later]))
    if found.note:
        pairs.append(("note", visible(found.note)))
    if found.der is None:
        pairs.append(("for", visible(found.subject) or "(empty)"))
        pairs.append(("names", [visible(name) for name in found.names] or ["none"]))
    return pairs


def _coloured(found: CertificateRecord, refused: Collection[int], *, at: datetime) -> str:
    text = state_text(found, refused, at=at)
    return good(text) if text == Condition.VALID.value else bad(text)


# ---------------------------------------------------------------- files


def show_file(path: Path, *, home: Path | None, as_pem: bool, as_json: bool) -> None:
    """Whatever is in it: certificates, CRLs or a request, in that order of trying.

    Raises: UsageError, EncodingError of the reading that came furthest.
    """
    octets = read_file(path)
    kind, ders = recognised(octets)
    now = system_clock()
    if as_pem:
        label = {"certificate": "CERTIFICATE", "crl": "X509 CRL", "request": "CERTIFICATE REQUEST"}
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(pem(label[kind], der) for der in ders))
        sys.stdout.buffer.flush()
        return
    shown = [_SHOWERS[kind](der, home, now, as_json) for der in ders]
    if as_json:
        document(kind=kind, items=shown)


def read_file(path: Path) -> bytes:
    """A file of at most 64 MiB; "-" is standard input. Raises: UsageError, OutputFailed."""
    source = "standard input" if str(path) == "-" else visible(str(path))
    try:
        if str(path) != "-":
            return read_bounded(path, _FILE_LIMIT)
        octets = sys.stdin.buffer.read(_FILE_LIMIT + 1)
        if len(octets) > _FILE_LIMIT:
            raise ValueError
    except ValueError as error:
        raise UsageError(
            f"{source!r} has more than {_FILE_LIMIT >> 20} MiB",
            remedy="give a certificate, a CRL or a request",
        ) from error
    return octets


def recognised(octets: bytes) -> tuple[str, tuple[bytes, ...]]:
    """What the octets are, and their DER. Raises: UsageError for a private key."""
    first: EncodingError | None = None
    for kind, read in (
        ("certificate", read_certificates),
        ("crl", read_crls),
        ("request", lambda given: (read_request(given),)),
    ):
        try:
            return kind, read(octets)
        except EncodingError as error:
            first = first or error
    if b"PRIVATE KEY-----" in octets or shape_of(octets) in ("private-key", "tpm-key"):
        raise UsageError(
            "the file holds a private key",
            remedy="give a certificate, a CRL or a request: those are shown, and a key is not read",
        )
    raise first or UsageError("the file is empty", remedy="give a certificate")


def _show_certificate(
    der: bytes, home: Path | None, now: datetime, as_json: bool
) -> dict[str, Any] | None:
    facts = read_certificate(der, tolerant=True)
    known, refused = _known(der, facts.tbs.serial, home)
    if as_json:
        described = certificate_json(facts)
        described["recorded"] = known is not None
        described["state"] = condition_of(known, at=now).value if known is not None else None
        described["issuer_revoked"] = known is not None and known.issuer_id in refused
        return described
    if known is not None:
        result(f"{strong('issued by this CA')}: {_coloured(known, refused, at=now)}")
    result(fields(certificate_pairs(facts, at=now), indent=""))
    result("")
    return None


def _known(
    der: bytes, serial: int, home: Path | None
) -> tuple[CertificateRecord | None, Collection[int]]:
    """Its row in this home's record, where there is one, and the issuers that are revoked."""
    try:
        with record(home) as (place, store):
            rows = store.by_serial(Serial(serial)) if serial > 0 else ()
            row = next((row for row in rows if row.der == der), None)
            return row, revoked_issuers(store.issuers(), store, place)
    except HomeMissing:
        return None, ()


def _show_crl(
    der: bytes, _home: Path | None, now: datetime, as_json: bool
) -> dict[str, Any] | None:
    from ca.cli.describing.crls import crl_json, crl_pairs

    facts = read_crl(der, tolerant=True)
    if as_json:
        return crl_json(facts)
    result(fields(crl_pairs(facts, at=now), indent=""))
    result("")
    return None


def _show_request(
    der: bytes, _home: Path | None, _now: datetime, as_json: bool
) -> dict[str, Any] | None:
    from ca.cli.describing.requests import request_json, request_pairs
    from ca.encoding.requests import parse_request

    request = parse_request(der)
    if as_json:
        return request_json(request)
    result(fields(request_pairs(request), indent=""))
    return None


_SHOWERS = {
    "certificate": _show_certificate,
    "crl": _show_crl,
    "request": _show_request,
}
