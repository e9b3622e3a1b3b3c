"""What a certificate or CRL says, as plain values: read by `ca.encoding.inspect`, never written.

Octets stand beside every value whose encoding matters, so that a rule can be about either.
Anything here may come from a hostile file: show text through its `str()`, which is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol, Self

from msgspec import Struct

from ca.encoding import tlv
from ca.encoding.dn import decode_name
from ca.errors import IllegalName
from ca.names.constraints import NameConstraints
from ca.names.distinguished import DistinguishedName, attribute_type
from ca.names.general import GeneralName
from ca.names.showing import visible

_CODECS = {
    tlv.UTF8_STRING: "utf-8",
    tlv.NUMERIC_STRING: "ascii",
    tlv.PRINTABLE_STRING: "ascii",
    tlv.T61_STRING: "latin-1",
    tlv.IA5_STRING: "ascii",
    tlv.VISIBLE_STRING: "ascii",
    tlv.UNIVERSAL_STRING: "utf-32-be",
    tlv.BMP_STRING: "utf-16-be",
}


class Fault(Struct, frozen=True):
    """Octets that a tolerant reading passed over.

    kind: "default" (X.690 §11.5: a DEFAULT value was written out), "bits" (X.690 §11.2.2: named
          bits with trailing zeros) or "value" (an extension that is not what its OID says).
    what: the extension or field.
    """

    kind: str
    what: str
    text: str


# ---------------------------------------------------------------- names


class AttributeFacts(Struct, frozen=True):
    """One AttributeTypeAndValue. tag: of the string type; octets: its content."""

    oid: str
    tag: int
    octets: bytes

    @property
    def text(self) -> str | None:
        """The value, raw; None when the octets are not what the string type says."""
        codec = _CODECS.get(self.tag)
        try:
            return None if codec is None else self.octets.decode(codec)
        except UnicodeDecodeError:
            return None

    def __str__(self) -> str:
        text = self.text
        shown = "#" + self.octets.hex() if text is None else visible(text)
        try:
            return f"{attribute_type(self.oid).short}={shown}"
        except IllegalName:  # more arcs than any attribute has
            return f"{self.oid}={shown}"


class NameFacts(Struct, frozen=True):
    """A Name (RFC 5280 §4.1.2.4). der: the octets name chaining compares."""

    der: bytes
    rdns: tuple[tuple[AttributeFacts, ...], ...]

    def __iter__(self) -> Iterator[AttributeFacts]:
        return (attribute for rdn in self.rdns for attribute in rdn)

    def __bool__(self) -> bool:
        return bool(self.rdns)

    def values(self, oid: str) -> tuple[str, ...]:
        """Readable values of one attribute, raw."""
        return tuple(a.text or "" for a in self if a.oid == oid)

    def distinguished_name(self) -> DistinguishedName:
        """Raises: EncodingError, IllegalName for a name homeca would not write."""
        return decode_name(self.der)

    def __str__(self) -> str:
        return ",".join("+".join(map(str, rdn)) for rdn in self.rdns)


class GeneralNameFacts(Struct, frozen=True):
    """A GeneralName (RFC 5280 §4.2.1.6).

    tag:    the CHOICE: 0 otherName, 1 rfc822Name, 2 dNSName, 4 directoryName, 6 URI,
            7 iPAddress, 8 registeredID.
    octets: content of the tag.
    name:   the value, when it is one homeca could have written; None otherwise.
    """

    tag: int
    octets: bytes
    name: GeneralName | None

    @property
    def text(self) -> str:
        """The string of tags 1, 2 and 6 (IA5String), raw: what a verifier compares."""
        return self.octets.decode("latin-1")

    def __str__(self) -> str:
        if self.name is not None:
            return visible(str(self.name))
        label = _LABELS.get(self.tag, f"[{self.tag}]")
        return f"{label}:{visible(self.text) if self.tag in (1, 2, 6) else self.octets.hex()}"


_LABELS = {0: "otherName", 1: "email", 2: "DNS", 4: "dirName", 6: "URI", 7: "IP", 8: "RID"}


# ---------------------------------------------------------------- fields


class AlgorithmFacts(Struct, frozen=True):
    """An AlgorithmIdentifier. parameters: whole DER element, b"" when absent."""

    der: bytes
    oid: str
    parameters: bytes


class TimeFacts(Struct, frozen=True):
    """A Time. tag: tlv.UTC_TIME or tlv.GENERALIZED_TIME; text: as written; moment: UTC.

    in_profile: YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ and nothing else (RFC 5280 §4.1.2.5).
    """

    tag: int
    text: str
    moment: datetime
    in_profile: bool


class KeyFacts(Struct, frozen=True):
    """A SubjectPublicKeyInfo as written; whether the key is sound is `ca.encoding.spki`'s to say.

    key:       content of the BIT STRING, what the SKI is the SHA-1 of.
    curve_oid: namedCurve; None for other keys and for explicit parameters.
    modulus_bits, exponent: RSA; None otherwise.
    """

    der: bytes
    algorithm: AlgorithmFacts
    key: bytes
    curve_oid: str | None = None
    modulus_bits: int | None = None
    exponent: int | None = None


class ExtensionFacts(Struct, frozen=True):
    """An Extension. value: content of extnValue."""

    oid: str
    critical: bool
    value: bytes


# ---------------------------------------------------------------- extensions


class BasicConstraints(Struct, frozen=True):
    """RFC 5280 §4.2.1.9. path_len: None when absent."""

    ca: bool
    path_len: int | None


class AuthorityKeyIdentifier(Struct, frozen=True):
    """RFC 5280 §4.2.1.1. issuer: directory name as DER, b"" when absent or of another kind."""

    key_id: bytes | None
    has_issuer: bool
    issuer: bytes
    serial: int | None


class DistributionPoint(Struct, frozen=True):
    """RFC 5280 §4.2.1.13. names: of fullName; relative: nameRelativeToCRLIssuer was used."""

    names: tuple[GeneralNameFacts, ...]
    relative: bool
    has_reasons: bool
    has_crl_issuer: bool


class AccessDescription(Struct, frozen=True):
    """RFC 5280 §4.2.2.1. method: OID of caIssuers or ocsp."""

    method: str
    location: GeneralNameFacts


class Subtree(Struct, frozen=True):
    """RFC 5280 §4.2.1.10. base: as written; an iPAddress has address and mask in its octets."""

    base: GeneralNameFacts
    minimum: int
    has_maximum: bool


class NameConstraintsFacts(Struct, frozen=True):
    """RFC 5280 §4.2.1.10 as written.

    constraints: the DNS, IP and e-mail part as a value; None when a network is malformed, which
                 only a tolerant reading returns.
    """

    permitted: tuple[Subtree, ...]
    excluded: tuple[Subtree, ...]
    constraints: NameConstraints | None


class IssuingDistributionPoint(Struct, frozen=True):
    """RFC 5280 §5.2.5."""

    point: DistributionPoint | None
    only_user: bool
    only_ca: bool
    only_attribute: bool
    has_reasons: bool
    indirect: bool

    @property
    def urls(self) -> tuple[str, ...]:
        return () if self.point is None else urls((self.point,))


def urls(points: tuple[DistributionPoint, ...]) -> tuple[str, ...]:
    """Every URI of some distribution points, as written."""
    return tuple(n.text for point in points for n in point.names if n.tag == 6)


# ---------------------------------------------------------------- certificates


class TbsFacts(Struct, frozen=True, kw_only=True):
    """A TBSCertificate (RFC 5280 §4.1.2). Decoded extensions are None when absent.

    der:           the octets that are signed.
    version:       1, 2 or 3.
    serial_octets: content of the INTEGER, sign octet included.
    key_usage:     names as in RFC 5280 §4.2.1.3. eku: OIDs in order. policies: OIDs in order.
    faults:        empty unless the reading was tolerant.
    """

    der: bytes
    version: int
    serial: int
    serial_octets: bytes
    algorithm: AlgorithmFacts
    issuer: NameFacts
    not_before: TimeFacts
    not_after: TimeFacts
    subject: NameFacts
    key: KeyFacts
    has_unique_ids: bool
    has_extensions: bool
    extensions: tuple[ExtensionFacts, ...]
    basic_constraints: BasicConstraints | None = None
    key_usage: frozenset[str] | None = None
    eku: tuple[str, ...] | None = None
    ski: bytes | None = None
    aki: AuthorityKeyIdentifier | None = None
    san: tuple[GeneralNameFacts, ...] | None = None
    name_constraints: NameConstraintsFacts | None = None
    crl_distribution_points: tuple[DistributionPoint, ...] | None = None
    authority_information: tuple[AccessDescription, ...] | None = None
    policies: tuple[str, ...] | None = None
    faults: tuple[Fault, ...] = ()

    def extension(self, oid: str) -> ExtensionFacts | None:
        """The first extension of that OID."""
        return next((e for e in self.extensions if e.oid == oid), None)

    @property
    def is_ca(self) -> bool:
        return self.basic_constraints is not None and self.basic_constraints.ca

    @property
    def is_self_issued(self) -> bool:
        """Subject equals issuer, octet for octet (RFC 5280 §6.1)."""
        return self.subject.der == self.issuer.der

    @property
    def spki(self) -> bytes:
        return self.key.der

    @property
    def names(self) -> tuple[GeneralName, ...]:
        """The SAN values homeca could have written; `san` has them all."""
        return tuple(entry.name for entry in self.san or () if entry.name is not None)

    @property
    def crl_urls(self) -> tuple[str, ...]:
        return urls(self.crl_distribution_points or ())

    def access_urls(self, method: str) -> tuple[str, ...]:
        """URIs of one access method of the AIA, as written."""
        return tuple(
            entry.location.text
            for entry in self.authority_information or ()
            if entry.method == method and entry.location.tag == 6
        )


class CertificateFacts(Struct, frozen=True, kw_only=True):
    """A Certificate (RFC 5280 §4.1.1). signature: content of signatureValue."""

    der: bytes
    tbs: TbsFacts
    algorithm: AlgorithmFacts
    signature: bytes


# ---------------------------------------------------------------- CRLs


class EntryFacts(NamedTuple):
    """One revoked certificate (RFC 5280 §5.1.2.6). A tuple: lists hold a hundred thousand.

    reason:   CRLReason code; None when absent.
    critical: OIDs of its critical extensions.
    others:   OIDs beyond reasonCode and invalidityDate.
    """

    serial: int
    revoked_at: TimeFacts
    reason: int | None
    invalidity: TimeFacts | None
    critical: tuple[str, ...]
    others: tuple[str, ...]


class EntryRun(NamedTuple):
    """Some entries that follow each other in a list.

    serials: content octets of each INTEGER; what is in DER has one form for each number.
    newest:  the latest date, YYMMDDHHMMSS, if all of them are plain: the serial positive and of 20
             octets, the date a UTCTime from 2000 to 2049 at a time of day there is, no extension
             but one not critical reason code that is permanent and not `unspecified`; else b"".
    days:    YYMMDD of each date then: perhaps of a day there is not.
    entries: the same ones, to be read one by one.
    """

    serials: tuple[bytes, ...]
    newest: bytes
    days: frozenset[bytes]
    entries: Entries


class Entries(Protocol):
    """revokedCertificates, read again each time it is iterated; flat memory."""

    def __iter__(self) -> Iterator[EntryFacts]:
        """Raises: CertificateMalformed when iteration comes to an entry that is none."""
        ...

    def split(self) -> Iterator[tuple[int, bytes]]:
        """Each serial and the octets behind it in its entry: the same ones stand in thousands.

        Raises: CertificateMalformed for what is no SEQUENCE of an INTEGER and something.
        """
        ...

    def runs(self) -> Iterator[EntryRun]:
        """All of them, hundreds at a time: for what must look at each, and soon be done.

        Raises: as `split`.
        """
        ...

    def gone_from(self, later: Self) -> Iterator[tuple[int, bytes]]:
        """Those whose serial is not in a later list, as `split` gives them.

        Soon done where the lists have the same order: one is then mostly a copy of the other.
        Raises: as `split`.
        """
        ...


class CrlTbsFacts(Struct, frozen=True, kw_only=True):
    """A TBSCertList (RFC 5280 §5.1.2). Decoded extensions are None when absent.

    version:           1 or 2.
    has_entries_field: revokedCertificates is there, be it empty.
    number_octets:     content of the CRLNumber INTEGER, sign octet included.
    """

    der: bytes
    version: int
    algorithm: AlgorithmFacts
    issuer: NameFacts
    this_update: TimeFacts
    next_update: TimeFacts | None
    has_entries_field: bool
    entries: Entries
    extensions: tuple[ExtensionFacts, ...]
    number: int | None = None
    number_octets: bytes = b""
    aki: AuthorityKeyIdentifier | None = None
    idp: IssuingDistributionPoint | None = None
    faults: tuple[Fault, ...] = ()

    def extension(self, oid: str) -> ExtensionFacts | None:
        """The first extension of that OID."""
        return next((e for e in self.extensions if e.oid == oid), None)


class CrlFacts(Struct, frozen=True, kw_only=True):
    """A CertificateList (RFC 5280 §5.1.1). signature: content of signatureValue."""

    der: bytes
    tbs: CrlTbsFacts
    algorithm: AlgorithmFacts
    signature: bytes
