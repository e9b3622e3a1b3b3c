"""General names: hosts, addresses, mailboxes, URIs and UPNs (RFC 5280 §4.2.1.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import (
    IPv4Address,
    IPv6Address,
    ip_address,
)
from urllib.parse import urlsplit

from msgspec import Struct

from ca.errors import IllegalName
from ca.names.distinguished import HIDDEN_OR_BROKEN
from ca.names.showing import is_harmless, visible

IPAddress = IPv4Address | IPv6Address

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_MAIL_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")


def dns_labels(text: str) -> tuple[str, ...]:
    """The labels of a host name in A-label form, lower case; no wildcard, no trailing dot.

    Raises: IllegalName for what RFC 1123 §2.1 and RFC 5280 §4.2.1.6 do not allow.
    """
    shown = visible(text)
    name = text.strip(" ")
    if not name.isascii():
        name = _a_labels(name)
    name = name.lower()
    if not name:
        raise IllegalName("the DNS name is empty", remedy="give a name, or leave it out")
    if name.endswith("."):
        raise IllegalName(
            f"{shown!r} is not a DNS name", remedy="write it without a dot at the end"
        )
    if len(name) > 253:
        raise IllegalName(f"{shown!r} is longer than 253 octets", remedy="shorten it")
    labels = tuple(name.split("."))
    for label in labels:
        if not _LABEL.match(label):
            raise IllegalName(
                f"{shown!r} is not a DNS name: {visible(label)!r} is not a label",
                remedy="use letters, digits and inner hyphens, 1 to 63 a label",
            )
    if labels[-1].isdigit():
        raise _ending_in_digits(name)
    return labels


def _ending_in_digits(name: str) -> IllegalName:
    """No top-level domain is a number: somebody means an address (RFC 3696 §2)."""
    if _is_address(name):
        return IllegalName(
            f"{name!r} is an IP address, not a DNS name", remedy=f"write it as one: IP:{name}"
        )
    if all(label.isdigit() for label in name.split(".")):
        return IllegalName(f"{name!r} is no IP address", remedy="write it like 192.168.1.10")
    return IllegalName(
        f"{name!r} is not a DNS name: it ends in a number",
        remedy="write its domain behind it, or an address: IP:192.168.1.10",
    )


def _a_labels(name: str) -> str:
    """U-labels to A-labels by IDNA 2008 (RFC 5890, RFC 9549: only A-labels in dNSName)."""
    import idna  # only names beyond ASCII pay for the tables

    try:
        if not all(map(is_harmless, name)):  # UTS 46 would drop some of these in silence
            raise idna.IDNAError(HIDDEN_OR_BROKEN)
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise IllegalName(
            f"{visible(name)!r} is not an internationalised DNS name",
            remedy="write its xn-- form, or use letters, digits and hyphens",
        ) from error


class DNSName(Struct, frozen=True, order=True):
    """A dNSName in A-label form, lower case; `*.` only as the whole first label."""

    value: str

    @classmethod
    def parse(cls, text: str) -> DNSName:
        """Raises: IllegalName."""
        rest = text.strip(" ")
        wildcard = rest.startswith("*.")
        if wildcard:
            rest = rest[2:]
        if "*" in rest:
            raise IllegalName(
                f"the wildcard in {visible(text)!r} is not the whole first label",
                remedy="write *.example.home.arpa, or name each host (RFC 6125 §6.4.3)",
            )
        labels = dns_labels(rest)
        if wildcard and len(labels) < 2:
            raise IllegalName(
                f"{visible(text)!r} would stand for a whole top-level domain",
                remedy="name the hosts, or a wildcard below your own domain",
            )
        return cls(("*." if wildcard else "") + ".".join(labels))

    @property
    def is_wildcard(self) -> bool:
        return self.value.startswith("*.")

    def is_within(self, tree: str) -> bool:
        """Is it `tree` or below it, label by label? "notexample.lan" is not in "example.lan".

        The empty tree holds every name: zero or more labels added (RFC 5280 §4.2.1.10).
        """
        base = tree.lower().lstrip(".")
        return not base or self.value == base or self.value.endswith("." + base)

    def __str__(self) -> str:
        return f"DNS:{self.value}"


class IPName(Struct, frozen=True):
    """An iPAddress."""

    value: IPAddress

    @classmethod
    def parse(cls, text: str) -> IPName:
        """Raises: IllegalName; a zone index (`fe80::1%eth0`) has no place in a certificate."""
        try:
            address = ip_address(text.strip(" "))
        except ValueError as error:
            raise IllegalName(
                f"{visible(text)!r} is not an IP address",
                remedy="write it like 192.168.1.10",
            ) from error
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise IllegalName(
                f"{visible(text)!r} has a zone index",
                remedy="write the address without %zone",
            )
        return cls(address)

    def __str__(self) -> str:
        return f"IP:{self.value}"


class EmailName(Struct, frozen=True, order=True):
    """An rfc822Name: ASCII local part, host in A-label form (RFC 5280 §4.2.1.6)."""

    value: str

    @classmethod
    def parse(cls, text: str) -> EmailName:
        """Raises: IllegalName."""
        local, at, host = text.strip(" ").rpartition("@")
        if not at or len(local) > 64 or not _MAIL_LOCAL.match(local):
            raise IllegalName(
                f"{visible(text)!r} is not an e-mail address",
                remedy="write it like me@home.arpa",
            )
        return cls(f"{local}@{'.'.join(dns_labels(host))}")

    @property
    def host(self) -> str:
        return self.value.rpartition("@")[2]

    def __str__(self) -> str:
        return f"email:{self.value}"


class URIName(Struct, frozen=True, order=True):
    """A uniformResourceIdentifier: absolute, ASCII, with a scheme (RFC 5280 §4.2.1.6)."""

    value: str

    @classmethod
    def parse(cls, text: str) -> URIName:
        """Raises: IllegalName."""
        uri = text.strip(" ")
        fine = re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]+", uri) is not None
        if fine:
            try:
                parts = urlsplit(uri)
                fine = bool(parts.netloc or parts.path) and not set(uri) & set('<>"{}|\\^`')
            except ValueError:
                fine = False
        if not fine or len(uri) > 2048:
            raise IllegalName(
                f"{visible(text)!r} is not an absolute URI",
                remedy="write it like https://nas.home.arpa/ with everything else percent-encoded",
            )
        return cls(uri)

    def __str__(self) -> str:
        return f"URI:{self.value}"


class UPNName(Struct, frozen=True, order=True):
    """A userPrincipalName: otherName 1.3.6.1.4.1.311.20.2.3 with a UTF8String (MS-WCCE)."""

    value: str

    @classmethod
    def parse(cls, text: str) -> UPNName:
        """Raises: IllegalName."""
        upn = text.strip(" ")
        user, at, domain = upn.rpartition("@")
        if not at or not user or not domain or len(upn) > 255 or not all(map(is_harmless, upn)):
            raise IllegalName(
                f"{visible(text)!r} is not a user principal name",
                remedy="write it like UPN:me@home.arpa",
            )
        return cls(f"{user}@{'.'.join(dns_labels(domain))}")

    @property
    def host(self) -> str:
        return self.value.rpartition("@")[2]

    def __str__(self) -> str:
        return f"UPN:{self.value}"


class OtherGeneralName(Struct, frozen=True):
    """A GeneralName homeca shows and does not grant: directoryName, registeredID, otherName.

    kind:  "dirName", "RID", "otherName:1.2.3", "x400", "ediParty".
    value: for display only, already `visible`.
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


GeneralName = DNSName | IPName | EmailName | URIName | UPNName | OtherGeneralName

_PARSERS: dict[str, Callable[[str], GeneralName]] = {
    "dns": DNSName.parse,
    "ip": IPName.parse,
    "email": EmailName.parse,
    "uri": URIName.parse,
    "upn": UPNName.parse,
}


def kind_of(name: GeneralName) -> str:
    """ "dns", "ip", "email", "uri", "upn" or "other": the words profiles use."""
    match name:
        case DNSName():
            return "dns"
        case IPName():
            return "ip"
        case EmailName():
            return "email"
        case URIName():
            return "uri"
        case UPNName():
            return "upn"
        case _:
            return "other"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def parse_general_names(typed: Iterable[str]) -> tuple[GeneralName, ...]:
    """Each once, in the order given. Raises: IllegalName that names every bad one."""
    found: dict[GeneralName, None] = {}
    wrong: dict[str, IllegalName] = {}
    for text in typed:
        try:
            found[parse_general_name(text)] = None
        except IllegalName as error:
            wrong[error.problem] = error
    if len(wrong) == 1:
        raise next(iter(wrong.values()))
    if wrong:
        raise IllegalName(
            f"{len(wrong)} names cannot be certified: {'; '.join(wrong)}",
            remedy="; ".join(dict.fromkeys(error.remedy for error in wrong.values())),
        )
    return tuple(found)


def parse_general_name(text: str) -> GeneralName:
    """What a person types after --san: "DNS:nas.lan", "IP:fd00::1", or just the value.

    Without a prefix: an address if it reads as one, an e-mail if it has an @, a URI if it has
    "://", a DNS name otherwise. Raises: IllegalName.
    """
    prefix, colon, rest = text.partition(":")
    parser = _PARSERS.get(prefix.strip().lower()) if colon else None
    if parser is not None:
        return parser(rest)
    bare = text.strip()
    if _is_address(bare):
        return IPName.parse(bare)
    if "://" in bare:
        return URIName.parse(bare)
    if "@" in bare:
        return EmailName.parse(bare)
    return DNSName.parse(bare)
