"""Name constraints: which trees, networks and mailboxes are permitted (RFC 5280 §4.2.1.10)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Network,
    IPv6Network,
    ip_network,
)

from msgspec import Struct

from ca.errors import IllegalName
from ca.names.general import DNSName, EmailName, GeneralName, IPName, dns_labels
from ca.names.showing import visible

IPNetwork = IPv4Network | IPv6Network


class NameConstraints(Struct, frozen=True):
    """Permitted and excluded trees and networks (RFC 5280 §4.2.1.10), as homeca writes them.

    A kind with no permitted entry is unrestricted, as in the RFC: constraining DNS names says
    nothing of addresses. `is_empty` means the extension is left out.
    """

    permitted_dns: tuple[str, ...] = ()
    permitted_ip: tuple[IPNetwork, ...] = ()
    permitted_email: tuple[str, ...] = ()
    excluded_dns: tuple[str, ...] = ()
    excluded_ip: tuple[IPNetwork, ...] = ()
    excluded_email: tuple[str, ...] = ()

    @classmethod
    def parse(cls, *, dns: Iterable[str] = (), ip: Iterable[str] = ()) -> NameConstraints:
        """From `--permit-dns home.arpa --permit-ip 192.168.0.0/16`. Raises: IllegalName."""
        return cls(
            permitted_dns=tuple(
                dict.fromkeys(".".join(dns_labels(tree.strip().lstrip("."))) for tree in dns)
            ),
            permitted_ip=tuple(dict.fromkeys(_network(text) for text in ip)),
        )

    @property
    def is_empty(self) -> bool:
        return self == NameConstraints()

    def permits(self, name: GeneralName) -> bool:
        """Would a verifier that checks these constraints accept the name?

        OpenSSL's reading for wildcards: the name without its `*.` must lie inside.
        """
        match name:
            case DNSName():
                host = DNSName(name.value.removeprefix("*."))
                return _inside_trees(host, self.permitted_dns, self.excluded_dns)
            case IPName():
                excluded = any(name.value in network for network in self.excluded_ip)
                permitted = not self.permitted_ip or any(
                    name.value in network for network in self.permitted_ip
                )
                return permitted and not excluded
            case EmailName():
                return _inside_mail(name, self.permitted_email, self.excluded_email)
            case _:
                return True


def _inside_trees(host: DNSName, permitted: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    if any(host.is_within(tree) for tree in excluded):
        return False
    return not permitted or any(host.is_within(tree) for tree in permitted)


def _inside_mail(name: EmailName, permitted: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    def matches(constraint: str) -> bool:
        if "@" in constraint:  # one mailbox
            return name.value.lower() == constraint.lower()
        if constraint.startswith("."):  # any host below the domain
            return name.host.endswith(constraint.lower())
        return name.host == constraint.lower()  # that very host

    if any(map(matches, excluded)):
        return False
    return not permitted or any(map(matches, permitted))


def _network(text: str) -> IPNetwork:
    try:
        return ip_network(text.strip(), strict=True)
    except ValueError as error:
        raise IllegalName(
            f"{visible(text)!r} is not an IP network",
            remedy="write it like 192.168.0.0/16 or fd00::/8, host bits zero",
        ) from error
