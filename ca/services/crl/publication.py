"""What the CA publishes: its issuers' certificates, and whether its CRLs say what is recorded."""

from __future__ import annotations

from msgspec import Struct

from ca.encoding.containers import pem
from ca.encoding.facts import EntryFacts
from ca.encoding.inspect import read_crl
from ca.files import PUBLIC_FILE, write_whole
from ca.home import Home
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.revocation import REASON_CODES, CrlRecord, Reason, Revocation
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Serial


def publish_certificate(slug: str, der: bytes, home: Home) -> None:
    """certs/<slug>.pem and .crt, as the AIA URL promises them. Raises: OutputFailed."""
    for path, octets in (
        (home.certs / f"{slug}.pem", pem("CERTIFICATE", der)),
        (home.certs / f"{slug}.crt", der),
    ):
        write_whole(path, octets, mode=PUBLIC_FILE, replace=True)


_REASONS = {code: reason for reason, code in REASON_CODES.items()}
#: unspecified stands on a list by not standing there (RFC 5280 §5.3.1).
LISTED_AS: dict[Reason, int | None] = REASON_CODES | {Reason.UNSPECIFIED: None}
_NOT_LISTED = -1


def revocation_of(entry: EntryFacts) -> Revocation:
    """What an entry says; a reason that nobody knows is none (RFC 5280 §5.3.1)."""
    return Revocation(
        reason=_REASONS.get(entry.reason or 0, Reason.UNSPECIFIED),
        revoked_at=entry.revoked_at.moment,
        invalidity=entry.invalidity.moment if entry.invalidity is not None else None,
    )


class Difference(Struct, frozen=True, kw_only=True):
    """A CRL beside the record.

    missing:     revoked serials that must be on the list and are not.
    superfluous: serials on the list that are not revoked (any more).
    outdated:    serials on the list for another reason than the one that is recorded now.
    """

    missing: tuple[Serial, ...]
    superfluous: tuple[Serial, ...]
    outdated: tuple[Serial, ...]

    def __bool__(self) -> bool:
        """Is there any?"""
        return bool(self.missing or self.superfluous or self.outdated)


def compare(issuer: IssuerRecord, crl: CrlRecord, store: CertificateStore) -> Difference:
    """The newest CRL of an issuer beside its revocations.

    A serial may leave after one list past its expiry (RFC 5280 §3.3), so one whose certificate
    ended before this list need not be on it, and may be. Raises: CertificateMalformed.
    """
    rest = {entry.serial: entry.reason for entry in read_crl(crl.der).tbs.entries}
    missing, outdated = [], []
    for line in store.revoked(issuer.id, expired_since=crl.this_update):
        reason = rest.pop(line.serial, _NOT_LISTED)
        if reason == _NOT_LISTED:
            missing.append(line.serial)
        elif reason != LISTED_AS[line.reason]:
            outdated.append(line.serial)
    superfluous = set(rest)
    if superfluous:
        superfluous -= {line.serial for line in store.revoked(issuer.id, expired_since=None)}
    return Difference(
        missing=tuple(missing),
        superfluous=tuple(Serial(serial) for serial in sorted(superfluous)),
        outdated=tuple(outdated),
    )
