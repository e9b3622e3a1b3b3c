"""From linted octets to a recorded certificate: the steps that touch the key, in their order.

`issuing` runs them for many, `ceremony` for one; both record the intent first.
"""

from __future__ import annotations

from datetime import datetime

from ca.encoding.certificate import assemble
from ca.encoding.crl import crl_entry
from ca.encoding.spki import verify
from ca.errors import CustodyError, HomecaError, SignatureInvalid, SignatureUncertain
from ca.failpoints import failpoint
from ca.interfaces.custody import Signer
from ca.interfaces.issuing import Intent, IssuerRecord, State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.lint.gate import LintedTbs
from ca.services.facility import Facility


def sign_linted(tbs: LintedTbs, signer: Signer, spki: bytes) -> bytes:
    """DER Certificate: one signature, verified in software before anyone sees it.

    spki:   the public key the signature must verify under: the issuer certificate's.
    Raises: SignatureUncertain, SignatureInvalid (a signature may exist), CustodyError (none does).
    """
    signature = signer.sign(tbs.der)
    verify(spki, signer.algorithm, signature, tbs.der)
    failpoint("signature.verified")
    return assemble(tbs.der, signer.algorithm, signature)


def settle_unsigned(
    facility: Facility, issuer_id: int, serial: Serial, error: HomecaError | None, *, at: datetime
) -> State:
    """End an intent that will have no certificate.

    error: what the key answered; None when the key was never asked for this one.
    """
    may_exist = isinstance(error, SignatureUncertain | SignatureInvalid)
    state = State.UNCERTAIN if may_exist else State.FAILED
    facility.store.settle(
        issuer_id,
        serial,
        state,
        note=error.problem if error is not None else "the key was not asked",
        at=at,
        entry=crl_entry(serial, at, Reason.UNSPECIFIED) if may_exist else b"",
    )
    return state


def sign_one(intent: Intent, tbs: LintedTbs, issuer: IssuerRecord, facility: Facility) -> bytes:
    """Record the intent, sign, verify, record the certificate; DER.

    Raises: what the key or the record raises, after the serial has been settled.
    """
    with facility.issuing():
        facility.store.record_intents([intent], at=facility.clock())
        failpoint("intents.stored")
        try:
            with facility.key_of(issuer) as signer:
                der = sign_linted(tbs, signer, issuer.spki)
        except (CustodyError, SignatureInvalid) as error:
            settle_unsigned(facility, intent.issuer_id, intent.serial, error, at=facility.clock())
            raise
        facility.store.record_certificates(
            [(intent.issuer_id, intent.serial, der)], at=facility.clock()
        )
    return der
