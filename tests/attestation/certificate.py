"""A certificate for a key in a TPM, signed by itself."""

from __future__ import annotations

from datetime import UTC, datetime

from ca.algorithms import signature_algorithm
from ca.encoding.certificate import assemble, build_tbs
from ca.encoding.dn import encode_name
from ca.encoding.extensions import Extension, basic_constraints
from ca.interfaces.custody import SealedKey
from ca.interfaces.values import Serial, Validity
from ca.keys.tpm.custody import TpmCustody
from ca.names.distinguished import DistinguishedName


def self_signed(sealed: SealedKey, tpm: TpmCustody) -> bytes:
    """DER, CN=attested."""
    name = encode_name(DistinguishedName.of(("CN", "attested")))
    algorithm = signature_algorithm(sealed.kind)
    tbs = build_tbs(
        serial=Serial(1 << 150),
        algorithm=algorithm,
        issuer_der=name,
        validity=Validity.of_days(datetime(2026, 11, 22, tzinfo=UTC), 30),
        subject_der=name,
        spki=sealed.spki,
        extensions=[Extension("2.5.29.19", True, basic_constraints(ca=True))],
    )
    with tpm.open(sealed.pem, spki=sealed.spki, pin=None) as signer:
        return assemble(tbs, algorithm, signer.sign(tbs))
