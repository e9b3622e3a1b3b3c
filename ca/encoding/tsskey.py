"""TSS2 PRIVATE KEY: a TPM key as a file (OID 2.23.133.10.1.3, draft-bottomley-tpm2-keys).

The file holds the public area and the private area wrapped by the TPM's storage key, so it is
useless away from that TPM. `openssl -provider tpm2` reads and writes the same form.
"""

from __future__ import annotations

import base64
import binascii
import re

from asn1crypto import core
from msgspec import Struct

from ca.encoding import containers
from ca.encoding.tpm import Unmarshaller
from ca.errors import EncodingError, KeyFileMalformed

LOADABLE = "2.23.133.10.1.3"
IMPORTABLE = "2.23.133.10.1.4"
SEALED = "2.23.133.10.1.5"

#: The storage key that homeca keeps persistent, and the owner hierarchy, of which a storage key
#: is derived on the spot.
PARENT_SRK = 0x81000001
PARENT_OWNER = 0x40000001

MAX_OCTETS = 16 * 1024  # an RSA-4096 key takes 2 kB

_PEM = re.compile(
    rb"\s*-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----\s*"
)


class _Policy(core.Sequence):  # type: ignore[misc]  # asn1crypto is untyped
    _fields = [  # noqa: RUF012  # asn1crypto's way
        ("command_code", core.Integer, {"explicit": 0}),
        ("command_policy", core.OctetString, {"explicit": 1}),
    ]


class _PolicySequence(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Policy


class _AuthPolicy(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("name", core.UTF8String, {"explicit": 0, "optional": True}),
        ("policy", _PolicySequence, {"explicit": 1}),
    ]


class _AuthPolicySequence(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _AuthPolicy


class _TpmKey(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("type", core.ObjectIdentifier),
        ("empty_auth", core.Boolean, {"explicit": 0, "optional": True}),
        ("policy", _PolicySequence, {"explicit": 1, "optional": True}),
        ("secret", core.OctetString, {"explicit": 2, "optional": True}),
        ("auth_policy", _AuthPolicySequence, {"explicit": 3, "optional": True}),
        ("description", core.UTF8String, {"explicit": 4, "optional": True}),
        ("rsa_parent", core.Boolean, {"explicit": 5, "optional": True}),
        ("parent", core.Integer),
        ("public", core.OctetString),
        ("private", core.OctetString),
    ]


class TssKey(Struct, frozen=True, kw_only=True):
    """One loadable key.

    public, private: TPM2B_PUBLIC and TPM2B_PRIVATE.
    empty_auth:      True when the key has no PIN.
    parent:          PARENT_SRK or PARENT_OWNER.
    """

    public: bytes
    private: bytes
    empty_auth: bool
    parent: int = PARENT_SRK

    def to_der(self) -> bytes:
        """Exactly {oid, [0] emptyAuth, parent, pub, priv}: tpm2-openssl refuses anything more."""
        return bytes(
            _TpmKey(
                {
                    "type": LOADABLE,
                    "empty_auth": self.empty_auth,
                    "parent": self.parent,
                    "public": self.public,
                    "private": self.private,
                }
            ).dump()
        )

    def to_pem(self) -> bytes:
        """Lines of 64, as OpenSSL writes them (RFC 7468 §2)."""
        return containers.pem("TSS2 PRIVATE KEY", self.to_der())

    @classmethod
    def from_der(cls, der: bytes) -> TssKey:
        """Strictly: what does not encode back to the same octets is refused.

        The one exception is BOOLEAN TRUE as 0x01, which tpm2-openssl 1.1.1 writes.
        Raises: KeyFileMalformed, also for policies, importable and sealed objects.
        """
        if len(der) > MAX_OCTETS:
            raise _malformed(f"it has {len(der)} octets, far too many")
        try:
            asn1 = _TpmKey.load(der, strict=True)
            oid = asn1["type"].dotted
            _refuse_other_objects(oid)
            for field in ("policy", "secret", "auth_policy", "rsa_parent"):
                if not isinstance(asn1[field], core.Void):
                    raise _malformed(f"it has the field {field!r}", remedy=_NO_EXTRAS)
            empty_auth = asn1["empty_auth"].native
            key = cls(
                public=asn1["public"].native,
                private=asn1["private"].native,
                empty_auth=bool(empty_auth),
                parent=asn1["parent"].native,
            )
            again = key.to_der()
            if empty_auth is None:  # absent means FALSE
                again = _without_empty_auth(key)
        except (ValueError, TypeError, KeyError) as error:
            raise _malformed("its ASN.1 is broken") from error
        if der not in (again, again.replace(b"\xa0\x03\x01\x01\xff", b"\xa0\x03\x01\x01\x01", 1)):
            raise _malformed("it is not in DER, or has fields homeca does not know")
        if key.parent not in (PARENT_SRK, PARENT_OWNER):
            raise _malformed(
                f"its parent is 0x{key.parent:x}, not the storage key at 0x{PARENT_SRK:x}",
                remedy="make the key under the storage key, as `homeca` does",
            )
        for octets in (key.public, key.private):
            try:
                r = Unmarshaller(octets, "TPM2B")
                r.sized()
                r.end()
            except EncodingError as error:
                raise _malformed("a length in it does not fit") from error
        return key

    @classmethod
    def from_pem(cls, pem: bytes) -> TssKey:
        """One PEM block and nothing else around it. Raises: KeyFileMalformed."""
        if len(pem) > 2 * MAX_OCTETS:
            raise _malformed(f"it has {len(pem)} octets, far too many")
        block = _PEM.fullmatch(pem)
        if block is None:
            raise _malformed("it is not one PEM block")
        label = block[1].decode("ascii")
        if label != "TSS2 PRIVATE KEY":
            raise _malformed(
                f"it is a {label!r}, not a 'TSS2 PRIVATE KEY'",
                remedy="give the file homeca wrote; a key that was ever outside a TPM is not used",
            )
        try:
            der = base64.b64decode(b"".join(block[2].split()), validate=True)
        except binascii.Error as error:
            raise _malformed("its base64 is broken") from error
        return cls.from_der(der)


_NO_EXTRAS = (
    "use a key without policy: `openssl genpkey -provider tpm2 -algorithm EC "
    "-pkeyopt group:P-256 -pkeyopt parent:0x81000001`"
)


def _without_empty_auth(key: TssKey) -> bytes:
    return bytes(
        _TpmKey(
            {
                "type": LOADABLE,
                "parent": key.parent,
                "public": key.public,
                "private": key.private,
            }
        ).dump()
    )


def _refuse_other_objects(oid: str) -> None:
    if oid == LOADABLE:
        return
    reason = {
        IMPORTABLE: "it is importable, so its key has been outside the TPM",
        SEALED: "it is a sealed secret, not a key",
    }.get(oid, f"its type is {oid}, which homeca does not know")
    raise _malformed(reason, remedy="make a key inside the TPM, as `homeca` does")


def _malformed(
    why: str, *, remedy: str = "restore the key file from a backup of the home"
) -> KeyFileMalformed:
    return KeyFileMalformed(f"the TPM key file cannot be used: {why}", remedy=remedy)
