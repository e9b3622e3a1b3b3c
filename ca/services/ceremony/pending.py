"""An issuer from its first row to its end as active or abandoned: the steps of every ceremony."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from msgspec.structs import replace

from ca.encoding.certificate import new_serial
from ca.encoding.dn import encode_name
from ca.errors import HomecaError, OutputExists
from ca.files import PRIVATE_FILE, write_whole
from ca.interfaces.issuing import IssuerDraft, IssuerRecord, IssuerState, Role, State
from ca.interfaces.values import Serial, Validity
from ca.names.distinguished import DistinguishedName
from ca.names.showing import shell_word
from ca.services.ceremony.plan import Plan
from ca.services.crl.publication import publish_certificate
from ca.services.facility import Authority, Facility
from ca.services.issuance.settlement import forget_key, recorded_certificate
from ca.services.issuance.signing import settle_unsigned
from ca.services.proof.proving import keep_statement


@contextmanager
def beginning(
    role: Role,
    subject: DistinguishedName | None,
    parent: Authority | None,
    plan: Plan,
    facility: Facility,
    *,
    now: datetime,
) -> Iterator[IssuerRecord]:
    """A pending issuer for as long as its ceremony takes.

    The issuing lock is held throughout: making a key may take a minute, and another command
    that found the pending row meanwhile would take it for one a crash left behind. An intermediate
    gets its number with the TPM in hand: two begun at once in one home become two generations.

    subject: None: that of the next generation.
    """
    keys = (parent.issuer,) if parent is not None else ()
    with facility.changing(*keys, ceremony=True), facility.issuing():
        slug, own = _next_generation(plan, facility)
        slug = slug if role is Role.INTERMEDIATE else "root"
        _require_free(_key_file(slug), facility)
        issuer = _begin(role, slug, subject or own, parent, plan, facility, now=now)
        with _abandoning(issuer, facility):
            yield issuer


def _next_generation(plan: Plan, facility: Facility) -> tuple[str, DistinguishedName]:
    """The slug and DN of the next intermediate: numbers are never used twice."""
    number = 1 + facility.store.count_intermediates()
    return f"intermediate-{number}", plan.subject(f"Intermediate CA {number}")


def _key_file(slug: str) -> str:
    """Where its blob lies, from the home."""
    return f"keys/{slug}.tss"


def _require_free(key_file: str, facility: Facility) -> None:
    """Before the row: what lies there later is this ceremony's own, to be removed if it fails.

    An older record that was put back may not know of a key that was made after it. What a ceremony
    that was broken off left is gone: settlement removes it before it ends that ceremony's row.
    One the record knows is that of another ceremony, which this one waited for: the row says so.
    """
    path = facility.home.path / key_file
    is_known = any(issuer.key_file == key_file for issuer in facility.store.issuers())
    if not is_known and (path.exists() or path.is_symlink()):
        raise OutputExists(
            f"there is a key of another issuer in {str(path)!r}, which the record does not know",
            remedy="restore the newest record; if nobody needs that key, move it away: "
            f"`mv {shell_word(path)} {shell_word(f'{path}.old')}`",
        )


def _begin(
    role: Role,
    slug: str,
    subject: DistinguishedName,
    parent: Authority | None,
    plan: Plan,
    facility: Facility,
    *,
    now: datetime,
) -> IssuerRecord:
    base = plan.base_url.rstrip("/") if plan.base_url else None
    draft = IssuerDraft(
        role=role,
        slug=slug,
        subject=str(subject),
        subject_der=encode_name(subject),
        parent_id=parent.issuer.id if parent is not None else None,
        crl_url=f"{base}/{slug}.crl" if base else None,
        issuer_url=f"{base}/{slug}.crt" if base else None,
    )
    return facility.store.begin_issuer(draft, at=now)


@contextmanager
def _abandoning(issuer: IssuerRecord, facility: Facility) -> Iterator[None]:
    """A ceremony that fails leaves no pending issuer; one that crashes leaves it to settlement.

    The key goes with it, unless a certificate for it is recorded: then the issuer exists,
    and whatever failed after that (a full disk, a file in certs/) takes nothing back.
    """
    try:
        yield
    except HomecaError:
        if recorded_certificate(_current(issuer.id, facility), facility) is not None:
            raise
        for record in facility.store.open_serials():
            if record.state is State.RESERVED and record.subject == issuer.subject:
                settle_unsigned(
                    facility, record.issuer_id, record.serial, None, at=facility.clock()
                )
        forget_key(issuer.slug, facility.home)
        facility.store.set_issuer_state(issuer.id, IssuerState.ABANDONED, at=facility.clock())
        raise


def reserve_serial(
    signing: IssuerRecord, issuer: IssuerRecord, facility: Facility, *, now: datetime
) -> Serial:
    """The number first: making a key may take seconds, and a crash in them leaves a trace."""
    serial = new_serial(facility.entropy)
    facility.store.reserve(signing.id, serial, subject=issuer.subject, at=now)
    return serial


def make_key(issuer: IssuerRecord, plan: Plan, facility: Facility) -> IssuerRecord:
    """Make the key, write its blob, record both; the custody is recorded with the first key."""
    if facility.store.custody() is None:
        facility.store.record_custody(facility.custody().describe(), at=facility.clock())
    sealed = facility.custody().create(plan.kind, pin=plan.pin, attest=True)
    key_file = _key_file(issuer.slug)
    write_whole(facility.home.path / key_file, sealed.pem, mode=PRIVATE_FILE)
    if sealed.attestation is not None:
        keep_statement(issuer.slug, sealed.attestation, facility.home)
    facility.store.record_issuer_key(
        issuer.id,
        spki=sealed.spki,
        key_kind=plan.kind.name,
        key_file=key_file,
        at=facility.clock(),
    )
    return replace(issuer, key_kind=plan.kind.name, key_file=key_file, spki=sealed.spki)


def activate(
    issuer: IssuerRecord,
    der: bytes,
    parent_id: int | None,
    serial: Serial,
    validity: Validity,
    facility: Facility,
) -> IssuerRecord:
    """Publish, then activate: an active issuer's certificate is where its AIA URL says."""
    publish_certificate(issuer.slug, der, facility.home)
    facility.store.activate_issuer(
        issuer.id,
        parent_id=parent_id,
        certificate=der,
        serial=serial,
        validity=validity,
        at=facility.clock(),
    )
    return _current(issuer.id, facility)


def _current(issuer_id: int, facility: Facility) -> IssuerRecord:
    return next(issuer for issuer in facility.store.issuers() if issuer.id == issuer_id)
