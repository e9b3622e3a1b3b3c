"""One CA and one device that never change, for kits that come out the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ca.kits.building import build
from ca.kits.facts import Kit, KitFacts, Server
from ca.kits.kinds import KINDS, SERVER, Lists, Need
from tests.lint.lintvectors import der

GOLDEN = Path(__file__).parent / "golden"
DEVICE = "alice-phone.home.arpa"
HOST = "vpn.home.arpa"

#: Kits as golden files: directory, kind, what differs from `facts`.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{kind: (kind, {}) for kind in KINDS},
    "openvpn-windows-tpm-user": (
        "openvpn-windows-tpm",
        {"machine": False, "key": "ec-p384", "certificate": der("clean-vpn-client")},
    ),
    "openvpn-file-pkcs12": ("openvpn-file", {"pkcs12": b"<PKCS#12>", "proto": "tcp", "port": 443}),
    "wifi-pkcs12": ("wifi", {"pkcs12": b"<PKCS#12>"}),
    "android-strongswan-pkcs12": ("android-strongswan", {"pkcs12": b"<PKCS#12>"}),
    "two-servers": (
        "openvpn-file",
        {
            "servers": (Server(HOST, HOST), Server("192.168.1.1", HOST, is_address=True)),
            "warnings": ("this is what a warning looks like",),
        },
    ),
}


def facts(kind: str, **more: Any) -> KitFacts:
    """What the service would find: a home, its intermediate, a device, a server."""
    about = KINDS[kind]
    leaf = "clean-tls-server" if about.purpose == SERVER else "clean-vpn-client"
    usual: dict[str, Any] = {
        "kind": kind,
        "name": "" if kind == "trust" else "nas.home.arpa" if about.purpose == SERVER else DEVICE,
        "root": der("clean-root"),
        "intermediates": (der("clean-intermediate"),),
        "certificate": der(leaf) if about.need is Need.CERTIFICATE else None,
        "servers": (Server(HOST, HOST),) if about.dials else (),
        "crls": (der("clean-crl"),) if about.lists is not Lists.NONE else (),
        "pkcs12": b"<PKCS#12>" if about.pkcs12 == "must" else None,
        "ssid": "Home" if kind == "wifi" else "",
        "url": "http://ca.home.arpa/root.crt" if kind == "trust" else None,
    }
    return KitFacts(**{**usual, **more})


def made(kind: str, **more: Any) -> Kit:
    """The kit, its Apple profiles unsigned."""
    return build(facts(kind, **more), lambda octets: octets)


def file(kit: Kit, name: str) -> bytes:
    """The octets of one file."""
    return next(one.octets for one in kit.files if one.name == name)


def text(kit: Kit, name: str) -> str:
    return file(kit, name).decode()
