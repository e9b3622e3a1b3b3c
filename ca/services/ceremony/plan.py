"""What the operator decides before a ceremony."""

from __future__ import annotations

from msgspec import Struct

from ca.algorithms import KeyKind
from ca.interfaces.values import Secret
from ca.names.constraints import NameConstraints
from ca.names.distinguished import DistinguishedName


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
