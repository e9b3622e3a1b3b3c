"""A path is judged as RFC 5280 §6.1 has it: each reason against one, beside a path without it.

OpenSSL is asked about each path as well, from the same octets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ca.encoding.inspect import read_certificate
from ca.services.verification.path import judge_path
from tests.interop.programs import require, run

NOW = datetime.now(UTC).replace(microsecond=0)
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])


def usage(*allowed: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in allowed for name in names})


def is_ca(path_length: int | None = None) -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=True, path_length=path_length)


def dns(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def address(text: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.IPAddress(ip_address(text))])


def permitted(*trees: str, networks: Sequence[str] = ()) -> x509.NameConstraints:
    names: list[x509.GeneralName] = [x509.DNSName(tree) for tree in trees]
    names += [x509.IPAddress(ip_network(network)) for network in networks]
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)


def excluded(*trees: str) -> x509.NameConstraints:
    names = [x509.DNSName(tree) for tree in trees]
    return x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=names)


#: An extension of nobody's; and one network whose mask has a gap.
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
GAPPED = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("2.5.29.30"),
    bytes.fromhex("300ea00c300a8708c0a80000ff00ff00"),
)

CA_BASE: tuple[x509.ExtensionType, ...] = (is_ca(), usage("key_cert_sign", "crl_sign"))
LEAF_BASE: tuple[x509.ExtensionType, ...] = (
    dns("nas.home.arpa"), usage("digital_signature"), SERVER,
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One certificate of a path: what it has beside, or in the place of, what it has by nature.

    without: kinds of extensions that are left out.
    """

    extensions: tuple[x509.ExtensionType, ...] = ()
    without: tuple[type[x509.ExtensionType], ...] = ()
    name: str | None = None

    def all(self, base: tuple[x509.ExtensionType, ...]) -> list[x509.ExtensionType]:
        own = {extension.oid for extension in self.extensions}
        left = {kind.oid for kind in self.without}
        return [*self.extensions, *(one for one in base if one.oid not in own | left)]


def step(
    *extensions: x509.ExtensionType,
    without: tuple[type[x509.ExtensionType], ...] = (),
    name: str | None = None,
) -> Step:
    return Step(extensions, without, name)


@dataclass(frozen=True)
class Chain:
    """Root, intermediates from the top down, leaf. says: what is against it, () for nothing.

    openssl: whether OpenSSL takes it; by itself that follows from `says`.
    """

    says: tuple[str, ...] = ()
    root: Step = field(default_factory=Step)
    below: tuple[Step, ...] = (Step(),)
    leaf: Step = field(default_factory=Step)
    purpose: str | None = "server"
    openssl: bool | None = None


CHAINS = {
    "good": Chain(),
    # basicConstraints, §6.1.4 (l), (m)
    "one CA below a root that may have one": Chain(root=step(is_ca(1))),
    "a leaf below a CA that may have none": Chain(below=(step(is_ca(0)),)),
    "one CA below a root that may have none": Chain(("ca.path-length",), root=step(is_ca(0))),
    "two CAs below a root that may have one": Chain(
        ("ca.path-length",), root=step(is_ca(1)), below=(step(), step())
    ),
    "a CA below an intermediate that may have none": Chain(
        ("ca.path-length",), below=(step(is_ca(0)), step())
    ),
    "an intermediate that is no CA": Chain(
        ("ca.not-a-ca",), below=(step(x509.BasicConstraints(False, None)),)
    ),
    "an intermediate that may not sign certificates": Chain(
        ("ca.key-usage",), below=(step(usage("crl_sign")),)
    ),
    "an intermediate without keyUsage": Chain(below=(step(without=(x509.KeyUsage,)),)),
    # name constraints, §4.2.1.10
    "a name inside": Chain(root=step(permitted("home.arpa"))),
    "a name outside": Chain(
        ("names.outside",), root=step(permitted("home.arpa")), leaf=step(dns("bank.example"))
    ),
    "a name that only ends as the tree does": Chain(
        ("names.outside",), root=step(permitted("home.arpa")), leaf=step(dns("nothome.arpa"))
    ),
    "one of two names outside": Chain(
        ("names.outside",),
        root=step(permitted("home.arpa")),
        leaf=step(dns("nas.home.arpa", "bank.example")),
    ),
    "a name outside what the intermediate may certify": Chain(
        ("names.outside",), below=(step(permitted("lan")),)
    ),
    "a name in an excluded tree": Chain(("names.outside",), root=step(excluded("nas.home.arpa"))),
    "an address inside": Chain(
        root=step(permitted(networks=["192.168.0.0/16"])),
        leaf=step(address("192.168.1.10"), name="nas"),
    ),
    "an address outside": Chain(
        ("names.outside",),
        root=step(permitted(networks=["192.168.0.0/16"])),
        leaf=step(address("203.0.113.7"), name="nas"),
    ),
    "a name outside in a leaf that is called as its signer is": Chain(
        ("names.outside",),
        root=step(permitted("home.arpa")),
        leaf=step(dns("bank.example"), name="CA 1"),
    ),
    "constraints with a gap in a mask": Chain(
        ("names.constraints-unreadable",) * 2, root=step(GAPPED), leaf=step(address("192.168.1.1"))
    ),
    # the commonName where no DNS name stands beside it
    "a common name outside": Chain(
        ("names.common-name",),
        root=step(permitted("home.arpa")),
        leaf=step(address("192.168.1.10"), name="bank.example"),
    ),
    "a common name inside": Chain(
        root=step(permitted("home.arpa")),
        leaf=step(address("192.168.1.10"), name="nas.home.arpa"),
    ),
    "a common name without a dot": Chain(
        root=step(permitted("home.arpa")), leaf=step(address("192.168.1.10"), name="alice")
    ),
    "a common name outside, a DNS name beside it": Chain(
        root=step(permitted("home.arpa")), leaf=step(name="bank.example")
    ),
    "the common name of a CA": Chain(
        root=step(permitted("home.arpa")), below=(step(name="ca.bank.example"),)
    ),
    # purposes
    "a server asked for as a client": Chain(("purpose.missing",), purpose="client"),
    "nobody asks for a purpose": Chain(leaf=step(CLIENT, usage("key_encipherment")), purpose=None),
    # for OpenSSL it is good for all; homeca issues none, and strict clients take none
    "a leaf without extendedKeyUsage": Chain(
        ("purpose.missing",), leaf=step(without=(x509.ExtendedKeyUsage,)), openssl=True
    ),
    "a leaf without keyUsage": Chain(leaf=step(without=(x509.KeyUsage,))),
    "a leaf that may not sign": Chain(
        ("purpose.key-usage",),
        leaf=step(CLIENT, usage("key_cert_sign")),
        purpose="client",
    ),
    "an intermediate for the purpose": Chain(below=(step(SERVER),)),
    # RFC 5280 §4.2.1.12 leaves it to the application; OpenSSL wants the purpose itself of a CA
    "an intermediate for any purpose": Chain(below=(step(ANY),), openssl=False),
    "an intermediate for another purpose": Chain(("purpose.missing",), below=(step(CLIENT),)),
    # extensions, §4.2
    "a critical extension of nobody's on the leaf": Chain(
        ("extension.unknown-critical",), leaf=step(UNKNOWN)
    ),
    "a critical extension of nobody's on an intermediate": Chain(
        ("extension.unknown-critical",), below=(step(UNKNOWN),)
    ),
}


@cache
def _key(depth: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificates(chain: Chain) -> list[x509.Certificate]:
    """The leaf first, as it is judged."""
    steps = [chain.root, *chain.below, chain.leaf]
    made: list[x509.Certificate] = []
    for depth, one in enumerate(steps):
        is_leaf = depth == len(steps) - 1
        base = LEAF_BASE if is_leaf else CA_BASE
        subject = x509.Name(
            [
                x509.NameAttribute(
                    NameOID.COMMON_NAME, one.name or ("leaf" if is_leaf else f"CA {depth}")
                )
            ]
        )
        above = made[0] if made else None
        signer = _key(max(depth - 1, 0))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(above.subject if above is not None else subject)
            .public_key(_key(depth).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(hours=1))
            .not_valid_after(NOW + timedelta(days=1))
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(_key(depth).public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        for extension in one.all(base):
            is_critical = not isinstance(
                extension, x509.SubjectAlternativeName | x509.ExtendedKeyUsage
            )
            builder = builder.add_extension(extension, critical=is_critical)
        made.insert(0, builder.sign(signer, hashes.SHA256()))
    return made


@pytest.mark.parametrize("what", CHAINS)
def test_what_is_against_a_path_is_named_and_nothing_else(what: str) -> None:
    chain = CHAINS[what]
    path = [
        read_certificate(one.public_bytes(Encoding.DER), tolerant=True)
        for one in certificates(chain)
    ]

    found = tuple(one.rule for one in judge_path(path, at=NOW, purpose=chain.purpose))

    assert found == chain.says


@pytest.mark.parametrize("what", CHAINS)
def test_openssl_takes_a_path_that_has_nothing_against_it_and_no_other(
    what: str, tmp_path: Path
) -> None:
    require("openssl")
    chain = CHAINS[what]
    leaf, *between, root = (one.public_bytes(Encoding.PEM) for one in certificates(chain))
    (tmp_path / "leaf").write_bytes(leaf)
    (tmp_path / "between").write_bytes(b"".join(between))
    (tmp_path / "root").write_bytes(root)
    purpose = {"server": "sslserver", "client": "sslclient", None: "any"}[chain.purpose]

    done = run(
        "openssl", "verify", "-no-CAfile", "-no-CApath", "-purpose", purpose,
        "-trusted", tmp_path / "root", "-untrusted", tmp_path / "between", tmp_path / "leaf",
    )  # fmt: skip

    expected = chain.openssl if chain.openssl is not None else not chain.says
    assert (done.returncode == 0) is expected, done.stderr
