"""All that can be said of a certificate without a key: decided, built, linted.

Nothing is written here and no TPM is asked, so a request that is refused leaves no trace.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

from ca.encoding.certificate import build_tbs, new_serial
from ca.encoding.dn import encode_name
from ca.encoding.requests import Request
from ca.failpoints import failpoint
from ca.interfaces.values import Entropy, Serial
from ca.lint.gate import LintedTbs, lint_tbs
from ca.lint.rule import LintContext
from ca.names.general import GeneralName, kind_of
from ca.policy.decision import NO_NAMES, decide, refusal
from ca.policy.terms import Grant, Wishes
from ca.profiles.parse import parse_profile
from ca.profiles.profile import Profile
from ca.profiles.render import RenderContext, render
from ca.profiles.x509v3 import ExtensionContext, build_extensions
from ca.services.facility import Authority, Facility, algorithm_of


class Order(Struct, frozen=True, kw_only=True):
    """One request, and what the operator wants done with it. source: how to call it."""

    source: str
    request: Request
    profile: str
    wishes: Wishes
    replaces: Serial | None = None


class Prepared(Struct, frozen=True, kw_only=True):
    """Decided, built and linted; nothing has been written and no key asked.

    names: those in the certificate: what was granted, and what the profile adds of its own.
    """

    order: Order
    authority: Authority
    profile: Profile
    grant: Grant
    serial: Serial
    tbs: LintedTbs

    @property
    def names(self) -> tuple[GeneralName, ...]:
        return self.tbs.facts.names

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the request and of the decision; the profile may have the names that were missing."""
        said = (*self.order.request.notes, *self.grant.warnings)
        return tuple(one for one in said if one != NO_NAMES) if self.names else said


class Preparation(Struct):
    """Requests to octets that may be signed. Rendered profiles are kept for one command."""

    facility: Facility
    _rendered: dict[tuple[str, RenderContext], Profile] = field(default_factory=dict)

    def prepare(self, order: Order, authority: Authority, *, now: datetime) -> Prepared:
        """Everything that can be said without a key.

        Raises: RequestRefused with every violation, ProfileMalformed, LintRefused, NotFound.
        """
        wishes = order.wishes
        asked = order.request.names if wishes.san is None else wishes.san
        profile = self._profile(order, authority, frozenset(kind_of(name) for name in asked))
        grant = decide(
            order.request,
            profile,
            issuer=authority.facts,
            names=self.facility.names,
            wishes=wishes,
            now=now,
            barred=self.facility.store.key_bar,
        )
        profile = self._profile(
            order,
            authority,
            frozenset(kind_of(name) for name in grant.names),
            subject=bool(grant.subject),
        )
        failpoint("request.decided")
        prepared = _built(order, authority, profile, grant, self.facility.entropy, now=now)
        objections = [
            objection
            for name in prepared.names
            if name not in grant.names  # the profile's own, which nobody has judged yet
            for objection in self.facility.names.objections(name, authority.constraints)
        ]
        if objections:
            raise refusal(objections)
        return prepared

    def _profile(
        self, order: Order, authority: Authority, kinds: frozenset[str], *, subject: bool = True
    ) -> Profile:
        key = order.request.spki
        context = RenderContext(
            key=key.family.value if key is not None else "ec",
            names=kinds,
            subject=subject,
            crl_url=authority.issuer.crl_url,
            issuer_url=authority.issuer.issuer_url,
        )
        known = self._rendered.get((order.profile, context))
        if known is None:
            template = self.facility.profiles.template(order.profile)
            text = render(template, context)
            failpoint("profile.rendered")
            known = parse_profile(text, name=template.name, source=template.source)
            self._rendered[order.profile, context] = known
        return known


def redrawn(prepared: Prepared, entropy: Entropy, *, now: datetime) -> Prepared:
    """The same with another serial: built and linted anew, for the serial stands in the TBS."""
    return _built(
        prepared.order, prepared.authority, prepared.profile, prepared.grant, entropy, now=now
    )


def _built(
    order: Order,
    authority: Authority,
    profile: Profile,
    grant: Grant,
    entropy: Entropy,
    *,
    now: datetime,
) -> Prepared:
    serial = new_serial(entropy)
    context = ExtensionContext(
        subject_spki=grant.spki.der,
        issuer_spki=authority.issuer.spki,
        issuer_ski=authority.ski,
        issuer_name_der=authority.certificate.tbs.issuer.der,
        issuer_serial=authority.certificate.tbs.serial,
        names=grant.names,
        subject=grant.subject,
        self_signed=False,
    )
    tbs = build_tbs(
        serial=serial,
        algorithm=algorithm_of(authority.issuer),
        issuer_der=authority.issuer.subject_der,
        validity=grant.validity,
        subject_der=encode_name(grant.subject),
        spki=grant.spki.der,
        extensions=build_extensions(profile, context),
    )
    failpoint("tbs.built")
    linted = lint_tbs(
        tbs,
        context=LintContext(
            now=now,
            issuer=authority.certificate,
            constraints=authority.above,
            consumers=profile.consumers,
            key_in_tpm=order.request.claims_tpm,
        ),
    )
    failpoint("tbs.linted")
    return Prepared(
        order=order,
        authority=authority,
        profile=profile,
        grant=grant,
        serial=serial,
        tbs=linted,
    )
