"""The certificates that all verifiers judge: at least one of every profile `homeca sign` knows."""

from __future__ import annotations

from dataclasses import dataclass

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A certificate of a device, and what a verifier must find it good for.

    key:     what `openssl req -newkey` takes, with its -pkeyopt; () for the Windows request.
    subject: as `openssl req -subj` takes it; san: as -addext takes it, "" for none.
    host:    a DNS name it answers to; "" for none.
    ekus:    what it is for; `other_eku` is something it is not for.
    """

    stem: str
    profile: str
    ekus: tuple[str, ...]
    key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    subject: str = ""
    san: str = ""
    host: str = ""

    @property
    def other_eku(self) -> str:
        return CLIENT_AUTH if SERVER_AUTH in self.ekus else SERVER_AUTH


def _host(stem: str, profile: str, eku: str, *, key: tuple[str, ...], more: str = "") -> Kind:
    """One that is called stem.home.arpa. more: further SAN values."""
    host = f"{stem}.home.arpa"
    return Kind(
        stem=stem,
        profile=profile,
        ekus=(eku,),
        key=key,
        subject=f"/CN={host}",
        san=f"DNS:{host}{more}",
        host=host,
    )


def _signer(stem: str, profile: str, eku: str, name: str) -> Kind:
    """One that is called by a common name alone."""
    return Kind(stem=stem, profile=profile, ekus=(eku,), key=_P256, subject=f"/CN={name}")


_P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
_P384 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-384")
_RSA = ("rsa:2048",)

ALICE = _host("alice-phone", "vpn-client", CLIENT_AUTH, key=_P256, more=",email:alice@home.arpa")
WINDOWS = Kind(stem="windows", profile="vpn-client", ekus=(CLIENT_AUTH,), key=())
VPN = _host("vpn", "vpn-server", SERVER_AUTH, key=_P256, more=",IP:192.168.1.1")
NAS = _host(
    *("nas", "tls-server", SERVER_AUTH),
    key=_P384,
    more=",DNS:*.nas.home.arpa,IP:192.168.1.10,IP:fd00::10",
)

KINDS = (
    ALICE,
    WINDOWS,
    _host("tablet", "vpn-client-windows", CLIENT_AUTH, key=_P384),
    VPN,
    NAS,
    _host("printer", "tls-server", SERVER_AUTH, key=_RSA),
    _host("backup", "tls-client", CLIENT_AUTH, key=_P256),
    _host("radius", "wifi-server", SERVER_AUTH, key=_RSA),
    _host("laptop", "wifi-client", CLIENT_AUTH, key=_P256),
    Kind(
        stem="mail",
        profile="email",
        ekus=(EMAIL_PROTECTION,),
        subject="/CN=Alice/emailAddress=alice@home.arpa",
        san="email:alice@home.arpa",
    ),
    _signer("code", "code-signing", CODE_SIGNING, "Firmware"),
    _signer("profiles", "profile-signing", EMAIL_PROTECTION, "Profiles"),
    _signer("time", "timestamping", TIME_STAMPING, "Time"),
    _signer("ocsp", "ocsp-signing", OCSP_SIGNING, "Status"),
    _host("guide-server", "classic-server_cert", SERVER_AUTH, key=_RSA),
    Kind(
        stem="guide-user",
        profile="classic-usr_cert",
        ekus=(CLIENT_AUTH, EMAIL_PROTECTION),
        key=_RSA,
        subject="/CN=guide-user",
    ),
)

#: One more of vpn-client: revoked, for keyCompromise.
LOST = _host("lost-phone", "vpn-client", CLIENT_AUTH, key=_P256)
