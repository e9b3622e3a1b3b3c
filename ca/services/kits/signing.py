"""The CA's signature on Apple configuration profiles: a key of its own, made on first use.

The key is in the TPM like every other, its certificate is issued by the one path and recorded.
It has no PIN: all it can do is vouch for a profile that a person then installs by hand.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from ca.algorithms import RSA_2048
from ca.encoding.certificate import assemble
from ca.encoding.cms import signed_attributes, signed_data
from ca.encoding.dn import encode_name
from ca.encoding.pkcs10 import build_request_info
from ca.encoding.requests import parse_request
from ca.encoding.spki import spki_sha256, verify
from ca.encoding.tpm import PublicArea
from ca.encoding.tsskey import TssKey
from ca.errors import CustodyError, OutputExists
from ca.files import PRIVATE_FILE, read_bounded, write_whole
from ca.interfaces.issuing import CertificateRecord, State
from ca.names.distinguished import DistinguishedName
from ca.policy.terms import Wishes
from ca.services.facility import Authority, Facility, authorities, signing_authority
from ca.services.issuance.issuing import Issuance, NotIssued
from ca.services.issuance.preparation import Order, Preparation
from ca.services.standing.renewals import SIGNER_NAME, SIGNER_PROFILE

#: RSA, with which every example of Apple's signs; nobody says that phones take ECDSA here.
KIND = RSA_2048

#: A signer that ends sooner is replaced: a kit may lie in a drawer for a while.
LEAST_LEFT = timedelta(days=60)

#: How long the profile has it last.
USUAL = timedelta(days=375)
_MAX_KEY_FILE = 65536


class _Key(Struct, frozen=True):
    pem: bytes
    spki: bytes


def sign_profile(document: bytes, facility: Facility) -> bytes:
    """DER CMS around a property list, with the signer's chain up to, not with, the root.

    Raises: CustodyError, StoreError, and what issuing a certificate raises, on first use.
    """
    now = facility.check_clock()
    key = _key(facility)
    record = _usable(key, facility, now=now)
    if record is None:
        if facility.store.is_key_blocked(spki_sha256(key.spki)):
            key = _make_key(facility, replace=True)  # the old one is said to be in other hands
        _issue(key, facility, now=now)
        record = _usable(key, facility, now=now)
    assert record is not None  # noqa: S101 - just issued
    assert record.der is not None  # noqa: S101 - `_usable` looks for it
    with facility.custody().open(key.pem, spki=key.spki, pin=None) as signer:
        attributes = signed_attributes(document, algorithm=signer.algorithm, at=now)
        signature = signer.sign(attributes)
        verify(key.spki, signer.algorithm, signature, attributes)
        return signed_data(
            document,
            attributes=attributes,
            algorithm=signer.algorithm,
            signature=signature,
            signer=record.der,
            chain=_issuer_of(record, facility).chain[:-1],
        )


def _key(facility: Facility) -> _Key:
    path = facility.home.profile_signing_key
    if not path.exists():
        try:
            return _make_key(facility, replace=False)
        except OutputExists:
            pass  # another homeca made it meanwhile
    return _read(read_bounded(path, _MAX_KEY_FILE))


def _make_key(facility: Facility, *, replace: bool) -> _Key:
    """The blob is on disk before a certificate names it; one without a certificate harms nobody."""
    sealed = facility.custody().create(KIND, pin=None)
    write_whole(facility.home.profile_signing_key, sealed.pem, mode=PRIVATE_FILE, replace=replace)
    return _Key(sealed.pem, sealed.spki)


def _read(pem: bytes) -> _Key:
    return _Key(pem, PublicArea.from_tpm2b(TssKey.from_pem(pem).public).spki)


def _usable(key: _Key, facility: Facility, *, now: datetime) -> CertificateRecord | None:
    """The newest certificate of this key that will do for a while; no longer than its issuer."""
    good = [
        record
        for record in facility.store.by_spki(spki_sha256(key.spki))
        if record.state is State.ISSUED
        and record.der is not None
        and not record.is_revoked
        and record.not_after >= min(now + LEAST_LEFT, _issuer_of(record, facility).not_after)
        and record.not_after > now
    ]
    return max(good, key=lambda record: record.not_after, default=None)


def _issuer_of(record: CertificateRecord, facility: Facility) -> Authority:
    for authority in authorities(facility.store):
        if authority.issuer.id == record.issuer_id:
            return authority
    raise CustodyError(
        "the record holds a signer of profiles without its issuer",
        remedy="run `homeca check`",
    )


def _issue(key: _Key, facility: Facility, *, now: datetime) -> None:
    """Its certificate, by the one path: request, policy, lint, intent, signature, record."""
    authority = signing_authority(authorities(facility.store))
    organisation = authority.certificate.tbs.subject.values("2.5.4.10") or ("homeca",)
    subject = DistinguishedName.of(
        ("O", organisation[0]), ("CN", f"{organisation[0][:40]} {SIGNER_NAME}")
    )
    info = build_request_info(subject_der=encode_name(subject), spki=key.spki, extensions=())
    with facility.custody().open(key.pem, spki=key.spki, pin=None) as signer:
        der = assemble(info, signer.algorithm, signer.sign(info))
    # who makes a kit can give no --days: as long as the profile says, but not past the issuer
    is_short = now < authority.not_after < now + USUAL
    order = Order(
        source="the signer of configuration profiles",
        request=parse_request(der),
        profile=SIGNER_PROFILE,
        wishes=Wishes(not_after=authority.not_after if is_short else None),
    )
    prepared = Preparation(facility).prepare(order, authority, now=now)
    for outcome in Issuance(facility).issue([prepared]):
        if isinstance(outcome, NotIssued):
            raise outcome.error
