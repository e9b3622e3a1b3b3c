"""Intermediates under this home's root: with a key made here, or for another home's request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from ca.algorithms import KEY_KINDS
from ca.encoding.certificate import new_serial
from ca.encoding.dn import encode_name
from ca.encoding.requests import Request
from ca.encoding.spki import spki_sha256
from ca.errors import CeremonyRefused, Violation
from ca.interfaces.issuing import IssuerRecord, IssuerState, Role
from ca.interfaces.values import Serial
from ca.names.distinguished import DistinguishedName
from ca.policy.revoking import objection
from ca.profiles.render import RenderContext
from ca.services.ceremony.certificate import (
    INTERMEDIATE_PROFILE,
    Certification,
    ca_validity,
    certify,
    sign_ca_certificate,
)
from ca.services.ceremony.pending import beginning, make_key, reserve_serial
from ca.services.ceremony.plan import Plan
from ca.services.facility import Authority, Facility, authorities, constraints_of, root_of
from ca.services.issuance.settlement import recorded_certificate


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
    ca_validity(plan.days, root, now=now)  # refused before anything is recorded
    with beginning(Role.INTERMEDIATE, None, root, plan, facility, now=now) as issuer:
        serial = reserve_serial(root.issuer, issuer, facility, now=now)
        issuer = make_key(issuer, plan, facility)
        return certify(_under(root, issuer, plan, serial), facility, now=now)


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
    if request.spki is not None:
        violations += tuple(_faults_of_key(request.spki.der, facility))
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
    plan = replace(plan, kind=kind)
    ca_validity(plan.days, root, now=now)
    if waiting is not None:
        return _certify_waiting(waiting, root, plan, facility, request.sha256, now=now)
    with beginning(Role.INTERMEDIATE, request.subject, root, plan, facility, now=now) as issuer:
        facility.store.record_issuer_key(
            issuer.id, spki=request.spki.der, key_kind=kind.name, key_file="", at=now
        )
        issuer = replace(issuer, spki=request.spki.der, key_kind=kind.name)
        serial = reserve_serial(root.issuer, issuer, facility, now=now)
        wanted = _under(root, issuer, plan, serial, request.sha256)
        return certify(wanted, facility, now=now)


def _faults_of_key(spki: bytes, facility: Facility) -> Iterator[Violation]:
    """As for a device's key: blocked ones and our own are nobody's (lessons L9, L10)."""
    bar = facility.store.key_bar(spki_sha256(spki))
    if bar is not None:
        yield objection(bar)
    for issuer in facility.store.issuers():
        if issuer.spki == spki and issuer.certificate is not None and not issuer.is_elsewhere:
            yield Violation("key.of-an-issuer", f"the key is that of {issuer.subject}")


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
        wanted = _under(root, issuer, plan, new_serial(facility.entropy), request_sha256)
        der, _ = sign_ca_certificate(wanted, facility, now=now)
    return replace(issuer, certificate=der)


def _under(
    root: Authority,
    issuer: IssuerRecord,
    plan: Plan,
    serial: Serial,
    request_sha256: bytes = b"",
) -> Certification:
    """By this root: where it publishes stands in it, and its constraints are taken over."""
    constraints = constraints_of(root)
    return Certification(
        issuer=issuer,
        parent=root,
        profile=INTERMEDIATE_PROFILE,
        context=RenderContext(
            key=plan.kind.family.value,
            subject=True,
            crl_url=root.issuer.crl_url,
            issuer_url=root.issuer.issuer_url,
            permitted_dns=constraints.permitted_dns,
            permitted_ip=tuple(str(network) for network in constraints.permitted_ip),
            pathlen=0,
        ),
        days=plan.days,
        serial=serial,
        request_sha256=request_sha256,
    )
