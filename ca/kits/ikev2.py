"""Kits for IKEv2: strongSwan on Linux, and Windows' own client."""

from __future__ import annotations

from collections.abc import Iterator

from ca.errors import KitRefused
from ca.kits.facts import File, KitFacts, Sign
from ca.kits.windows import request_files
from ca.kits.writing import numbered, pem_file, powershell_file, text_file


def strongswan(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """What goes below /etc/swanctl; the key is there already, in a file or in the TPM."""
    yield from _below_etc(facts, "strongswan-linux/swanctl.conf")


def gateway(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """The same for the far end, and its revocation lists: DER, for of a PEM file charon reads
    the first alone.
    """
    yield from _below_etc(facts, "strongswan-server/swanctl.conf")
    for file, der in numbered(facts.crls, facts.ca_stem, ".crl"):
        yield File(f"swanctl/x509crl/{file}", der)


def _below_etc(facts: KitFacts, template: str) -> Iterator[File]:
    yield text_file(
        f"swanctl/conf.d/{facts.ca_stem}.conf",
        template,
        facts,
        identity=facts.identity,
        more_identities=tuple((str(n), one) for n, one in enumerate(facts.identities[1:], 2)),
    )
    yield pem_file(f"swanctl/x509/{facts.stem}.crt", [facts.leaf])
    yield pem_file(f"swanctl/x509ca/{facts.ca_stem}-root.crt", [facts.root])
    for file, der in numbered(facts.intermediates, f"{facts.ca_stem}-intermediate", ".crt"):
        yield pem_file(f"swanctl/x509ca/{file}", [der])


def windows(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """As for OpenVPN's key in the TPM, and the connection (WI6)."""
    if not facts.machine:
        raise KitRefused(
            "Windows' IKEv2 takes machine certificates only",
            remedy="leave --user out",
        )
    yield from request_files(facts)
    yield powershell_file("3-connect.ps1", "windows/3-connect.ps1", facts)
