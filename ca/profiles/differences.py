"""Where homeca is stricter than OpenSSL, deliberately.

Each is a text that OpenSSL takes in silence and that would not do what it says, or would give a
certificate that RFC 5280 does not allow. The tests hold every row against the real program:
OpenSSL 3.0 of Debian 12 and 3.5 of Debian 13. Where the two judge differently homeca does not, and
the row names the one it differs from.
Those of the file's own syntax, config(5), stand in `openssl_cnf`; of times and tags in
`ca.encoding.asn1_generate`.
"""

from __future__ import annotations

from collections.abc import Mapping

#: What homeca refuses, leaves out or leaves in its place, and OpenSSL does not:
#: rule -> (why, clause). Each has a snippet in the tests.
DIFFERENCES: Mapping[str, tuple[str, str]] = {
    "duplicate": ("OpenSSL keeps the last of two lines for one extension", "RFC 5280 §4.2"),
    "empty-section": (
        "no extensions, so version 1; or a name or point of nothing",
        "RFC 5280 §4.2",
    ),
    "ignored-value": ("a value OpenSSL does not look at, as in `keyUsage = keyAgreement:x`", ""),
    "unknown-key": ("OpenSSL skips unknown keys of a distribution point: `CRLIssuer`", ""),
    "empty-arc": ("OpenSSL reads `1..3` as some number", "X.660 §A.2"),
    "latin-1": ("OpenSSL reads non-ASCII octets as Latin-1, or leaves them in an IA5String", ""),
    "negative": ("pathlen, skip certs and notice numbers are not negative", "§4.2.1.9, §4.2.1.11"),
    "pathlen-without-ca": ("pathLenConstraint only with cA", "§4.2.1.9"),
    "empty-point": ("a distribution point names a place or an issuer", "§4.2.1.13"),
    "empty-names": ("alternative names hold one name at least", "§4.2.1.6"),
    "own-issuer": ("OpenSSL 3.0 names a self-signed certificate as its own issuer", "§4.2.1.1"),
    "no-keyid": (
        "OpenSSL 3.5 leaves out the issuer's key identifier where its certificate has none",
        "§4.2.1.1",
    ),
    "key-order": (
        "OpenSSL 3.5 writes the subject's key identifier before the authority's; here as written",
        "",
    ),
    "ambiguous-oid": ("in a name `1.2.3.4 = x` means 2.3.4 to OpenSSL: write `x.1.2.3.4`", ""),
    "mask": ("a network's mask has no holes", "§4.2.1.10"),
    "address": ("OpenSSL 3.0 takes an address like `010.0.0.1`", "RFC 6943 §3.1.1"),
    "repeated-policy": ("a policy stands once", "§4.2.1.4"),
    "notice": ("organization and numbers together; explicitText at most 200", "§4.2.1.4"),
    "bmp-notice": ("OpenSSL puts single octets into a BMPString", "X.690 §8.23.7"),
    "any-policy-mapped": ("anyPolicy is not mapped", "§4.2.1.5"),
    "time": ("times are DER", "X.690 §11.7, §11.8"),
    "universal-tag": ("no retagging to a universal class", "X.680 §31.2.7"),
    "email-move": ("the subject follows the policy, not an extension", ""),
    "private-names": ("names OpenSSL's table has and `object_names` has not: write the OID", ""),
    "undocumented": ("proxyCertInfo, SXNetID, IP and AS blocks: write ASN1: or DER:", ""),
    "attribute": ("attributes of a DN keep X.520's bounds, countries are letters", "RFC 5280 A.1"),
}
