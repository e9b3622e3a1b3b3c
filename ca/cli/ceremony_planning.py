"""From the options of a ceremony to its plan: whose the issuer is, its key and its addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ca.algorithms import KEY_KINDS
from ca.errors import UsageError
from ca.interfaces.issuing import Role
from ca.interfaces.values import Secret
from ca.names.constraints import NameConstraints
from ca.names.distinguished import ORGANIZATION, Attribute, DistinguishedName, attribute_type
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.services.ceremony.plan import Plan
    from ca.services.facility import Facility

#: Kinds a CA key may have; Ed25519 is not a TPM algorithm, RSA-4096 rarely one.
CA_KINDS = ("ec-p256", "ec-p384", "ec-p521", "rsa-2048", "rsa-3072", "rsa-4096")
#: Attributes that say whose an issuer is and where: an intermediate takes them from its root.
_PLACE = frozenset(attribute_type(short).oid for short in ("C", "ST", "L", "O", "OU"))


def ceremony_plan(
    name: str,
    key: str,
    days: int,
    pin: Secret | None,
    *,
    above: DistinguishedName | None,
    constraints: NameConstraints | None = None,
    base_url: str | None,
) -> Plan:
    """Raises: UsageError for a kind no CA key has, and for a base URL that is not plain HTTP."""
    from ca.services.ceremony.plan import Plan

    kind = KEY_KINDS.get(key)
    if kind is None or key not in CA_KINDS:
        raise UsageError(
            f"{visible(key)!r} is not a kind of CA key", remedy=f"use one of {', '.join(CA_KINDS)}"
        )
    return Plan(
        name=name,
        kind=kind,
        days=days,
        constraints=constraints or NameConstraints(),
        base_url=_checked_url(base_url),
        pin=pin,
        above=above,
    )


def checked_name(name: str | None) -> str | None:
    """Raises: UsageError for an empty one, which nobody would read in an issuer's name."""
    if name is not None and not name.strip():
        raise UsageError(
            "the name of the CA is empty", remedy='say whose it is: --name "Smith family"'
        )
    return name


def checked_subject(text: str | None) -> DistinguishedName | None:
    """Raises: UsageError for a subject with a common name: a ceremony numbers those."""
    if text is None:
        return None
    above = DistinguishedName.parse(text)
    if above.common_name is not None:
        raise UsageError(
            f"the subject {visible(text)!r} has a common name, and homeca makes it from --name",
            remedy='write what stands before it: --subject "C=GB,ST=England,O=Alice Ltd"',
        )
    return above if above.rdns else None


def organisation(above: DistinguishedName | None) -> str | None:
    """Its O, if it has one."""
    return next(iter(above.values("O")), None) if above is not None else None


def _checked_url(url: str | None) -> str | None:
    """Plain HTTP: a client that must verify TLS to fetch a CRL would need the CRL first."""
    if url is None:
        return None
    from ca.names.general import URIName

    parsed = URIName.parse(url).value
    if not parsed.startswith("http://"):
        raise UsageError(
            f"the base URL {visible(url)!r} does not begin with http://",
            remedy="use plain http: CRLs and certificates are signed by themselves (RFC 5280 §8)",
        )
    return parsed


def above_root(found: Facility, name: str | None) -> DistinguishedName | None:
    """Where the root stands, C to OU of its DN, with this name as the organisation if given."""
    from ca.encoding.dn import decode_name

    for issuer in found.store.issuers():
        if issuer.role is Role.ROOT:
            above = [a for a in decode_name(issuer.subject_der) if a.oid in _PLACE]
            if name is not None:
                own = Attribute(ORGANIZATION, name)
                above = [own if a.oid == ORGANIZATION else a for a in above]
                above += [own] * (own not in above)
            return DistinguishedName(tuple((a,) for a in above)) if above else None
    return None


def same_base(found: Facility) -> str | None:
    """The base URL the root was given: one server publishes for all issuers."""
    for issuer in found.store.issuers():
        if issuer.role is Role.ROOT and issuer.crl_url is not None:
            return issuer.crl_url.rpartition("/")[0]
    return None
