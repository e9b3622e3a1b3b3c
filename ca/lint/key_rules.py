"""Rules on the key of a certificate (RFC 3279, RFC 5480, RFC 8410, CA/B BR 6.1.5, 6.1.6).

Shape and size only: whether a point is on its curve and a modulus hard is `ca.encoding.spki`'s.
"""

from __future__ import annotations

from ca.algorithms import CURVES, Family
from ca.encoding import tlv
from ca.encoding.facts import TbsFacts
from ca.encoding.inspect_fields import EC_PUBLIC_KEY, RSA_ENCRYPTION
from ca.lint.rule import Chapter, LintContext

ED25519 = "1.3.101.112"
SMALLEST_RSA = 2048

RULES: Chapter[TbsFacts] = Chapter()


@RULES.error("br.6.1.5.key-kind", "CA/B BR 6.1.5; RFC 8410")
def key_kind(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The key is RSA, on P-256, P-384 or P-521 by name, or Ed25519."""
    key = tbs.key
    if key.algorithm.oid in (RSA_ENCRYPTION, ED25519):
        return None
    if key.algorithm.oid != EC_PUBLIC_KEY:
        return f"the key is of the kind {key.algorithm.oid}"
    if key.curve_oid is None:
        return "the key's curve is not given by name (RFC 5480 §2.1.1)"
    return None if key.curve_oid in CURVES else f"the key is on the curve {key.curve_oid}"


@RULES.error("rfc3279.2.3.1.key-parameters", "RFC 3279 §2.3.1, RFC 8410 §3")
def key_parameters(tbs: TbsFacts, _context: LintContext) -> str | None:
    """RSA keys have NULL parameters, Ed25519 keys none."""
    algorithm = tbs.key.algorithm
    if algorithm.oid == RSA_ENCRYPTION and algorithm.parameters != tlv.null():
        return "the RSA key has parameters other than NULL"
    if algorithm.oid == ED25519 and algorithm.parameters:
        return "the Ed25519 key has parameters"
    return None


@RULES.error("rfc5480.2.2.point", "RFC 5480 §2.2; CA/B BR 7.1.3.1.2")
def point(tbs: TbsFacts, _context: LintContext) -> str | None:
    """A point is uncompressed and as long as its curve."""
    kind = CURVES.get(tbs.key.curve_oid or "")
    if kind is None:
        return None
    if tbs.key.key[:1] != b"\x04":
        return "the point is not in uncompressed form"
    if len(tbs.key.key) != 1 + 2 * ((kind.bits + 7) // 8):
        return f"the point has {len(tbs.key.key)} octets, which {kind} has not"
    return None


@RULES.error("br.6.1.5.rsa-size", "CA/B BR 6.1.5")
def rsa_size(tbs: TbsFacts, _context: LintContext) -> str | None:
    """An RSA modulus has 2048 bits or more."""
    bits = tbs.key.modulus_bits
    return f"the RSA key has {bits} bits" if bits is not None and bits < SMALLEST_RSA else None


@RULES.error("br.6.1.5.rsa-whole-octets", "CA/B BR 6.1.5")
def rsa_whole_octets(tbs: TbsFacts, _context: LintContext) -> str | None:
    """The size of an RSA modulus is a multiple of 8."""
    bits = tbs.key.modulus_bits
    return f"the RSA key has {bits} bits" if bits is not None and bits % 8 else None


@RULES.error("br.6.1.6.rsa-exponent", "CA/B BR 6.1.6")
def rsa_exponent(tbs: TbsFacts, _context: LintContext) -> str | None:
    """An RSA exponent is odd and 3 or more."""
    exponent = tbs.key.exponent
    if exponent is None or (exponent >= 3 and exponent % 2):
        return None
    return "the RSA exponent is even or below 3"


@RULES.warning("br.6.1.6.rsa-exponent-65537", "CA/B BR 6.1.6 (SHOULD)")
def rsa_exponent_65537(tbs: TbsFacts, _context: LintContext) -> str | None:
    """An RSA exponent is 65537 or more, and below 2^256."""
    exponent = tbs.key.exponent
    if exponent is None or 65537 <= exponent < 1 << 256:
        return None
    return "the RSA exponent is small or huge" if exponent > 2 and exponent % 2 else None


def family(tbs: TbsFacts) -> Family | None:
    """The family of the subject's key; None for one homeca does not know."""
    return {
        RSA_ENCRYPTION: Family.RSA,
        EC_PUBLIC_KEY: Family.EC,
        ED25519: Family.ED25519,
    }.get(tbs.key.algorithm.oid)
