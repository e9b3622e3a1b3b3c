"""pkilint, asked in process, knows RFC 5280 from another pair of eyes.

Every finding above INFO must be in `EXPECTED`, each with its reason, and every line of `EXPECTED`
must be found: a list that outlived its findings would hide the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pkilint import loader, pkix
from pkilint.bin import lint_pkix_signer_signee_cert_chain as chain
from pkilint.cabf import cabf_crl
from pkilint.pkix import certificate, crl, extension, name
from pkilint.validation import ValidationFindingSeverity

from tests.interop.kinds import KINDS, LOST
from tests.interop.world import World, der_of

#: (stem, code) -> why homeca is of another opinion.
EXPECTED = {
    ("nas", "pkix.invalid_domain_name_syntax"): (
        "a wildcard is no host name in RFC 5280, and a presented identifier in RFC 6125 §6.4.3"
    ),
}
#: The same for what is between a certificate and its issuer.
EXPECTED_OF_CHAIN = {
    ("root", "pkix.authority_key_id_extension_missing"): (
        "a self-signed certificate may leave it out (RFC 5280 §4.2.1.1)"
    ),
}
FORGED = "pkix.signature_verification_failed"
EVERYBODY = ("root", "intermediate", *(kind.stem for kind in (*KINDS, LOST)))


def octets(world: World, stem: str) -> bytes:
    paths = {"root": world.root, "intermediate": world.intermediate}
    paths |= {kind.stem: world.leaf(kind) for kind in (*KINDS, LOST)}
    return der_of(paths[stem])


def serious(results: Any) -> Iterator[str]:
    """The codes of what is above INFO."""
    for result in results:
        for described in result.finding_descriptions:
            if described.finding.severity < ValidationFindingSeverity.INFO:  # FATAL is 0
                yield described.finding.code


@cache
def certificate_rules() -> Any:
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


@cache
def crl_rules() -> Any:
    """RFC 5280, and the CA/B Forum's list of reasons."""
    kind = crl.CertificateRevocationListType.CRL
    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
            cabf_crl.CabfCrlReasonCodeAllowlistValidator(kind),
        ],
    )


def of_certificate(der: bytes) -> list[str]:
    document = loader.RFC5280CertificateDocumentLoader().load_der_document(der, "certificate")
    return sorted(serious(certificate_rules().validate(document.root)))


def of_crl(der: bytes) -> list[str]:
    document = loader.RFC5280CertificateListDocumentLoader().load_der_document(der, "crl")
    return sorted(serious(crl_rules().validate(document.root)))


def of_chain(issuer: bytes, subject: bytes) -> list[str]:
    """What pkilint finds between two certificates: names, key identifiers, policies, signature."""
    documents: dict[str, Any] = {}
    load = loader.RFC5280CertificateDocumentLoader().load_der_document
    documents["issuer"] = load(issuer, "issuer", "issuer", documents)
    documents["subject"] = load(subject, "subject", "subject", documents)
    decoding = chain.create_decoder_validation_container()
    issuing = chain.create_issuer_validation_container()
    signing = chain.create_subject_validation_container()
    return sorted(
        serious(
            [
                *decoding.validate(documents["issuer"].root),
                *decoding.validate(documents["subject"].root),
                *issuing.validate(documents["issuer"].root),
                *signing.validate(documents["subject"].root),
            ]
        )
    )


def issuer_of(stem: str) -> str:
    return "root" if stem in ("root", "intermediate") else "intermediate"


def spoilt(der: bytes) -> bytes:
    return der[:-1] + bytes([der[-1] ^ 1])


@pytest.mark.parametrize("stem", EVERYBODY)
def test_pkilint_finds_in_every_certificate_what_is_expected_and_nothing_else(
    world: World, stem: str
) -> None:
    expected = sorted(code for who, code in EXPECTED if who == stem)
    assert of_certificate(octets(world, stem)) == expected


@pytest.mark.parametrize("stem", EVERYBODY)
def test_pkilint_finds_between_a_certificate_and_its_issuer_what_is_expected_and_nothing_else(
    world: World, stem: str
) -> None:
    expected = sorted(code for who, code in EXPECTED_OF_CHAIN if who == stem)
    assert of_chain(octets(world, issuer_of(stem)), octets(world, stem)) == expected


@pytest.mark.parametrize("stem", EVERYBODY)
def test_pkilint_finds_a_changed_bit_in_every_signature(world: World, stem: str) -> None:
    found = of_chain(octets(world, issuer_of(stem)), spoilt(octets(world, stem)))
    assert FORGED in found


def test_pkilint_finds_a_strangers_issuer(world: World, stranger: World) -> None:
    assert of_chain(octets(stranger, "intermediate"), octets(world, "nas")) == [
        "pkix.issuer_and_subject_dn_not_binary_equal",
        "pkix.issuer_and_subject_key_identifier_not_equal",
        FORGED,
    ]


def test_pkilint_finds_a_wrong_version_in_a_certificate(world: World) -> None:
    der = octets(world, "vpn")
    as_v2 = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)
    assert of_certificate(as_v2) == ["pkix.certificate_version_is_not_v3"]


def test_pkilint_finds_nothing_in_the_crls(world: World) -> None:
    assert of_crl(der_of(world.root_crl)) == []
    assert of_crl(der_of(world.intermediate_crl)) == []


def test_pkilint_finds_a_forbidden_reason_in_a_crl(world: World) -> None:
    """reasonCode (2.5.29.21) keyCompromise (1) becomes removeFromCRL (8)."""
    der = der_of(world.intermediate_crl)
    changed = der.replace(
        bytes.fromhex("0603551d1504030a0101"), bytes.fromhex("0603551d1504030a0108")
    )
    assert changed != der
    assert of_crl(changed) != []
