"""The root for every system to trust, each in its own way (AP7, AN2, FF1)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from ca.kits import apple
from ca.kits.facts import File, KitFacts, Sign
from ca.kits.writing import SCRIPT, pem_file, powershell_file, text_file


def kit(facts: KitFacts, sign: Sign) -> Iterator[File]:
    """Certificate files, a profile, scripts that check the fingerprint first, and a QR code."""
    yield File(f"{facts.ca_stem}.cer", facts.root)
    yield pem_file(f"{facts.ca_stem}.crt", [facts.root])
    yield apple.root_only(facts, sign)
    yield powershell_file("windows-trust.ps1", "trust/windows-trust.ps1", facts)
    for system in ("debian", "fedora"):
        name = f"{system}-trust.sh"
        yield text_file(name, f"trust/{name}", facts, mode=SCRIPT)
    yield File("firefox-policies.json", firefox_policies(facts))
    if facts.url is not None:
        yield File("root-qr.svg", qr_code(facts.url))


def firefox_policies(facts: KitFacts) -> bytes:
    """Certificates.Install (Firefox enterprise policies): on Linux it trusts no OS store (FF1)."""
    places = [
        f"/usr/local/share/ca-certificates/{facts.ca_stem}.crt",
        f"/etc/pki/ca-trust/source/anchors/{facts.ca_stem}.crt",
    ]
    policy = {"policies": {"Certificates": {"ImportEnterpriseRoots": True, "Install": places}}}
    return json.dumps(policy, indent=2).encode() + b"\n"


def qr_code(url: str) -> bytes:
    """SVG of the URL, with the quiet zone that cameras want (ISO/IEC 18004)."""
    import segno

    picture = io.BytesIO()
    segno.make(url, error="m", micro=False).save(picture, kind="svg", scale=8, border=4)
    return picture.getvalue()
