"""From the options of a command to an open facility, with its messages wired to stderr."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ca.cli.options import chosen_home, read_owner_auth, read_pin
from ca.cli.output import say, warn
from ca.home import Home
from ca.interfaces.custody import CustodyKind
from ca.interfaces.issuing import IssuerState, Settlement
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Clock, Secret, serial_text
from ca.names.showing import shell_word, visible
from ca.wiring.facility import open_facility
from ca.wiring.opening import Opening, open_settings, system_clock
from ca.wiring.record import open_store

if TYPE_CHECKING:
    from ca.services.facility import Facility

SOFTWARE_TPM = (
    "the key is in a software TPM: its file cannot be used elsewhere without the whole TPM state, "
    "but whoever is root where that TPM runs can copy it"
)


def opening(home: Path | None, tpm: str | None, pin_file: Path | None) -> Opening:
    """What the wiring needs; a PIN is asked for once and kept for the command."""
    known: dict[str, Secret] = {}

    def pin(key: str) -> Secret:
        if key not in known:
            known[key] = read_pin(pin_file, key=key)
        return known[key]

    return Opening(home=chosen_home(home), tcti=tpm, pin=pin, on_wait=say, on_warning=warn)


@contextmanager
def facility(
    home: Path | None,
    *,
    tpm: str | None = None,
    pin_file: Path | None = None,
    create: bool = False,
    believe_clock: bool = False,
    owner_file: Path | None = None,
) -> Iterator[Facility]:
    """The CA, open; what a crash had left behind is settled and said."""
    given_back = owner_above(chosen_home(home)) if create else None
    with open_facility(
        replace(
            opening(home, tpm, pin_file),
            believe_clock=believe_clock,
            owner_auth=read_owner_auth(owner_file),
        ),
        create=create,
        on_settled=report_settlement,
    ) as found:
        yield found
    if given_back is not None:
        warn(given_back)


def owner_above(home: Path) -> str | None:
    """What root is to be told who makes a home where another user's things are: that user can
    neither use it, nor put anything beside it. To be asked before it is made.
    """
    if os.geteuid() != 0 or os.path.lexists(home / "homeca.db"):
        return None
    first = next((one for one in reversed((home, *home.parents)) if not one.exists()), home)
    owner = first.parent.stat().st_uid
    if owner == 0:
        return None
    return (
        f"{visible(str(home))} is root's, and {visible(str(first.parent))} is not: "
        f"`chown -R --reference={shell_word(first.parent)} {shell_word(first)}` gives it to "
        "whoever that belongs to"
    )


def report_settlement(settlement: Settlement) -> None:
    """One sentence about something an earlier, interrupted homeca had begun."""
    subject = visible(settlement.subject)
    if settlement.serial is None:
        warn(f"an interrupted ceremony for {subject} was settled: it is {settlement.after} now")
        return
    serial = serial_text(settlement.serial)
    if settlement.after == "uncertain":
        warn(
            f"an interrupted signature for {subject} was settled: serial {serial} may exist and "
            "counts as revoked; run `homeca crl`, and sign the request again"
        )
    else:
        warn(
            f"an interrupted command for {subject} was settled: serial {serial} was never signed; "
            "sign the request again"
        )


def mention_custody(kind: CustodyKind) -> None:
    """A software TPM is never used in silence (invariant 6)."""
    if kind is CustodyKind.SOFTWARE_TPM:
        warn(SOFTWARE_TPM)


@contextmanager
def record(home: Path | None) -> Iterator[tuple[Home, CertificateStore]]:
    """The home and its record, for a command that only looks: no TPM, and no write lock.

    Only what a crash left open is written down as what it is, and said.
    """
    found = Home(chosen_home(home))
    with open_store(found, open_settings(found)) as store:
        if store.open_serials() or any(i.state is IssuerState.PENDING for i in store.issuers()):
            from ca.services.issuance.settlement import settle

            for settlement in settle(Record(home=found, store=store, clock=system_clock)):
                report_settlement(settlement)
        yield found, store


class Record(Struct, frozen=True):
    """The part of a facility that settling needs."""

    home: Home
    store: CertificateStore
    clock: Clock
