"""A whole CA for verifiers to judge: issuers, a certificate of every profile, a revoked one, CRLs.

Made once by the installed program and never changed after; whoever wants to change something
copies the file first.
"""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.interop.homeca import CHECKOUT, Homeca
from tests.interop.programs import must

WINDOWS_REQUEST = (
    CHECKOUT / "tests/vectors/requests/real/windows-11-certreq-platform-provider-p384.csr"
)

CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A certificate of a device, and what a verifier must find it good for.

    key:  what `openssl req -newkey` takes, with its -pkeyopt; () for the Windows request.
    host: a name it answers to; "" for a client that is looked at by its common name.
    eku:  the one purpose it has; `other_eku` is one it has not.
    """

    stem: str
    profile: str
    eku: str
    key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    subject: str = ""
    san: str = ""
    host: str = ""

    @property
    def other_eku(self) -> str:
        return SERVER_AUTH if self.eku == CLIENT_AUTH else CLIENT_AUTH


_P384 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-384")
_RSA = ("rsa:2048",)

#: At least one of every profile that `homeca sign` knows; `test_profiles_are_all_judged` counts.
KINDS = (
    Kind(
        stem="alice-phone",
        profile="vpn-client",
        eku=CLIENT_AUTH,
        subject="/CN=alice-phone.home.arpa",
        san="DNS:alice-phone.home.arpa,email:alice@home.arpa",
        host="alice-phone.home.arpa",
    ),
    Kind(stem="windows", profile="vpn-client", eku=CLIENT_AUTH, key=()),
    Kind(
        stem="vpn",
        profile="vpn-server",
        eku=SERVER_AUTH,
        subject="/CN=vpn.home.arpa",
        san="DNS:vpn.home.arpa,IP:192.168.1.1",
        host="vpn.home.arpa",
    ),
    Kind(
        stem="nas",
        profile="tls-server",
        eku=SERVER_AUTH,
        key=_P384,
        subject="/CN=nas.home.arpa",
        san="DNS:nas.home.arpa,DNS:*.nas.home.arpa,IP:192.168.1.10,IP:fd00::10",
        host="nas.home.arpa",
    ),
    Kind(
        stem="printer",
        profile="tls-server",
        eku=SERVER_AUTH,
        key=_RSA,
        subject="/CN=printer.home.arpa",
        san="DNS:printer.home.arpa",
        host="printer.home.arpa",
    ),
    Kind(
        stem="backup",
        profile="tls-client",
        eku=CLIENT_AUTH,
        subject="/CN=backup.home.arpa",
        san="DNS:backup.home.arpa",
        host="backup.home.arpa",
    ),
)

#: Two more of vpn-client: one that is revoked, for keyCompromise.
LOST = Kind(
    stem="lost-phone",
    profile="vpn-client",
    eku=CLIENT_AUTH,
    subject="/CN=lost-phone.home.arpa",
    san="DNS:lost-phone.home.arpa",
    host="lost-phone.home.arpa",
)

#: How the issuers are made: everything a home would want, and nothing of it.
CONSTRAINED = "constrained"
PLAIN = "plain"
_BASE_URL = "http://ca.home.arpa"
_ROOT = {
    CONSTRAINED: (
        *("--key", "ec-p384", "--base-url", _BASE_URL, "--permit-dns", "home.arpa"),
        *("--permit-ip", "192.168.0.0/16", "--permit-ip", "fd00::/8"),
    ),
    PLAIN: ("--key", "rsa-2048"),
}
_INTERMEDIATE = {
    CONSTRAINED: ("--key", "ec-p256", "--base-url", _BASE_URL),
    PLAIN: ("--key", "rsa-2048"),
}


@dataclass(frozen=True, slots=True)
class World:
    """Where everything lies. Certificates and CRLs are PEM; a chain has its leaf first."""

    path: Path
    flavour: str

    @property
    def homeca(self) -> Homeca:
        return Homeca(self.path / "home")

    @property
    def root(self) -> Path:
        return self.path / "home/certs/root.pem"

    @property
    def intermediate(self) -> Path:
        return self.path / "home/certs/intermediate-1.pem"

    @property
    def root_crl(self) -> Path:
        return self.path / "home/crl/root.crl.pem"

    @property
    def intermediate_crl(self) -> Path:
        return self.path / "home/crl/intermediate-1.crl.pem"

    @property
    def crls(self) -> Path:
        """Both, joined as OpenVPN wants them."""
        return self.path / "crls.pem"

    def chain(self, kind: Kind) -> Path:
        """What `homeca sign` wrote: the leaf and its intermediate."""
        return self.path / f"{kind.stem}.crt"

    def leaf(self, kind: Kind) -> Path:
        """The leaf alone."""
        return self.path / f"{kind.stem}.leaf.pem"

    def key(self, kind: Kind) -> Path:
        return self.path / f"{kind.stem}.key"


def build(path: Path, flavour: str) -> World:
    """Make it, with the commands a newcomer types."""
    world = World(path, flavour)
    path.mkdir()
    homeca = world.homeca
    homeca.must("init-root", "--name", f"Smith {flavour}", *_ROOT[flavour])
    homeca.must("init-intermediate", *_INTERMEDIATE[flavour])
    everyone = (*KINDS, LOST)
    for kind in everyone:
        make_request(kind, path)
    for profile in sorted({kind.profile for kind in everyone}):
        requests = [f"{kind.stem}.csr" for kind in everyone if kind.profile == profile]
        homeca.must("sign", *requests, "--profile", profile, cwd=path)
    for kind in everyone:
        first = blocks(world.chain(kind))[0]
        world.leaf(kind).write_text(first)
    homeca.must("revoke", world.chain(LOST), "--reason", "keyCompromise")
    homeca.must("crl")
    world.crls.write_text(world.root_crl.read_text() + world.intermediate_crl.read_text())
    return world


def make_request(kind: Kind, into: Path) -> None:
    """stem.key and stem.csr, by openssl; the Windows request is the real one."""
    if not kind.key:
        shutil.copy(WINDOWS_REQUEST, into / f"{kind.stem}.csr")
        return
    must(
        *("openssl", "req", "-new", "-noenc", "-newkey", *kind.key),
        *("-keyout", f"{kind.stem}.key", "-out", f"{kind.stem}.csr"),
        *("-subj", kind.subject, "-addext", f"subjectAltName={kind.san}"),
        cwd=into,
    )


# ---------------------------------------------------------------- PEM, and spoiling it

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n(.+?)-----END \1-----\n", re.DOTALL)


def blocks(path: Path) -> list[str]:
    """The PEM blocks of a file, each as text."""
    return [found[0] for found in _BLOCK.finditer(path.read_text())]


def der_of(path: Path) -> bytes:
    """The octets of the first PEM block."""
    found = _BLOCK.search(path.read_text())
    assert found is not None
    return base64.b64decode(found[2])


def tampered(path: Path, into: Path) -> Path:
    """A copy whose first block has one bit of its signature changed; it stays good DER.

    The last octet of a certificate or CRL is the last of its signature.
    """
    label, *rest = _BLOCK.findall(path.read_text())[0][0], *blocks(path)[1:]
    octets = bytearray(der_of(path))
    octets[-1] ^= 1
    spoilt = into / f"tampered-{path.name}"
    spoilt.write_text(pem(label, bytes(octets)) + "".join(rest))
    return spoilt


def pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
