"""pkilint's opinion of the same octets, in process, when somebody asks for it.

It knows RFC 5280 from another pair of eyes and takes a third of a second to wake up, so nothing
here is imported until `homeca lint --second-opinion` or a test wants it, and `sign` never does.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import ExtraMissing
from ca.lint.rule import Finding, Severity
from ca.names.showing import visible

_SEVERITIES = {
    "FATAL": Severity.ERROR,
    "ERROR": Severity.ERROR,
    "WARNING": Severity.WARNING,
    "NOTICE": Severity.NOTICE,
    "INFO": Severity.NOTICE,
}
#: What pkilint and pyasn1 raise at octets they did not expect (9999-12-31 plus a second, ...).
_GIVES_UP = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)

#: Code and a word of the message: where homeca, like every client, is of another opinion.
_DIFFERENCES = (
    ("pkix.invalid_domain_name_syntax", '"*.'),  # wildcards came after RFC 5280, with RFC 6125
    ("cabf.crl_prohibited_reason_code", '"certificateHold"'),  # forbidden for public TLS only
)


def certificate_opinion(der: bytes, *, issuer: bytes | None = None) -> tuple[Finding, ...]:
    """What pkilint finds in a certificate (RFC 5280), and in its tie to the issuer's.

    issuer:  DER of the issuer's certificate; its names, identifiers and signature are compared.
    Returns: findings whose rule is "pkilint.<code>"; pkilint's INFO and NOTICE are notices.
    Raises:  CertificateMalformed for octets homeca itself cannot read; ExtraMissing.
    """
    read_certificate(der, tolerant=True)
    found = _ask(_certificate_validator(), _load("certificate", der))
    if issuer is None:
        return found
    read_certificate(issuer, tolerant=True)
    documents: dict[str, Any] = {}
    for role, octets in (("issuer", issuer), ("subject", der)):
        documents[role] = _load("certificate", octets, role, documents)
    if None in documents.values():
        return found
    return (*found, *_chain(documents))


def crl_opinion(der: bytes) -> tuple[Finding, ...]:
    """What pkilint finds in a CRL (RFC 5280, and the reasons of CA/B BR 7.2.2).

    Raises: CertificateMalformed for octets homeca itself cannot read; ExtraMissing.
    """
    read_crl(der, tolerant=True)
    return _ask(_crl_validator(), _load("CRL", der))


def _load(kind: str, der: bytes, *place: Any) -> Any:
    """pkilint's document; None when it gives up on octets that homeca can read."""
    loader = _imported().loader
    make = (
        loader.RFC5280CertificateDocumentLoader()
        if kind == "certificate"
        else loader.RFC5280CertificateListDocumentLoader()
    )
    name, parent = place if place else (None, None)
    try:
        with _quietly():
            return make.load_der_document(der, name or kind, name, parent)
    except _GIVES_UP:
        return None


@contextmanager
def _quietly() -> Iterator[None]:
    """pkilint logs a traceback for each of its own faults, and cryptography warns beside it."""
    logger = logging.getLogger("pkilint.validation")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled


def _ask(validator: Any, document: Any) -> tuple[Finding, ...]:
    if document is None:
        return (_gave_up("it cannot decode the octets"),)
    try:
        with _quietly():
            return tuple(_findings(validator.validate(document.root)))
    except _GIVES_UP as error:
        return (_gave_up(type(error).__name__),)


def _chain(documents: dict[str, Any]) -> tuple[Finding, ...]:
    from pkilint.bin import lint_pkix_signer_signee_cert_chain as chain

    try:
        with _quietly():
            decoder = chain.create_decoder_validation_container()
            for document in documents.values():
                decoder.validate(document.root)
            issuer = chain.create_issuer_validation_container()
            subject = chain.create_subject_validation_container()
            results = [
                *issuer.validate(documents["issuer"].root),
                *subject.validate(documents["subject"].root),
            ]
        return tuple(_findings(results))
    except _GIVES_UP as error:
        return (_gave_up(type(error).__name__),)


def _findings(results: Iterable[Any]) -> Iterable[Finding]:
    for result in results:
        for described in result.finding_descriptions:
            code = str(described.finding.code)
            text = str(described.message or code)
            severity = _SEVERITIES.get(described.finding.severity.name)
            if severity is None or any(c == code and w in text for c, w in _DIFFERENCES):
                continue  # DEBUG, or known
            if code.endswith("unhandled_exception"):
                yield _gave_up(visible(text))
                continue
            where = visible(str(result.node.path))
            yield Finding(f"pkilint.{code}", severity, f"{visible(text)} ({where})", _clause())


def _gave_up(why: str) -> Finding:
    return Finding(
        "pkilint.gave-up", Severity.NOTICE, f"pkilint gives no opinion: {why}", _clause()
    )


@cache
def _clause() -> str:
    from importlib.metadata import version

    return f"pkilint {version('pkilint')}"


@cache
def _imported() -> Any:
    try:
        import pkilint.loader
        import pkilint.pkix.certificate
        import pkilint.pkix.crl
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"a second opinion needs {error.name!r}, which is not installed",
            remedy="run `pip install 'homeca[lint]'`, or lint without --second-opinion",
        ) from error
    return pkilint


@cache
def _certificate_validator() -> Any:
    _imported()
    from pkilint.pkix import certificate, extension, name

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
def _crl_validator() -> Any:
    _imported()
    from pkilint import pkix
    from pkilint.cabf import cabf_crl
    from pkilint.pkix import crl, extension, name

    reasons = cabf_crl.CabfCrlReasonCodeAllowlistValidator(crl.CertificateRevocationListType.CRL)
    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
            reasons,
        ],
    )
