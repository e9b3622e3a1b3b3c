"""What a TPM says of itself: maker, algorithms, limits, and which CA keys it can make.

Lists alone do not tell: a TPM may know RSA and not 4096 bits of it. So every kind of key is
put to TPM2_TestParms with the very template homeca would use (Part 3 §30.3).
"""

from __future__ import annotations

from msgspec import Struct

from ca.algorithms import ED25519, KEY_KINDS, Family, KeyKind, signature_algorithm
from ca.encoding.tpm import capability_items
from ca.errors import KeyKindUnsupported
from ca.interfaces.custody import KeyCapability, TpmReport
from ca.keys.tpm import reach
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import TPM2_CAP, TPM2B_PUBLIC, TPMT_PUBLIC_PARMS

#: A CA key signs and does nothing else. noDA: a strong PIN needs no lockout, and a TPM that
#: counts stops as attacks would lock the CA out (see Wire.close).
KEY_ATTRIBUTES = "userwithauth|sign|noda|fixedtpm|fixedparent|sensitivedataorigin"

# TPM_PT (Part 2 §6.13)
PT_FAMILY = 0x100
PT_REVISION = 0x102
PT_MANUFACTURER = 0x105
PT_VENDOR = (0x106, 0x107, 0x108, 0x109)
PT_FIRMWARE = (0x10B, 0x10C)
PT_PERMANENT = 0x200
PT_SESSIONS_FREE = 0x204
PT_TRANSIENT_FREE = 0x207
PT_LOCKOUT = (0x20E, 0x20F, 0x210, 0x211)
OWNER_AUTH_SET = 1 << 0
IN_LOCKOUT = 1 << 9

IS_HASH = 1 << 2  # TPMA_ALGORITHM

_RSA_SIZES = (1024, 2048, 3072, 4096)

#: TPM_ALG_ID and TPM_ECC_CURVE by their names in the TCG Algorithm Registry.
ALGORITHMS: dict[int, str] = {
    0x0001: "RSA",
    0x0003: "TDES",
    0x0004: "SHA1",
    0x0005: "HMAC",
    0x0006: "AES",
    0x0007: "MGF1",
    0x0008: "KEYEDHASH",
    0x000A: "XOR",
    0x000B: "SHA256",
    0x000C: "SHA384",
    0x000D: "SHA512",
    0x0010: "NULL",
    0x0012: "SM3_256",
    0x0013: "SM4",
    0x0014: "RSASSA",
    0x0015: "RSAES",
    0x0016: "RSAPSS",
    0x0017: "OAEP",
    0x0018: "ECDSA",
    0x0019: "ECDH",
    0x001A: "ECDAA",
    0x001B: "SM2",
    0x001C: "ECSCHNORR",
    0x001D: "ECMQV",
    0x0020: "KDF1_SP800_56A",
    0x0021: "KDF2",
    0x0022: "KDF1_SP800_108",
    0x0023: "ECC",
    0x0025: "SYMCIPHER",
    0x0026: "CAMELLIA",
    0x0027: "SHA3_256",
    0x0028: "SHA3_384",
    0x0029: "SHA3_512",
    0x003F: "CMAC",
    0x0040: "CTR",
    0x0041: "OFB",
    0x0042: "CBC",
    0x0043: "CFB",
    0x0044: "ECB",
}
CURVE_NAMES: dict[int, str] = {
    0x0001: "NIST_P192",
    0x0002: "NIST_P224",
    0x0003: "NIST_P256",
    0x0004: "NIST_P384",
    0x0005: "NIST_P521",
    0x0010: "BN_P256",
    0x0011: "BN_P638",
    0x0020: "SM2_P256",
}


class Identity(Struct, frozen=True, kw_only=True):
    """Who made this TPM, in its own words.

    spec: "2.0 rev 1.64". firmware: its two 32-bit halves as four 16-bit numbers.
    """

    manufacturer: str
    model: str
    firmware: str
    spec: str


def key_template(kind: KeyKind, *, any_scheme: bool = False) -> TPM2B_PUBLIC:
    """The CA key's template: its one signature scheme fixed inside, so no other can be asked.

    any_scheme: for a device's key, which must sign what a TLS handshake agrees on: RSA with PSS
                in TLS 1.3 (RFC 8446 §4.2.3), ECDSA with another hash in TLS 1.2.
    """
    algorithm = signature_algorithm(kind)
    family = "ecc" if kind.family is Family.EC else "rsa"
    scheme = "null" if any_scheme else f"{algorithm.scheme.value}-{algorithm.hash}"
    return TPM2B_PUBLIC.parse(f"{family}{kind.bits}:{scheme}:null", objectAttributes=KEY_ATTRIBUTES)


def identity(tpm: Transaction) -> Identity:
    """Asked of the TPM itself, in one command."""
    return _identity(_listed(tpm, TPM2_CAP.TPM_PROPERTIES, PT_FAMILY))


def _identity(fixed: dict[int, int]) -> Identity:
    halves = [fixed.get(number, 0) for number in PT_FIRMWARE]
    numbers = [str(part) for half in halves for part in (half >> 16, half & 0xFFFF)]
    revision = fixed.get(PT_REVISION, 0)
    return Identity(
        manufacturer=_text(fixed.get(PT_MANUFACTURER, 0)).rstrip(),
        model="".join(_text(fixed.get(number, 0)) for number in PT_VENDOR).rstrip(),
        firmware=".".join(numbers),
        spec=f"{_text(fixed.get(PT_FAMILY, 0))} rev {revision // 100}.{revision % 100:02d}",
    )


def capability(tpm: Transaction, kind: KeyKind) -> KeyCapability:
    """Can this TPM make a CA key of this kind? Asked with the exact template."""
    if kind is ED25519:
        return KeyCapability(kind=kind, supported=False, reason="no TPM 2.0 offers Ed25519")
    if _accepts(tpm, key_template(kind)):
        return KeyCapability(kind=kind, supported=True)
    algorithm = signature_algorithm(kind)
    what = f"{kind.bits}-bit RSA keys" if kind.family is Family.RSA else f"the curve of {kind}"
    return KeyCapability(
        kind=kind,
        supported=False,
        reason=f"this TPM does not offer {what} with {algorithm.hash.upper()}",
    )


def report(tpm: Transaction, *, tcti: str) -> TpmReport:
    """All of it, for `homeca tpm info`. About 15 commands."""
    fixed = _listed(tpm, TPM2_CAP.TPM_PROPERTIES, PT_FAMILY)
    variable = _listed(tpm, TPM2_CAP.TPM_PROPERTIES, PT_PERMANENT)
    algorithms = _listed(tpm, TPM2_CAP.ALGS, 0)
    curves = _listed(tpm, TPM2_CAP.ECC_CURVES, 0)
    persistent = _listed(tpm, TPM2_CAP.HANDLES, 0x81000000)
    permanent = variable.get(PT_PERMANENT, 0)
    counter, tries, interval, recovery = (variable.get(number, 0) for number in PT_LOCKOUT)
    who = _identity(fixed)
    return TpmReport(
        custody=reach.custody_kind(who.manufacturer, who.model),
        tcti=tcti,
        manufacturer=who.manufacturer,
        model=who.model,
        firmware=who.firmware,
        spec=who.spec,
        algorithms=tuple(ALGORITHMS.get(number, f"0x{number:04X}") for number in algorithms),
        curves=tuple(CURVE_NAMES.get(number, f"0x{number:04X}") for number in curves),
        rsa_sizes=tuple(bits for bits in _RSA_SIZES if _accepts(tpm, _plain_rsa(bits))),
        hashes=tuple(
            ALGORITHMS.get(number, f"0x{number:04X}")
            for number, attributes in algorithms.items()
            if attributes == IS_HASH
        ),
        in_lockout=bool(permanent & IN_LOCKOUT),
        lockout_counter=counter,
        max_tries=tries,
        lockout_interval=interval,
        lockout_recovery=recovery,
        owner_auth_set=bool(permanent & OWNER_AUTH_SET),
        transient_free=variable.get(PT_TRANSIENT_FREE, -1),
        session_free=variable.get(PT_SESSIONS_FREE, -1),
        persistent=tuple(persistent),
        key_kinds=tuple(capability(tpm, kind) for kind in KEY_KINDS.values()),
    )


def _plain_rsa(bits: int) -> TPM2B_PUBLIC:
    return TPM2B_PUBLIC.parse(f"rsa{bits}:null:null", objectAttributes=KEY_ATTRIBUTES)


def _accepts(tpm: Transaction, template: TPM2B_PUBLIC) -> bool:
    area = template.publicArea
    try:
        with tpm.esapi() as esapi:
            esapi.test_parms(TPMT_PUBLIC_PARMS(type=area.type, parameters=area.parameters))
    except KeyKindUnsupported:
        return False
    return True


def _listed(tpm: Transaction, kind: TPM2_CAP, first: int) -> dict[int, int]:
    """A capability list whole, page by page; of one group where properties are asked.

    The octets are read by us: pytss frees a list while its items are still in hand.
    """
    items: dict[int, int] = {}
    for _ in range(16):
        with tpm.esapi() as esapi:
            more, page = esapi.get_capability(kind, first, 254)
            octets = bytes(page.marshal())
        found = capability_items(octets)
        items |= found
        if not more or not found:
            break
        first = max(found) + 1
    return items


def _text(number: int) -> str:
    """Four ASCII octets packed in a property, NULs being padding; anything else as '?'."""
    return "".join(
        chr(octet) if 0x20 <= octet < 0x7F else "?"
        for octet in number.to_bytes(4, "big").replace(b"\0", b"")
    )
