"""Which certificates of devices are to be renewed, which were, and which were let end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import datetime, timedelta

from ca.interfaces.issuing import CertificateQuery, CertificateRecord, State
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import ONE_SECOND, Serial

#: How long before its end a certificate is to be renewed, and after it is said that it was not.
RENEW_BEFORE = timedelta(days=30)

#: The signer of configuration profiles: the next kit that needs one gets a new certificate for it.
SIGNER_PROFILE = "profile-signing"
SIGNER_NAME = "configuration profiles"

#: Subjects in one question to the database.
_MANY = 500


def is_to_be_renewed(record: CertificateRecord, own: Set[Serial | None]) -> bool:
    """By a person: not an issuer's, whose serials are `own`, nor one that is made anew on use."""
    is_signer = record.profile == SIGNER_PROFILE and record.subject.endswith(SIGNER_NAME)
    return record.serial not in own and not is_signer


def renewal_lead(record: CertificateRecord) -> timedelta:
    """RENEW_BEFORE, or a third of a short life: no certificate is due on the day it is issued."""
    return min(RENEW_BEFORE, (record.not_after - record.not_before) / 3)


def is_renewed(record: CertificateRecord, store: CertificateStore) -> bool:
    """Is there one in its place that lasts longer and is not revoked?"""
    return any(
        later.state is State.ISSUED
        and later.revocation is None
        and later.not_after > record.not_after
        for later in store.replacements(record.serial)
    )


def let_end(
    store: CertificateStore, own: Set[Serial | None], *, at: datetime
) -> tuple[CertificateRecord, ...]:
    """What ended less than RENEW_BEFORE ago and nothing came after, latest first.

    Whatever was signed for the same subject and lasts longer came after it, renewed with a new key
    or revoked since. Those that live for weeks are somebody's job to replace, not a person's.
    """
    query = CertificateQuery(
        states=(State.ISSUED,),
        revoked=False,
        begins_before=at - 3 * RENEW_BEFORE,  # few, where a farm's jobs end by the thousand
        expires_after=at - RENEW_BEFORE,
        expires_before=at,
    )
    ended = [
        record
        for record in store.certificates(query)
        if is_to_be_renewed(record, own) and renewal_lead(record) == RENEW_BEFORE
    ]
    if not ended:
        return ()
    later = {
        (other.subject, () if other.subject else other.names, other.not_after)
        for other in _of_subjects(ended, store)
    }
    last = {(subject, names): end for subject, names, end in sorted(later)}
    return tuple(
        record
        for record in sorted(ended, key=lambda one: one.not_after, reverse=True)
        if last[record.subject, () if record.subject else record.names] <= record.not_after
    )


def _of_subjects(
    ended: Sequence[CertificateRecord], store: CertificateStore
) -> Iterator[CertificateRecord]:
    """Everything issued for the same subjects that ends no sooner than the first of these."""
    subjects = sorted({record.subject for record in ended})
    before = min(record.not_after for record in ended) - ONE_SECOND
    for index in range(0, len(subjects), _MANY):
        yield from store.certificates(
            CertificateQuery(
                states=(State.ISSUED,),
                subjects=tuple(subjects[index : index + _MANY]),
                expires_after=before,
            )
        )
