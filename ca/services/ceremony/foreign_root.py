"""An intermediate whose root lives elsewhere: it asks, waits, and takes what comes back."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

from ca.encoding.certificate import assemble
from ca.encoding.containers import fingerprint
from ca.encoding.facts import CertificateFacts
from ca.encoding.inspect import read_certificate
from ca.encoding.pkcs10 import build_request_info
from ca.encoding.spki import parse_spki, verify
from ca.errors import CeremonyRefused, EncodingError, HomecaError, NotFound, Violation
from ca.interfaces.issuing import IssuerDraft, IssuerRecord, IssuerState, Role
from ca.interfaces.values import Serial
from ca.profiles.render import RenderContext
from ca.profiles.x509v3 import ExtensionContext, build_extensions
from ca.services.ceremony.certificate import INTERMEDIATE_PROFILE, ca_profile
from ca.services.ceremony.pending import activate, beginning, make_key
from ca.services.ceremony.plan import Plan
from ca.services.crl.publication import publish_certificate
from ca.services.facility import Facility
from ca.services.issuance.settlement import forget_key
from ca.services.trust import check_signature, validity_of
from ca.services.verification.path import judge_path


def request_intermediate(
    plan: Plan, facility: Facility, *, hand_over: Callable[[bytes], None] = lambda _: None
) -> tuple[IssuerRecord, bytes]:
    """First half, for a root that lives elsewhere: the key here, and a DER request for it.

    hand_over: keeps the request; where that fails nothing waits for an answer to it.
    The issuer stays pending until `accept_intermediate`.
    Raises: CustodyError, StoreError, and what hand_over does.
    """
    now = facility.check_clock()
    with beginning(Role.INTERMEDIATE, None, None, plan, facility, now=now) as issuer:
        issuer = make_key(issuer, plan, facility)
        profile = ca_profile(
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
        hand_over(request)
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
            # after its row, which would wait for ever without its key
            forget_key(issuer.slug, facility.home)
            return issuer
    raise NotFound(
        f"no intermediate called {slug!r} waits for a certificate", remedy="see `homeca status`"
    )


def accept_intermediate(
    certificates: Sequence[bytes],
    facility: Facility,
    *,
    trusted: bytes | None = None,
    believe: Callable[[CertificateFacts], None] = lambda _: None,
) -> IssuerRecord:
    """Second half: the certificate that came back, with its chain up to the root.

    certificates: DER, in any order; one is for a pending key of this home, one is self-signed.
    trusted: SHA-256 of the root, told by the owner; None: not told.
    believe: asked then about a root that is new here, and fit: a home has one root for ever.
    Raises: CeremonyRefused naming all that does not fit, and what believe does; nothing is
            recorded then.
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
    violations = _unfit(facts, root, issuer, now=now) + _other_than(trusted, root)
    if violations:
        raise CeremonyRefused(
            "the certificate and its root cannot be this intermediate's",
            remedy="have the request of `--csr-out` signed again, and append the root that signs: "
            "certs/root.pem in its home",
            violations=tuple(violations),
        )
    if _known_root(root_der, facility) is None and trusted is None:
        believe(root)
    with facility.changing(ceremony=True), facility.issuing():
        parent = _foreign_root(root_der, root, facility, now=now)
        if parent.is_elsewhere:
            publish_certificate(parent.slug, root_der, facility.home)
        serial, validity = Serial(facts.tbs.serial), validity_of(facts.tbs)
        return activate(issuer, der, parent.id, serial, validity, facility)


def _unfit(
    facts: CertificateFacts, root: CertificateFacts, issuer: IssuerRecord, *, now: datetime
) -> list[Violation]:
    """Everything that keeps a foreign certificate, and what it came with, from being taken."""
    found: list[Violation] = []

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
    if signing.basic_constraints is not None and signing.basic_constraints.path_len == 0:
        violated("path-length", f"{signing.subject} may have no CA below it (basicConstraints)")
    for signed, by in ((facts, root), (root, root)):
        try:
            check_signature(signed, by.tbs.spki)
        except HomecaError as error:
            violated("signature", f"{signed.tbs.subject}: {error.problem}")
    return [*found, *judge_path((facts, root), at=now)]


def _other_than(trusted: bytes | None, root: CertificateFacts) -> list[Violation]:
    if trusted is None or hmac.compare_digest(sha256(root.der).digest(), trusted):
        return []
    text = f"{root.tbs.subject} has another fingerprint than was given: {fingerprint(root.der)}"
    return [Violation("ceremony.other-root", text)]


def _known_root(der: bytes, facility: Facility) -> IssuerRecord | None:
    """This home's root, if it has one. Raises: CeremonyRefused when that is another one."""
    for issuer in facility.store.issuers():
        if issuer.role is Role.ROOT:
            if issuer.certificate != der:
                raise CeremonyRefused(
                    f"this home belongs to another root: {issuer.subject}",
                    remedy="use another --home for another root",
                )
            return issuer
    return None


def _foreign_root(
    der: bytes, facts: CertificateFacts, facility: Facility, *, now: datetime
) -> IssuerRecord:
    """The root's row: known already, or recorded with its key elsewhere."""
    known = _known_root(der, facility)
    if known is not None:
        return known
    draft = IssuerDraft(
        role=Role.ROOT,
        slug="root",
        subject=str(facts.tbs.subject),
        subject_der=facts.tbs.subject.der,
        parent_id=None,
    )
    issuer = facility.store.begin_issuer(draft, at=now)
    facility.store.record_issuer_key(
        issuer.id,
        spki=facts.tbs.spki,
        key_kind=_kind_name(facts.tbs.spki),
        key_file="",
        at=now,
    )
    serial, validity = Serial(facts.tbs.serial), validity_of(facts.tbs)
    return activate(issuer, der, None, serial, validity, facility)


def _kind_name(spki: bytes) -> str:
    """ "" for a key that another CA may have and homeca would not certify."""
    try:
        return parse_spki(spki).kind_name
    except EncodingError:
        return ""
