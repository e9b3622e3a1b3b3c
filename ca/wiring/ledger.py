"""The ledger, to be looked at: of a record by itself, of a CA that is open, of a backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ca.errors import CustodyError, Violation
from ca.home import Home
from ca.wiring.opening import Opening, open_custody, open_settings, system_clock
from ca.wiring.record import open_store

if TYPE_CHECKING:
    from ca.ledger.auditor import Auditor
    from ca.services.backup.restoring import Witness
    from ca.services.facility import Facility


@contextmanager
def open_auditor(opening: Opening) -> Iterator[Auditor]:
    """The ledger to be looked at. Nothing is settled: that would write into what is judged."""
    from ca.ledger.auditor import Auditor
    from ca.ledger.keeper import Keeper

    home = Home(opening.home)
    settings = open_settings(home)
    with open_store(home, settings) as store:
        custody = cache(lambda: open_custody(opening, home, settings, store))
        keeper = Keeper(
            store,
            custody,
            clock=system_clock,
            on_warning=opening.on_warning or opening.on_wait,
        )
        yield Auditor(store=store, custody=custody, clock=system_clock, keeper=keeper)


def auditor_of(facility: Facility) -> Auditor:
    """The ledger of a CA that is open, to be looked at."""
    from ca.ledger.auditor import Auditor
    from ca.ledger.keeper import Keeper

    return Auditor(
        store=facility.store,
        custody=facility.custody,
        clock=facility.clock,
        keeper=Keeper(
            facility.store, facility.custody, clock=facility.clock, on_warning=facility.on_wait
        ),
    )


def ledger_remembers(opening: Opening, *, checkpoints: tuple[str, ...] = ()) -> Witness:
    """The TPM's anchor, where the TPM can be asked, and checkpoints kept elsewhere, against a
    restored ledger: whatever they know and it does not is a violation.

    Raises, when asked: VerificationFailed for a checkpoint that is none.
    """
    from ca.attestation.checkpoint import read_checkpoint

    read = tuple(read_checkpoint(text) for text in checkpoints)

    def witness(facility: Facility) -> Iterator[Violation]:
        custody = cache(
            lambda: open_custody(opening, facility.home, facility.settings, facility.store)
        )
        auditor = auditor_of(replace(facility, custody=custody, on_wait=opening.on_wait))
        if _came_along(opening, facility):  # as old as the record that it is asked about
            opening.on_wait(
                "whether this backup is of the newest state, the software TPM that came out of it "
                "cannot say here; --crl and --checkpoint can"
            )
        try:
            audit = auditor.audit(ask_tpm=True, checkpoints=read)
        except CustodyError as error:
            opening.on_wait(
                "whether this backup is of the newest state, the TPM of this CA cannot say here "
                f"[{error.code}]; --crl and --checkpoint can"
            )
            audit = auditor.audit(ask_tpm=False, checkpoints=read)
        yield from audit.violations()

    return witness


def _came_along(opening: Opening, facility: Facility) -> bool:
    """Is the TPM that will be asked a software TPM that was in the backup itself?"""
    from ca.keys.tpm.reach import EMBEDDED

    custody = facility.store.custody()
    is_embedded = custody is not None and custody.tcti == EMBEDDED
    is_another = opening.tcti not in (None, EMBEDDED)
    return is_embedded and not is_another and facility.home.tpm_state.exists()
