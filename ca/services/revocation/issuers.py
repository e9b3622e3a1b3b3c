"""Which issuers are revoked: light, for every listing asks."""

from __future__ import annotations

from collections.abc import Mapping

from ca.home import Home
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.revocation import Revocation
from ca.interfaces.store import CertificateStore


def revoked_issuers(
    records: tuple[IssuerRecord, ...], store: CertificateStore, home: Home
) -> Mapping[int, Revocation]:
    """By id: those whose certificate is revoked, and those below them. Raises: StoreError.

    What they signed is refused by whoever looks at their issuer's CRL, whatever its own line says.
    """
    own: dict[int, Revocation] = {}
    if any(issuer.is_abroad for issuer in records):
        from ca.services.crl.elsewhere import revoked_abroad  # reads lists, as few homes need

        own |= revoked_abroad(records, home)
    for issuer in records:
        rows = store.by_serial(issuer.serial) if issuer.serial is not None else ()
        row = next((one for one in rows if one.issuer_id == issuer.parent_id), None)
        if row is not None and row.revocation is not None:
            own[issuer.id] = row.revocation
    parents = {issuer.id: issuer.parent_id for issuer in records}
    found = dict(own)
    for issuer in records:
        above, passed = issuer.parent_id, {issuer.id}
        while issuer.id not in found and above is not None and above not in passed:
            passed.add(above)
            if above in own:
                found[issuer.id] = own[above]
            above = parents.get(above)
    return found
