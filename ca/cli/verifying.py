"""`homeca verify` of a file: certificates with their chain, or CRLs."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from ca.cli.describing.words import EXTENDED_KEY_USAGES, serial_number, span_text
from ca.cli.output import day, document, fields, good, result, warn, when
from ca.cli.showing import read_file, recognised
from ca.errors import UsageError
from ca.interfaces.store import CertificateStore
from ca.names.showing import visible
from ca.services.crl_verification import VerifiedCrl, verify_crl
from ca.services.verification import Verified, verify_certificate


def verify_file(
    path: Path,
    store: CertificateStore,
    *,
    at: datetime,
    purpose: str | None,
    host: str | None,
    as_json: bool,
) -> None:
    """Say that it is good. Raises: VerificationFailed with every reason that it is not."""
    kind, ders = recognised(read_file(path))
    if kind == "request":
        raise UsageError(
            "this is a request, which nobody has signed yet",
            remedy="read it with `homeca show`, sign it with `homeca sign`",
        )
    if kind == "certificate":
        found = verify_certificate(ders, store, at=at, purpose=purpose, host=host)
        _show(found, at=at, as_json=as_json)
        return
    crls = [verify_crl(der, store, at=at) for der in ders]
    _show_crls(crls, as_json=as_json)


def _show(found: Verified, *, at: datetime, as_json: bool) -> None:
    leaf = found.chain[0].tbs
    if as_json:
        document(
            good=True,
            subject=str(leaf.subject),
            serial=serial_number(leaf),
            chain=[str(one.tbs.subject) for one in found.chain],
            not_after=leaf.not_after.moment,
            profile=found.record.profile if found.record is not None else None,
            warnings=list(found.warnings),
        )
        return
    uses = ", ".join(EXTENDED_KEY_USAGES.get(oid, oid) for oid in leaf.eku or ()) or "any"
    left = leaf.not_after.moment - at
    result(f"{good('good')}: {leaf.subject or serial_number(leaf)}")
    result(
        fields(
            [
                ("chain", [str(one.tbs.subject) for one in found.chain[1:]] or ["is the root"]),
                ("names", [str(name) for name in leaf.san or ()] or ["none"]),
                ("for", uses),
                ("until", f"{day(leaf.not_after.moment)} ({span_text(left)} left)"),
            ]
        )
    )
    sys.stdout.flush()
    for text in found.warnings:
        warn(visible(text))


def _show_crls(crls: list[VerifiedCrl], *, as_json: bool) -> None:
    if as_json:
        document(
            good=True,
            crls=[
                {
                    "issuer": one.issuer.slug,
                    "number": one.facts.tbs.number,
                    "warnings": list(one.warnings),
                }
                for one in crls
            ],
        )
        return
    for one in crls:
        end = one.facts.tbs.next_update
        until = f", next update {when(end.moment)}" if end is not None else ""
        number = one.facts.tbs.number
        result(f"{good('good')}: CRL {number} of {visible(one.issuer.subject)}{until}")
        for text in one.warnings:
            warn(visible(text))
