"""A CA certificate: built, linted and sent down the one path; then its issuer is active."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from ca.algorithms import KEY_KINDS, signature_algorithm
from ca.encoding.certificate import build_tbs
from ca.encoding.spki import ski
from ca.errors import CeremonyRefused
from ca.failpoints import failpoint
from ca.home import NEW_CA
from ca.interfaces.issuing import Intent, IssuerRecord
from ca.interfaces.values import Serial, Validity
from ca.lint.gate import lint_tbs
from ca.lint.rule import LintContext, LintRole
from ca.profiles.parse import parse_profile
from ca.profiles.profile import Profile
from ca.profiles.render import RenderContext, render
from ca.profiles.x509v3 import ExtensionContext, build_extensions
from ca.services.ceremony.pending import activate
from ca.services.facility import Authority, Facility
from ca.services.issuance.signing import sign_one

INTERMEDIATE_PROFILE = "intermediate-ca"


class Certification(Struct, frozen=True, kw_only=True):
    """A CA certificate to be made.

    issuer:         whose: pending, its key recorded. parent: who signs; None: it signs itself.
    profile:        the name of its profile, to be rendered with `context`.
    days:           its lifetime from the moment it is made.
    serial:         reserved for it, or not recorded yet.
    request_sha256: of the request that asked for it; empty when its key was made in this home.
    """

    issuer: IssuerRecord
    parent: Authority | None
    profile: str
    context: RenderContext
    days: int
    serial: Serial
    request_sha256: bytes = b""

    @property
    def signing(self) -> IssuerRecord:
        """Whose key signs it."""
        return self.parent.issuer if self.parent is not None else self.issuer


def ca_validity(days: int, parent: Authority | None, *, now: datetime) -> Validity:
    """From now on, inside its parent's (invariant 4). Raises: CeremonyRefused."""
    validity = Validity.of_days(now, days)
    if parent is None or validity.not_after <= parent.not_after:
        return validity
    left, end = (parent.not_after - now).days, parent.not_after
    if left < 1:
        raise CeremonyRefused(
            f"the root {parent.issuer.subject} ends on {end:%Y-%m-%d}: nothing new can stand on it",
            remedy=f"{NEW_CA}: `homeca init-root --home DIR --name NAME --base-url URL`",
        )
    raise CeremonyRefused(
        f"{days} days would outlive the root, which ends on {end:%Y-%m-%d}",
        remedy=f"choose at most --days {left}",
    )


def certify(wanted: Certification, facility: Facility, *, now: datetime) -> IssuerRecord:
    """The CA certificate itself, then the issuer is active and published.

    Raises: CeremonyRefused, CustodyError, LintRefused, StoreError.
    """
    der, validity = sign_ca_certificate(wanted, facility, now=now)
    issuer = wanted.issuer
    return activate(issuer, der, issuer.parent_id, wanted.serial, validity, facility)


def sign_ca_certificate(
    wanted: Certification, facility: Facility, *, now: datetime
) -> tuple[bytes, Validity]:
    """DER, by the one path: recorded, signed, verified, recorded; and how long it holds.

    Raises: CeremonyRefused, CustodyError, LintRefused, StoreError.
    """
    validity = ca_validity(wanted.days, wanted.parent, now=now)
    profile = ca_profile(wanted.profile, wanted.context, facility)
    issuer, parent, signing = wanted.issuer, wanted.parent, wanted.signing
    tbs = build_tbs(
        serial=wanted.serial,
        algorithm=signature_algorithm(KEY_KINDS[signing.key_kind]),
        issuer_der=signing.subject_der,
        validity=validity,
        subject_der=issuer.subject_der,
        spki=issuer.spki,
        extensions=build_extensions(profile, _extension_context(wanted)),
    )
    failpoint("tbs.built")
    linted = lint_tbs(
        tbs,
        context=LintContext(
            now=now,
            role=LintRole.ROOT if parent is None else LintRole.INTERMEDIATE,
            issuer=parent.certificate if parent is not None else None,
            consumers=profile.consumers,
        ),
    )
    failpoint("tbs.linted")
    intent = Intent(
        issuer_id=signing.id,
        serial=wanted.serial,
        tbs=linted.der,
        profile=profile.name,
        profile_text=profile.text,
        subject=issuer.subject,
        names=(),
        spki=issuer.spki,
        validity=validity,
        request_sha256=wanted.request_sha256,
    )
    return sign_one(intent, linted, signing, facility), validity


def _extension_context(wanted: Certification) -> ExtensionContext:
    """Keys, names and numbers for SKI and AKI: the signer's own where it is another."""
    issuer, parent = wanted.issuer, wanted.parent
    return ExtensionContext(
        subject_spki=issuer.spki,
        issuer_spki=wanted.signing.spki,
        issuer_ski=parent.ski if parent is not None else ski(issuer.spki),
        issuer_name_der=parent.certificate.tbs.issuer.der if parent else issuer.subject_der,
        issuer_serial=parent.certificate.tbs.serial if parent is not None else wanted.serial,
        names=(),
        self_signed=parent is None,
    )


def ca_profile(name: str, context: RenderContext, facility: Facility) -> Profile:
    """The profile an issuer's certificate or request is made under, rendered."""
    template = facility.profiles.template(name)
    return parse_profile(render(template, context), name=name, source=template.source)
