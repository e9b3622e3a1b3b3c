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
from tests.interop.kinds import KINDS, LOST, Kind
from tests.interop.programs import must

WINDOWS_REQUEST = (
    CHECKOUT / "tests/vectors/requests/real/windows-11-certreq-platform-provider-p384.csr"
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
    names = ("-addext", f"subjectAltName={kind.san}") if kind.san else ()
    must(
        *("openssl", "req", "-new", "-noenc", "-newkey", *kind.key),
        *("-keyout", f"{kind.stem}.key", "-out", f"{kind.stem}.csr"),
        *("-subj", kind.subject, *names),
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
