"""Which names this CA may certify at all: its owner's setting and the issuers' name constraints.

Checked label by label: "notexample.lan" is not in "example.lan" (threat T21). What kinds of names
a certificate may have is for its profile; this is about whose names they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from ca.errors import IllegalName, Violation
from ca.names.constraints import IPNetwork, NameConstraints
from ca.names.general import (
    DNSName,
    EmailName,
    GeneralName,
    IPName,
    UPNName,
    URIName,
    parse_general_name,
)
from ca.names.showing import visible
from ca.settings import HOME_NETWORKS, HOME_TREES, Settings


class NamePolicy(Struct, frozen=True, kw_only=True):
    """Trees, networks and single names; the issuers' name constraints are always on top.

    permitted_dns: trees. permitted_ip: networks. exceptions: "vpn.example.org", "DNS:*.lan".
    A bare label ("nas") is no name of the public DNS, so it is within every home.
    """

    permitted_dns: tuple[str, ...] = HOME_TREES
    permitted_ip: tuple[IPNetwork, ...] = HOME_NETWORKS
    exceptions: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> NamePolicy:
        """As homeca.toml has it, or the defaults of a home."""
        return cls(
            permitted_dns=settings.permit_dns,
            permitted_ip=settings.permit_ip,
            exceptions=settings.exceptions,
        )

    def objections(
        self, name: GeneralName, constraints: Sequence[NameConstraints]
    ) -> tuple[Violation, ...]:
        """Every reason why this name may not be certified here."""
        found = list(self._own_objections(name, constraints))
        for above in constraints:
            if not above.permits(name):
                found.append(
                    Violation(
                        "name.constrained",
                        f"{_shown(name)} is outside the name constraints of the issuer, so no "
                        "client would accept it",
                        "use a name inside them, or begin another CA in another --home: "
                        f"`homeca init-root --home DIR --name NAME {_permit_option(name)}`, with "
                        "everything it is to certify",
                    )
                )
                break
        return tuple(found)

    def _own_objections(
        self, name: GeneralName, constraints: Sequence[NameConstraints]
    ) -> Iterator[Violation]:
        if self._is_exception(name):
            return
        if isinstance(name, DNSName) and name.is_wildcard:
            base = name.value.removeprefix("*.")
            if is_registry(base):
                yield Violation(
                    "name.wildcard-too-wide",
                    f"{_shown(name)} would stand for everybody's hosts under {base!r}",
                    f"name the hosts, or take a domain of your own below: *.home.{base}; "
                    f"or permit it: {_exception(name)}",
                )
        trees = self.permitted_dns + tuple(t for c in constraints for t in c.permitted_dns if t)
        networks = self.permitted_ip + tuple(n for c in constraints for n in c.permitted_ip)
        for host in _hosts(name):
            if self._is_exception(host):
                continue
            if isinstance(host, DNSName) and not _is_permitted_host(host, trees):
                yield Violation(
                    "name.not-permitted",
                    f"{_shown(name)} is not in a domain this CA may certify "
                    f"({', '.join(dict.fromkeys(trees)) or 'none'})",
                    f"use a name inside them, or permit this one: {_exception(name)}",
                )
            if isinstance(host, IPName) and not any(host.value in n for n in networks):
                yield Violation(
                    "name.not-permitted",
                    f"{_shown(name)} is not in a network this CA may certify",
                    f"use an address of the LAN, or permit this one: {_exception(name)}",
                )

    def _is_exception(self, name: GeneralName) -> bool:
        text = str(name)
        return text in self.exceptions or text.partition(":")[2] in self.exceptions


def _hosts(name: GeneralName) -> tuple[DNSName | IPName, ...]:
    """The host a name leads to, without its wildcard."""
    match name:
        case DNSName():
            return (DNSName(name.value.removeprefix("*.")),)
        case IPName():
            return (name,)
        case EmailName() | UPNName():
            return (DNSName(name.host),)
        case URIName():
            return _uri_hosts(name)
        case _:
            return ()


def _uri_hosts(name: URIName) -> tuple[DNSName | IPName, ...]:
    try:
        host = urlsplit(name.value).hostname
        found = parse_general_name(host) if host else None  # urn:uuid:… leads to no host
    except (ValueError, IllegalName):
        return (DNSName(name.value),)  # a host nobody can judge is in no tree
    return (found,) if isinstance(found, DNSName | IPName) else ()


def _is_permitted_host(host: DNSName, trees: Sequence[str]) -> bool:
    return "." not in host.value or any(host.is_within(tree) for tree in trees)


#: Second-level labels under which country registries sell names: co.uk, com.au, gov.in.
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gov", "gv", "id", "info", "ltd", "me", "mil", "ne",
     "net", "nom", "or", "org", "plc", "sch"}
)  # fmt: skip
#: Providers of dynamic DNS and tunnels: each label below is another customer.
_SHARED = frozenset(
    {"asuscomm.com", "ddns.net", "ddnsfree.com", "dedyn.io", "duckdns.org", "dy.fi", "dyndns.org",
     "dynu.net", "dynv6.net", "freeddns.org", "freemyip.com", "goip.de", "hopto.org", "mooo.com",
     "myds.me", "myfritz.net", "mynetgear.com", "ngrok.io", "no-ip.org", "nsupdate.info",
     "quickconnect.to", "selfhost.eu", "servehttp.com", "spdns.de", "synology.me", "ts.net",
     "zapto.org", "home.arpa"}
)  # fmt: skip


def is_registry(domain: str) -> bool:
    """Is `domain` a place where strangers, or everybody, have names: "lan", "co.uk", "duckdns.org"?

    A short list, not the Public Suffix List: what matters here is bounded by the permitted trees.
    home.arpa belongs to everybody (RFC 8375); clients refuse `*.home.arpa` as they do `*.lan`.
    """
    labels = domain.lower().split(".")
    if len(labels) == 1 or domain in _SHARED:
        return True
    return len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL


def _shown(name: GeneralName) -> str:
    return repr(visible(str(name)))


def _exception(name: GeneralName) -> str:
    whole = str(name)
    # without its kind a UPN is read as an e-mail address
    is_plain = not isinstance(name, URIName | UPNName)
    text = visible(whole.partition(":")[2] if is_plain else whole)
    return f'exceptions = ["{text}"] under [names] in homeca.toml'


def _permit_option(name: GeneralName) -> str:
    """The same for every name of a kind, so that it is said once."""
    host = _hosts(name)
    if host and isinstance(host[0], IPName):
        return "--permit-ip NETWORK"
    return "--permit-dns DOMAIN"
