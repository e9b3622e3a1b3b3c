"""What a crash left open is found, ended and reported by the next command (invariant 1)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from ca.encoding.crl import crl_entry
from ca.encoding.spki import spki_sha256
from ca.errors import OutputFailed
from ca.files import locked_if_free
from ca.interfaces.issuing import CertificateRecord, IssuerRecord, IssuerState, Settlement, State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Validity

if TYPE_CHECKING:
    from ca.home import Home
    from ca.interfaces.store import CertificateStore
    from ca.interfaces.values import Clock

_KILLED_BEFORE = "homeca was ended before its TBS was recorded: no signature can exist"
_KILLED_WITHIN = "homeca was ended while signing: a signature may exist"


class Workplace(Protocol):
    """What settling needs of a facility: no TPM, no profiles."""

    @property
    def home(self) -> Home: ...

    @property
    def store(self) -> CertificateStore: ...

    @property
    def clock(self) -> Clock: ...


def settle(facility: Workplace) -> tuple[Settlement, ...]:
    """End every open serial and ceremony, unless another homeca is at work on one.

    A reserved serial has failed: its key was never asked. An intended one is uncertain: its
    signature may exist, so it goes on the CRL. A ceremony whose certificate was recorded is
    completed; any other is abandoned, except one that waits for a certificate from elsewhere.
    Where nodes share the record, each settles what is its own.
    """
    if not _is_anything_open(facility):
        return ()
    with locked_if_free(facility.home.issuing_lock) as alone:
        if not alone:
            return ()
        serials = [_settle_serial(record, facility) for record in facility.store.open_serials()]
        ceremonies = [
            _settle_ceremony(issuer, facility)
            for issuer in facility.store.issuers()
            if _is_broken_off(issuer)
        ]
        return tuple(serials + ceremonies)


def _is_anything_open(facility: Workplace) -> bool:
    return bool(facility.store.open_serials()) or any(map(_is_broken_off, facility.store.issuers()))


def _is_broken_off(issuer: IssuerRecord) -> bool:
    """Pending, and not the kind that waits: an intermediate with a key and a foreign parent.

    Another node's ceremony may be under way there: only that node knows.
    """
    waits = issuer.parent_id is None and issuer.has_key and issuer.slug != "root"
    return issuer.state is IssuerState.PENDING and not waits and not issuer.is_elsewhere


def _settle_serial(record: CertificateRecord, facility: Workplace) -> Settlement:
    now = facility.clock()
    after = State.FAILED if record.state is State.RESERVED else State.UNCERTAIN
    facility.store.settle(
        record.issuer_id,
        record.serial,
        after,
        note=_KILLED_BEFORE if after is State.FAILED else _KILLED_WITHIN,
        at=now,
        entry=(
            crl_entry(record.serial, now, Reason.UNSPECIFIED) if after is State.UNCERTAIN else b""
        ),
    )
    return Settlement(
        issuer_id=record.issuer_id,
        serial=record.serial,
        subject=record.subject,
        before=record.state.value,
        after=after.value,
    )


def _settle_ceremony(issuer: IssuerRecord, facility: Workplace) -> Settlement:
    """Complete it if its certificate is in the record, else abandon it and its key."""
    certificate = recorded_certificate(issuer, facility)
    if certificate is not None:
        facility.store.activate_issuer(
            issuer.id,
            parent_id=issuer.parent_id,
            certificate=certificate.der or b"",
            serial=certificate.serial,
            validity=Validity(not_before=certificate.not_before, not_after=certificate.not_after),
            at=facility.clock(),
        )
        from ca.services.crl.publication import publish_certificate

        with suppress(OutputFailed):  # `status` and `check` name the file and how to write it
            publish_certificate(issuer.slug, certificate.der or b"", facility.home)
        after = IssuerState.ACTIVE
    else:
        forget_key(issuer.slug, facility.home)
        facility.store.set_issuer_state(issuer.id, IssuerState.ABANDONED, at=facility.clock())
        after = IssuerState.ABANDONED
    return Settlement(
        issuer_id=issuer.id,
        serial=None,
        subject=issuer.subject,
        before=IssuerState.PENDING.value,
        after=after.value,
    )


def forget_key(slug: str, home: Home) -> None:
    """The key of a ceremony that came to nothing, and what the TPM said of it.

    Before its row ends: whatever ends between the two is settled again, and leaves no file in the
    way of the next ceremony of that name. Raises: OutputFailed.
    """
    try:
        (home.keys / f"{slug}.tss").unlink(missing_ok=True)
        (home.certs / f"{slug}.proof").unlink(missing_ok=True)
    except OSError as error:
        raise OutputFailed(
            f"{error.filename!r} cannot be removed: {error.strerror}",
            remedy="check the directory and its mode",
        ) from error


def recorded_certificate(issuer: IssuerRecord, facility: Workplace) -> CertificateRecord | None:
    """The certificate its ceremony came to, if it came that far."""
    for record in facility.store.by_spki(spki_sha256(issuer.spki)) if issuer.spki else ():
        if record.state is State.ISSUED and record.subject == issuer.subject:
            return record
    return None
