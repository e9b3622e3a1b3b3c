"""Extensions of a profile, and what they become in one certificate.

Most values are fixed when the profile is read, and so are octets already. Four depend on the
certificate: the two key identifiers, and the two kinds of alternative names that copy.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ca.encoding.extensions import (
    AUTHORITY_KEY_IDENTIFIER,
    SUBJECT_ALT_NAME,
    SUBJECT_KEY_IDENTIFIER,
    Extension,
    authority_key_identifier,
    key_identifier,
)
from ca.encoding.general_names import EMAIL, encode_general_name, general_names, ia5_name
from ca.encoding.tlv import elements, octet_string, read_only, tlv
from ca.errors import EncodingError
from ca.names.distinguished import DistinguishedName
from ca.names.general import GeneralName


class SubjectKeyHash(Struct, frozen=True):
    """`subjectKeyIdentifier = hash` (RFC 5280 §4.2.1.2 method 1)."""


class AuthorityKey(Struct, frozen=True):
    """`authorityKeyIdentifier = keyid[:always], issuer[:always]`."""

    keyid: bool = False
    keyid_always: bool = False
    issuer: bool = False
    issuer_always: bool = False


#: What `openssl x509` adds when a section says nothing of it.
DEFAULT_AUTHORITY_KEY = AuthorityKey(keyid=True, issuer=True)


class AlternativeNames(Struct, frozen=True):
    """Names in order: DER of a fixed one, or a word for what is copied.

    Parts that are text: "email:copy" (the subject's addresses), "issuer:copy" (the issuer's
    alternative names), "names" (the names granted to this certificate).
    """

    parts: tuple[bytes | str, ...]

    @property
    def takes_names(self) -> bool:
        return "names" in self.parts


class Omitted(Struct, frozen=True):
    """`none`: the extension is left out, and not added by default either."""


DirectiveValue = bytes | SubjectKeyHash | AuthorityKey | AlternativeNames | Omitted


class ExtensionDirective(Struct, frozen=True, kw_only=True):
    """One line of an extension section, understood. name: as written there."""

    name: str
    oid: str
    critical: bool
    value: DirectiveValue
    line: int = 0


class ExtensionContext(Struct, frozen=True, kw_only=True):
    """What the extensions of one certificate depend on.

    issuer_ski:      of the issuer's certificate; None when it has none.
    issuer_name_der: the Name in the *issuer* field of the issuer's certificate, issuer_serial
                     its serial: together they name that certificate (§4.2.1.1).
    names:           granted names, in the order they are to stand.
    self_signed:     the subject's key signs.
    subject:         for `email:copy`; None refuses it.
    issuer_alt_names: DER GeneralNames of the issuer's certificate, for `issuer:copy`.
    """

    subject_spki: bytes
    issuer_spki: bytes
    issuer_ski: bytes | None
    issuer_name_der: bytes
    issuer_serial: int
    names: tuple[GeneralName, ...] = ()
    self_signed: bool = False
    subject: DistinguishedName | None = None
    issuer_alt_names: bytes | None = None


class HasExtensions(Protocol):
    """A profile, as far as its extensions go."""

    @property
    def extensions(self) -> tuple[ExtensionDirective, ...]: ...
    @property
    def copies_extensions(self) -> bool: ...


def build_extensions(profile: HasExtensions, context: ExtensionContext) -> tuple[Extension, ...]:
    """The extensions of one certificate, in the order of the profile.

    As `openssl x509 -req` does, both key identifiers are added at the end when the profile does
    not speak of them; with `copy_extensions = copy` so are the granted names. A name that the
    profile itself holds is written once, whether it is granted as well or not.

    Raises: EncodingError when names were granted that the profile has no place for, or when
            `always` asks for a key identifier the issuer does not have.
    """
    directives = list(profile.extensions)
    present = {directive.oid for directive in directives}
    takes_names = any(
        isinstance(d.value, AlternativeNames) and d.value.takes_names for d in directives
    )
    own = {name for d in directives if d.oid == SUBJECT_ALT_NAME for name in _own(d, context)}
    if own:
        granted = tuple(n for n in context.names if encode_general_name(n) not in own)
        context = replace(context, names=granted)
    if context.names and not takes_names:
        if SUBJECT_ALT_NAME in present or not profile.copies_extensions:
            raise EncodingError(
                f"{len(context.names)} names were granted and the profile has no place for them",
                remedy="write subjectAltName = @alt_names into the profile's extension section",
            )
        directives.append(_directive("subjectAltName", SUBJECT_ALT_NAME, _GRANTED))
    if SUBJECT_KEY_IDENTIFIER not in present:
        directives.append(
            _directive("subjectKeyIdentifier", SUBJECT_KEY_IDENTIFIER, SubjectKeyHash())
        )
    if AUTHORITY_KEY_IDENTIFIER not in present and not context.self_signed:
        directives.append(
            _directive("authorityKeyIdentifier", AUTHORITY_KEY_IDENTIFIER, DEFAULT_AUTHORITY_KEY)
        )
    return tuple(
        Extension(directive.oid, directive.critical, octets)
        for directive in directives
        if (octets := _octets(directive.value, context)) is not None
    )


def _own(directive: ExtensionDirective, context: ExtensionContext) -> list[bytes]:
    """Names the profile puts into subjectAltName whatever is granted, DER of each."""
    match directive.value:
        case bytes() as value:
            return [tlv(tag, octets) for tag, octets in elements(read_only(value, 0x30))]
        case AlternativeNames(parts=parts):
            own = (part for part in parts if part != "names")
            return [name for part in own for name in _names(part, context)]
        case _:
            return []


_GRANTED = AlternativeNames(("names",))


def _directive(name: str, oid: str, value: DirectiveValue) -> ExtensionDirective:
    return ExtensionDirective(name=name, oid=oid, critical=False, value=value)


def _octets(value: DirectiveValue, context: ExtensionContext) -> bytes | None:
    match value:
        case bytes():
            return value
        case SubjectKeyHash():
            return octet_string(key_identifier(context.subject_spki))
        case AuthorityKey():
            return _authority_key(value, context)
        case AlternativeNames():
            names = [name for part in value.parts for name in _names(part, context)]
            # An empty GeneralNames is what OpenSSL writes; §4.2.1.6 wants at least one name.
            return general_names(names) if names else None
        case Omitted():
            return None


def _authority_key(wanted: AuthorityKey, context: ExtensionContext) -> bytes | None:
    keyid: bytes | None = None
    if wanted.keyid_always or (wanted.keyid and not context.self_signed):
        own = key_identifier(context.issuer_spki) if context.self_signed else None
        keyid = own or context.issuer_ski
    fallback = wanted.issuer and keyid is None and not context.self_signed
    if wanted.issuer_always or fallback:
        return authority_key_identifier(keyid, context.issuer_name_der, context.issuer_serial)
    if keyid is None:
        if context.self_signed and not wanted.keyid_always:
            return None
        raise EncodingError(
            "the profile wants the issuer's key identifier and its certificate has none",
            remedy="write authorityKeyIdentifier = keyid, issuer",
        )
    return authority_key_identifier(keyid)


def _names(part: bytes | str, context: ExtensionContext) -> list[bytes]:
    match part:
        case bytes():
            return [part]
        case "names":
            return [encode_general_name(name) for name in context.names]
        case "email:copy" if context.subject is None:
            raise EncodingError(
                "the profile copies addresses from the subject, which is not known here",
                remedy="write subjectAltName = @alt_names, and name the addresses in the request",
            )
        case "email:copy" if context.subject is not None:
            return [ia5_name(EMAIL, mail) for mail in context.subject.values("emailAddress")]
        case _:
            copied = context.issuer_alt_names
            content = read_only(copied, 0x30) if copied else b""
            return [tlv(tag, octets) for tag, octets in elements(content)]
