"""Kits for OpenVPN's community edition, 2.6 and later."""

from __future__ import annotations

from collections.abc import Iterator

from ca.kits.asking import alternative_name, require_plain
from ca.kits.facts import File, KitFacts, Sign
from ca.kits.windows import request_files
from ca.kits.writing import SCRIPT, SECRET, pem_file, text_file

#: Where the client's key is: what its .ovpn says about it.
WINDOWS, TPM, KEY_FILE, PKCS12 = "windows", "tpm", "file", "pkcs12"


def windows(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """Key in the Platform Crypto Provider, found by `cryptoapicert` (OV10, OV11)."""
    yield from request_files(facts)
    yield client(facts, WINDOWS)


def linux_tpm(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """Key made by tpm2-openssl, used through OpenSSL's provider."""
    scripts = {"alternative": alternative_name(require_plain(facts.name))}
    yield text_file("1-request.sh", "openvpn-linux-tpm/1-request.sh", facts, mode=SCRIPT, **scripts)
    yield text_file("2-accept.sh", "openvpn-linux-tpm/2-accept.sh", facts, mode=SCRIPT)
    yield pem_file("root.pem", [facts.root])
    if facts.certificate is not None:
        yield pem_file(f"{facts.stem}.crt", _chain(facts))
    yield client(facts, TPM)


def key_file(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """Key in a file of the device's own, or in a PKCS#12 that the person asked for."""
    if facts.pkcs12 is not None:
        yield File(f"{facts.stem}.p12", facts.pkcs12, SECRET)
        yield client(facts, PKCS12)
    else:
        yield client(facts, KEY_FILE)


def client(facts: KitFacts, place: str) -> File:
    """NAME.ovpn, with every certificate in it that it needs."""
    return text_file(
        f"{facts.stem}.ovpn",
        "openvpn/client.ovpn",
        facts,
        place=place,
        chain=_chain(facts) if facts.certificate is not None else (),
    )


def server(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """server.conf, what it trusts, and the revocation lists it must not be without (OV6, OV7)."""
    yield text_file("server.conf", "openvpn/server.conf", facts)
    yield pem_file("ca.pem", [facts.root, *facts.intermediates])
    yield pem_file(f"{facts.stem}.crt", _chain(facts))
    if facts.crls:
        yield pem_file("crl.pem", facts.crls, label="X509 CRL")


def _chain(facts: KitFacts) -> tuple[bytes, ...]:
    """The device's certificate and its issuer, as TLS sends them."""
    return (facts.leaf, *facts.intermediates[:1])
