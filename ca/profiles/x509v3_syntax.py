"""x509v3_config(5): a section of extensions to directives.

What OpenSSL refuses is refused here. Deliberately stricter, each a text that OpenSSL takes in
silence and that would not do what it says (the tests hold this table against real OpenSSL):

    DIFFERENCES (below)   the rule, why, and the clause

Names of objects: those of `object_names`; any other is written as a dotted OID.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ca.encoding import extensions as ext
from ca.encoding import tlv
from ca.encoding.asn1_generate import parse_boolean, parse_hex, parse_integer
from ca.encoding.dn import encode_rdn
from ca.errors import EncodingError, HomecaError
from ca.names import visible
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
    general_name_list,
    generator,
    has_name,
    items_or_section,
    section_items,
    section_name,
)

#: What homeca refuses and OpenSSL takes: rule -> (why, clause). Each has a snippet in the tests.
DIFFERENCES: Mapping[str, tuple[str, str]] = {
    "duplicate": ("OpenSSL keeps the last of two lines for one extension", "RFC 5280 §4.2"),
    "ignored-value": ("a value OpenSSL does not look at, as in `keyUsage = keyAgreement:x`", ""),
    "unknown-key": ("OpenSSL skips unknown keys of a distribution point: `CRLIssuer`", ""),
    "latin-1": ("OpenSSL reads non-ASCII octets as Latin-1, or leaves them in an IA5String", ""),
    "negative": ("pathlen, skip certs and notice numbers are not negative", "§4.2.1.9, §4.2.1.11"),
    "pathlen-without-ca": ("pathLenConstraint only with cA", "§4.2.1.9"),
    "empty-point": ("a distribution point names a place or an issuer", "§4.2.1.13"),
    "empty-names": ("alternative names hold one name at least", "§4.2.1.6"),
    "own-issuer": ("OpenSSL 3.0 names a self-signed certificate as its own issuer", "§4.2.1.1"),
    "ambiguous-oid": ("in a name `1.2.3.4 = x` means 2.3.4 to OpenSSL: write `x.1.2.3.4`", ""),
    "mask": ("a network's mask has no holes", "§4.2.1.10"),
    "address": ("an address is not `010.0.0.1`", "RFC 6943 §3.1.1"),
    "repeated-policy": ("a policy stands once", "§4.2.1.4"),
    "notice": ("organization and numbers together; explicitText at most 200", "§4.2.1.4"),
    "bmp-notice": ("OpenSSL puts single octets into a BMPString", "X.690 §8.23.7"),
    "any-policy-mapped": ("anyPolicy is not mapped", "§4.2.1.5"),
    "time": ("times are DER", "X.690 §11.7, §11.8"),
    "universal-tag": ("no retagging to a universal class", "X.680 §31.2.7"),
    "email-move": ("the subject follows the policy, not an extension", ""),
    "private-names": ("names OpenSSL's table has and `object_names` has not: write the OID", ""),
    "undocumented": ("proxyCertInfo, SXNetID, IP and AS blocks: write ASN1: or DER:", ""),
    "attribute": ("attributes of a DN keep X.520's bounds, countries are letters", "RFC 5280 A.1"),
}

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
_REASONS = {
    "unused": 0,
    "keyCompromise": 1,
    "CACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "privilegeWithdrawn": 7,
    "AACompromise": 8,
}
_FEATURES = {"status_request": 5, "status_request_v2": 17}

#: The section that granted names are appended as.
ALT_NAMES = "alt_names"


def read_extensions(cnf: Cnf, section: str) -> tuple[ExtensionDirective, ...]:
    """Every extension of a section, in order; what has no meaning is in `cnf.faults`."""
    directives: list[ExtensionDirective] = []
    seen: dict[str, Entry] = {}
    for entry in cnf.section(section) or ():
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


def _plain(item: Item) -> str:
    """The name of an item that takes no value."""
    if item.value is not None:
        raise bad(
            f"{visible(item.name)!r} has the value {visible(item.value)!r}, which has no meaning",
            "write the word alone",
        )
    return item.name


def _valued(item: Item, example: str) -> str:
    if item.value is None:
        raise bad(f"{visible(item.name)!r} has no value", f"write it like {example}")
    return item.value


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
                ca = parse_boolean(_valued(item, "CA:FALSE"))
            case "pathlen":
                path_length = natural(_valued(item, "pathlen:0"))
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
            name = item.name if text.startswith("@") else _plain(item)
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


def _distribution_points(cnf: Cnf, text: str, line: int) -> bytes:
    points = []
    for item in items_or_section(cnf, text, line):
        if item.value is None:
            points.append(_distribution_point(cnf, item.name))
        else:
            points.append(ext.distribution_point(ext.full_name([general_name(cnf, item)])))
    return tlv.sequence(*points)


def _distribution_point(cnf: Cnf, section: str) -> bytes:
    name, reasons, crl_issuer = b"", None, []
    for item in section_items(cnf, section):
        value = item.value or ""
        match item.name:
            case "fullname" | "relativename" if name:
                raise bad(f"[{section}] has fullname and relativename", "keep one of them")
            case "fullname" | "relativename":
                name = _point_name(cnf, item)
            case "reasons":
                reasons = _reasons(value, item.line)
            case "CRLissuer":
                crl_issuer = general_name_list(cnf, value, item.line)
            case key:
                known = ("fullname", "relativename", "reasons", "CRLissuer")
                raise bad(
                    f"line {item.line}, {visible(key)!r} is not a key of a distribution point"
                    f"{meant(key, known)}",
                    f"use {', '.join(known)}",
                )
    if not name and not crl_issuer:
        raise bad(
            f"[{section}] has neither fullname nor CRLissuer",
            "write where the CRL is (RFC 5280 §4.2.1.13)",
        )
    return ext.distribution_point(name, reasons, crl_issuer)


def _point_name(cnf: Cnf, item: Item) -> bytes:
    value = item.value or ""
    if item.name == "fullname":
        return ext.full_name(general_name_list(cnf, value, item.line))
    rdns = section_name(cnf, value).rdns
    if len(rdns) != 1:
        raise bad(f"[{visible(value)}] has {len(rdns)} RDNs", "join them with +, or keep one")
    return ext.relative_name(encode_rdn(rdns[0]))


def _reasons(text: str, line: int) -> list[int]:
    bits = []
    for item in items_or_section(Cnf(""), text, line):
        name = _plain(item)
        if name not in _REASONS:
            raise bad(
                f"{visible(name)!r} is not a reason{meant(name, _REASONS)}",
                f"use {', '.join(list(_REASONS)[1:])}",
            )
        bits.append(_REASONS[name])
    return bits


def _issuing_distribution_point(cnf: Cnf, text: str, line: int) -> bytes:
    name, reasons, flags = b"", None, {}
    for item in items_or_section(cnf, text, line):
        value = _valued(item, f"{item.name}:TRUE")
        match item.name:
            case "fullname" | "relativename" if name:
                raise bad("fullname and relativename stand together", "keep one of them")
            case "fullname" | "relativename":
                name = _point_name(cnf, item)
            case "onlysomereasons":
                reasons = _reasons(value, item.line)
            case "onlyuser" | "onlyCA" | "onlyAA" | "indirectCRL":
                flags[item.name] = parse_boolean(value)
            case key:
                raise bad(
                    f"{visible(key)!r} is not a key of issuingDistributionPoint",
                    "use fullname, relativename, onlysomereasons, onlyuser, onlyCA, onlyAA "
                    "or indirectCRL",
                )
    return ext.issuing_distribution_point(
        name,
        only_user=flags.get("onlyuser", False),
        only_ca=flags.get("onlyCA", False),
        only_attribute=flags.get("onlyAA", False),
        indirect=flags.get("indirectCRL", False),
        reasons=reasons,
    )


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
    "crlDistributionPoints": _distribution_points,
    "freshestCRL": _distribution_points,
    "issuingDistributionPoint": _issuing_distribution_point,
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
