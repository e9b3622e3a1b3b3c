"""The CA's own certificates as files: one, a chain, a bundle; PEM, DER, PKCS#7."""

from __future__ import annotations

import sys
from pathlib import Path

from ca.cli.output import result_file, say
from ca.encoding.containers import fingerprint, pem, pkcs7_certificates
from ca.encoding.inspect import read_certificate
from ca.errors import HomeMissing, NotFound, UsageError
from ca.files import PUBLIC_FILE, write_whole
from ca.home import refuse_as_output
from ca.interfaces.issuing import IssuerRecord, IssuerState, Role
from ca.interfaces.store import CertificateStore


def export_part(
    store: CertificateStore,
    *,
    part: str,
    form: str,
    slug: str | None,
    target: Path | None,
    force: bool,
) -> None:
    """Write one of "root", "issuer", "chain", "bundle"; fingerprints go to stderr.

    Raises: NotFound, HomeMissing, UsageError, OutputExists, OutputFailed.
    """
    line = _line(_issuer(store, slug), store)
    ders = {
        "root": line[-1:],
        "issuer": line[:1],
        "chain": line[:-1] or line,
        "bundle": line,
    }[part]
    octets = _encoded(ders, form)
    if target is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
    else:
        refuse_as_output(target)
        write_whole(target, octets, mode=PUBLIC_FILE, replace=force)
        result_file(target)
    for der in ders:
        say(f"{read_certificate(der).tbs.subject}")
        say(f"  SHA-256 {fingerprint(der)}")


def _issuer(store: CertificateStore, slug: str | None) -> IssuerRecord:
    """The one named, else the newest active intermediate, else the root."""
    known = [issuer for issuer in store.issuers() if issuer.certificate is not None]
    if slug is not None:
        for issuer in known:
            if issuer.slug == slug:
                return issuer
        raise NotFound(
            "no issuer has that slug",
            remedy="use one of: " + (", ".join(issuer.slug for issuer in known) or "none yet"),
        )
    active = [issuer for issuer in known if issuer.state is IssuerState.ACTIVE]
    for role in (Role.INTERMEDIATE, Role.ROOT):
        for issuer in reversed(active or known):
            if issuer.role is role:
                return issuer
    raise HomeMissing("this home has no issuer yet", remedy="run `homeca init-root`")


def _line(issuer: IssuerRecord, store: CertificateStore) -> list[bytes]:
    """DER: the issuer, its parent, ..., the root."""
    by_id = {one.id: one for one in store.issuers()}
    line: list[bytes] = []
    current: IssuerRecord | None = issuer
    while current is not None and current.certificate is not None and len(line) < len(by_id):
        line.append(current.certificate)
        current = by_id.get(current.parent_id) if current.parent_id is not None else None
    return line


def _encoded(ders: list[bytes], form: str) -> bytes:
    if form == "p7b":
        return pkcs7_certificates(ders)
    if form == "pem":
        return b"".join(pem("CERTIFICATE", der) for der in ders)
    if len(ders) > 1:
        raise UsageError(
            f"a DER file holds one certificate, and these are {len(ders)}",
            remedy="use --format pem or p7b, or export them one by one with `export issuer`",
        )
    return ders[0]
