"""What OpenVPN, Windows, strongSwan, Apple, Android, RADIUS, Chrome and Python demand.

Ids are those of the reference's client rules; each clause names its source and the year it was
last looked at. They are asked only for the consumers a certificate is meant for.
"""

from __future__ import annotations

from datetime import timedelta

from ca.algorithms import EC_P256, EC_P384, Family
from ca.encoding.extensions import CLIENT_AUTH, SERVER_AUTH
from ca.encoding.facts import GeneralNameFacts, TbsFacts
from ca.encoding.inspect_extensions import (
    BASIC_CONSTRAINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    NAME_CONSTRAINTS,
    SUBJECT_ALT_NAME,
)
from ca.interfaces.values import ONE_SECOND
from ca.lint.consumers import (
    ANDROID,
    APPLE,
    CHROME,
    OPENVPN,
    PYTHON,
    STRONGSWAN,
    WIFI,
    WINDOWS,
    canonical,
)
from ca.lint.extension_rules import ANY_EKU
from ca.lint.field_rules import broken_algorithm
from ca.lint.key_rules import SMALLEST_RSA, family
from ca.lint.rule import Chapter, LintContext, LintRole
from ca.names.distinguished import COMMON_NAME
from ca.names.showing import visible

TEMPLATE = "1.3.6.1.4.1.311.21.7"
APPLE_DAYS = 825
_OLD_CLIENT_USAGE = (
    frozenset({"digitalSignature"}),
    frozenset({"keyAgreement"}),
    frozenset({"digitalSignature", "keyAgreement"}),
)
_OLD_SERVER_USAGE = (
    frozenset({"digitalSignature", "keyEncipherment"}),
    frozenset({"digitalSignature", "keyAgreement"}),
)

RULES: Chapter[TbsFacts] = Chapter()


def _eku(tbs: TbsFacts) -> tuple[str, ...]:
    return tbs.eku or ()


def _is_leaf(context: LintContext) -> bool:
    return context.role is LintRole.LEAF


def _is_server(tbs: TbsFacts, context: LintContext) -> bool:
    return _is_leaf(context) and SERVER_AUTH in _eku(tbs)


def _is_client(tbs: TbsFacts, context: LintContext) -> bool:
    return _is_leaf(context) and CLIENT_AUTH in _eku(tbs)


def _dns(tbs: TbsFacts) -> tuple[GeneralNameFacts, ...]:
    return tuple(name for name in tbs.san or () if name.tag == 2)


def _full_names(tbs: TbsFacts) -> tuple[str, ...]:
    """dNSNames of two labels or more, without wildcard, lower case."""
    return tuple(n.text.lower() for n in _dns(tbs) if "." in n.text and "*" not in n.text)


# ---------------------------------------------------------------- OpenVPN


@RULES.error("OV1", "OpenVPN 2.6 tls-options.rst, remote-cert-tls; 2026", consumers=[OPENVPN])
def ov1(tbs: TbsFacts, context: LintContext) -> str | None:
    """remote-cert-tls wants keyUsage, and serverAuth or clientAuth."""
    if not _is_leaf(context):
        return None
    if tbs.extension(KEY_USAGE) is None:
        return "OpenVPN: 'Certificate does not have key usage extension'"
    if SERVER_AUTH in _eku(tbs) or CLIENT_AUTH in _eku(tbs):
        return None
    return "neither serverAuth nor clientAuth: remote-cert-tls refuses it"


@RULES.error("OV2", "OpenVPN 2.6 ssl_verify_openssl.c; seen with 2.6.14, 2026", consumers=[OPENVPN])
def ov2(tbs: TbsFacts, context: LintContext) -> str | None:
    """keyUsage allows digitalSignature or keyAgreement: keyEncipherment alone is refused."""
    if not _is_leaf(context) or tbs.key_usage is None:
        return None
    if tbs.key_usage & {"digitalSignature", "keyAgreement"}:
        return None
    return "keyUsage has neither digitalSignature nor keyAgreement"


@RULES.error("OV3", "OpenVPN 2.6 x509_verify_cert_eku; seen with 2.6.14, 2026", consumers=[OPENVPN])
def ov3(tbs: TbsFacts, context: LintContext) -> str | None:
    """extendedKeyUsage is compared by OID: anyExtendedKeyUsage stands for nothing else."""
    if not _is_leaf(context) or ANY_EKU not in _eku(tbs):
        return None
    if SERVER_AUTH in _eku(tbs) or CLIENT_AUTH in _eku(tbs):
        return None
    return "anyExtendedKeyUsage satisfies no remote-cert-tls"


@RULES.notice(
    "OV4", "OpenVPN/easy-rsa#35, hashicorp/vault#1476 (to OpenVPN 2.3); 2026", consumers=[OPENVPN]
)
def ov4(tbs: TbsFacts, context: LintContext) -> str | None:
    """OpenVPN 2.3 took keyUsage 80, 08, 88 from clients and a0, 88 from servers (RSA only)."""
    if not _is_leaf(context) or tbs.key_usage is None or family(tbs) is not Family.RSA:
        return None
    if SERVER_AUTH in _eku(tbs) and tbs.key_usage not in _OLD_SERVER_USAGE:
        return "OpenVPN 2.3 and before refuse this keyUsage of a server"
    if CLIENT_AUTH in _eku(tbs) and tbs.key_usage not in _OLD_CLIENT_USAGE:
        return "OpenVPN 2.3 and before refuse this keyUsage of a client"
    return None


@RULES.warning("OV5", "OpenVPN 2.6 tls-options.rst, x509-username-field; 2026", consumers=[OPENVPN])
def ov5(tbs: TbsFacts, context: LintContext) -> str | None:
    """A client has one commonName: ccd files, verify-x509-name and status go by it."""
    if not _is_client(tbs, context) or len(tbs.subject.values(COMMON_NAME)) == 1:
        return None
    return f"{len(tbs.subject.values(COMMON_NAME))} commonNames, where OpenVPN takes one"


@RULES.error(
    "OV9", "OpenVPN 2.6 tls-cert-profile; schwabe/ics-openvpn#1393, 2026", consumers=[OPENVPN]
)
def ov9(tbs: TbsFacts, _context: LintContext) -> str | None:
    """tls-cert-profile preferred: SHA-2, RSA of 2048 bits or more."""
    broken = broken_algorithm(tbs.algorithm)
    if broken is not None:
        return f"{broken}: 'ca md too weak'"
    bits = tbs.key.modulus_bits
    return f"RSA of {bits} bits" if bits is not None and bits < SMALLEST_RSA else None


@RULES.notice("OV10", "OpenVPN 2.6 cryptoapi.c, TMPL:; 2026", consumers=[OPENVPN])
def ov10(tbs: TbsFacts, context: LintContext) -> str | None:
    """For cryptoapicert "TMPL:" a Windows client's certificate names a template."""
    windows = WINDOWS in canonical(context.consumers)
    if not windows or not _is_client(tbs, context) or tbs.extension(TEMPLATE) is not None:
        return None
    return f"without {TEMPLATE} each renewal needs a new THUMB: in the .ovpn"


@RULES.warning(
    "OV12", "tpm2-openssl#115, firezone PR#15026, OpenVPN#505; 2026", consumers=[OPENVPN]
)
def ov12(tbs: TbsFacts, context: LintContext) -> str | None:
    """A key in a TPM is elliptic: with RSA several firmware TPMs fail at TLS 1.3 (PSS salt)."""
    if not context.key_in_tpm or family(tbs) is not Family.RSA or not _is_leaf(context):
        return None
    return "an RSA key in a TPM: on several firmware TPMs TLS 1.3 fails with NTE_NOT_SUPPORTED"


# ---------------------------------------------------------------- Windows


@RULES.error("WI5", "learn.microsoft.com KB814394 (EAP-TLS); 2026", consumers=[WINDOWS])
def wi5(tbs: TbsFacts, context: LintContext) -> str | None:
    """EAP-TLS and IKEv2 want clientAuth of the client and serverAuth of the server."""
    if not _is_leaf(context) or SERVER_AUTH in _eku(tbs) or CLIENT_AUTH in _eku(tbs):
        return None
    return "neither clientAuth nor serverAuth"


@RULES.warning(
    "WI6.key", "strongswan-docs interop/windowsCertRequirements.adoc; 2026", consumers=[WINDOWS]
)
def wi6_key(tbs: TbsFacts, _context: LintContext) -> str | None:
    """IKEv2 on Windows takes RSA, P-256 and P-384; not P-521, not Ed25519."""
    if family(tbs) is Family.RSA or tbs.key.curve_oid in (EC_P256.curve_oid, EC_P384.curve_oid):
        return None
    return "Windows' IKEv2 takes neither P-521 nor Ed25519"


@RULES.warning(
    "WI6.identity",
    "strongswan-docs interop/windowsCertRequirements.adoc; 2026",
    consumers=[WINDOWS],
)
def wi6_identity(tbs: TbsFacts, context: LintContext) -> str | None:
    """Windows sends the commonName as its identity, so subjectAltName repeats it."""
    if not _is_leaf(context):
        return None
    listed = {n.text.lower() for n in tbs.san or () if n.tag in (1, 2)}
    listed |= {str(n.name).partition(":")[2].lower() for n in tbs.san or () if n.name is not None}
    for value in tbs.subject.values(COMMON_NAME):
        if value.lower() not in listed:
            return f"commonName {visible(value)!r} is not repeated in subjectAltName"
    return None


@RULES.notice(
    "WI7",
    "smallstep/certificates#2150, #1846 (CRYPT_E_NO_REVOCATION_CHECK); 2026",
    consumers=[WINDOWS],
)
def wi7(tbs: TbsFacts, context: LintContext) -> str | None:
    """Schannel looks for the CRL of a server at an http URL."""
    if not _is_server(tbs, context):
        return None
    if any(url.lower().startswith("http://") for url in tbs.crl_urls):
        return None
    return "no CRL to be fetched: curl on Windows wants --ssl-no-revoke"


# ---------------------------------------------------------------- strongSwan


@RULES.error("SS1", "strongswan x509_cert.c, X509_IKE_COMPLIANT; 2026", consumers=[STRONGSWAN])
def ss1(tbs: TbsFacts, context: LintContext) -> str | None:
    """keyUsage is absent, or has digitalSignature or nonRepudiation."""
    if not _is_leaf(context) or tbs.key_usage is None:
        return None
    if tbs.key_usage & {"digitalSignature", "nonRepudiation"}:
        return None
    return "not 'IKE compliant': neither digitalSignature nor nonRepudiation"


@RULES.warning(
    "SS2", "strongswan-docs windowsCertRequirements.adoc, ios.adoc; 2026", consumers=[STRONGSWAN]
)
def ss2(tbs: TbsFacts, context: LintContext) -> str | None:
    """A gateway's full host name is in subjectAltName."""
    if not _is_server(tbs, context) or _full_names(tbs):
        return None
    return "a gateway without its full host name as dNSName: peers that ask for it refuse"


@RULES.warning("SS3", "strongswan-docs os/androidVpnClient.adoc; 2026", consumers=[STRONGSWAN])
def ss3(tbs: TbsFacts, context: LintContext) -> str | None:
    """The identity a peer uses is in subjectAltName, or is the whole subject."""
    if not _is_leaf(context) or tbs.extension(SUBJECT_ALT_NAME) is not None:
        return None
    return "without subjectAltName only the whole subject can be an identity"


@RULES.warning(
    "SS5", "strongswan/strongswan#1991; seen with 5.9.8 of Debian 12, 2026", consumers=[STRONGSWAN]
)
def ss5(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A CA's name constraints permit no addresses: 5.9.8 cannot load such a certificate at all."""
    constraints = tbs.name_constraints
    if constraints is None:
        return None
    if any(tree.base.tag == 7 for tree in (*constraints.permitted, *constraints.excluded)):
        return "permits addresses, on which strongSwan 5.9.8 says 'parsing X509 certificate failed'"
    return None


# ---------------------------------------------------------------- Apple


@RULES.error("AP1.key", "support.apple.com/103769 (since iOS 13, 2019); 2026", consumers=[APPLE])
def ap1_key(tbs: TbsFacts, context: LintContext) -> str | None:
    """A TLS server has RSA of 2048 bits or more, or EC, under SHA-2."""
    if not _is_server(tbs, context):
        return None
    bits = tbs.key.modulus_bits
    if bits is not None and bits < SMALLEST_RSA:
        return f"RSA of {bits} bits"
    if family(tbs) not in (Family.RSA, Family.EC):
        return "neither RSA nor EC"
    return broken_algorithm(tbs.algorithm)


@RULES.error("AP1.san", "support.apple.com/103769 (since iOS 13, 2019); 2026", consumers=[APPLE])
def ap1_san(tbs: TbsFacts, context: LintContext) -> str | None:
    """A TLS server's name is in subjectAltName; commonName is not looked at."""
    if not _is_server(tbs, context) or any(n.tag in (2, 7) for n in tbs.san or ()):
        return None
    return "no dNSName and no iPAddress"


@RULES.error(
    "AP1.days", "support.apple.com/103769 (issued from 2019-07-01); 2026", consumers=[APPLE]
)
def ap1_days(tbs: TbsFacts, context: LintContext) -> str | None:
    """A TLS server's certificate is good for 825 days or fewer, also under a private root."""
    if not _is_server(tbs, context):
        return None
    lifetime = tbs.not_after.moment - tbs.not_before.moment + ONE_SECOND
    if lifetime <= timedelta(days=APPLE_DAYS):
        return None
    return f"good for {-(-lifetime // timedelta(days=1))} days; Apple takes {APPLE_DAYS}"


@RULES.error("AP3", "strongswan-docs os/ios.adoc (iOS 13, macOS 10.15); 2026", consumers=[APPLE])
def ap3(tbs: TbsFacts, context: LintContext) -> str | None:
    """A server has extendedKeyUsage: IKEv2 and TLS both look for serverAuth."""
    if not _is_leaf(context) or tbs.extension(EXTENDED_KEY_USAGE) is not None:
        return None
    return "extendedKeyUsage is missing: Apple wants serverAuth of a server"


# ---------------------------------------------------------------- Wi-Fi, Android


@RULES.error("WF1.name", "GÉANT eduroam advice, FreeRADIUS; 2026", consumers=[WIFI])
def wf1_name(tbs: TbsFacts, context: LintContext) -> str | None:
    """A RADIUS server's commonName equals exactly one full dNSName, and there is no wildcard."""
    if not _is_server(tbs, context):
        return None
    if any("*" in name.text for name in _dns(tbs)):
        return "a wildcard"
    common = [value.lower() for value in tbs.subject.values(COMMON_NAME)]
    if len(common) == 1 and _full_names(tbs).count(common[0]) == 1:
        return None
    return "commonName is not exactly one of the full dNSNames"


@RULES.notice("WF1.cdp", "GÉANT eduroam advice; 2026", consumers=[WIFI])
def wf1_cdp(tbs: TbsFacts, context: LintContext) -> str | None:
    """A RADIUS server's certificate names a CRL: some Windows refuse one that does not."""
    return "no distribution point" if _is_server(tbs, context) and not tbs.crl_urls else None


@RULES.error("AN3", "developer.android.com wifi-enterprise (11 QPR1); 2026", consumers=[ANDROID])
def an3(tbs: TbsFacts, context: LintContext) -> str | None:
    """A RADIUS server has a full dNSName: Android's Wi-Fi asks for its domain suffix."""
    if WIFI not in canonical(context.consumers) or not _is_server(tbs, context):
        return None
    return None if _full_names(tbs) else "no full dNSName for the domain suffix Android asks for"


# ---------------------------------------------------------------- Chrome, Python


@RULES.error(
    "CH1", "Chrome 124 and later, local anchors; uyuni-docs PR#5001, 2026", consumers=[CHROME]
)
def ch1(tbs: TbsFacts, context: LintContext) -> str | None:
    """A TLS server's keyUsage has digitalSignature."""
    if not _is_server(tbs, context) or tbs.key_usage is None:
        return None
    return None if "digitalSignature" in tbs.key_usage else "keyUsage lacks digitalSignature"


@RULES.warning("CH2", "FiloSottile/mkcert#302, security.SE 95600; 2026")
def ch2(tbs: TbsFacts, context: LintContext) -> str | None:
    """Name constraints stand on root and intermediate: old Apple passes over a root's."""
    if context.role is not LintRole.INTERMEDIATE or context.issuer is None:
        return None
    if context.issuer.tbs.name_constraints is None or tbs.extension(NAME_CONSTRAINTS) is not None:
        return None
    return "the issuer has name constraints, this CA repeats none"


@RULES.error(
    "PY1", "python/cpython#107361, #138193 (VERIFY_X509_STRICT in 3.13); 2026", consumers=[PYTHON]
)
def py1(tbs: TbsFacts, context: LintContext) -> str | None:
    """3.13 wants of a CA critical basicConstraints, keyUsage and SKI; of all below a root, AKI."""
    missing = []
    if not _is_leaf(context):
        constraints = tbs.extension(BASIC_CONSTRAINTS)
        if constraints is None or not constraints.critical:
            missing.append("critical basicConstraints")
        if tbs.key_usage is None:
            missing.append("keyUsage")
        if tbs.ski is None:
            missing.append("subjectKeyIdentifier")
    if context.role is not LintRole.ROOT and tbs.aki is None:
        missing.append("authorityKeyIdentifier")
    return f"missing: {', '.join(missing)}" if missing else None
