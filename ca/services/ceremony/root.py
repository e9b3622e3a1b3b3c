"""Making the root: the first ceremony of a home, and one that is held once."""

from __future__ import annotations

from ca.errors import AlreadyInitialised
from ca.interfaces.issuing import IssuerRecord, Role
from ca.profiles.render import RenderContext
from ca.services.ceremony.certificate import Certification, certify
from ca.services.ceremony.pending import beginning, make_key, reserve_serial
from ca.services.ceremony.plan import Plan
from ca.services.facility import Facility

ROOT_PROFILE = "root-ca"


def init_root(plan: Plan, facility: Facility) -> IssuerRecord:
    """The root's key in the TPM and its self-signed certificate.

    Raises: AlreadyInitialised, CeremonyRefused, CustodyError, LintRefused, StoreError.
    """
    now = facility.check_clock()
    for issuer in facility.store.issuers():
        if issuer.role is Role.ROOT:
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
    with beginning(Role.ROOT, subject, None, plan, facility, now=now) as issuer:
        serial = reserve_serial(issuer, issuer, facility, now=now)
        issuer = make_key(issuer, plan, facility)
        wanted = Certification(
            issuer=issuer,
            parent=None,
            profile=ROOT_PROFILE,
            context=RenderContext(
                key=plan.kind.family.value,
                subject=True,
                permitted_dns=plan.constraints.permitted_dns,
                permitted_ip=tuple(str(network) for network in plan.constraints.permitted_ip),
            ),
            days=plan.days,
            serial=serial,
        )
        return certify(wanted, facility, now=now)
