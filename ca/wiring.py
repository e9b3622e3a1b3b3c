"""Settings become adapters, adapters become a facility. A backend is imported when it is used."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict, replace

from ca.errors import (
    ConfigurationError,
    CustodyError,
    HomeMissing,
    SettingsMalformed,
    Violation,
)
from ca.failpoints import failpoint
from ca.files import check_private, read_bounded
from ca.home import Home
from ca.interfaces.custody import Custody, KeyCustody
from ca.interfaces.issuing import Settlement
from ca.interfaces.nodes import Node
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Clock, Secret
from ca.settings import MAX_SIZE, Settings, read_settings

if TYPE_CHECKING:
    from ca.keys.tpm.custody import TpmCustody
    from ca.ledger.auditor import Auditor
    from ca.profiles.library import Library
    from ca.services.facility import Facility
    from ca.services.requesting import Device
    from ca.services.restoring import Witness
    from ca.store.repository import SqlStore


def system_clock() -> datetime:
    """Now, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def steady(clock: Clock) -> Clock:
    """The same clock, which never goes back while one command lasts.

    A correction by a second between intent and certificate would date the second before the first.
    """
    latest = datetime.min.replace(tzinfo=UTC)

    def now() -> datetime:
        nonlocal latest
        latest = max(latest, clock())
        return latest

    return now


class Opening(Struct, frozen=True, kw_only=True):
    """What a command knows before anything is opened.

    home:    its path. tcti: --tpm, None for the recorded or automatic choice.
    pin:     asks for the PIN of the key file named; called only for keys that have one.
    on_wait: told, in a sentence, when another process is in the way.
    owner_auth: the TPM owner's password, where it has one; only a first ceremony needs it.
    on_warning: told what was recorded and could not be anchored; None: on_wait is.
    """

    home: Path
    tcti: str | None
    pin: Callable[[str], Secret]
    on_wait: Callable[[str], None]
    believe_clock: bool = False
    owner_auth: Secret | None = None
    on_warning: Callable[[str], None] | None = None


def open_settings(home: Home) -> Settings:
    """homeca.toml, or the defaults when there is none. Raises: SettingsMalformed, OutputFailed."""
    path = home.settings
    if not path.exists() and not path.is_symlink():
        return Settings()
    if not path.is_file():  # a device never ends, a pipe never begins, a link to nothing hides
        raise SettingsMalformed(
            f"{str(path)!r} is not a file", remedy="put a file there, or nothing at all"
        )
    try:
        octets = read_bounded(path, MAX_SIZE)
    except ValueError as error:
        raise SettingsMalformed(
            f"{str(path)!r} has {error}", remedy="keep settings in it and nothing else"
        ) from error
    return read_settings(octets)


def open_library(home: Home) -> Library:
    """Built-in profiles and the user's own."""
    from ca.profiles.library import Library

    return Library(home.profiles)


@contextmanager
def open_store(
    home: Home, settings: Settings, *, create: bool = False
) -> Iterator[CertificateStore]:
    """The record. Raises: HomeMissing, HomeNotPrivate, StoreError."""
    from ca.store.repository import open_store as open_sql_store

    if create:
        if settings.database is None and not home.has_record:
            home.refuse_lost_record()
        home.make()
    elif settings.database is None:
        home.require()
    if settings.database is None:
        opened = open_sql_store(home.database, create=create)
    else:
        opened = _open_shared(home, settings.database, create=create)
    with closing(opened) as store:
        yield store


def _open_shared(home: Home, database: str, *, create: bool) -> SqlStore:
    """A record that others may share: this home is one of its nodes."""
    from ca.store.repository import open_store as open_sql_store

    check_private(home.path)
    if create:
        home.make_node()
    node = Node(identity=home.node_identity(), name=socket.gethostname() or "unnamed")
    try:
        return open_sql_store(database, create=create, node=node)
    except HomeMissing as error:
        if not home.has_record:
            raise
        raise HomeMissing(error.problem, remedy=TAKE_ALONG) from error


#: Where homeca.toml names another database than the one that has the record.
TAKE_ALONG = "run `homeca move`: the record is still in the home's own homeca.db"


def move_record(
    home: Home, source: Path, *, on_certificates: Callable[[int], None]
) -> tuple[int, str]:
    """The record in an SQLite file to the database server that homeca.toml names.

    Returns: how many certificates, and the new place without its secrets.
    Raises:  ConfigurationError, HomeMissing, StateConflict, StoreError.
    """
    from ca.store.moving import take_over
    from ca.store.repository import open_store as open_sql_store

    settings = open_settings(home)
    if settings.database is None or record_directory(home, settings) is not None:
        raise ConfigurationError(
            f"{str(home.settings)!r} names no database server that the record could move to",
            remedy='write `database = "postgresql://…"` into it; a file is moved as files are, '
            "while no homeca runs",
        )
    with (
        closing(open_sql_store(source)) as old,
        closing(_open_shared(home, settings.database, create=True)) as new,
    ):
        count = take_over(new, old, at=system_clock(), on_certificates=on_certificates)
    return count, spelled(settings.database)


def open_custody(
    opening: Opening, home: Home, settings: Settings, store: CertificateStore | None
) -> TpmCustody:
    """The TPM this CA is bound to: --tpm, then the settings, then the record, then what is there.

    The pin (the SRK's public area) comes from the record, so another TPM is noticed at once.
    """
    from ca.keys.tpm.custody import TpmCustody

    recorded = store.custody() if store is not None else None
    tcti = opening.tcti or settings.tpm or (recorded.tcti if recorded is not None else None)
    return TpmCustody(
        tcti or "",
        state_dir=home.tpm,
        lock_file=home.tpm_lock,
        srk_public=recorded.srk_public if recorded is not None else None,
        on_wait=opening.on_wait,
        owner_auth=opening.owner_auth,
    )


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
    from ca.services.settlement import settle

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


def spelled(place: Path | str) -> str:
    """The place of a record in full, without its secrets. Raises: SettingsMalformed."""
    from ca.store.url import spelled as spelled_url

    return spelled_url(place)


def record_directory(home: Home, settings: Settings) -> Path | None:
    """Where the record's file is written; None for a server's. Raises: SettingsMalformed."""
    if settings.database is None:
        return home.path
    from ca.store.url import sqlite_file

    file = sqlite_file(settings.database)
    return file.parent if file is not None else None


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


# ---------------------------------------------------------------- a device that asks


def open_device(opening: Opening) -> Device:
    """A home with requests and no CA; nothing is opened before it is used."""
    from tempfile import TemporaryDirectory

    from ca.services.device import DeviceHome
    from ca.services.requesting import Device

    home = Home(opening.home)
    settings = open_settings(home)

    def tpm(recorded: Custody | None, state_dir: Path | None = None) -> TpmCustody:
        from ca.keys.tpm.custody import TpmCustody

        known = recorded.tcti if recorded is not None else ""
        return TpmCustody(
            opening.tcti or settings.tpm or known,
            state_dir=state_dir or home.tpm,
            lock_file=state_dir / "lock" if state_dir is not None else home.tpm_lock,
            srk_public=recorded.srk_public if recorded is not None else None,
            on_wait=opening.on_wait,
        )

    @contextmanager
    def looking(recorded: Custody | None) -> Iterator[TpmCustody]:
        """Before there is a home, an embedded TPM is asked in a directory that is thrown away."""
        if home.path.exists() and (recorded is not None or home.tpm.exists()):
            yield tpm(recorded)
            return
        with TemporaryDirectory(prefix="homeca-tpm-") as scratch:
            yield tpm(recorded, Path(scratch))

    return Device(
        home=DeviceHome(home.path),
        tpm=tpm,
        looking=looking,
        clock=system_clock,
        pin=opening.pin,
        on_wait=opening.on_wait,
    )
