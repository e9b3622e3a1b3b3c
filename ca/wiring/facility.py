"""A CA, open: settings become adapters, adapters a facility. A backend is imported when used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from ca.errors import CustodyError, HomeMissing
from ca.failpoints import failpoint
from ca.home import Home
from ca.interfaces.custody import KeyCustody
from ca.interfaces.issuing import Settlement
from ca.interfaces.values import Secret
from ca.settings import Settings
from ca.wiring.opening import (
    Opening,
    open_custody,
    open_library,
    open_settings,
    steady,
    system_clock,
)
from ca.wiring.record import TAKE_ALONG, open_store

if TYPE_CHECKING:
    from ca.services.facility import Facility


@contextmanager
def open_facility(
    opening: Opening,
    *,
    create: bool = False,
    on_settled: Callable[[Settlement], None],
) -> Iterator[Facility]:
    """Everything a service needs. What a crash left open is settled first and reported."""
    from ca.ledger.keeper import Keeper
    from ca.permitted import NamePolicy
    from ca.services.facility import Facility
    from ca.services.issuance.settlement import settle

    home = Home(opening.home)
    if create:
        home.make()
    settings = open_settings(home)
    with open_store(home, settings, create=create) as store:
        if create and not store.issuers():  # the server's database may be another, or an empty one
            if settings.database is not None and home.has_record:
                raise HomeMissing("the database that homeca.toml names is empty", remedy=TAKE_ALONG)
            home.refuse_lost_record()
        home.make_published()
        custody = cache(lambda: open_custody(opening, home, settings, store))
        clock = steady(system_clock)
        facility = Facility(
            home=home,
            store=store,
            custody=custody,
            clock=clock,
            entropy=os.urandom,
            profiles=open_library(home),
            names=NamePolicy.from_settings(settings),
            settings=settings,
            pin=opening.pin,
            on_wait=opening.on_wait,
            ledger=Keeper(
                store,
                custody,
                clock=clock,
                settings=kept_settings(settings, home),
                on_warning=opening.on_warning or opening.on_wait,
            ),
            believe_clock=opening.believe_clock,
        )
        for settlement in settle(facility):
            on_settled(settlement)
        failpoint("home.opened")
        yield facility


@contextmanager
def open_unpacked(home: Home) -> Iterator[Facility]:
    """A home that a backup was unpacked into: its own database whatever its settings say, no TPM.

    Nothing is settled: that is for the next command in the home, once it has its place.
    """
    from ca.ledger.keeper import Keeper
    from ca.permitted import NamePolicy
    from ca.services.facility import Facility

    def no_tpm() -> KeyCustody:
        raise CustodyError(
            "a backup is looked at without a TPM", remedy="restore it, then use its keys"
        )

    def no_pin(_: str) -> Secret:
        raise CustodyError("no key is used here", remedy="restore the backup first")

    settings = open_settings(home)
    with open_store(home, replace(settings, database=None)) as store:
        yield Facility(
            home=home,
            store=store,
            custody=no_tpm,
            clock=system_clock,
            entropy=os.urandom,
            profiles=open_library(home),
            names=NamePolicy.from_settings(settings),
            settings=settings,
            pin=no_pin,
            on_wait=lambda _: None,
            ledger=Keeper(store, no_tpm, clock=system_clock, on_warning=lambda _: None),
        )


def kept_settings(settings: Settings, home: Home) -> dict[str, object]:
    """What the ledger keeps of homeca.toml: all but the database's URL, which may hold a password.

    Values that JSON has no form for as the text that homeca.toml has for them. A node that shares
    its record keeps its own, under its identity.
    """
    node = {} if settings.database is None else {"node": home.node_identity()}
    return node | {
        name: [str(one) for one in value] if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
        if name != "database"
    }
