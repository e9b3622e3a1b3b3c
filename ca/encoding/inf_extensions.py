"""[Extensions], [EnhancedKeyUsageExtension] and the SAN attribute of a certreq INF, as wishes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from msgspec import Struct, field

from ca.encoding import tlv
from ca.encoding.der import check_der
from ca.encoding.extensions import (
    BASIC_CONSTRAINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    SUBJECT_ALT_NAME,
    Extension,
    key_purposes,
    purposes,
    says_ca,
    usages,
)
from ca.encoding.inf import Entry, Faults, Section
from ca.encoding.inf_values import usage_bits
from ca.encoding.request_names import read_names
from ca.errors import EncodingError, IllegalName, Violation
from ca.names.general import DNSName, EmailName, GeneralName, IPName, UPNName, URIName
from ca.names.showing import visible

_FORM = re.compile(r"\{(\w+)\}(.*)\Z", re.DOTALL)

#: Extensions a request has no say in.
_BY_THE_CA = frozenset(
    {
        "1.3.6.1.4.1.311.20.2",  # szOID_ENROLL_CERTTYPE_EXTENSION
        "1.3.6.1.4.1.311.21.7",  # szOID_CERTIFICATE_TEMPLATE
        "1.3.6.1.4.1.311.21.10",  # szOID_APPLICATION_CERT_POLICIES
        "2.5.29.14",
        "2.5.29.31",
        "2.5.29.32",
        "2.5.29.35",
        "1.3.6.1.5.5.7.1.1",
    }
)

_SAN_KINDS: dict[str, Callable[[str], GeneralName]] = {
    "dns": DNSName.parse,
    "ipaddress": IPName.parse,
    "email": EmailName.parse,
    "upn": UPNName.parse,
    "url": URIName.parse,
}
_NOT_CERTIFIED = ("dn", "guid", "oid", "registeredid", "othername")


class Asked(Struct):
    """What the sections ask for, gathered."""

    names: list[GeneralName] = field(default_factory=list)
    key_usage: frozenset[str] = frozenset()
    purposes: list[str] = field(default_factory=list)
    others: list[Extension] = field(default_factory=list)
    critical: frozenset[str] = frozenset()

    @property
    def san_critical(self) -> bool:
        return SUBJECT_ALT_NAME in self.critical

    def extensions(self) -> tuple[Extension, ...]:
        """Key usage (critical, RFC 5280 §4.2.1.3), purposes, then the others in file order."""
        made = []
        if self.key_usage:
            made.append(Extension(KEY_USAGE, True, tlv.named_bits(usage_bits(self.key_usage))))
        if self.purposes:
            wanted = EXTENDED_KEY_USAGE in self.critical
            value = key_purposes(dict.fromkeys(self.purposes))
            made.append(Extension(EXTENDED_KEY_USAGE, wanted, value))
        made += [Extension(o.oid, o.oid in self.critical, o.value) for o in self.others]
        return tuple(made)


def read_extensions(
    section: Section, faults: Faults, ignore: Callable[[Entry, str], None]
) -> Asked:
    """[Extensions]: `OID = "{text}…"`, base64 or {hex} DER, `Critical = OID,…`."""
    asked = Asked()
    for entry in section.entries:
        if entry.key.casefold() == "critical":
            asked.critical |= frozenset(_oids(entry, entry.value, faults))
        elif not _is_oid(entry.key):
            faults.add(
                "extension",
                entry.line,
                f"{visible(entry.key)!r} is not the OID of an extension",
                "write it like 2.5.29.17, or name the OID in [Strings]",
            )
        elif entry.key in _BY_THE_CA:
            ignore(entry, "the CA's profile decides that")
        else:
            try:
                _extension(entry, asked, faults)
            except (EncodingError, IllegalName) as error:
                faults.add("extension", entry.line, f"{entry.key}: {error.problem}", error.remedy)
    return asked


def _extension(entry: Entry, asked: Asked, faults: Faults) -> None:
    form = _FORM.match(entry.value.strip())
    if form is not None and form[1].casefold() == "text":
        _text_form(entry, form[2], asked, faults)
        return
    der = _der(form[1].casefold() if form else "base64", form[2] if form else entry.value)
    check_der(der, max_size=16384)
    match entry.key:
        case "2.5.29.17":
            illegal: list[Violation] = []
            asked.names += read_names(tlv.read_only(der, tlv.SEQUENCE), illegal)
            for one in illegal:
                faults.add("san", entry.line, one.text, one.remedy)
        case "2.5.29.37":
            asked.purposes += purposes(der)
        case "2.5.29.15":
            asked.key_usage |= usages(der)
            _refuse_ca(entry, faults, asks=bool(asked.key_usage & {"keyCertSign", "cRLSign"}))
        case "2.5.29.19":
            _refuse_ca(entry, faults, asks=says_ca(der))
        case _:
            asked.others.append(Extension(entry.key, False, der))


def _text_form(entry: Entry, text: str, asked: Asked, faults: Faults) -> None:
    match entry.key:
        case "2.5.29.17":
            _names(entry, text, asked, faults)
        case "2.5.29.37":
            asked.purposes += _oids(entry, text, faults)
        case "2.5.29.19":
            pairs = {k.strip().casefold(): v.strip() for k, v in _pairs(text)}
            asks = pairs.get("ca", "0").casefold() not in ("0", "false", "no")
            _refuse_ca(entry, faults, asks=asks)
        case _:
            faults.add(
                "extension",
                entry.line,
                f"{entry.key} has no {{text}} form homeca knows",
                "write its DER as {hex} or base64; {text} goes with 2.5.29.17, .19 and .37",
            )


def _refuse_ca(entry: Entry, faults: Faults, *, asks: bool) -> None:
    if asks:
        faults.add(
            "extension",
            entry.line,
            f"{BASIC_CONSTRAINTS if entry.key == BASIC_CONSTRAINTS else entry.key} asks to be a CA",
            "leave it out; a CA is made by `homeca init-intermediate`",
        )


def _der(form: str, text: str) -> bytes:
    """Raises: EncodingError."""
    try:
        if form == "base64":
            return base64.b64decode("".join(text.split()), validate=True)
        if form == "hex":
            return bytes.fromhex(text)
    except (ValueError, binascii.Error) as error:
        raise EncodingError(
            f"the value is not {form}", remedy='write "{text}…", "{hex}…" or base64'
        ) from error
    raise EncodingError(
        f"the form {{{visible(form)}}} is not read here",
        remedy='write "{text}…", "{hex}…" or base64',
    )


def _pairs(text: str) -> list[tuple[str, str]]:
    """ "a=1&b=2&": the pairs; a part without `=` has an empty value."""
    parts = [part.strip() for part in re.split(r"[&\r\n]", text) if part.strip()]
    return [(key, value) for key, _, value in (part.partition("=") for part in parts)]


def _names(entry: Entry, text: str, asked: Asked, faults: Faults) -> None:
    """ "dns=nas.home.arpa&ipaddress=192.168.1.4&upn=me@home.arpa"."""
    for kind, value in _pairs(text):
        parser = _SAN_KINDS.get(kind.strip().casefold())
        if parser is None and kind.strip().casefold() in _NOT_CERTIFIED:
            faults.add(
                "san",
                entry.line,
                f"{visible(kind)} is a kind of name that homeca does not certify",
                "leave it out",
            )
        elif parser is None:
            known = {name: name for name in _SAN_KINDS}
            faults.unknown("san", entry.line, "a kind of name", kind.strip(), known)
        else:
            try:
                asked.names.append(parser(value.strip().strip('"')))
            except IllegalName as error:
                faults.add("san", entry.line, error.problem, error.remedy)


def _is_oid(text: str) -> bool:
    try:
        return len(text) <= 128 and len(tlv.read_only(tlv.oid(text), tlv.OID)) <= 64
    except EncodingError:
        return False


def _oids(entry: Entry, text: str, faults: Faults) -> list[str]:
    """OIDs between commas, ampersands or blanks; "oid=" before one is taken."""
    found = []
    for part in re.split(r"[,&;\s]+", text):
        oid = part.strip().removeprefix("oid=")
        if _is_oid(oid):
            found.append(oid)
        elif oid:
            faults.add(
                "oid", entry.line, f"{visible(oid)!r} is not an OID", "write 1.3.6.1.5.5.7.3.2"
            )
    return found


def read_purposes(section: Section, asked: Asked, faults: Faults) -> None:
    """[EnhancedKeyUsageExtension]: any number of `OID = …`, and `Critical = TRUE`."""
    for entry in section.entries:
        match entry.key.casefold():
            case "oid":
                asked.purposes += _oids(entry, entry.value, faults)
            case "critical":
                if entry.value.strip().casefold() in ("true", "yes", "1"):
                    asked.critical |= {EXTENDED_KEY_USAGE}
            case _:
                known = {"oid": "OID", "critical": "Critical"}
                what = "a key of [EnhancedKeyUsageExtension]"
                faults.unknown("unknown-key", entry.line, what, entry.key, known)


def read_san_attribute(entry: Entry, asked: Asked, faults: Faults) -> None:
    """[RequestAttributes] SAN="dns=a&dns=b": certreq's older way to the same names."""
    _names(entry, entry.value, asked, faults)
