"""Which consumers there are, and what each demands that no certificate can show.

Profiles and `homeca lint --for` use these words. A word with no rules of its own is known too:
it says that RFC 5280 is enough for that consumer.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from msgspec import Struct

from ca.errors import UsageError
from ca.names.showing import visible

OPENVPN, WINDOWS, STRONGSWAN, APPLE = "openvpn", "windows", "strongswan", "apple"
ANDROID, WIFI, CHROME, PYTHON = "android", "wifi", "chrome", "python"

#: Words people use -> the consumer whose rules are meant; "": no rules beyond RFC 5280.
WORDS: dict[str, str] = {
    **{word: word for word in (OPENVPN, WINDOWS, STRONGSWAN, APPLE)},
    **{word: word for word in (ANDROID, WIFI, CHROME, PYTHON)},
    **dict.fromkeys(("iphone", "ipad", "ios", "mac", "macos", "safari"), APPLE),
    **dict.fromkeys(("radius", "freeradius", "eap-tls", "wpa"), WIFI),
    **dict.fromkeys(("chromium", "edge"), CHROME),
    **dict.fromkeys(("schannel", "iis"), WINDOWS),
    **dict.fromkeys(("ikev2", "ipsec"), STRONGSWAN),
    **dict.fromkeys(("firefox", "openssl", "curl", "nginx", "apache", "caddy", "linux"), ""),
    **dict.fromkeys(("gnutls", "java", "go", "node", "nss", "thunderbird", "browser"), ""),
    **dict.fromkeys(("browsers", "email", "homeca", "ocsp", "tsa", "codesigning"), ""),
}


@lru_cache(maxsize=256)
def canonical(words: tuple[str, ...]) -> frozenset[str]:
    """The consumers whose rules are asked for. Raises: UsageError for a word nobody knows."""
    found = set()
    for word in words:
        key = word.strip().lower()
        if key not in WORDS:
            near = get_close_matches(key, WORDS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"nobody knows the consumer {visible(word)!r}",
                remedy=f"{hint}use one of: {', '.join(sorted(WORDS))}",
            )
        found.add(WORDS[key])
    return frozenset(found - {""})


class NotShown(Struct, frozen=True):
    """A rule of `client-rules` that no certificate or CRL can break, and where it is kept."""

    id: str
    rule: str
    why: str


#: What lint cannot see, so that no id is missing in silence.
NOT_SHOWN: tuple[NotShown, ...] = (
    NotShown("OV6", "crl-verify reads PEM, several CRLs in one file", "is about the file"),
    NotShown("OV8", "crl-verify DIR names files by decimal serial", "is about file names"),
    NotShown("OV11", "the certificate goes to the store its key is in", "is about Windows' stores"),
    NotShown("WI1", "the INF of certreq", "is about the request's maker"),
    NotShown("WI2", "NEW CERTIFICATE REQUEST, BOM, UTF-16", "is about the request's file"),
    NotShown("WI3", "attributes and SKI that certreq sends", "is about the request"),
    NotShown("WI4", "key attestation of MS-WCCE", "is about the request"),
    NotShown("SS4", ".sswan and PKCS#12 for Android", "is about the kit"),
    NotShown("AP2", "398 days do not bind private roots", "is a permission"),
    NotShown("AP4", "keys of the VPN payload", "is about the kit"),
    NotShown("AP5", "ServerCertificateIssuerCommonName", "is about the kit"),
    NotShown("AP6", "PKCS#12 payload, legacy encryption", "is about the kit"),
    NotShown("AP7", "full trust must be switched on by hand", "is about the phone"),
    NotShown("AP8", "Secure Enclave keys by ACME payload", "is about the kit"),
    NotShown("AN1", "apps ignore user CAs from API 24", "is about the app"),
    NotShown("AN2", "a CA is added by hand from Android 11", "is about the phone"),
    NotShown("FF1", "Firefox trusts the OS's added roots, not on Linux", "is about the browser"),
)
