"""Keys and signatures: what is strong and canonical is taken, everything else named."""

from __future__ import annotations

from tests.vectors.requests import testkeys
from tests.vectors.requests.build import (
    CURVE_OIDS,
    ECDSA,
    GOOD,
    RSA,
    ec_spki,
    pss_algorithm,
    pss_request,
    request,
    rsa_keys,
    rsa_spki,
)
from tests.vectors.requests.case import Area, Case
from tests.vectors.requests.octets import NULL, bit_string, integer, octet_string, oid, seq, tlv

P256 = oid(CURVE_OIDS["ec-p256"])


def cases() -> list[Case]:
    area = Area("keys and signatures")
    _sound(area)
    _weak_rsa(area)
    _malformed_rsa(area)
    _ec(area)
    _other_algorithms(area)
    _signatures(area)
    _pss(area)
    return area.cases


def _sound(area: Area) -> None:
    for key in ("rsa-2048", "rsa-2056", "rsa-2304", "rsa-3072", "rsa-4096"):
        for digest in ("sha256", "sha384", "sha512"):
            if digest == "sha256" or key == "rsa-3072":
                der = request(parts=[GOOD], key=key, digest=digest)
                area.take(f"key-{key}-{digest}", der, f"PKCS#1 v1.5 with {digest}")
    for key in ("ec-p256", "ec-p384", "ec-p521"):
        for digest in ("sha256", "sha384", "sha512"):
            der = request(parts=[GOOD], key=key, digest=digest)
            area.take(f"key-{key}-{digest}", der, f"ECDSA with {digest}")
    area.take("key-ed25519", request(parts=[GOOD], key="ed25519"), "Ed25519 (RFC 8410)")
    area.refuse(
        "key-ed25519-device",
        request(parts=[GOOD], key="ed25519"),
        "the device profile has no Ed25519",
        "key.not-in-profile",
        profile="device",
    )
    for e in (65539, (1 << 32) + 15):
        der = request(parts=[GOOD], key=f"rsa-2048-e{e}")
        area.take(f"key-rsa-2048-e{e}", der, "an odd exponent above 65537 is sound")


def _weak_rsa(area: Area) -> None:
    weak = {
        "rsa-512": ("key.rsa-too-small", "key.not-in-profile"),
        "rsa-1024": ("key.rsa-too-small", "key.not-in-profile"),
        "rsa-1536": ("key.rsa-too-small", "key.not-in-profile"),
        "rsa-2040": ("key.rsa-too-small", "key.not-in-profile"),
        "rsa-2047": ("key.rsa-too-small", "key.rsa-odd-size", "key.not-in-profile"),
        "rsa-2049": ("key.rsa-odd-size",),
        "rsa-4104": ("key.not-in-profile",),
        "rsa-8192": ("key.not-in-profile",),
        "rsa-close": ("key.rsa-close-primes",),
        "rsa-closer-than-100": ("key.rsa-close-primes",),
        "rsa-square": ("key.rsa-close-primes",),
        "rsa-roca": ("key.rsa-roca",),
        "rsa-factor-3": ("key.rsa-small-factor",),
        "rsa-factor-17": ("key.rsa-small-factor",),
        "rsa-factor-751": ("key.rsa-small-factor",),
        "rsa-2048-e1": ("key.rsa-exponent-small",),
        "rsa-2048-e2": ("key.rsa-exponent-even",),
        "rsa-2048-e3": ("key.rsa-exponent-small",),
        "rsa-2048-e17": ("key.rsa-exponent-small",),
        "rsa-2048-e65535": ("key.rsa-exponent-small",),
        "rsa-2048-e65536": ("key.rsa-exponent-even",),
        "rsa-2048-ehuge": ("key.rsa-exponent-large",),
        "rsa-even-modulus": ("key.rsa-modulus-even",),
        "rsa-8200": ("key.rsa-too-large", "key.not-in-profile"),
    }
    for key, rules in weak.items():
        area.refuse(f"weak-{key}", request(parts=[GOOD], key=key), f"{key} is weak", *rules)
    area.refuse(
        "weak-rsa-16392",
        request(parts=[GOOD], key="rsa-16392"),
        "no arithmetic with a modulus of 16392 bits",
        "key.unacceptable",
    )


def _malformed_rsa(area: Area) -> None:
    n, e = rsa_keys()["rsa-2048"].n, 65537
    good = seq(integer(n), integer(e))
    unsigned = tlv(0x02, n.to_bytes(256, "big"))
    shapes = {
        "no-null": (rsa_spki(good, parameters=b""), "rsaEncryption without NULL"),
        "octets-for-null": (rsa_spki(good, parameters=octet_string(b"")), "not NULL"),
        "negative-modulus": (rsa_spki(seq(unsigned, integer(e))), "the sign octet is missing"),
        "zero-modulus": (rsa_spki(seq(integer(0), integer(e))), "modulus 0"),
        "zero-exponent": (rsa_spki(seq(integer(n), integer(0))), "exponent 0"),
        "negative-exponent": (rsa_spki(seq(integer(n), integer(-3))), "exponent -3"),
        "three-numbers": (rsa_spki(seq(integer(n), integer(e), integer(1))), "a third number"),
        "one-number": (rsa_spki(seq(integer(n))), "no exponent"),
        "empty": (rsa_spki(b""), "no key in the BIT STRING"),
        "trailing": (rsa_spki(good + b"\0"), "an octet after the key"),
        "padded-exponent": (
            rsa_spki(seq(integer(n), b"\x02\x04\x00\x01\x00\x01")),
            "an INTEGER with a leading zero too many",
        ),
        "pss-only": (
            rsa_spki(good, kind="1.2.840.113549.1.1.10", parameters=b""),
            "id-RSASSA-PSS keys: few clients take them",
        ),
        "oaep-only": (rsa_spki(good, kind="1.2.840.113549.1.1.7"), "a key for encryption only"),
    }
    for name, (public, why) in shapes.items():
        der = request(parts=[GOOD], key="rsa-2048", public=public)
        area.refuse(f"rsa-{name}", der, why, "key.unacceptable")


def _ec(area: Area) -> None:
    point = testkeys.ec_point("ec-p256")
    x, y = point[1:33], point[33:]
    field = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    gx = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    gy = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    explicit = seq(
        integer(1),
        seq(oid("1.2.840.10045.1.1"), integer(field)),
        seq(octet_string((field - 3).to_bytes(32, "big")), octet_string(b.to_bytes(32, "big"))),
        octet_string(b"\x04" + gx.to_bytes(32, "big") + gy.to_bytes(32, "big")),
        integer(order),
        integer(1),
    )
    hybrid = bytes([6 + (y[-1] & 1)]) + x + y
    shapes = {
        "explicit": (ec_spki(explicit, point), "explicit parameters equal to P-256"),
        "hybrid": (ec_spki(P256, hybrid), "a hybrid point"),
        "compressed": (
            ec_spki(P256, testkeys.ec_point("ec-p256", compressed=True)),
            "a compressed point",
        ),
        "off-curve": (ec_spki(P256, b"\x04" + x + x), "a point beside the curve"),
        "infinity": (ec_spki(P256, b"\0"), "the point at infinity"),
        "zero": (ec_spki(P256, b"\x04" + bytes(64)), "the point (0, 0)"),
        "short": (ec_spki(P256, point[:-1]), "an octet short"),
        "long": (ec_spki(P256, point + b"\0"), "an octet too long"),
        "empty": (ec_spki(P256, b""), "no point"),
        "x-beyond-field": (
            ec_spki(P256, b"\x04" + b"\xff" * 32 + y),
            "a coordinate larger than the field",
        ),
        "implicit": (ec_spki(NULL, point), "implicitCurve"),
        "no-curve": (ec_spki(b"", point), "no parameters at all"),
        "other-curve-point": (
            ec_spki(oid(CURVE_OIDS["ec-p384"]), point),
            "a P-256 point said to be on P-384",
        ),
        "ecdh-only": (ec_spki(P256, point, kind="1.3.132.1.12"), "id-ecDH"),
        "unused-bits": (
            seq(seq(oid("1.2.840.10045.2.1"), P256), bit_string(point[:-1] + b"\0", 1)),
            "a point of 519 bits",
        ),
        "sm2": (ec_spki(oid("1.2.156.10197.1.301"), point), "the curve SM2"),
    }
    for name, (public, why) in shapes.items():
        der = request(parts=[GOOD], public=public)
        area.refuse(f"ec-{name}", der, why, "key.unacceptable")
    for key in ("ec-p224", "ec-secp256k1", "ec-brainpool"):
        der = request(parts=[GOOD], key=key)
        area.refuse(f"{key}-key", der, "a curve that clients do not know", "key.unacceptable")


def _other_algorithms(area: Area) -> None:
    x25519 = seq(seq(oid("1.3.101.110")), bit_string(bytes(range(32))))
    dsa = seq(
        seq(oid("1.2.840.10040.4.1"), seq(integer(23), integer(11), integer(4))),
        bit_string(integer(8)),
    )
    gost = seq(
        seq(oid("1.2.643.7.1.1.1.1"), seq(oid("1.2.643.7.1.2.1.1.1"))),
        bit_string(octet_string(bytes(64))),
    )
    shapes = {
        "dsa": (dsa, "DSA key"),
        "gost": (gost, "GOST R 34.10-2012 key"),
        "x25519": (x25519, "X25519 key"),
        "ed448": (testkeys.ed448_spki(), "Ed448 key"),
        "ml-dsa": (
            seq(seq(oid("2.16.840.1.101.3.4.3.18")), bit_string(bytes(1952))),
            "ML-DSA-65 key",
        ),
        "unknown": (seq(seq(oid("1.2.3.4.5")), bit_string(b"key")), "unknown algorithm 1.2.3.4.5"),
        "ed25519-null": (
            seq(seq(oid("1.3.101.112"), NULL), bit_string(bytes(32))),
            "takes no parameters",
        ),
        "ed25519-short": (seq(seq(oid("1.3.101.112")), bit_string(bytes(31))), "32 octets"),
    }
    for name, (public, says) in shapes.items():
        der = request(parts=[GOOD], public=public)
        area.refuse(
            f"other-{name}", der, f"a key that is not taken: {name}", "key.unacceptable", says=says
        )


def _signatures(area: Area) -> None:
    for digest in ("md5", "sha1"):
        der = request(parts=[GOOD], key="rsa-2048", digest=digest)
        area.refuse(
            f"sig-rsa-{digest}", der, f"{digest} can be forged", "signature.broken-algorithm"
        )
    area.refuse(
        "sig-ecdsa-sha1",
        request(parts=[GOOD], digest="sha1"),
        "SHA-1 can be forged",
        "signature.broken-algorithm",
    )
    for key in ("rsa-2048", "ec-p256"):
        der = request(parts=[GOOD], key=key, digest="sha224")
        area.refuse(f"sig-{key}-sha224", der, "SHA-224 is nobody's default", "signature.malformed")
    for key in ("rsa-2048", "ec-p256", "ed25519"):
        good = request(parts=[GOOD], key=key)
        flipped = good[:-1] + bytes([good[-1] ^ 1])
        area.refuse(f"pop-{key}-flipped", flipped, "one bit of the signature", "signature.invalid")
        changed = good.replace(b"nas.home.arpa", b"nat.home.arpa", 1)
        area.refuse(f"pop-{key}-changed", changed, "changed after signing", "signature.invalid")
        der = request(parts=[GOOD], key=key, signature=b"")
        area.refuse(f"pop-{key}-empty", der, "no signature", "signature.invalid")
    area.refuse(
        "pop-other-key",
        request(parts=[GOOD], key="ec-p384", signer="ec-p256"),
        "signed by another key of the same family",
        "signature.invalid",
    )
    area.refuse(
        "pop-other-family",
        request(parts=[GOOD], key="ec-p256", signer="rsa-2048"),
        "an RSA signature under an EC key",
        "signature.malformed",
    )
    area.refuse(
        "pop-zero-halves",
        request(parts=[GOOD], signature=seq(integer(0), integer(0))),
        "an ECDSA signature of two zeros",
        "signature.invalid",
    )
    raw = bytes(range(64))
    area.refuse(
        "pop-raw-halves",
        request(parts=[GOOD], signature=raw),
        "r and s without their SEQUENCE, as a token returns them",
        "signature.invalid",
    )
    area.refuse(
        "pop-unsigned",
        request(parts=[GOOD], algorithm=seq(oid("1.3.6.1.5.5.7.6.36")), signature=b""),
        "id-alg-unsigned (RFC 9925)",
        "signature.malformed",
    )
    p256 = oid(ECDSA["sha256"])
    rsa = oid(RSA["sha256"])
    area.take(
        "sig-ecdsa-null",
        request(parts=[GOOD], algorithm=seq(p256, NULL)),
        "NULL parameters, as tpm2-openssl before 1.3.1",
        says="tpm2-openssl",
    )
    area.take(
        "sig-rsa-absent",
        request(parts=[GOOD], key="rsa-2048", algorithm=seq(rsa)),
        "PKCS#1 without NULL, as RFC 4055 asks verifiers to take",
        says="lacks its NULL",
    )
    area.take(
        "sig-ed25519-null",
        request(parts=[GOOD], key="ed25519", algorithm=seq(oid("1.3.101.112"), NULL)),
        "NULL parameters",
        says="NULL parameters",
    )
    odd = {
        "ecdsa-curve": (seq(p256, P256), "ec-p256"),
        "ecdsa-two": (seq(p256, NULL, NULL), "ec-p256"),
        "rsa-octets": (seq(rsa, octet_string(b"x")), "rsa-2048"),
        "none": (seq(), "ec-p256"),
        "not-oid": (seq(integer(1)), "ec-p256"),
        "unknown": (seq(oid("1.2.3.4")), "ec-p256"),
        "key-oid": (seq(oid("1.2.840.113549.1.1.1"), NULL), "rsa-2048"),
    }
    for name, (algorithm, key) in odd.items():
        area.refuse(
            f"sig-{name}",
            request(parts=[GOOD], key=key, algorithm=algorithm),
            "parameters or algorithm that cannot be",
            "signature.malformed",
        )
    area.refuse(
        "sig-unused-bits",
        request(parts=[GOOD], key="rsa-2048", unused=3),
        "a signature that does not end on an octet",
        "signature.malformed",
    )


def _pss(area: Area) -> None:
    for digest, salt in (
        ("sha256", 32),
        ("sha384", 48),
        ("sha512", 64),
        ("sha256", 222),
        ("sha256", 0),
        ("sha256", 20),
    ):
        der = pss_request("rsa-2048", digest, salt)
        area.take(f"pss-{digest}-salt-{salt}", der, f"PSS, salt of {salt} octets")
    area.take(
        "pss-no-null",
        pss_request("rsa-2048", "sha256", 32, algorithm=pss_algorithm("sha256", 32, null=False)),
        "hash identifiers without NULL (RFC 4055 §2.1 allows both)",
    )
    area.take(
        "pss-default-salt",
        pss_request("rsa-2048", "sha256", 20, algorithm=pss_algorithm("sha256", None)),
        "the salt length left to its default of 20",
    )
    pss = oid("1.2.840.113549.1.1.10")
    area.refuse(
        "pss-defaults",
        pss_request("rsa-2048", "sha256", 32, algorithm=seq(pss, seq())),
        "all defaults mean SHA-1",
        "signature.broken-algorithm",
    )
    area.refuse(
        "pss-no-parameters",
        pss_request("rsa-2048", "sha256", 32, algorithm=seq(pss)),
        "no parameters",
        "signature.broken-algorithm",
    )
    area.refuse(
        "pss-sha1",
        pss_request("rsa-2048", "sha1", 20, algorithm=pss_algorithm("sha1", 20)),
        "SHA-1",
        "signature.broken-algorithm",
    )
    area.refuse(
        "pss-two-hashes",
        pss_request("rsa-2048", "sha256", 32, algorithm=pss_algorithm("sha256", 32, mask="sha512")),
        "another hash for the mask",
        "signature.malformed",
    )
    area.refuse(
        "pss-wrong-salt",
        pss_request("rsa-2048", "sha256", 32, algorithm=pss_algorithm("sha256", 20)),
        "the salt is longer than said",
        "signature.invalid",
    )
    area.refuse(
        "pss-huge-salt",
        pss_request("rsa-2048", "sha256", 32, algorithm=pss_algorithm("sha256", 1 << 40)),
        "a salt of a terabyte",
        "signature.malformed",
    )
    area.refuse(
        "pss-on-ec",
        request(parts=[GOOD], algorithm=pss_algorithm("sha256", 32)),
        "PSS under an EC key",
        "signature.malformed",
    )
    area.refuse(
        "pss-v15-signature",
        request(parts=[GOOD], key="rsa-2048", algorithm=pss_algorithm("sha256", 32)),
        "a PKCS#1 v1.5 signature said to be PSS",
        "signature.invalid",
    )
