"""PKCS#10 requests from anybody: read strictly, verified, and every fault named (RFC 2986).

A request is a wish list. Reading it grants nothing; `ca.policy.decide` does, and refuses whatever
has a violation. Of the octets only the re-encoded key ever reaches a certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from ca.algorithms import (
    BROKEN_SIGNATURE_OIDS,
    HASHES,
    SIGNATURE_ALGORITHMS,
    Family,
    Scheme,
    SignatureAlgorithm,
)
from ca.encoding import tlv
from ca.encoding.der import check_der
from ca.encoding.request_extensions import (
    ENROLMENT_CSP,
    SUBJECT_ALT_NAME,
    RequestedAttribute,
    RequestedExtension,
    read_attributes,
)
from ca.encoding.request_names import each, read_names, read_subject
from ca.encoding.spki import PublicKey, parse_spki, verify
from ca.encoding.weakness import weaknesses
from ca.errors import EncodingError, RequestMalformed, SignatureInvalid, Violation
from ca.names.distinguished import DistinguishedName
from ca.names.general import GeneralName

MAX_REQUEST = 65536

_BY_OID = {a.oid: a for a in SIGNATURE_ALGORITHMS.values() if a.scheme is not Scheme.PSS}
_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"
_HASH_NAMES = {h.oid: h.name for h in HASHES.values()}
_Element = tuple[int, bytes]
_MAKE_AGAIN = "make the request again: `openssl req -new -sha256 -key KEY -out FILE`"
_RESIGN = "make the request again with SHA-256: `openssl req -new -sha256 -key KEY -out FILE`"


class Request(Struct, frozen=True, kw_only=True):
    """A request as read. With any violation it must not become a certificate.

    sha256:     of `der`. spki: None when the key cannot be read; then a violation says why.
    names:      the legal names of the SAN asked for. has_san: was there such an extension at all.
    extensions: those asked for beside the SAN, none granted. attributes: hints, none proven.
    violations: everything wrong that was found, in the order of the request.
    notes:      what is odd and was taken all the same.
    """

    der: bytes
    sha256: bytes
    subject: DistinguishedName
    spki: PublicKey | None
    names: tuple[GeneralName, ...]
    signature_oid: str = ""
    extensions: tuple[RequestedExtension, ...] = ()
    attributes: tuple[RequestedAttribute, ...] = ()
    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()
    has_san: bool = False

    @property
    def claims_tpm(self) -> bool:
        """Does it say that its key was made by Windows' TPM provider? A hint, no proof (WI3)."""
        return any(
            attribute.oid == ENROLMENT_CSP and "Platform Crypto Provider" in attribute.shown
            for attribute in self.attributes
        )


def parse_request(der: bytes) -> Request:
    """Everything a request says, and everything that is wrong with it, at once.

    der:    one CertificationRequest, at most 64 KiB, as `containers.read_request` returns it.
    Raises: RequestMalformed when its outer form leaves nothing to report on.
    """
    outer = _outer(der)
    violations: list[Violation] = []
    notes: list[str] = []
    if outer.version != b"\x00":
        violations.append(
            Violation(
                "request.version", "the request's version is not 0 (RFC 2986 §4.1)", _MAKE_AGAIN
            )
        )
    subject = DistinguishedName()
    with _as_violation("subject.illegal", "subject", violations):
        subject = read_subject(outer.subject, violations, notes)
    key = _read_key(outer.spki, violations)
    attributes, asked = _read_wishes(outer.attributes, violations, notes)
    names: tuple[GeneralName, ...] = ()
    san = [extension for extension in asked if extension.oid == SUBJECT_ALT_NAME]
    if san:
        with _as_violation("san.illegal", "SAN", violations):
            names = read_names(tlv.read_only(san[0].value, tlv.SEQUENCE), violations)
    oid = _check_signature(outer, key, violations, notes)
    return Request(
        der=der,
        sha256=hashlib.sha256(der).digest(),
        subject=subject,
        spki=key,
        signature_oid=oid,
        names=names,
        extensions=tuple(e for e in asked if e.oid != SUBJECT_ALT_NAME),
        attributes=attributes,
        violations=tuple(dict.fromkeys(violations)),
        notes=tuple(dict.fromkeys(notes)),
        has_san=bool(san),
    )


@contextmanager
def _as_violation(rule: str, what: str, violations: list[Violation]) -> Iterator[None]:
    """A part that cannot be read is one fault among others, not the end of the reading."""
    try:
        yield
    except EncodingError as error:
        violations.append(Violation(rule, f"{what}: {error.problem}", error.remedy))


# ---------------------------------------------------------------- the outer form


class _Outer(Struct, frozen=True, kw_only=True):
    """The parts of a CertificationRequest. attributes: None when the field is left out."""

    info: bytes
    version: bytes
    subject: bytes
    spki: bytes
    attributes: bytes | None
    algorithm: bytes
    signature: bytes


def _outer(der: bytes) -> _Outer:
    try:
        check_der(der, max_size=MAX_REQUEST)
        top = list(each(tlv.read_only(der, tlv.SEQUENCE), 3))
        _require(top, [tlv.SEQUENCE, tlv.SEQUENCE, tlv.BIT_STRING], "CertificationRequest")
        parts = list(each(top[0][1], 4))
        expected = [tlv.INTEGER, tlv.SEQUENCE, tlv.SEQUENCE, 0xA0][: max(len(parts), 3)]
        _require(parts, expected, "CertificationRequestInfo")
    except EncodingError as error:
        raise RequestMalformed(
            f"the request cannot be read: {error.problem}", remedy=error.remedy
        ) from error
    return _Outer(
        info=tlv.tlv(*top[0]),
        version=parts[0][1],
        subject=parts[1][1],
        spki=tlv.tlv(*parts[2]),
        attributes=parts[3][1] if len(parts) == 4 else None,
        algorithm=top[1][1],
        signature=top[2][1],
    )


def _require(elements: list[_Element], tags: list[int], what: str) -> None:
    if [tag for tag, _ in elements] != tags:
        raise EncodingError(
            f"it is not a {what} (RFC 2986 §4)",
            remedy="give a PKCS#10 request: `openssl req -new -key KEY -out FILE`",
        )


def _read_key(spki: bytes, violations: list[Violation]) -> PublicKey | None:
    try:
        key = parse_spki(spki)
    except EncodingError as error:
        violations.append(Violation("key.unacceptable", error.problem, error.remedy))
        return None
    violations.extend(weaknesses(key))
    return key


def _read_wishes(
    attributes: bytes | None, violations: list[Violation], notes: list[str]
) -> tuple[tuple[RequestedAttribute, ...], tuple[RequestedExtension, ...]]:
    if attributes is None:
        notes.append("the attributes are left out, where RFC 2986 wants an empty set; taken")
        return (), ()
    return read_attributes(attributes, violations, notes)


# ---------------------------------------------------------------- proof of possession


def _check_signature(
    outer: _Outer, key: PublicKey | None, violations: list[Violation], notes: list[str]
) -> str:
    """Verify the request under its own key, cheap refusals first. Returns: the algorithm's OID."""
    oid = ""
    try:
        fields = list(each(outer.algorithm, 2))
        if not fields or fields[0][0] != tlv.OID:
            raise EncodingError("its algorithm is not an object identifier", remedy=_RESIGN)
        oid = tlv.read_oid(fields[0][1])
        algorithm, salt = _algorithm(oid, fields[1:], notes)
        if outer.signature[0]:
            raise EncodingError("it does not end on an octet", remedy=_RESIGN)
        if key is None or any(v.rule.startswith("key.") for v in violations):
            return oid  # refused for its key; no arithmetic with that
        if key.family is not algorithm.family:
            raise EncodingError(
                f"its algorithm is {algorithm}, its key {key.kind_name}", remedy=_RESIGN
            )
        verify(key.der, algorithm, outer.signature[1:], outer.info, salt=salt)
    except _Broken as error:
        violations.append(Violation("signature.broken-algorithm", error.problem, error.remedy))
    except SignatureInvalid:
        violations.append(
            Violation(
                "signature.invalid",
                "the request is not signed by its own key: nothing proves who holds the key, or "
                "the request was changed",
                "make the request again where the key is, and copy it unchanged",
            )
        )
    except EncodingError as error:
        violations.append(
            Violation("signature.malformed", f"signature: {error.problem}", error.remedy)
        )
    return oid


class _Broken(EncodingError):
    """A digest that can be forged (RFC 6151, RFC 6194), or an algorithm nobody should use."""


def _algorithm(
    oid: str, parameters: list[_Element], notes: list[str]
) -> tuple[SignatureAlgorithm, int | None]:
    """The algorithm and, for PSS, the salt's length. Raises: EncodingError."""
    if oid in BROKEN_SIGNATURE_OIDS:
        raise _Broken(
            f"the request is signed with {BROKEN_SIGNATURE_OIDS[oid]}, which proves nothing",
            remedy=_RESIGN,
        )
    if oid == _PSS:
        return _pss(parameters)
    algorithm = _BY_OID.get(oid)
    if algorithm is None:
        raise EncodingError(f"its algorithm {oid} is not one homeca knows", remedy=_RESIGN)
    is_null = parameters == [(tlv.NULL, b"")]
    if algorithm.family is Family.RSA:
        if not parameters:
            notes.append("the signature algorithm lacks its NULL parameters (RFC 4055 §5); taken")
        elif not is_null:
            raise EncodingError("its algorithm has parameters it cannot have", remedy=_RESIGN)
    elif is_null:
        notes.append(
            "the signature algorithm carries NULL parameters (RFC 5758 §3.2 wants none), as "
            "tpm2-openssl before 1.3.1 writes them; taken"
        )
    elif parameters:
        raise EncodingError("its algorithm has parameters it cannot have", remedy=_RESIGN)
    return algorithm, None


def _pss(parameters: list[_Element]) -> tuple[SignatureAlgorithm, int]:
    """RSASSA-PSS-params (RFC 4055 §3.1): one hash for message and mask, any salt length."""
    if [tag for tag, _ in parameters] != [tlv.SEQUENCE]:
        raise _Broken("the request is signed with PSS over SHA-1 (its default)", remedy=_RESIGN)
    fields = dict(each(parameters[0][1], 4))
    digest = _hash_in(fields.pop(0xA0, b""))
    mask = list(tlv.elements(tlv.read_only(fields.pop(0xA1, b""), tlv.SEQUENCE)))
    if [tag for tag, _ in mask] != [tlv.OID, tlv.SEQUENCE] or tlv.read_oid(mask[0][1]) != _MGF1:
        raise EncodingError("its PSS mask generation is not MGF1", remedy=_RESIGN)
    salt = int.from_bytes(tlv.read_only(fields.pop(0xA2, b"\x02\x01\x14"), tlv.INTEGER), "big")
    if _hash_in(tlv.tlv(*mask[1])) != digest or fields or salt > 1024:
        raise EncodingError("its PSS parameters do not fit together", remedy=_RESIGN)
    return SIGNATURE_ALGORITHMS[f"{digest}_pss"], salt


def _hash_in(algorithm: bytes) -> str:
    """The name of a hash AlgorithmIdentifier, NULL parameters or none (RFC 4055 §2.1)."""
    fields = list(tlv.elements(tlv.read_only(algorithm, tlv.SEQUENCE))) if algorithm else []
    oid = tlv.read_oid(fields[0][1]) if fields and fields[0][0] == tlv.OID else "none"
    if oid in ("none", "1.3.14.3.2.26"):
        raise _Broken("the request is signed with PSS over SHA-1", remedy=_RESIGN)
    if oid not in _HASH_NAMES or fields[1:] not in ([], [(tlv.NULL, b"")]):
        raise EncodingError(f"its PSS hash {oid} is not one homeca knows", remedy=_RESIGN)
    return _HASH_NAMES[oid]
