"""From requests to certificates: one prepared while another is in the TPM, the failed ones told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from msgspec import Struct

from ca.cli.output import document, error_fields, say, show_error, warn
from ca.cli.progress import Progress
from ca.errors import HomecaError
from ca.interfaces.custody import CustodyKind
from ca.interfaces.issuing import Role
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.cli.delivery import Delivery
    from ca.services.facility import Authority, Facility
    from ca.services.issuance.issuing import NotIssued
    from ca.services.issuance.preparation import Order, Prepared


class Failure(Struct, frozen=True):
    """A request that did not become a certificate, and why."""

    source: str
    error: HomecaError


def issue(
    found: Facility,
    sources: Sequence[str],
    order: Callable[[str], Order],
    targets: Mapping[str, Path | None],
    *,
    issuer: str | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Prepare, sign and show each, one while another is in the TPM; how many were issued.

    order: what is to be done for a source.
    One request that fails raises its own error; of many, the failed ones are told and counted.
    """
    from ca.cli.delivery import Delivery
    from ca.cli.grants import grant_fields, show_grant
    from ca.services.facility import authorities, signing_authority
    from ca.services.issuance.issuing import Issuance, Issued
    from ca.services.issuance.preparation import Preparation

    authority = signing_authority(authorities(found.store), slug=issuer)
    # without --issuer the root signs only where no intermediate can
    if issuer is None and authority.issuer.role is Role.ROOT and _has_intermediate(found):
        warn(
            "no intermediate with its key here is active, so the root itself signs: run "
            "`homeca init-intermediate`"
        )
    now = found.check_clock()
    preparation, issuance = Preparation(found), Issuance(found)
    failures: list[Failure] = []
    alone = len(sources) == 1
    documents: list[dict[str, Any]] = []
    issued = 0

    def prepared() -> Iterator[Prepared]:
        for source in sources:
            try:
                one = preparation.prepare(order(source), authority, now=now)
            except HomecaError as error:
                failures.append(Failure(source, error))
                continue
            if not as_json:
                show_grant(one, brief=not alone)
            yield one

    if dry_run:
        documents = [grant_fields(one, None, None) for one in prepared()]
        if documents or not alone:
            say("dry run: nothing was signed or recorded")
    else:
        delivery = Delivery(targets, force=force, as_json=as_json)
        try:
            with Progress(len(sources), "signing") as progress, delivery:
                outcome: Issued | NotIssued | None = None
                try:
                    with closing(issuance.issue(prepared())) as outcomes:
                        for outcome in outcomes:
                            if isinstance(outcome, Issued):
                                delivery.begin(outcome)
                                issued += 1
                            else:
                                failures.append(_not_issued(outcome))
                            progress.advance()
                finally:  # Ctrl-C, a full disk: what is recorded is handed over all the same
                    for one in (outcome, *issuance.not_taken):
                        if isinstance(one, Issued):
                            delivery.begin(one)
        except KeyboardInterrupt:
            if as_json:
                _document(delivery.documents, [*failures, *_undelivered(delivery)])
            raise
        documents = delivery.documents
        failures += _undelivered(delivery)
        if issued:
            _mention(found, authority)
    _finish(documents, failures, alone=alone, as_json=as_json)
    return issued


def _has_intermediate(found: Facility) -> bool:
    return any(issuer.role is Role.INTERMEDIATE for issuer in found.store.issuers())


def _not_issued(outcome: NotIssued) -> Failure:
    return Failure(outcome.prepared.order.source, outcome.error)


def _undelivered(delivery: Delivery) -> list[Failure]:
    return [Failure(source, error) for source, error in delivery.failures]


def _mention(found: Facility, authority: Authority) -> None:
    custody = found.store.custody()
    if custody is not None and custody.kind is CustodyKind.SOFTWARE_TPM:
        say(f"signed by {authority.issuer.slug}, whose key is in a software TPM")


def _finish(
    documents: list[dict[str, Any]], failures: Sequence[Failure], *, alone: bool, as_json: bool
) -> None:
    if failures and alone:
        raise failures[0].error
    for failure in failures:
        say(f"{visible(failure.source)}:")
        show_error(failure.error, as_json=False)
    if as_json:
        _document(documents, failures)
    if failures:
        say(f"homeca: {len(failures)} of {len(failures) + len(documents)} requests failed")
        raise typer.Exit(1)


def _document(documents: list[dict[str, Any]], failures: Sequence[Failure]) -> None:
    document(
        certificates=documents,
        failures=[
            {"request": failure.source, **error_fields(failure.error)} for failure in failures
        ],
    )
