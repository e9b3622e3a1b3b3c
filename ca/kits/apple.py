"""Apple configuration profiles: root, identity, VPN, Wi-Fi (client-rules AP1 to AP8).

Keys are those of Apple's published schema (apple/device-management, mdm/profiles, 2026).
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterator
from typing import Any

from ca.algorithms import EC_P256, EC_P384, EC_P521
from ca.encoding.facts import KeyFacts
from ca.encoding.inspect import read_certificate
from ca.errors import KitRefused
from ca.kits.facts import File, KitFacts, Sign
from ca.kits.writing import SECRET
from ca.names.showing import visible

Payload = dict[str, Any]

#: AP4: RSA is the default, and wrong for any other key.
_CERTIFICATE_TYPES = {
    EC_P256.curve_oid: "ECDSA256",
    EC_P384.curve_oid: "ECDSA384",
    EC_P521.curve_oid: "ECDSA521",
}
_DEVICES = {"iphone": 1, "mac": 5}
_STRONG = {"EncryptionAlgorithm": "AES-256-GCM", "IntegrityAlgorithm": "SHA2-384"}


def vpn(facts: KitFacts, sign: Sign) -> Iterator[File]:
    """NAME.mobileconfig: the root, the intermediates, the identity and an IKEv2 connection."""
    identity = _identity(facts)
    payloads = [*authorities(facts), identity, _ikev2(facts, identity["PayloadUUID"])]
    document = profile(facts, payloads, f"{facts.ca_name} VPN")
    document["TargetDeviceType"] = _DEVICES[facts.kind]
    yield File(f"{facts.stem}.mobileconfig", sign(encoded(document)), SECRET)


def root_only(facts: KitFacts, sign: Sign) -> File:
    """CA.mobileconfig: the root alone; full trust is switched on by hand (AP7)."""
    document = profile(facts, authorities(facts)[:1], facts.root_name)
    return File(f"{facts.ca_stem}.mobileconfig", sign(encoded(document)))


def wifi(facts: KitFacts, sign: Sign) -> File:
    """NAME.mobileconfig: the root, the identity and one Wi-Fi that asks for EAP-TLS."""
    identity = _identity(facts)
    roots = authorities(facts)
    network = _payload(facts, "com.apple.wifi.managed", "wifi", f"Wi-Fi {facts.ssid}") | {
        "SSID_STR": facts.ssid,
        "AutoJoin": True,
        "HIDDEN_NETWORK": False,
        "EncryptionType": "WPA2",
        "PayloadCertificateUUID": identity["PayloadUUID"],
        "EAPClientConfiguration": {
            "AcceptEAPTypes": [13],
            "PayloadCertificateAnchorUUID": [roots[0]["PayloadUUID"]],
            "TLSTrustedServerNames": [server.host for server in facts.servers],
            "TLSMinimumVersion": "1.2",
        },
    }
    document = profile(facts, [*roots, identity, network], f"Wi-Fi {facts.ssid}")
    return File(f"{facts.stem}.mobileconfig", sign(encoded(document)), SECRET)


def authorities(facts: KitFacts) -> list[Payload]:
    """The root first, then intermediates as plain certificates."""
    found = [
        _payload(facts, "com.apple.security.root", "root", facts.root_name)
        | {"PayloadCertificateFileName": f"{facts.ca_stem}.cer", "PayloadContent": facts.root}
    ]
    for number, der in enumerate(facts.intermediates, 1):
        what = f"intermediate-{number}"
        found.append(
            _payload(facts, "com.apple.security.pkcs1", what, f"{facts.ca_name} {what}")
            | {"PayloadCertificateFileName": f"{what}.cer", "PayloadContent": der}
        )
    return found


def profile(facts: KitFacts, payloads: list[Payload], title: str) -> Payload:
    """The outer dictionary (TopLevel.yaml)."""
    return {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": _identifier(facts),
        "PayloadUUID": facts.uuid("profile"),
        "PayloadDisplayName": visible(title),
        "PayloadDescription": visible(f"Made by homeca for {facts.name}"),
        "PayloadOrganization": visible(facts.ca_name),
        "PayloadContent": payloads,
    }


def encoded(document: Payload) -> bytes:
    """XML property list; plistlib escapes every text."""
    return plistlib.dumps(document, sort_keys=True)


def certificate_type(key: KeyFacts) -> str:
    """CertificateType of an IKEv2 payload. Raises: KitRefused for Ed25519."""
    if key.modulus_bits is not None:
        return "RSA"
    found = _CERTIFICATE_TYPES.get(key.curve_oid)
    if found is None:
        raise KitRefused(
            "Apple's IKEv2 takes RSA, P-256, P-384 and P-521, and this key is none of them",
            remedy="make an ec-p256 key on the device's behalf, and sign its request",
        )
    return found


def _identity(facts: KitFacts) -> Payload:
    """The PKCS#12, without its password: a profile is obfuscated, not encrypted (AP6)."""
    return _payload(facts, "com.apple.security.pkcs12", "identity", facts.name) | {
        "PayloadCertificateFileName": f"{facts.stem}.p12",
        "PayloadContent": facts.pkcs12,
    }


def _ikev2(facts: KitFacts, identity: str) -> Payload:
    server = facts.servers[0]
    return _payload(facts, "com.apple.vpn.managed", "vpn", f"{facts.ca_name} VPN") | {
        "UserDefinedName": visible(f"{facts.ca_name} VPN"),
        "VPNType": "IKEv2",
        "IKEv2": {
            "RemoteAddress": server.host,
            "RemoteIdentifier": server.host,
            "LocalIdentifier": facts.identity,
            "AuthenticationMethod": "Certificate",
            "CertificateType": certificate_type(read_certificate(facts.leaf).tbs.key),
            "PayloadCertificateUUID": identity,
            # the root: a gateway may not answer when an intermediate is asked for (AP5)
            "ServerCertificateIssuerCommonName": facts.root_name,
            "ServerCertificateCommonName": server.host,
            "EnablePFS": 1,
            "IKESecurityAssociationParameters": {**_STRONG, "DiffieHellmanGroup": 20},
            "ChildSecurityAssociationParameters": {**_STRONG, "DiffieHellmanGroup": 20},
        },
    }


def _payload(facts: KitFacts, kind: str, what: str, title: str) -> Payload:
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_identifier(facts)}.{what}",
        "PayloadUUID": facts.uuid(what),
        "PayloadDisplayName": visible(title),
    }


def _identifier(facts: KitFacts) -> str:
    """Reverse-DNS style, its own for each CA, device and purpose: a newer one replaces it."""
    own = facts.fingerprint.replace(":", "")[:16].lower()
    device = "root" if facts.kind == "trust" else facts.stem.lower()
    return f"homeca.{own}.{facts.kind}.{device}"
