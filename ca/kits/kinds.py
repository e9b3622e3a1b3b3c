"""Which kits there are, and what each needs. Values only: the command line loads this early."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from ca.encoding.extensions import CLIENT_AUTH, SERVER_AUTH


class Lists(StrEnum):
    """Which revocation lists a kit holds: a server's must not be without."""

    NONE = ""
    ALL = "all"  # every rung of a ladder, in one file, of which the server picks the valid one
    NEWEST = "newest"  # of each issuer the one in force: the server reads one from a file


class Need(StrEnum):
    """Whether a kit speaks of one certificate."""

    CERTIFICATE = "certificate"  # it must have been issued
    NAME = "name"  # the kit may come first, and help to make the request
    NOTHING = "nothing"  # it is about the root alone


CLIENT, SERVER, NONE = CLIENT_AUTH, SERVER_AUTH, ""


class Kind(Struct, frozen=True, kw_only=True):
    """One kit.

    title:    for people. profile: that its certificate is signed with.
    purpose:  OID of the extended key usage the certificate must have.
    dials:    the device reaches a server, whose host must be known.
    pkcs12:   "" takes none, "may" or "must" be given the device's key as PKCS#12.
    legacy:   that PKCS#12 is for phones, so in their old form unless told otherwise.
    signed:   it holds an Apple profile, which the CA signs.
    lists:    the revocation lists in it. lists_in: the file of the kit that has them.
    consumers: whose lint rules the certificates must please, the server's too.
    tpm:      the device's key is in a TPM (OV12).
    page:     the directory of its README's template, when that is another kit's.
    """

    name: str
    title: str
    profile: str = ""
    purpose: str = NONE
    need: Need = Need.CERTIFICATE
    dials: bool = False
    pkcs12: str = ""
    legacy: bool = False
    signed: bool = False
    lists: Lists = Lists.NONE
    lists_in: str = ""
    consumers: tuple[str, ...] = ()
    tpm: bool = False
    page: str = ""


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="openvpn-windows-tpm",
            title="OpenVPN on Windows, key in its TPM",
            profile="vpn-client-windows",
            purpose=CLIENT,
            need=Need.NAME,
            dials=True,
            consumers=("openvpn", "windows"),
            tpm=True,
        ),
        Kind(
            name="openvpn-linux-tpm",
            title="OpenVPN on Linux, key in its TPM",
            profile="vpn-client",
            purpose=CLIENT,
            need=Need.NAME,
            dials=True,
            consumers=("openvpn",),
            tpm=True,
        ),
        Kind(
            name="openvpn-file",
            title="OpenVPN anywhere, key in a file",
            profile="vpn-client",
            purpose=CLIENT,
            dials=True,
            pkcs12="may",
            consumers=("openvpn",),
        ),
        Kind(
            name="openvpn-server",
            title="OpenVPN server on Linux",
            profile="vpn-server",
            purpose=SERVER,
            lists=Lists.ALL,
            lists_in="crl.pem",
            consumers=("openvpn",),
        ),
        Kind(
            name="strongswan-linux",
            title="IKEv2 with strongSwan on Linux",
            profile="vpn-client",
            purpose=CLIENT,
            dials=True,
            consumers=("strongswan",),
        ),
        Kind(
            name="strongswan-server",
            title="IKEv2 gateway with strongSwan on Linux",
            profile="vpn-server",
            purpose=SERVER,
            lists=Lists.NEWEST,
            lists_in="swanctl/x509crl",
            consumers=("strongswan",),
        ),
        Kind(
            name="android-strongswan",
            title="IKEv2 with the strongSwan app on Android",
            profile="vpn-client",
            purpose=CLIENT,
            dials=True,
            pkcs12="may",
            legacy=True,
            consumers=("strongswan", "android"),
        ),
        Kind(
            name="iphone",
            title="IKEv2 on iPhone and iPad",
            profile="vpn-client",
            purpose=CLIENT,
            dials=True,
            pkcs12="must",
            legacy=True,
            signed=True,
            consumers=("iphone", "strongswan"),
        ),
        Kind(
            name="mac",
            title="IKEv2 on a Mac",
            page="iphone",
            profile="vpn-client",
            purpose=CLIENT,
            dials=True,
            pkcs12="must",
            legacy=True,
            signed=True,
            consumers=("mac", "strongswan"),
        ),
        Kind(
            name="windows-ikev2",
            title="IKEv2 on Windows, key in its TPM",
            profile="vpn-client-windows",
            purpose=CLIENT,
            need=Need.NAME,
            dials=True,
            consumers=("windows", "strongswan"),
            tpm=True,
        ),
        Kind(
            name="wifi",
            title="Wi-Fi by EAP-TLS: Linux, Apple, Android",
            profile="wifi-client",
            purpose=CLIENT,
            dials=True,
            pkcs12="may",
            legacy=True,
            signed=True,
            consumers=("wifi", "android", "iphone"),
        ),
        Kind(
            name="wifi-server",
            title="RADIUS server of a Wi-Fi: FreeRADIUS, hostapd",
            profile="wifi-server",
            purpose=SERVER,
            lists=Lists.ALL,
            lists_in="ca.pem",
            consumers=("wifi",),
        ),
        Kind(
            name="trust",
            title="the root, for every system to trust",
            need=Need.NOTHING,
            signed=True,
        ),
    )
}
