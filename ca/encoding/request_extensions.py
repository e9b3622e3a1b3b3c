"""What a request asks for beside its names: attributes and extensions (RFC 2985, RFC 2986 §4.1).

Nothing of it is granted here. Only the few values that are known are decoded, and only to be
shown; of what is not known the OID is shown and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from ca.encoding import tlv
from ca.encoding.request_names import each, read_string, shorten
from ca.errors import EncodingError, Violation

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
MS_CERT_EXTENSIONS = "1.3.6.1.4.1.311.2.1.14"  # the same, as Windows before Vista calls it
CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"  # noqa: S105 - an OID
ENROLMENT_CSP = "1.3.6.1.4.1.311.13.2.2"
CLIENT_INFO = "1.3.6.1.4.1.311.21.20"
SUBJECT_ALT_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
KEY_USAGE = "2.5.29.15"
EXTENDED_KEY_USAGE = "2.5.29.37"
SUBJECT_KEY_IDENTIFIER = "2.5.29.14"

MAX_ATTRIBUTES = 32
MAX_EXTENSIONS = 32

ATTRIBUTE_NAMES: dict[str, str] = {
    EXTENSION_REQUEST: "extensionRequest",
    MS_CERT_EXTENSIONS: "certificate extensions",
    CHALLENGE_PASSWORD: "challengePassword",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.8": "unstructuredAddress",
    "1.2.840.113549.1.9.20": "friendlyName",
    "1.3.6.1.4.1.311.13.2.3": "OS version",
    "1.3.6.1.4.1.311.13.2.1": "enrolment name and value",
    ENROLMENT_CSP: "enrolment CSP",
    CLIENT_INFO: "client info",
    "1.3.6.1.4.1.311.13.1": "renewal certificate",
    "1.3.6.1.4.1.311.21.13": "archived key",
    "1.3.6.1.4.1.311.21.21": "encrypted key hash",
    "1.3.6.1.4.1.311.21.23": "EK info",
    "1.3.6.1.4.1.311.21.24": "attestation statement",
    "1.3.6.1.4.1.311.21.33": "EK key info",
}
EXTENSION_NAMES: dict[str, str] = {
    SUBJECT_ALT_NAME: "subjectAltName",
    BASIC_CONSTRAINTS: "basicConstraints",
    KEY_USAGE: "keyUsage",
    EXTENDED_KEY_USAGE: "extendedKeyUsage",
    SUBJECT_KEY_IDENTIFIER: "subjectKeyIdentifier",
    "2.5.29.16": "privateKeyUsagePeriod",
    "2.5.29.18": "issuerAltName",
    "2.5.29.30": "nameConstraints",
    "2.5.29.31": "cRLDistributionPoints",
    "2.5.29.32": "certificatePolicies",
    "2.5.29.33": "policyMappings",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.36": "policyConstraints",
    "2.5.29.54": "inhibitAnyPolicy",
    "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
    "1.3.6.1.5.5.7.1.24": "tlsfeature",
    "1.3.6.1.5.5.7.48.1.5": "noCheck",
    "1.2.840.113549.1.9.15": "SMIMECapabilities",
    "2.16.840.1.113730.1.1": "nsCertType",
    "2.16.840.1.113730.1.13": "nsComment",
    "1.3.6.1.4.1.311.20.2": "template name",
    "1.3.6.1.4.1.311.21.7": "certificate template",
    "1.3.6.1.4.1.311.21.10": "application policies",
    "1.3.6.1.4.1.311.25.2": "NTDS security identifier",
}
_EKU_NAMES: dict[str, str] = {
    "2.5.29.37.0": "anyExtendedKeyUsage",
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.4.1.311.20.2.2": "smartcardLogon",
}
_KEY_USAGE_BITS = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
_AGAIN = "make the request again"


class RequestedExtension(Struct, frozen=True):
    """An extension that was asked for. value: content of extnValue, as it came.

    name:  RFC 5280's name, or the OID. shown: what it says, harmless, for one line.
    """

    oid: str
    name: str
    critical: bool
    value: bytes
    shown: str


class RequestedAttribute(Struct, frozen=True):
    """An attribute of the request; a hint signed by nobody but the key in question (d.2 WI3)."""

    oid: str
    name: str
    shown: str


# ---------------------------------------------------------------- attributes


def read_attributes(
    content: bytes, violations: list[Violation], notes: list[str]
) -> tuple[tuple[RequestedAttribute, ...], tuple[RequestedExtension, ...]]:
    """Attributes other than the extension request, and the extensions in it.

    content: inside the [0] of a CertificationRequestInfo.
    """
    attributes: list[RequestedAttribute] = []
    requested: list[bytes] = []
    previous = b""
    is_sorted = True
    try:
        for tag, inner in each(content, MAX_ATTRIBUTES):
            current = tlv.tlv(tag, inner)
            is_sorted, previous = is_sorted and previous <= current, current
            oid, values = _attribute(tag, inner)
            if oid in (EXTENSION_REQUEST, MS_CERT_EXTENSIONS):
                requested.append(values)
            else:
                attributes.append(_shown_attribute(oid, values))
    except EncodingError as error:
        violations.append(
            Violation("request.attributes", f"attributes: {error.problem}", error.remedy)
        )
    if not is_sorted:
        notes.append("the attributes are not in DER's order, as Go and others write them; taken")
    if len(requested) > 1:
        violations.append(
            Violation(
                "request.two-extension-requests",
                f"the request asks for extensions {len(requested)} times",
                "put all extensions into one extensionRequest attribute (RFC 2985 §5.4.2)",
            )
        )
    extensions: list[RequestedExtension] = []
    for values in requested:
        extensions.extend(_read_extensions(values, violations, notes))
    violations.extend(_check_together(extensions))
    return tuple(attributes), tuple(extensions)


def _attribute(tag: int, content: bytes) -> tuple[str, bytes]:
    parts = list(tlv.elements(content)) if tag == tlv.SEQUENCE else []
    if [part[0] for part in parts] != [tlv.OID, tlv.SET]:
        raise EncodingError(
            "one is not a SEQUENCE of an OID and a SET of values (RFC 2986 §4.1)", remedy=_AGAIN
        )
    return tlv.read_oid(parts[0][1]), parts[1][1]


def _shown_attribute(oid: str, values: bytes) -> RequestedAttribute:
    name = ATTRIBUTE_NAMES.get(oid, oid)
    try:
        shown = _show_attribute(oid, values)
    except EncodingError:
        shown = "malformed"
    return RequestedAttribute(oid, name, shown)


def _show_attribute(oid: str, values: bytes) -> str:
    """Its value for one line; "" for what is not known, "present" for what stays secret."""
    if oid == CHALLENGE_PASSWORD:
        return "present"
    first = next(tlv.elements(values), None)
    if oid not in ATTRIBUTE_NAMES or first is None:
        return ""
    tag, content = first
    if oid == CLIENT_INFO:  # SEQUENCE { INTEGER, machine, user, process }
        fields = list(tlv.elements(content))[1:4]
        named = zip(("machine", "user", "process"), fields, strict=False)
        return ", ".join(f"{name} {shorten(read_string(*value), 64)}" for name, value in named)
    if oid == ENROLMENT_CSP:  # SEQUENCE { INTEGER, BMPString, BIT STRING }
        fields = list(tlv.elements(content))
        return shorten(read_string(*fields[1]), 100) if len(fields) > 1 else ""
    if oid.startswith("1.3.6.1.4.1.311.13.2.1"):  # SEQUENCE { name BMPString, value BMPString }
        pair = [shorten(read_string(*field), 100) for field in tlv.elements(content)]
        return "=".join(pair[:2])
    if tag in (tlv.SEQUENCE, tlv.OCTET_STRING) or tag & 0xC0:
        return f"{len(content)} octets"
    return shorten(read_string(tag, content))


# ---------------------------------------------------------------- extensions


def _read_extensions(
    values: bytes, violations: list[Violation], notes: list[str]
) -> list[RequestedExtension]:
    extensions: list[RequestedExtension] = []
    try:
        wrapped = list(each(values, 2))
        if len(wrapped) != 1 or wrapped[0][0] != tlv.SEQUENCE:
            raise EncodingError(
                f"the extensionRequest holds {len(wrapped)} values, not one SEQUENCE",
                remedy="make the request again with one list of extensions",
            )
        for tag, content in each(wrapped[0][1], MAX_EXTENSIONS):
            extensions.append(_extension(tag, content, violations))
    except EncodingError as error:
        violations.append(
            Violation("request.extensions", f"extensions: {error.problem}", error.remedy)
        )
    if not extensions and not violations:
        notes.append("the extensionRequest is empty")
    return extensions


def _check_together(extensions: list[RequestedExtension]) -> Iterator[Violation]:
    """Over all lists of extensions: a twin may hide in the second."""
    seen: set[str] = set()
    for extension in extensions:
        if extension.oid in seen:
            yield Violation(
                "request.duplicate-extension",
                f"the request asks for {extension.name} twice",
                "ask for each extension once (RFC 5280 §4.2)",
            )
        seen.add(extension.oid)
        yield from _powers(extension)


def _extension(tag: int, content: bytes, violations: list[Violation]) -> RequestedExtension:
    parts = list(each(content, 3)) if tag == tlv.SEQUENCE else []
    tags = [part[0] for part in parts]
    if tags not in ([tlv.OID, tlv.OCTET_STRING], [tlv.OID, tlv.BOOLEAN, tlv.OCTET_STRING]):
        raise EncodingError(
            "one is not a SEQUENCE of OID, critical and OCTET STRING (RFC 5280 §4.1)",
            remedy=_AGAIN,
        )
    oid = tlv.read_oid(parts[0][1])
    name = EXTENSION_NAMES.get(oid, oid)
    critical = len(parts) == 3 and parts[1][1] == b"\xff"
    if len(parts) == 3 and not critical:
        violations.append(
            Violation(
                "request.default-encoded",
                f"{name} spells out `critical FALSE`, which DER leaves out (X.690 §11.5)",
                _AGAIN,
            )
        )
    value = parts[-1][1]
    try:
        shown = _show_extension(oid, value)
    except EncodingError as error:
        shown = "malformed"
        violations.append(
            Violation("request.malformed-extension", f"{name}: {error.problem}", error.remedy)
        )
    return RequestedExtension(oid, name, critical, value, shown)


def _show_extension(oid: str, value: bytes) -> str:
    """What the known ones say; octets counted for the rest. Raises: EncodingError."""
    match oid:
        case "2.5.29.15":
            return ", ".join(key_usage(value))
        case "2.5.29.19":
            is_ca, length = basic_constraints(value)
            return f"CA:{str(is_ca).upper()}" + ("" if length is None else f", pathlen:{length}")
        case "2.5.29.37":
            oids = [tlv.read_oid(o) for _, o in tlv.elements(tlv.read_only(value, tlv.SEQUENCE))]
            return ", ".join(_EKU_NAMES.get(o, o) for o in oids[:20])
        case "2.5.29.14":
            return tlv.read_only(value, tlv.OCTET_STRING)[:64].hex(":").upper()
        case "1.3.6.1.4.1.311.20.2":
            tag, content, _ = tlv.read(value)
            return shorten(read_string(tag, content))
    return f"{len(value)} octets"


def basic_constraints(value: bytes) -> tuple[bool, int | None]:
    """cA and pathLenConstraint (RFC 5280 §4.2.1.9). Raises: EncodingError."""
    fields = list(tlv.elements(tlv.read_only(value, tlv.SEQUENCE)))
    is_ca = False
    if fields and fields[0][0] == tlv.BOOLEAN:
        is_ca = fields.pop(0)[1] != b"\x00"
    length = None
    if fields and fields[0][0] == tlv.INTEGER and len(fields[0][1]) <= 8:
        length = int.from_bytes(fields.pop(0)[1], "big", signed=True)
    if fields:
        raise EncodingError("it is not SEQUENCE { cA, pathLenConstraint }", remedy=_AGAIN)
    return is_ca, length


def key_usage(value: bytes) -> tuple[str, ...]:
    """Names of the bits that are set (RFC 5280 §4.2.1.3). Raises: EncodingError."""
    bits = tlv.read_only(value, tlv.BIT_STRING)
    if not bits or len(bits) > 3:
        raise EncodingError("it has no bits, or more than nine", remedy=_AGAIN)
    number = int.from_bytes(bits[1:].ljust(2, b"\0"), "big")
    return tuple(name for i, name in enumerate(_KEY_USAGE_BITS) if number & 0x8000 >> i)


def _powers(extension: RequestedExtension) -> Iterator[Violation]:
    """What only a ceremony may give (invariant 4). A malformed value is refused already."""
    if extension.shown == "malformed":
        return
    if extension.oid == BASIC_CONSTRAINTS and basic_constraints(extension.value)[0]:
        yield Violation(
            "request.ca-true",
            "the request asks to be a CA (basicConstraints CA:TRUE)",
            "make it without; a CA is made with `homeca init-intermediate`",
        )
    if extension.oid == KEY_USAGE and "keyCertSign" in key_usage(extension.value):
        yield Violation(
            "request.key-cert-sign",
            "the request asks for the right to sign certificates (keyUsage keyCertSign)",
            "make it without; a CA is made with `homeca init-intermediate`",
        )
