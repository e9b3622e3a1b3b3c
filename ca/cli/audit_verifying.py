"""What `homeca audit verify`, `checkpoint` and `accept` do: open, call, say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ca.cli.opening import SOFTWARE_TPM, opening
from ca.cli.options import chosen_home, read_owner_auth
from ca.cli.output import JSON_SCHEMA, bad, compact, document, good, result, say, warn
from ca.cli.reading import read_lists
from ca.errors import CertificateMalformed, OutputFailed, Violation
from ca.files import PUBLIC_FILE, read_bounded, write_whole
from ca.home import Home, refuse_as_output
from ca.interfaces.custody import CustodyKind
from ca.interfaces.store import CertificateStore
from ca.names.showing import many, shell_word, visible
from ca.wiring.ledger import open_auditor

if TYPE_CHECKING:
    from ca.encoding.facts import CrlFacts
    from ca.ledger.audit import Audit
    from ca.ledger.auditor import Auditor

#: As `verify`, `lint` and `check` end when something is wrong.
FOUND = 6

_MAX_CERTIFICATE = 1 << 20

SET_BACK_TOGETHER = (
    "the state of a software TPM is a file: who sets it back together with the database leaves "
    "nothing here to notice; keep a checkpoint elsewhere (`homeca audit checkpoint`)"
)


def verify_ledger(
    home: Path | None,
    *,
    tpm: str | None,
    ask_tpm: bool,
    checkpoints: tuple[Path, ...],
    certificates: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show every violation. Raises: typer.Exit(6) when there is one."""
    from ca.attestation.checkpoint import LIMIT, read_checkpoint

    given = tuple(
        read_checkpoint(_read(path, LIMIT).decode("ascii", "replace")) for path in checkpoints
    )
    ders = tuple(der for path in certificates for der in _ders(path))
    with _auditor(home, tpm) as (place, auditor):
        audit = auditor.audit(
            ask_tpm=ask_tpm,
            checkpoints=given,
            published=published_lists(place, auditor.store),
            certificates=ders,
        )
        count = 0
        if as_json:
            print(f'{{"schema": {JSON_SCHEMA}, "violations": [')
        for violation in chain(audit.violations(), auditor.changed_rules()):
            if as_json:
                print((",\n" if count else "") + compact(_fields(violation)), end="")
            else:
                result(_text(violation))
            count += 1
        custody = auditor.store.custody()
        is_software = custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM
        if as_json:
            print(f"\n], {compact(_summary(audit, ask_tpm=ask_tpm, count=count))[1:]}")
        else:
            _conclude(audit, ask_tpm=ask_tpm, count=count)
        if is_software and not given:
            warn(SET_BACK_TOGETHER)
    if count:
        raise typer.Exit(FOUND)


def _conclude(audit: Audit, *, ask_tpm: bool, count: int) -> None:
    seen = f"{audit.entries} entries, {many(audit.serials, 'serial')}"
    if count:
        result(f"{seen}: {bad(many(count, 'violation'))}")
    else:
        result(f"{seen}: {good('nothing is wrong')}")
    if audit.found is not None:
        waiting = audit.found.waiting
        tail = f"; {waiting} later ones wait for the next command" if waiting else ""
        result(f"the TPM holds entry {audit.found.seq}{tail}")
    elif not ask_tpm:
        warn("the TPM was not asked: an old copy of the database would look as good")


def _summary(audit: Audit, *, ask_tpm: bool, count: int) -> dict[str, Any]:
    return {
        "good": not count,
        "entries": audit.entries,
        "serials": audit.serials,
        "tpm_asked": ask_tpm,
        "anchored": audit.found.seq if audit.found is not None else None,
        "waiting": audit.found.waiting if audit.found is not None else None,
    }


def _text(violation: Violation) -> str:
    remedy = f"\n   try: {violation.remedy}" if violation.remedy else ""
    return f"{bad('error')}: {visible(violation.text)} [{violation.rule}]{remedy}"


def _fields(violation: Violation) -> dict[str, str]:
    return {"rule": violation.rule, "text": violation.text, "remedy": violation.remedy}


def _ders(path: Path) -> tuple[bytes, ...]:
    from ca.encoding.containers import read_certificates

    return tuple(read_certificates(_read(path, _MAX_CERTIFICATE)))[:1]


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_bounded(path, limit)
    except ValueError as error:
        raise CertificateMalformed(
            f"{visible(str(path))!r} has {error}", remedy="give the file itself"
        ) from error


def published_lists(home: Home, store: CertificateStore) -> dict[str, bytes]:
    """The lists that are valid now, as they lie in crl/; that one is missing, `status` says.

    Those of a root whose key is in another home were brought: this ledger does not tell of them.
    """
    from ca.encoding.containers import MAX_CRLS_FILE

    found = {}
    for issuer in store.issuers():
        if not (issuer.has_key or issuer.is_elsewhere):
            continue
        try:
            found[issuer.slug] = read_bounded(home.crl / f"{issuer.slug}.crl", MAX_CRLS_FILE)
        except (OutputFailed, ValueError):
            continue
    return found


@contextmanager
def _auditor(
    home: Path | None, tpm: str | None, *, owner_file: Path | None = None
) -> Iterator[tuple[Home, Auditor]]:
    from msgspec.structs import replace

    place = Home(chosen_home(home))
    opened = replace(opening(home, tpm, None), owner_auth=read_owner_auth(owner_file))
    with open_auditor(opened) as auditor:
        yield place, auditor


def make_checkpoint(home: Path | None, *, tpm: str | None, out: Path | None, force: bool) -> None:
    """Write it, or print it."""
    with _auditor(home, tpm) as (_, auditor):
        text = auditor.checkpoint()
        custody = auditor.store.custody()
    if out is None or str(out) == "-":
        print(text, end="")
    else:
        refuse_as_output(out)
        write_whole(out, text.encode("ascii"), mode=PUBLIC_FILE, replace=force)
        say(f"written to {visible(str(out))}: keep it where nobody who reaches this machine can")
        say(f"next: hold the ledger to it: `homeca audit verify --checkpoint {shell_word(out)}`")
    if custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM:
        warn(SOFTWARE_TPM)
        say("note: with a software TPM only a checkpoint kept elsewhere survives a rollback of all")


def _of_this_ca(
    given: Mapping[Path, tuple[CrlFacts, ...]], store: CertificateStore
) -> Iterator[CrlFacts]:
    """Of the lists in each file; that a file has none is said."""
    from ca.services.backup.relisting import of_this_record

    for path, lists in given.items():
        own = of_this_record(lists, store)
        if not own:
            warn(f"{visible(str(path))} has no list of an issuer of this record: it says nothing")
        yield from own


def accept_record(
    home: Path | None,
    *,
    reason: str,
    crls: tuple[Path, ...],
    ask: bool,
    tpm: str | None,
    owner_file: Path | None,
    as_json: bool,
) -> None:
    """Ask, then accept. crls: files with lists, beside those in the home."""
    from ca.services.backup.forgotten import what_lists_know
    from ca.services.backup.relisting import own_lists, record_again

    given = {path: read_lists(path) for path in crls}
    with _auditor(home, tpm, owner_file=owner_file) as (place, auditor):
        found = [*auditor.audit(ask_tpm=True).violations(), *auditor.changed_rules()]
        for violation in found:
            say(_text(violation))
        lists = (*own_lists(place, auditor.store), *_of_this_ca(given, auditor.store))
        known = what_lists_know(lists, auditor)
        again = len(known.lines) + len(known.compromises)
        for one in known.violations:
            warn(
                f"{'the lists' if crls else f'the lists in {visible(str(place.crl))}'} know what "
                f"this record lacks: {visible(one.text)}"
            )
            if one.remedy:
                say(f"   try: {visible(one.remedy)}")
        if again:
            say("what they revoke is revoked again")
        if ask and not typer.confirm("Take this record for true for ever?", err=True):
            raise typer.Abort
        record_again(known, lists, auditor.store, at=auditor.clock())
        reading, agreed = auditor.keeper.accept(reason)
        entry = auditor.store.ledger_end()
    if as_json:
        document(
            entry=entry.seq,
            agreed=agreed,
            count=reading.count,
            violations=len(found),
            revoked_again=again,
            forgotten=[{"rule": one.rule, "text": one.text} for one in known.violations],
        )
        return
    result(f"accepted: entry {entry.seq} of the ledger says so, and the TPM holds it")
    if again:
        result(f"revoked again: {many(again, 'certificate')}, as the published lists say")
        say("next: `homeca crl`")
    if agreed:
        say("note: the ledger and its anchor agreed anyway")
    else:
        warn(
            "certificates issued after this copy was made are forgotten, and revocations that no "
            f"list{' of --crl or' if crls else ''} in {visible(str(place.crl))} has: revoke again "
            "what was revoked, run `homeca crl`, and look for files of certificates that "
            "`homeca audit verify FILE` does not know"
        )
