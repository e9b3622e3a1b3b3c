"""Facts to files: one function a kit, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ca.errors import KitRefused
from ca.kits import android, apple, ikev2, openvpn, trust, wifi
from ca.kits.facts import File, Kit, KitFacts, Sign
from ca.kits.kinds import KINDS
from ca.kits.writing import page
from ca.names.showing import visible

Builder = Callable[[KitFacts, Sign], Iterator[File]]

BUILDERS: dict[str, Builder] = {
    "openvpn-windows-tpm": openvpn.windows,
    "openvpn-linux-tpm": openvpn.linux_tpm,
    "openvpn-file": openvpn.key_file,
    "openvpn-server": openvpn.server,
    "strongswan-linux": ikev2.strongswan,
    "strongswan-server": ikev2.gateway,
    "windows-ikev2": ikev2.windows,
    "android-strongswan": android.kit,
    "iphone": apple.vpn,
    "mac": apple.vpn,
    "wifi": wifi.kit,
    "wifi-server": wifi.server,
    "trust": trust.kit,
}


def build(facts: KitFacts, sign: Sign) -> Kit:
    """All files of a kit, its README.txt first.

    sign:   asked once for each Apple profile in it.
    Raises: KitRefused for what such a kit cannot be made of.
    """
    _require(facts)
    files = tuple(BUILDERS[facts.kind](facts, sign))
    readme = page(f"{facts.about.page or facts.kind}/README.txt", facts)
    stem = facts.ca_stem if facts.kind == "trust" else facts.stem
    return Kit(
        kind=facts.kind,
        stem=f"{stem}-{facts.kind}",
        files=(readme, *files),
        warnings=facts.warnings,
    )


def _require(facts: KitFacts) -> None:
    about = KINDS[facts.kind]
    if about.dials and not facts.servers:
        raise KitRefused(
            f"a kit for {facts.kind} needs the host that the device reaches",
            remedy="add --server HOST, as its certificate has it",
        )
    if about.pkcs12 == "must" and facts.pkcs12 is None:
        raise KitRefused(
            f"a kit for {facts.kind} needs the device's key: it can make none itself",
            remedy="add --pkcs12 KEYFILE, and delete the key file afterwards",
        )
    if about.pkcs12 == "" and facts.pkcs12 is not None:
        raise KitRefused(
            f"a kit for {facts.kind} takes no key: it is on the device already",
            remedy="leave --pkcs12 out",
        )
    eku = facts.tbs.eku if facts.tbs is not None else None
    if about.purpose and facts.tbs is not None and about.purpose not in (eku or ()):
        raise KitRefused(
            f"the certificate of {visible(facts.name)!r} is not meant for {about.title}: "
            "its extendedKeyUsage lacks the purpose",
            remedy=f"sign the request with --profile {about.profile}",
        )
