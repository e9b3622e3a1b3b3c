"""What the tests of the ledger do to a home: set it back, look at it, take its anchor away."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from ca.attestation.checkpoint import Checkpoint
from ca.interfaces.ledger import AnchorPlace, AnchorReading
from ca.keys.tpm.custody import TpmCustody
from ca.keys.tpm.tss import ESYS_TR
from ca.ledger.audit import Audit
from ca.ledger.auditor import Auditor
from ca.ledger.keeper import Keeper
from ca.store.repository import open_store
from tests.house import lawless
from tests.services.rig import Rig


@contextmanager
def auditor(rig: Rig) -> Iterator[Auditor]:
    """As `homeca audit` opens it."""
    with closing(open_store(rig.path / "homeca.db")) as store:
        tpm = custody(rig)
        keeper = Keeper(store, lambda: tpm, clock=rig.clock, on_warning=rig.warnings.append)
        yield Auditor(store=store, custody=lambda: tpm, clock=rig.clock, keeper=keeper)


def custody(rig: Rig) -> TpmCustody:
    with closing(open_store(rig.path / "homeca.db")) as store:
        recorded = store.custody()
    assert recorded is not None
    return TpmCustody(
        "embedded",
        state_dir=rig.path / "tpm",
        lock_file=rig.path / ".tpm.lock",
        srk_public=recorded.srk_public,
        on_wait=lambda _: None,
        deadline=20.0,
    )


def wrong(rig: Rig, *checkpoints: Checkpoint, ask_tpm: bool = True) -> list[str]:
    """What an audit finds, as rules."""
    with auditor(rig) as found:
        audit = found.audit(ask_tpm=ask_tpm, checkpoints=checkpoints)
        return [violation.rule for violation in audit.violations()]


def audited(rig: Rig) -> Audit:
    """An audit that found nothing."""
    with auditor(rig) as found:
        audit = found.audit(ask_tpm=True)
        assert list(audit.violations()) == []
        return audit


def reading(rig: Rig) -> tuple[AnchorPlace, AnchorReading]:
    with auditor(rig) as found, found.custody().hold():
        anchor, _, held = found.keeper.read(found.custody())
        return anchor.place, held


def events(rig: Rig) -> list[str]:
    with closing(open_store(rig.path / "homeca.db")) as store:
        return [entry.event for entry in store.ledger()]


def copy_database(rig: Rig, to: Path) -> None:
    """A consistent copy, as a backup program makes one."""
    with (
        closing(sqlite3.connect(rig.path / "homeca.db")) as source,
        closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)


def put_back(rig: Rig, copy: Path) -> None:
    """The old copy in the place of the database."""
    for name in ("homeca.db", "homeca.db-wal", "homeca.db-shm"):
        (rig.path / name).unlink(missing_ok=True)
    shutil.copy(copy, rig.path / "homeca.db")
    (rig.path / "homeca.db").chmod(0o600)


def shell(rig: Rig) -> AbstractContextManager[sqlite3.Connection]:
    return lawless(rig.path / "homeca.db")


def delete_index(rig: Rig, handle: int) -> None:
    """As the TPM's owner may: `tpm2_nvundefine`."""
    tpm = custody(rig)
    with tpm._transaction() as transaction, transaction.esapi() as esapi:
        index = esapi.tr_from_tpmpublic(handle)
        esapi.nv_undefine_space(index, ESYS_TR.OWNER)
