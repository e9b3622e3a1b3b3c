"""x509v3_config(5): a section of extensions to directives.

What OpenSSL refuses is refused here; what is refused here and not there is in `differences`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ca.encoding import extensions as ext
from ca.encoding import tlv
from ca.encoding.asn1_generate import parse_boolean, parse_hex, parse_integer
from ca.errors import EncodingError, HomecaError
from ca.names.showing import visible
from ca.profiles import x509v3_points as points
from ca.profiles import x509v3_policies as policies
from ca.profiles.object_names import (
    ACCESS_METHODS,
    EXTENSIONS,
    KEY_PURPOSES,
    meant,
    object_identifier,
)
from ca.profiles.openssl_cnf import Cnf, Entry
from ca.profiles.x509v3 import (
    AlternativeNames,
    AuthorityKey,
    DirectiveValue,
    ExtensionDirective,
    Omitted,
    SubjectKeyHash,
)
from ca.profiles.x509v3_names import (
    Item,
    bad,
    general_name,
    generator,
    has_name,
    items_or_section,
    plain,
    valued,
)

_KEY_USAGES = {
    "Digital Signature": 0,
    "Non Repudiation": 1,
    "Key Encipherment": 2,
    "Data Encipherment": 3,
    "Key Agreement": 4,
    "Certificate Sign": 5,
    "CRL Sign": 6,
    "Encipher Only": 7,
    "Decipher Only": 8,
    **{name: bit for bit, name in enumerate(ext.KEY_USAGES)},
}
_NS_TYPES = {
    "SSL Client": 0,
    "client": 0,
    "SSL Server": 1,
    "server": 1,
    "S/MIME": 2,
    "email": 2,
    "Object Signing": 3,
    "objsign": 3,
    "Unused": 4,
    "reserved": 4,
    "SSL CA": 5,
    "sslCA": 5,
    "S/MIME CA": 6,
    "emailCA": 6,
    "Object Signing CA": 7,
    "objCA": 7,
}
_FEATURES = {"status_request": 5, "status_request_v2": 17}

#: The section that granted names are appended as.
ALT_NAMES = "alt_names"


def read_extensions(cnf: Cnf, section: str) -> tuple[ExtensionDirective, ...]:
    """Every extension of a section, in order; what has no meaning is in `cnf.faults`."""
    directives: list[ExtensionDirective] = []
    seen: dict[str, Entry] = {}
    entries = cnf.section(section)
    if entries == ():
        text = f"[{section}] is empty, so its certificates would have no extensions"
        cnf.fault("profile.value", cnf.lines.get(section, 1), text, "write the extensions")
    for entry in entries or ():
        try:
            directive = read_extension(cnf, entry)
        except HomecaError as error:
            cnf.fault("profile.value", entry.line, f"{entry.name}: {error.problem}", error.remedy)
            continue
        if directive.oid in seen:
            other = seen[directive.oid]
            cnf.fault(
                "profile.duplicate",
                entry.line,
                f"{entry.name}: line {other.line} has this extension already",
                "delete one of the two",
            )
        seen[directive.oid] = entry
        directives.append(directive)
    return tuple(directives)


def read_extension(cnf: Cnf, entry: Entry) -> ExtensionDirective:
    """One `name = [critical, ]value`. Raises: EncodingError."""
    text = entry.value
    critical = text.startswith("critical,")
    if critical:
        text = text.removeprefix("critical,").lstrip()
    value: DirectiveValue
    if text.startswith("DER:"):
        oid = object_identifier(entry.name, EXTENSIONS)
        value = parse_hex(text[4:].lstrip())
    elif text.startswith("ASN1:"):
        oid = object_identifier(entry.name, EXTENSIONS)
        value = generator(cnf).generate(text[5:].lstrip())
    else:
        oid = EXTENSIONS.get(entry.name, "")
        reader = _READERS.get(entry.name)
        if reader is None:
            raise _unknown(entry.name, known=bool(oid))
        value = reader(cnf, text, entry.line)
    return ExtensionDirective(
        name=entry.name, oid=oid, critical=critical, value=value, line=entry.line
    )


def _unknown(name: str, *, known: bool) -> EncodingError:
    if known or name[:1].isdigit():
        return bad(
            f"{visible(name)!r} has no syntax of its own in x509v3_config(5)",
            "write its value as ASN1:… or DER:…",
        )
    return bad(
        f"{visible(name)!r} is not an extension{meant(name, _READERS)}",
        "use a name of x509v3_config(5), or a dotted OID with ASN1:… or DER:…",
    )


# ---------------------------------------------------------------- one function an extension


def natural(text: str) -> int:
    """A number from 0. Raises: EncodingError."""
    number = parse_integer(text)
    if number < 0:
        raise bad(f"{text} is negative", "write 0 or more")
    return number


def _basic_constraints(cnf: Cnf, text: str, line: int) -> bytes:
    ca, path_length = False, None
    for item in items_or_section(cnf, text, line):
        match item.name:
            case "CA":
                ca = parse_boolean(valued(item, "CA:FALSE"))
            case "pathlen":
                path_length = natural(valued(item, "pathlen:0"))
            case name:
                raise bad(
                    f"{visible(name)!r} is not a part of basicConstraints"
                    f"{meant(name, ('CA', 'pathlen'))}",
                    "write CA:TRUE or CA:FALSE, and pathlen:N for a CA",
                )
    if path_length is not None and not ca:
        raise bad("pathlen stands without CA:TRUE", "delete it (RFC 5280 §4.2.1.9)")
    return ext.basic_constraints(ca=ca, path_length=path_length)


def _bits(names: Mapping[str, int]) -> Callable[[Cnf, str, int], bytes]:
    def read(cnf: Cnf, text: str, line: int) -> bytes:
        bits = []
        for item in items_or_section(cnf, text, line):
            # in a section the key is the name, and every key has a value
            name = item.name if text.startswith("@") else plain(item)
            if name not in names:
                raise bad(
                    f"{visible(name)!r} is not one of the bits{meant(name, names)}",
                    f"use {', '.join(n for n in names if ' ' not in n)}",
                )
            bits.append(names[name])
        return tlv.named_bits(bits)

    return read


def _key_purposes(cnf: Cnf, text: str, line: int) -> bytes:
    return ext.key_purposes(
        object_identifier(item.name if item.value is None else item.value, KEY_PURPOSES)
        for item in items_or_section(cnf, text, line)
    )


def _subject_key(cnf: Cnf, text: str, line: int) -> DirectiveValue:
    match text:
        case "none":
            return Omitted()
        case "hash":
            return SubjectKeyHash()
    return tlv.octet_string(parse_hex(text))


def _authority_key(cnf: Cnf, text: str, line: int) -> DirectiveValue:
    items = items_or_section(cnf, text, line)
    if [item.name for item in items] == ["none"]:
        return Omitted()
    found: dict[str, bool] = {}
    for item in items:
        if item.name not in ("keyid", "issuer"):
            raise bad(
                f"{visible(item.name)!r} is not a part of authorityKeyIdentifier"
                f"{meant(item.name, ('keyid', 'issuer', 'none'))}",
                "write keyid, issuer, or none",
            )
        if item.value not in (None, "always"):
            raise bad(f"{visible(item.value or '')!r} has no meaning", "write always, or nothing")
        found[item.name] = item.value == "always"
    return AuthorityKey(
        keyid="keyid" in found,
        keyid_always=found.get("keyid", False),
        issuer="issuer" in found,
        issuer_always=found.get("issuer", False),
    )


def _alternative_names(copied: str) -> Callable[[Cnf, str, int], DirectiveValue]:
    kind = copied.partition(":")[0]

    def read(cnf: Cnf, text: str, line: int) -> DirectiveValue:
        if text == f"@{ALT_NAMES}" and ALT_NAMES not in cnf.sections and kind == "email":
            return AlternativeNames(("names",))
        parts: list[bytes | str] = []
        for item in items_or_section(cnf, text, line):
            if has_name(item, kind) and item.value == "copy":
                parts.append(copied)
            elif kind == "email" and has_name(item, kind) and item.value == "move":
                raise bad(
                    "'email:move' would change the subject",
                    "write email:copy, and leave "
                    "emailAddress out of the policy if it shall not be in the subject",
                )
            else:
                parts.append(general_name(cnf, item))
        if all(isinstance(part, bytes) for part in parts):
            return tlv.sequence(*(part for part in parts if isinstance(part, bytes)))
        return AlternativeNames(tuple(parts))

    return read


def _information_access(cnf: Cnf, text: str, line: int) -> bytes:
    descriptions = []
    for item in items_or_section(cnf, text, line):
        method, semicolon, kind = item.name.partition(";")
        if not semicolon:
            raise bad(f"{visible(item.name)!r} has no ';'", "write it like caIssuers;URI:http://…")
        descriptions.append(
            ext.access_description(
                object_identifier(method, ACCESS_METHODS),
                general_name(cnf, Item(kind, item.value, item.line)),
            )
        )
    return tlv.sequence(*descriptions)


def _name_constraints(cnf: Cnf, text: str, line: int) -> bytes:
    trees: dict[str, list[bytes]] = {"permitted": [], "excluded": []}
    for item in items_or_section(cnf, text, line):
        side, semicolon, kind = item.name.partition(";")
        if side not in trees or not semicolon:
            raise bad(
                f"{visible(item.name)!r} begins with neither permitted; nor excluded;",
                "write it like permitted;DNS:home.arpa",
            )
        base = general_name(cnf, Item(kind, item.value, item.line), constraint=True)
        trees[side].append(base)
    return ext.subtrees(trees["permitted"], trees["excluded"])


def _tls_feature(cnf: Cnf, text: str, line: int) -> bytes:
    features = []
    for item in items_or_section(cnf, text, line):
        word = item.name if item.value is None else item.value
        number = _FEATURES.get(word.lower())
        if number is None:
            number = natural(word)
        if number > 65535:
            raise bad(f"{visible(word)!r} is not a TLS extension", "use 0 to 65535 (RFC 7633 §4)")
        features.append(tlv.integer(number))
    return tlv.sequence(*features)


def _integer(cnf: Cnf, text: str, line: int) -> bytes:
    return tlv.integer(natural(text))


def _ia5_string(cnf: Cnf, text: str, line: int) -> bytes:
    if not text.isascii():
        raise bad(f"{visible(text)!r} is not ASCII", "write it in ASCII (IA5String)")
    return tlv.tlv(tlv.IA5_STRING, text.encode("ascii"))


def _no_check(cnf: Cnf, text: str, line: int) -> bytes:
    return tlv.null()  # x509v3_config(5): the value is parsed and ignored


_READERS: dict[str, Callable[[Cnf, str, int], DirectiveValue]] = {
    "basicConstraints": _basic_constraints,
    "keyUsage": _bits(_KEY_USAGES),
    "extendedKeyUsage": _key_purposes,
    "subjectKeyIdentifier": _subject_key,
    "authorityKeyIdentifier": _authority_key,
    "subjectAltName": _alternative_names("email:copy"),
    "issuerAltName": _alternative_names("issuer:copy"),
    "authorityInfoAccess": _information_access,
    "subjectInfoAccess": _information_access,
    "crlDistributionPoints": points.distribution_points,
    "freshestCRL": points.distribution_points,
    "issuingDistributionPoint": points.issuing_distribution_point,
    "certificatePolicies": policies.certificate_policies,
    "policyMappings": policies.policy_mappings,
    "policyConstraints": policies.policy_constraints,
    "inhibitAnyPolicy": _integer,
    "nameConstraints": _name_constraints,
    "noCheck": _no_check,
    "tlsfeature": _tls_feature,
    "nsCertType": _bits(_NS_TYPES),
    "nsComment": _ia5_string,
    "nsBaseUrl": _ia5_string,
    "nsRevocationUrl": _ia5_string,
    "nsCaRevocationUrl": _ia5_string,
    "nsRenewalUrl": _ia5_string,
    "nsCaPolicyUrl": _ia5_string,
    "nsSslServerName": _ia5_string,
}
