"""What a statement about a CA's keys proves: the words of the TPM, and whose keys they are about.

The TPM knows keys and no names. A name is believed for the signature on the certificate it stands
in, by its own key or by another one of the statement. Only one that names the key of its issuer
(RFC 5280 §4.2.1.1) can be signed by a key that is elsewhere.
"""

from __future__ import annotations

from ca.attestation.document import Proven, verify_document
from ca.errors import SignatureInvalid, StatementRefused, Violation
from ca.services.trust import check_signature


def verify_statement(
    text: str, *, nonce: bytes | None = None, attestation_key: bytes | None = None
) -> tuple[Proven, ...]:
    """As `verify_document`, and no certificate in it was changed. Raises: StatementRefused."""
    proven = verify_document(text, nonce=nonce, attestation_key=attestation_key)
    changed = [one for one in proven if not _is_as_signed(one, proven)]
    if changed:
        names = ", ".join(str(one.certificate.tbs.subject) for one in changed)
        raise StatementRefused(
            f"the statement proves nothing: the certificate of {names} was changed",
            remedy="ask for a new one: `homeca prove --out FILE` on the CA's machine",
            violations=(
                Violation("statement.certificate", "the signature on a certificate is not good"),
            ),
        )
    return proven


def is_vouched_for(one: Proven, proven: tuple[Proven, ...]) -> bool:
    """Its certificate's issuer is in the statement, so its signature was asked."""
    return any(_issues(other, one) for other in proven)


def _is_as_signed(one: Proven, proven: tuple[Proven, ...]) -> bool:
    issuers = [other for other in proven if _issues(other, one)]
    if not issuers and one.certificate.tbs.aki is not None:
        return True  # by an issuer whose key is elsewhere
    return any(_signed(one, issuer) for issuer in issuers)


def _issues(issuer: Proven, one: Proven) -> bool:
    return issuer.certificate.tbs.subject.der == one.certificate.tbs.issuer.der


def _signed(one: Proven, issuer: Proven) -> bool:
    try:
        check_signature(one.certificate, issuer.certificate.tbs.spki)
    except SignatureInvalid:
        return False
    return True
