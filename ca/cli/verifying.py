"""`homeca verify` of a file: certificates with their chain, or CRLs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ca.cli.describing.words import EXTENDED_KEY_USAGES, serial_number, span_text
from ca.cli.output import day, document, fields, good, result, warn, when
from ca.cli.showing import read_file, recognised
from ca.errors import UsageError
from ca.home import Home
from ca.interfaces.store import CertificateStore
from ca.names.showing import visible
from ca.services.verification.certificates import Verified, verify_certificate
from ca.services.verification.crls import Turn, VerifiedCrl, verify_crls


def verify_file(
    path: Path,
    store: CertificateStore,
    home: Home,
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
        found = verify_certificate(ders, store, home, at=at, purpose=purpose, host=host)
        _show(found, at=at, as_json=as_json)
        return
    _show_crls(verify_crls(ders, store, at=at), as_json=as_json)


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


def _show_crls(crls: Sequence[VerifiedCrl], *, as_json: bool) -> None:
    if as_json:
        document(
            good=True,
            crls=[
                {
                    "issuer": one.issuer.slug,
                    "number": one.facts.tbs.number,
                    "turn": one.turn.value,
                    "warnings": list(one.warnings),
                }
                for one in crls
            ],
        )
        return
    for one in crls:
        result(_crl_text(one))
    sys.stdout.flush()
    for text in (text for one in crls for text in one.warnings):
        warn(visible(text))


def _crl_text(one: VerifiedCrl) -> str:
    tbs = one.facts.tbs
    crl = f"CRL {tbs.number} of {visible(one.issuer.subject)}"
    if one.turn is Turn.TO_COME:
        return f"to come: {crl}, from {when(tbs.this_update.moment)}"
    if one.turn is Turn.OVER:
        return f"over: {crl}, another took its place"
    until = f", next update {when(tbs.next_update.moment)}" if tbs.next_update is not None else ""
    return f"{good('good')}: {crl}{until}"
