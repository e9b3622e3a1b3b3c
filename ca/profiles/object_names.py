"""Names for object identifiers, as `openssl` spells them in a configuration: case matters.

Only those a profile has a use for; anything else is written as a dotted OID, which always works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from ca.errors import EncodingError
from ca.names.distinguished import ATTRIBUTE_TYPES
from ca.names.showing import visible

#: RFC 5280 §4.2.1.12 and the vendors'; the names OpenSSL's tables have.
KEY_PURPOSES = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "TLS Web Server Authentication": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "TLS Web Client Authentication": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "Code Signing": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "E-mail Protection": "1.3.6.1.5.5.7.3.4",
    "ipsecEndSystem": "1.3.6.1.5.5.7.3.5",
    "IPSec End System": "1.3.6.1.5.5.7.3.5",
    "ipsecTunnel": "1.3.6.1.5.5.7.3.6",
    "IPSec Tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsecUser": "1.3.6.1.5.5.7.3.7",
    "IPSec User": "1.3.6.1.5.5.7.3.7",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "Time Stamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
    "OCSP Signing": "1.3.6.1.5.5.7.3.9",
    "DVCS": "1.3.6.1.5.5.7.3.10",
    "dvcs": "1.3.6.1.5.5.7.3.10",
    "ipsecIKE": "1.3.6.1.5.5.7.3.17",
    "ipsec Internet Key Exchange": "1.3.6.1.5.5.7.3.17",
    "anyExtendedKeyUsage": "2.5.29.37.0",
    "Any Extended Key Usage": "2.5.29.37.0",
    "msCodeInd": "1.3.6.1.4.1.311.2.1.21",
    "Microsoft Individual Code Signing": "1.3.6.1.4.1.311.2.1.21",
    "msCodeCom": "1.3.6.1.4.1.311.2.1.22",
    "Microsoft Commercial Code Signing": "1.3.6.1.4.1.311.2.1.22",
    "msCTLSign": "1.3.6.1.4.1.311.10.3.1",
    "Microsoft Trust List Signing": "1.3.6.1.4.1.311.10.3.1",
    "msSGC": "1.3.6.1.4.1.311.10.3.3",
    "Microsoft Server Gated Crypto": "1.3.6.1.4.1.311.10.3.3",
    "msEFS": "1.3.6.1.4.1.311.10.3.4",
    "Microsoft Encrypted File System": "1.3.6.1.4.1.311.10.3.4",
    "nsSGC": "2.16.840.1.113730.4.1",
    "Netscape Server Gated Crypto": "2.16.840.1.113730.4.1",
    "msSmartcardLogin": "1.3.6.1.4.1.311.20.2.2",
    "Microsoft Smartcard Login": "1.3.6.1.4.1.311.20.2.2",
}

#: RFC 5280 §4.2.2.1 and §4.2.2.2, RFC 3161 §5.
ACCESS_METHODS = {
    "OCSP": "1.3.6.1.5.5.7.48.1",
    "caIssuers": "1.3.6.1.5.5.7.48.2",
    "CA Issuers": "1.3.6.1.5.5.7.48.2",
    "ad_timestamping": "1.3.6.1.5.5.7.48.3",
    "AD Time Stamping": "1.3.6.1.5.5.7.48.3",
    "AD_DVCS": "1.3.6.1.5.5.7.48.4",
    "ad dvcs": "1.3.6.1.5.5.7.48.4",
    "caRepository": "1.3.6.1.5.5.7.48.5",
    "CA Repository": "1.3.6.1.5.5.7.48.5",
}

POLICIES = {
    "anyPolicy": "2.5.29.32.0",
    "X509v3 Any Policy": "2.5.29.32.0",
}

OTHER_NAMES = {
    "msUPN": "1.3.6.1.4.1.311.20.2.3",
    "Microsoft User Principal Name": "1.3.6.1.4.1.311.20.2.3",
    "id-on-SmtpUTF8Mailbox": "1.3.6.1.5.5.7.8.9",
    "Smtp UTF8 Mailbox": "1.3.6.1.5.5.7.8.9",
    "id-on-xmppAddr": "1.3.6.1.5.5.7.8.5",
    "XmppAddr": "1.3.6.1.5.5.7.8.5",
    "id-on-dnsSRV": "1.3.6.1.5.5.7.8.7",
    "SRVName": "1.3.6.1.5.5.7.8.7",
    "id-on-NAIRealm": "1.3.6.1.5.5.7.8.8",
    "NAIRealm": "1.3.6.1.5.5.7.8.8",
}

#: Extensions by their short names, whether x509v3_config(5) has a syntax for them or not.
EXTENSIONS = {
    "subjectKeyIdentifier": "2.5.29.14",
    "keyUsage": "2.5.29.15",
    "privateKeyUsagePeriod": "2.5.29.16",
    "subjectAltName": "2.5.29.17",
    "issuerAltName": "2.5.29.18",
    "basicConstraints": "2.5.29.19",
    "crlNumber": "2.5.29.20",
    "deltaCRL": "2.5.29.27",
    "issuingDistributionPoint": "2.5.29.28",
    "nameConstraints": "2.5.29.30",
    "crlDistributionPoints": "2.5.29.31",
    "certificatePolicies": "2.5.29.32",
    "policyMappings": "2.5.29.33",
    "authorityKeyIdentifier": "2.5.29.35",
    "policyConstraints": "2.5.29.36",
    "extendedKeyUsage": "2.5.29.37",
    "freshestCRL": "2.5.29.46",
    "inhibitAnyPolicy": "2.5.29.54",
    "authorityInfoAccess": "1.3.6.1.5.5.7.1.1",
    "qcStatements": "1.3.6.1.5.5.7.1.3",
    "subjectInfoAccess": "1.3.6.1.5.5.7.1.11",
    "proxyCertInfo": "1.3.6.1.5.5.7.1.14",
    "tlsfeature": "1.3.6.1.5.5.7.1.24",
    "noCheck": "1.3.6.1.5.5.7.48.1.5",
    "nsCertType": "2.16.840.1.113730.1.1",
    "nsBaseUrl": "2.16.840.1.113730.1.2",
    "nsRevocationUrl": "2.16.840.1.113730.1.3",
    "nsCaRevocationUrl": "2.16.840.1.113730.1.4",
    "nsRenewalUrl": "2.16.840.1.113730.1.7",
    "nsCaPolicyUrl": "2.16.840.1.113730.1.8",
    "nsSslServerName": "2.16.840.1.113730.1.12",
    "nsComment": "2.16.840.1.113730.1.13",
}

#: Attributes of a DN, as OpenSSL spells them; the dotted OID is understood everywhere.
ATTRIBUTES = {name: t.oid for t in ATTRIBUTE_TYPES for name in (t.name, t.short)}

_EVERYTHING = {
    **ATTRIBUTES,
    **OTHER_NAMES,
    **POLICIES,
    **ACCESS_METHODS,
    **KEY_PURPOSES,
    **EXTENSIONS,
}
_DOTTED = re.compile(r"[0-2](\.\d{1,39}){1,31}\Z")


def object_identifier(text: str, nearest: Mapping[str, str] = _EVERYTHING) -> str:
    """Dotted OID from a name or a dotted OID, as OBJ_txt2obj.

    nearest: where to look for what was perhaps meant.
    Raises:  EncodingError.
    """
    oid = _EVERYTHING.get(text)
    if oid is not None:
        return oid
    if _DOTTED.match(text):
        return ".".join(str(int(arc)) for arc in text.split("."))
    raise EncodingError(
        f"{visible(text)!r} is not the name of an object{meant(text, nearest)}",
        remedy="write its dotted OID",
    )


def meant(text: str, known: Iterable[str]) -> str:
    """ "; did you mean 'keyUsage'?", or nothing when nothing is near."""
    names = list(known)
    near = get_close_matches(text[:100], names, n=1, cutoff=0.6)
    if not near:
        lowered = {name.lower(): name for name in names}
        near = [lowered[m] for m in get_close_matches(text[:100].lower(), lowered, n=1)]
    return f"; did you mean {near[0]!r}?" if near else ""
