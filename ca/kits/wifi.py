"""Wi-Fi by EAP-TLS: wpa_supplicant, NetworkManager, Apple, Android, and its server (WF1, AN3)."""

from __future__ import annotations

from collections.abc import Iterator

from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import KitRefused
from ca.kits import apple
from ca.kits.facts import File, KitFacts, Sign
from ca.kits.writing import SECRET, pem_file, text_file
from ca.names.showing import visible

MAX_SSID = 32


def kit(facts: KitFacts, sign: Sign) -> Iterator[File]:
    """Raises: KitRefused without an SSID, or with a RADIUS server that has no name."""
    if not 1 <= len(facts.ssid.encode()) <= MAX_SSID or visible(facts.ssid) != facts.ssid:
        raise KitRefused(
            f"a Wi-Fi's name has 1 to {MAX_SSID} octets and nothing hidden in it",
            remedy="add --ssid NAME, as the access point has it",
        )
    for server in facts.servers:
        if server.is_address:
            raise KitRefused(
                f"a RADIUS server is known by a host name, not by the address {server.host!r}",
                remedy="give the host name of its certificate with --server",
            )
    connection = {"uuid": facts.uuid("nm").lower()}
    yield text_file("wpa_supplicant.conf", "wifi/wpa_supplicant.conf", facts)
    yield text_file(
        f"{facts.stem}.nmconnection", "wifi/nmconnection", facts, mode=SECRET, **connection
    )
    yield pem_file(f"{facts.ca_stem}-root.pem", [facts.root])
    yield pem_file(f"{facts.stem}.crt", [facts.leaf, *facts.intermediates[:1]])
    if facts.pkcs12 is not None:
        yield File(f"{facts.stem}.p12", facts.pkcs12, SECRET)
        yield apple.wifi(facts, sign)


def server(facts: KitFacts, _sign: Sign) -> Iterator[File]:
    """For FreeRADIUS or hostapd. Both read trust and revocation from one file.

    The intermediates are in it because phones send none. FreeRADIUS takes them for anchors then,
    and finds no list for an anchor (3.2.1), so only the device's own is asked for. What a revoked
    intermediate has signed stays out all the same: that issuer's list is not in the file.
    """
    yield text_file("eap", "wifi-server/eap", facts)
    yield text_file("hostapd.conf", "wifi-server/hostapd.conf", facts)
    yield text_file("eap_user", "wifi-server/eap_user", facts)
    trusted = pem_file("ca.pem", [facts.root, *facts.intermediates])
    issuers = {read_certificate(der).tbs.subject.der for der in (facts.root, *facts.intermediates)}
    lists = [der for der in facts.crls if read_crl(der).tbs.issuer.der in issuers]
    revoked = pem_file("ca.pem", lists, label="X509 CRL")
    yield File("ca.pem", trusted.octets + revoked.octets)
    yield pem_file(f"{facts.stem}.crt", [facts.leaf, *facts.intermediates[:1]])
