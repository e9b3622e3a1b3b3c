"""What Windows needs to make a key in its TPM and to take the certificate: certreq's side (d.2)."""

from __future__ import annotations

from collections.abc import Iterator

from ca.algorithms import KEY_KINDS
from ca.errors import KitRefused
from ca.kits.asking import alternative_name, require_plain
from ca.kits.facts import File, KitFacts
from ca.kits.writing import inf_file, numbered, powershell_file

#: Windows' name, bits and digest of the keys a TPM and every client take (OV12, WI6).
ALGORITHMS = {
    "ec-p256": ("ECDSA_P256", 256, "SHA256"),
    "ec-p384": ("ECDSA_P384", 384, "SHA384"),
}


def request_files(facts: KitFacts) -> Iterator[File]:
    """request.inf, the two scripts around certreq, and the certificates they import.

    Raises: KitRefused for a name or kind of key that such a request cannot have.
    """
    if facts.key not in ALGORITHMS:
        raise KitRefused(
            f"a key of kind {facts.key!r} is not for a TPM under Windows",
            remedy=f"choose --key {' or '.join(ALGORITHMS)}"
            if facts.key in KEY_KINDS
            else "choose --key ec-p256",
        )
    algorithm, bits, digest = ALGORITHMS[facts.key]
    name = require_plain(facts.name)
    label, _, value = alternative_name(name).partition(":")
    issuers = tuple(numbered(facts.intermediates, "intermediate", ".cer"))
    values = {
        "algorithm": algorithm,
        "bits": bits,
        "digest": digest,
        "alternative": f"{label.lower()}={value}" if value else "",
        "issuer_files": tuple(file for file, _ in issuers),
        "keep_root": facts.kind == "windows-ikev2",
    }
    yield inf_file("request.inf", "windows/request.inf", facts, **values)
    yield powershell_file("1-request.ps1", "windows/1-request.ps1", facts, **values)
    yield powershell_file("2-accept.ps1", "windows/2-accept.ps1", facts, **values)
    yield File("root.cer", facts.root)
    for file, der in issuers:
        yield File(file, der)
    if facts.certificate is not None:
        yield File(f"{facts.stem}.cer", facts.certificate)
