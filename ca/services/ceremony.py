"""Making an issuer: the only code that asks for CA:TRUE (invariant 4).

Order: the pending issuer and its serial are recorded, then the key is made, then its blob is
written, then the certificate takes the one path (record, sign, verify, record), then the issuer
becomes active. A crash at any point leaves rows that `settlement` ends and reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from ca.algorithms import KEY_KINDS, KeyKind, signature_algorithm
from ca.encoding.certificate import assemble, build_tbs, new_serial
from ca.encoding.dn import encode_name
from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate
from ca.encoding.pkcs10 import build_request_info
from ca.encoding.requests import Request
from ca.encoding.spki import ski, verify
from ca.errors import (
    AlreadyInitialised,
    CeremonyRefused,
    HomecaError,
    NotFound,
    Violation,
)
from ca.failpoints import failpoint
from ca.files import PRIVATE_FILE, write_whole
from ca.interfaces.issuing import Intent, IssuerDraft, IssuerRecord, IssuerState, Role, State
from ca.interfaces.values import Secret, Serial, Validity
from ca.lint.gate import lint_tbs
from ca.lint.rule import LintContext, LintRole
from ca.names.constraints import NameConstraints
from ca.names.distinguished import DistinguishedName
from ca.profiles.parse import parse_profile
from ca.profiles.profile import Profile
from ca.profiles.render import RenderContext, render
from ca.profiles.x509v3 import ExtensionContext, build_extensions
from ca.services.facility import Authority, Facility, authorities, constraints_of, root_of
from ca.services.proving import keep_statement
from ca.services.publication import publish_certificate
from ca.services.settlement import recorded_certificate
from ca.services.signing import settle_unsigned, sign_one
from ca.services.trust import check_signature, validity_of

ROOT_PROFILE = "root-ca"
INTERMEDIATE_PROFILE = "intermediate-ca"


class Plan(Struct, frozen=True, kw_only=True):
    """What the operator wants of a new issuer.

    name:        stands in its DN: O=name, CN=name + " Root CA".
    above:       what stands before the CN instead of O=name: C=GB,ST=England,O=Alice Ltd.
    constraints: for the root; an intermediate takes over its root's.
    base_url:    where CRLs and issuer certificates will be fetched, "http://ca.home.arpa";
                 None: no CDP, no AIA, and none ever for what this issuer signs.
    pin:         the key's authValue; None: the TPM asks for none.
    """

    name: str
    kind: KeyKind
    days: int
    constraints: NameConstraints = NameConstraints()
    base_url: str | None = None
    pin: Secret | None = None
    above: DistinguishedName | None = None

    def subject(self, role: str) -> DistinguishedName:
        """The DN of an issuer: plan.subject("Root CA")."""
        above = DistinguishedName.of(("O", self.name)) if self.above is None else self.above
        own = DistinguishedName.of(("CN", f"{self.name} {role}"))
        return DistinguishedName((*above.rdns, *own.rdns))


def init_root(plan: Plan, facility: Facility) -> IssuerRecord:
    """The root's key in the TPM and its self-signed certificate.

    Raises: AlreadyInitialised, CeremonyRefused, CustodyError, LintRefused, StoreError.
    """
    now = facility.check_clock()
    for issuer in facility.store.issuers():
        if issuer.role is Role.ROOT and issuer.state is not IssuerState.ABANDONED:
            if issuer.is_elsewhere:
                raise AlreadyInitialised(
                    f"this record already has a root: {issuer.subject}, of node {issuer.node}",
                    remedy="make an intermediate here: `homeca init-intermediate --csr-out FILE`",
                )
            raise AlreadyInitialised(
                f"this home already has a root: {issuer.subject}",
                remedy="use another --home for another CA; `homeca status` shows this one",
            )
    subject = plan.subject("Root CA")
    with _beginning(Role.ROOT, subject, None, plan, facility, now=now) as issuer:
        serial = _reserve(issuer, issuer, facility, now=now)
        issuer = _make_key(issuer, plan, facility)
        constraints = plan.constraints
        context = RenderContext(
            key=plan.kind.family.value,
            subject=True,
            permitted_dns=constraints.permitted_dns,
            permitted_ip=tuple(str(network) for network in constraints.permitted_ip),
        )
        return _certify(issuer, None, ROOT_PROFILE, context, plan, facility, serial, now=now)


def init_intermediate(plan: Plan, facility: Facility) -> IssuerRecord:
    """A new issuing key under the root of this home, with a DN of its own.

    A new key generation gets a new DN: a CRL from another key under the same name would count
    as missing, and a missing CRL is accepted with a warning.

    Raises: CeremonyRefused, CustodyError, LintRefused, StoreError.
    """
    now = facility.check_clock()
    root = root_of(authorities(facility.store))
    if not root.issuer.has_key:
        raise CeremonyRefused(
            f"the key of {root.issuer.subject} does not live in this home",
            remedy="run `homeca init-intermediate --csr-out FILE`, have it signed there, then "
            "`homeca init-intermediate --certificate FILE`",
        )
    with _beginning(Role.INTERMEDIATE, None, root, plan, facility, now=now) as issuer:
        serial = _reserve(root.issuer, issuer, facility, now=now)
        issuer = _make_key(issuer, plan, facility)
        context = _intermediate_context(root, plan.kind)
        return _certify(
            issuer, root, INTERMEDIATE_PROFILE, context, plan, facility, serial, now=now
        )


def certify_foreign_intermediate(request: Request, plan: Plan, facility: Facility) -> IssuerRecord:
    """Sign another home's intermediate (its `--csr-out`) with this home's root.

    The request gives its key and its name; everything else is the intermediate-ca profile's.
    Where that home shares this record, its issuer is in it already and waits: it stays that
    node's to take (`accept_intermediate`), and what is returned is pending with its certificate.
    Raises: CeremonyRefused with every violation, CustodyError, LintRefused, StoreError.
    """
    now = facility.check_clock()
    root = root_of(authorities(facility.store))
    asks_for_ca = {"request.ca-true", "request.key-cert-sign"}
    violations = tuple(v for v in request.violations if v.rule not in asks_for_ca)
    if asks_for_ca - {v.rule for v in request.violations}:
        # a device's request slipped in here would come back as a CA
        violations += (Violation("ceremony.no-ca-asked", "the request does not ask for a CA"),)
    if request.spki is None or violations or not request.subject:
        raise CeremonyRefused(
            "the request cannot become an intermediate",
            remedy="make it with `homeca init-intermediate --csr-out FILE` in the other home",
            violations=violations,
        )
    kind = KEY_KINDS.get(request.spki.kind_name)
    if kind is None:
        raise CeremonyRefused(
            f"a {request.spki.kind_name} key cannot be an issuer's",
            remedy="make an ec-p256, ec-p384 or rsa-3072 key in the other home",
        )
    if not root.issuer.has_key:
        raise CeremonyRefused(
            f"the key of {root.issuer.subject} does not live in this home",
            remedy="sign the request where it does"
            + (f": on node {root.issuer.node}" if root.issuer.is_elsewhere else ""),
        )
    waiting = _waiting_elsewhere(request.spki.der, request.subject, facility)
    if waiting is not None:
        plan = replace(plan, kind=kind)
        return _certify_waiting(waiting, root, plan, facility, request.sha256, now=now)
    with _beginning(Role.INTERMEDIATE, request.subject, root, plan, facility, now=now) as issuer:
        facility.store.record_issuer_key(
            issuer.id, spki=request.spki.der, key_kind=kind.name, key_file="", at=now
        )
        issuer = replace(issuer, spki=request.spki.der, key_kind=kind.name)
        return _certify(
            issuer,
            root,
            INTERMEDIATE_PROFILE,
            _intermediate_context(root, kind),
            replace(plan, kind=kind),
            facility,
            _reserve(root.issuer, issuer, facility, now=now),
            now=now,
            request_sha256=request.sha256,
        )


def _waiting_elsewhere(
    spki: bytes, subject: DistinguishedName, facility: Facility
) -> IssuerRecord | None:
    """The issuer another node of this record made this key for.

    Raises: CeremonyRefused when it has another name, or is not waiting any more.
    """
    for issuer in facility.store.issuers():
        if not issuer.is_elsewhere or issuer.spki != spki:
            continue
        if issuer.state is not IssuerState.PENDING or issuer.subject_der != encode_name(subject):
            raise CeremonyRefused(
                f"the key is that of {issuer.subject}, which is {issuer.state.value!r} on node "
                f"{issuer.node}",
                remedy="have that node make a new request: `homeca init-intermediate --csr-out`",
            )
        return issuer
    return None


def _certify_waiting(
    issuer: IssuerRecord,
    root: Authority,
    plan: Plan,
    facility: Facility,
    request_sha256: bytes,
    *,
    now: datetime,
) -> IssuerRecord:
    """The certificate of another node's pending issuer; the one it has, if it was signed before."""
    known = recorded_certificate(issuer, facility)
    if known is not None:
        return replace(issuer, certificate=known.der)
    with facility.changing(root.issuer, ceremony=True), facility.issuing():
        der, _ = _signed(
            issuer,
            root,
            INTERMEDIATE_PROFILE,
            _intermediate_context(root, plan.kind),
            plan,
            facility,
            new_serial(facility.entropy),
            now=now,
            request_sha256=request_sha256,
        )
    return replace(issuer, certificate=der)


def request_intermediate(plan: Plan, facility: Facility) -> tuple[IssuerRecord, bytes]:
    """First half, for a root that lives elsewhere: the key here, and a DER request for it.

    The issuer stays pending until `accept_intermediate`. Raises: CustodyError, StoreError.
    """
    now = facility.check_clock()
    with _beginning(Role.INTERMEDIATE, None, None, plan, facility, now=now) as issuer:
        issuer = _make_key(issuer, plan, facility)
        profile = _profile(
            INTERMEDIATE_PROFILE,
            RenderContext(key=plan.kind.family.value, subject=True, pathlen=0),
            facility,
        )
        wanted = build_extensions(
            profile,
            ExtensionContext(
                subject_spki=issuer.spki,
                issuer_spki=issuer.spki,
                issuer_ski=None,
                issuer_name_der=issuer.subject_der,
                issuer_serial=0,
                names=(),
                self_signed=True,
            ),
        )
        authority_key = "2.5.29.35"  # the signer's, so not ours to ask for
        info = build_request_info(
            subject_der=issuer.subject_der,
            spki=issuer.spki,
            extensions=[e for e in wanted if e.oid != authority_key],
        )
        with facility.key_of(issuer) as signer:
            signature = signer.sign(info)
            verify(issuer.spki, signer.algorithm, signature, info)
            request = assemble(info, signer.algorithm, signature)
        return issuer, request


def give_up_intermediate(slug: str, facility: Facility) -> IssuerRecord:
    """End the waiting of an intermediate made with `request_intermediate`; its key goes.

    Raises: NotFound when none of that name waits.
    """
    for issuer in facility.store.issuers():
        if issuer.slug == slug and issuer.state is IssuerState.PENDING and issuer.has_key:
            with facility.changing(although_unreachable=True):
                facility.store.set_issuer_state(
                    issuer.id, IssuerState.ABANDONED, at=facility.clock()
                )
            (facility.home.path / issuer.key_file).unlink(missing_ok=True)
            return issuer
    raise NotFound(
        f"no intermediate called {slug!r} waits for a certificate", remedy="see `homeca status`"
    )


def accept_intermediate(certificates: Sequence[bytes], facility: Facility) -> IssuerRecord:
    """Second half: the certificate that came back, with its chain up to the root.

    certificates: DER, in any order; one is for a pending key of this home, one is self-signed.
    Raises: CeremonyRefused naming what does not fit; nothing is recorded then.
    """
    now = facility.check_clock()
    read = [(der, read_certificate(der)) for der in dict.fromkeys(certificates)]
    pending = {
        issuer.spki: issuer
        for issuer in facility.store.issuers()
        if issuer.state is IssuerState.PENDING and issuer.has_key
    }
    ours = [(der, facts) for der, facts in read if facts.tbs.spki in pending]
    roots = [(der, facts) for der, facts in read if facts.tbs.is_self_issued]
    if len(ours) != 1:
        raise CeremonyRefused(
            "none of these certificates is for an intermediate key waiting in this home",
            remedy="pass the certificate made from the request of `--csr-out`",
        )
    if len(roots) != 1:
        raise CeremonyRefused(
            "the root's own certificate is not among them",
            remedy="append the root (PEM) to the file: homeca must know what it chains to",
        )
    (der, facts), (root_der, root) = ours[0], roots[0]
    issuer = pending[facts.tbs.spki]
    violations = _unfit(facts, root, issuer, now=now)
    if violations:
        raise CeremonyRefused(
            "the certificate cannot be this intermediate's",
            remedy="have the request of `--csr-out` signed again",
            violations=tuple(violations),
        )
    with facility.changing(ceremony=True), facility.issuing():
        parent = _foreign_root(root_der, root, facility, now=now)
        if parent.is_elsewhere:
            publish_certificate(parent.slug, root_der, facility.home)
        serial, validity = Serial(facts.tbs.serial), validity_of(facts.tbs)
        return _activate(issuer, der, parent.id, serial, validity, facility)


def _unfit(
    facts: CertificateFacts, root: CertificateFacts, issuer: IssuerRecord, *, now: datetime
) -> list[Violation]:
    """Everything that keeps a foreign certificate from being this issuer's."""
    found = []

    def violated(rule: str, text: str) -> None:
        found.append(Violation(f"ceremony.{rule}", text))

    tbs, signing = facts.tbs, root.tbs
    if tbs.subject.der != issuer.subject_der:
        violated("subject", f"its subject is {tbs.subject}, not {issuer.subject}")
    if tbs.issuer.der != signing.subject.der:
        violated("chain", f"its issuer is {tbs.issuer}, not the root {signing.subject}")
    if not tbs.is_ca:
        violated("ca", "it is not a CA certificate (basicConstraints)")
    if not {"keyCertSign", "cRLSign"} <= (tbs.key_usage or frozenset()):
        violated("key-usage", "it may not sign certificates and CRLs (keyUsage)")
    if not tbs.not_before.moment <= now <= tbs.not_after.moment:
        violated(
            "validity",
            f"it is valid from {tbs.not_before.moment} to {tbs.not_after.moment}, not now",
        )
    for signed, by in ((facts, root), (root, root)):
        try:
            check_signature(signed, by.tbs.spki)
        except HomecaError as error:
            violated("signature", f"{signed.tbs.subject}: {error.problem}")
    return found


def _foreign_root(
    der: bytes, facts: CertificateFacts, facility: Facility, *, now: datetime
) -> IssuerRecord:
    """The root's row: known already, or recorded with its key elsewhere."""
    for issuer in facility.store.issuers():
        if issuer.role is Role.ROOT:
            if issuer.certificate != der:
                raise CeremonyRefused(
                    f"this home belongs to another root: {issuer.subject}",
                    remedy="use another --home for another root",
                )
            return issuer
    draft = IssuerDraft(
        role=Role.ROOT,
        slug="root",
        subject=str(facts.tbs.subject),
        subject_der=facts.tbs.subject.der,
        parent_id=None,
    )
    issuer = facility.store.begin_issuer(draft, at=now)
    facility.store.record_issuer_key(
        issuer.id, spki=facts.tbs.spki, key_kind="", key_file="", at=now
    )
    serial, validity = Serial(facts.tbs.serial), validity_of(facts.tbs)
    return _activate(issuer, der, None, serial, validity, facility)


# ---------------------------------------------------------------- steps


def _next_generation(plan: Plan, facility: Facility) -> tuple[str, DistinguishedName]:
    """The slug and DN of the next intermediate: numbers are never used twice."""
    number = 1 + facility.store.count_intermediates()
    return f"intermediate-{number}", plan.subject(f"Intermediate CA {number}")


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


def _reserve(
    signing: IssuerRecord, issuer: IssuerRecord, facility: Facility, *, now: datetime
) -> Serial:
    """The number first: making a key may take seconds, and a crash in them leaves a trace."""
    serial = new_serial(facility.entropy)
    facility.store.reserve(signing.id, serial, subject=issuer.subject, at=now)
    return serial


def _make_key(issuer: IssuerRecord, plan: Plan, facility: Facility) -> IssuerRecord:
    """Make the key, write its blob, record both; the custody is recorded with the first key."""
    if facility.store.custody() is None:
        facility.store.record_custody(facility.custody().describe(), at=facility.clock())
    sealed = facility.custody().create(plan.kind, pin=plan.pin, attest=True)
    key_file = f"keys/{issuer.slug}.tss"
    path = facility.home.path / key_file
    write_whole(path, sealed.pem, mode=PRIVATE_FILE, replace=True)
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


def _profile(name: str, context: RenderContext, facility: Facility) -> Profile:
    template = facility.profiles.template(name)
    return parse_profile(render(template, context), name=name, source=template.source)


def _intermediate_context(root: Authority, kind: KeyKind) -> RenderContext:
    constraints = constraints_of(root)
    return RenderContext(
        key=kind.family.value,
        subject=True,
        crl_url=root.issuer.crl_url,
        issuer_url=root.issuer.issuer_url,
        permitted_dns=constraints.permitted_dns,
        permitted_ip=tuple(str(network) for network in constraints.permitted_ip),
        pathlen=0,
    )


def _certify(
    issuer: IssuerRecord,
    parent: Authority | None,
    profile_name: str,
    context: RenderContext,
    plan: Plan,
    facility: Facility,
    serial: Serial,
    *,
    now: datetime,
    request_sha256: bytes = b"",
) -> IssuerRecord:
    """The CA certificate itself, then the issuer is active and published."""
    der, validity = _signed(
        issuer,
        parent,
        profile_name,
        context,
        plan,
        facility,
        serial,
        now=now,
        request_sha256=request_sha256,
    )
    return _activate(issuer, der, issuer.parent_id, serial, validity, facility)


def _signed(
    issuer: IssuerRecord,
    parent: Authority | None,
    profile_name: str,
    context: RenderContext,
    plan: Plan,
    facility: Facility,
    serial: Serial,
    *,
    now: datetime,
    request_sha256: bytes,
) -> tuple[bytes, Validity]:
    """The CA certificate, by the one path: recorded, signed, verified, recorded."""
    validity = Validity.of_days(now, plan.days)
    if parent is not None and validity.not_after > parent.not_after:
        left = (parent.not_after - now).days
        raise CeremonyRefused(
            f"{plan.days} days would outlive the root, which ends on {parent.not_after:%Y-%m-%d}",
            remedy=f"choose at most --days {left}",
        )
    profile = _profile(profile_name, context, facility)
    signing = parent.issuer if parent is not None else issuer
    tbs = build_tbs(
        serial=serial,
        algorithm=signature_algorithm(KEY_KINDS[signing.key_kind]),
        issuer_der=signing.subject_der,
        validity=validity,
        subject_der=issuer.subject_der,
        spki=issuer.spki,
        extensions=build_extensions(
            profile,
            ExtensionContext(
                subject_spki=issuer.spki,
                issuer_spki=signing.spki,
                issuer_ski=parent.ski if parent is not None else ski(issuer.spki),
                issuer_name_der=(
                    parent.certificate.tbs.issuer.der if parent else issuer.subject_der
                ),
                issuer_serial=parent.certificate.tbs.serial if parent is not None else serial,
                names=(),
                self_signed=parent is None,
            ),
        ),
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
        serial=serial,
        tbs=linted.der,
        profile=profile.name,
        profile_text=profile.text,
        subject=issuer.subject,
        names=(),
        spki=issuer.spki,
        validity=validity,
        request_sha256=request_sha256,
    )
    return sign_one(intent, linted, signing, facility), validity


def _activate(
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


@contextmanager
def _beginning(
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
        issuer = _begin(role, slug, subject or own, parent, plan, facility, now=now)
        with _abandoning(issuer, facility):
            yield issuer


@contextmanager
def _abandoning(issuer: IssuerRecord, facility: Facility) -> Iterator[None]:
    """A ceremony that fails leaves no pending issuer; one that crashes leaves it to settlement.

    The key blob goes with it, unless a certificate for it is recorded: then the issuer exists,
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
        facility.store.set_issuer_state(issuer.id, IssuerState.ABANDONED, at=facility.clock())
        (facility.home.keys / f"{issuer.slug}.tss").unlink(missing_ok=True)
        raise
