"""What a kit is made of: certificates and names, read from them, and what the person said."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from functools import cached_property
from typing import Any

from msgspec import Struct

from ca.encoding import tlv
from ca.encoding.containers import fingerprint
from ca.encoding.facts import TbsFacts
from ca.encoding.inspect import read_certificate
from ca.errors import EncodingError, KitRefused
from ca.kits.kinds import KINDS, Kind
from ca.kits.quoting import file_stem
from ca.names.distinguished import COMMON_NAME
from ca.names.general import DNSName, EmailName, IPName, UPNName
from ca.names.showing import visible

#: CertificateTemplate (MS-WCCE), and the one that the profile vpn-client-windows writes.
TEMPLATE_EXTENSION = "1.3.6.1.4.1.311.21.7"
WINDOWS_TEMPLATE = "1.3.6.1.4.1.311.21.8.8950221.11397121.10782115.9662566.9358319.1"

#: Puts the CA's signature on an Apple profile: plist octets to DER of CMS.
Sign = Callable[[bytes], bytes]


class Server(Struct, frozen=True):
    """A host that devices dial.

    host:        DNS name or address, as dialled. common_name: of its certificate.
    is_address:  the host is an address.
    """

    host: str
    common_name: str
    is_address: bool = False


class File(Struct, frozen=True):
    """One file of a kit. name: relative, with "/". mode: it is made with."""

    name: str
    octets: bytes
    mode: int = 0o644


class Kit(Struct, frozen=True, kw_only=True):
    """Everything that goes into the folder. warnings: sentences, also in its README."""

    kind: str
    stem: str
    files: tuple[File, ...]
    warnings: tuple[str, ...] = ()


class KitFacts(Struct, frozen=True, kw_only=True, dict=True):
    """All that templates and builders may know.

    name:          of the device, as people say it.
    root:          DER. intermediates: DER, every one that is alive, the device's issuer first.
    certificate:   the device's, DER; None: not issued yet.
    crls:          DER, one for each issuer whose key is in this home.
    servers:       hosts to dial, in order. port, proto: for OpenVPN.
    ssid:          name of the Wi-Fi. machine: on Windows the key belongs to the machine.
    key:           kind of the key a request is made for: "ec-p256", "ec-p384".
    url:           where the root can be fetched, None: nowhere.
    pkcs12:        DER PFX, when the person gave the key.
    warnings:      what the service has to say.
    """

    kind: str
    name: str
    root: bytes
    intermediates: tuple[bytes, ...] = ()
    certificate: bytes | None = None
    crls: tuple[bytes, ...] = ()
    servers: tuple[Server, ...] = ()
    port: int = 1194
    proto: str = "udp"
    ssid: str = ""
    machine: bool = True
    key: str = "ec-p256"
    url: str | None = None
    pkcs12: bytes | None = None
    warnings: tuple[str, ...] = ()

    @property
    def about(self) -> Kind:
        return KINDS[self.kind]

    @cached_property
    def root_tbs(self) -> TbsFacts:
        return read_certificate(self.root).tbs

    @cached_property
    def tbs(self) -> TbsFacts | None:
        """Of the device's certificate."""
        return read_certificate(self.certificate).tbs if self.certificate is not None else None

    @property
    def leaf(self) -> bytes:
        """The device's certificate, DER. Raises: KitRefused while there is none."""
        if self.certificate is None:
            raise KitRefused(
                f"no certificate has been issued to {visible(self.name)!r} yet",
                remedy=f"sign its request with --profile {self.about.profile} first",
            )
        return self.certificate

    @property
    def root_name(self) -> str:
        """The root's common name. Raises: KitRefused."""
        names = self.root_tbs.subject.values(COMMON_NAME)
        if not names:
            raise KitRefused(
                "the root has no common name, which devices show and ask for",
                remedy="make another root: `homeca init-root --name NAME` in a new home",
            )
        return names[0]

    @property
    def ca_name(self) -> str:
        """How people call this CA: the organisation of the root, else its common name."""
        found = self.root_tbs.subject.values("2.5.4.10")
        return found[0] if found and found[0].strip() else self.root_name

    @property
    def stem(self) -> str:
        """File names of the device are made of it."""
        return file_stem(self.name)

    @property
    def ca_stem(self) -> str:
        return file_stem(self.ca_name).lower()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root, as people compare it."""
        return fingerprint(self.root)

    @property
    def identity(self) -> str:
        """The IKE identity: a name of subjectAltName (SS3). Raises: KitRefused."""
        return self.identities[0]

    @property
    def identities(self) -> tuple[str, ...]:
        """All that it could be, the most usual first. Raises: KitRefused when there is none."""
        tbs = self.tbs
        names = tbs.names if tbs is not None else ()
        found = tuple(
            str(name).partition(":")[2]
            for kind in (DNSName, EmailName, UPNName, IPName)
            for name in names
            if isinstance(name, kind) and "*" not in str(name)
        )
        if found:
            return found
        raise KitRefused(
            f"the certificate of {visible(self.name)!r} has no name in subjectAltName, "
            "by which an IKEv2 peer knows it",
            remedy="sign its request again with --san DNS:NAME",
        )

    @property
    def login(self) -> str:
        """The outer identity of EAP: a name of the certificate, else how the device is called."""
        try:
            return self.identity
        except KitRefused:
            return self.name

    @property
    def template(self) -> str | None:
        """The template OID that cryptoapicert can look for, if the certificate names one."""
        if self.tbs is None:
            return WINDOWS_TEMPLATE
        extension = self.tbs.extension(TEMPLATE_EXTENSION)
        return read_template(extension.value) if extension is not None else None

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate, as Windows names it; "" before there is one."""
        if self.certificate is None:
            return ""
        return hashlib.sha1(self.certificate, usedforsecurity=False).hexdigest()

    def uuid(self, what: str) -> str:
        """The same for the same CA, device and purpose: a newer profile replaces the older."""
        name = f"{self.fingerprint}/{self.kind}/{self.name}/{what}"
        return str(uuid.uuid5(uuid.NAMESPACE_OID, name)).upper()

    def values(self) -> dict[str, Any]:
        """What a template sees."""
        return {
            "ca_name": self.ca_name,
            "ca_stem": self.ca_stem,
            "root": self.root,
            "root_name": self.root_name,
            "root_sha256": hashlib.sha256(self.root).hexdigest().upper(),
            "fingerprint": (self.fingerprint[:47], self.fingerprint[48:]),
            "intermediates": self.intermediates,
            "certificate": self.certificate,
            "kind": self.kind,
            "title": self.about.title,
            "profile": self.about.profile,
            "name": self.name,
            "stem": self.stem,
            "servers": self.servers,
            "hosts": tuple(server.host for server in self.servers),
            "server": self.servers[0] if self.servers else None,
            "port": self.port,
            "proto": self.proto,
            "ssid": self.ssid,
            "login": self.login,
            "machine": self.machine,
            "key": self.key,
            "url": self.url,
            "pkcs12": self.pkcs12 is not None,
            "template": self.template,
            "thumbprint": self.thumbprint,
            "warnings": self.warnings,
        }


def read_template(value: bytes) -> str | None:
    """templateID of a CertificateTemplate extension; None when it is none (MS-WCCE)."""
    try:
        tag, content = next(tlv.elements(tlv.read_only(value, tlv.SEQUENCE)))
        return tlv.read_oid(content) if tag == tlv.OID else None
    except (EncodingError, StopIteration):
        return None
