"""What a certreq INF asks for, as a key in a TPM on Linux can give it.

Three answers and no fourth: a key is honoured; or it is irrelevant here and listed as ignored; or
it is refused with the reason, and then nothing is made. All faults of a file are told at once.
"""

from __future__ import annotations

from msgspec import Struct

from ca.algorithms import KEY_KINDS, KeyKind
from ca.encoding.extensions import Extension
from ca.encoding.inf import Entry, Faults, Section, read_inf
from ca.encoding.inf_extensions import Asked, read_extensions, read_purposes, read_san_attribute
from ca.encoding.inf_values import boolean, key_usages, number, subject
from ca.names.distinguished import DistinguishedName
from ca.names.general import GeneralName
from ca.names.showing import visible

PLATFORM_PROVIDER = "Microsoft Platform Crypto Provider"
_IN_SOFTWARE = "it keeps keys in files that can be copied"
_ON_A_CARD = "it keeps keys on a smart card"
_PROVIDERS = {
    PLATFORM_PROVIDER: "",
    "Microsoft Software Key Storage Provider": _IN_SOFTWARE,
    "Microsoft RSA SChannel Cryptographic Provider": _IN_SOFTWARE,
    "Microsoft DH SChannel Cryptographic Provider": _IN_SOFTWARE,
    "Microsoft Enhanced RSA and AES Cryptographic Provider": _IN_SOFTWARE,
    "Microsoft Enhanced Cryptographic Provider v1.0": _IN_SOFTWARE,
    "Microsoft Strong Cryptographic Provider": _IN_SOFTWARE,
    "Microsoft Base Cryptographic Provider v1.0": _IN_SOFTWARE,
    "Microsoft Passport Key Storage Provider": "its keys belong to a Windows sign-in",
    "Microsoft Smart Card Key Storage Provider": _ON_A_CARD,
    "Microsoft Base Smart Card Crypto Provider": _ON_A_CARD,
}
_CURVES = {256: "ec-p256", 384: "ec-p384", 521: "ec-p521"}
_OTHER_SECTIONS = {
    "basicconstraintsextension": "BasicConstraintsExtension",
    "policystatementextension": "PolicyStatementExtension",
    "applicationpolicystatementextension": "ApplicationPolicyStatementExtension",
    "crosscertificatedistributionpointsextension": "CrossCertificateDistributionPointsExtension",
}
_SECTIONS = {
    name.casefold(): name
    for name in (
        *("Version", "Strings", "NewRequest", "Extensions"),
        *("EnhancedKeyUsageExtension", "RequestAttributes"),
    )
} | _OTHER_SECTIONS

_BY_PROFILE = "the CA's profile decides that"
_WINDOWS = "there is no such thing on Linux"
_NO_DIALOG = "homeca asks nothing but a PIN"

#: Keys of [NewRequest] that mean nothing to a key in a TPM on Linux, and why.
_IRRELEVANT = {
    "KeySpec": "a key in a TPM signs and does nothing else",
    "KeyUsageProperty": "a key in a TPM signs and does nothing else",
    "ProviderType": "it belongs to the older Windows interface",
    "NotBefore": _BY_PROFILE,
    "NotAfter": _BY_PROFILE,
    "ValidityPeriod": _BY_PROFILE,
    "ValidityPeriodUnits": _BY_PROFILE,
    "RequesterName": "homeca makes requests for this device only",
    "SecurityDescriptor": "file modes protect the key file: 0600 in a home of mode 0700",
    "KeyProtection": "use --pin to protect the key",
    "UserProtected": "use --pin to protect the key",
    "Silent": _NO_DIALOG,
    "ContextHandle": _WINDOWS,
    "ReaderName": _WINDOWS,
    "SMIME": _BY_PROFILE,
    "SuppressDefaults": "homeca adds no attributes of its own",
    "EncryptionAlgorithm": "nothing is archived, so nothing is encrypted",
    "EncryptionLength": "nothing is archived, so nothing is encrypted",
}


class Ignored(Struct, frozen=True):
    """A key that was read and changes nothing, and why."""

    line: int
    key: str
    value: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {visible(self.key)} = {visible(self.value)}: {self.why}"


class InfRequest(Struct, frozen=True, kw_only=True):
    """One request, ready to be made.

    machine:      MachineKeySet; None when the file does not say.
    existing_key: KeyContainer under UseExistingKeySet = TRUE: the request whose key is used again.
    extensions:   of extensionRequest, in DER, the SAN left out: it is made of `names`.
    san_critical: whether [Extensions] calls the SAN critical.
    """

    subject: DistinguishedName
    names: tuple[GeneralName, ...]
    kind: KeyKind
    machine: bool | None
    friendly_name: str
    existing_key: str | None
    extensions: tuple[Extension, ...]
    san_critical: bool
    ignored: tuple[Ignored, ...]


def parse_inf(octets: bytes, *, source: str) -> InfRequest:
    """A certreq INF, strictly. source: its name in messages ("request.inf").

    Raises: InfRefused with every fault, each with file and line.
    """
    faults = Faults(source)
    sections = read_inf(octets, faults)
    request = _Meaning(faults).read(sections)
    faults.settle()
    return request


class _Meaning:
    """Collects what the sections say; faults go to `faults`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._ignored: list[Ignored] = []
        self._keys: dict[str, Entry] = {}

    def read(self, sections: tuple[Section, ...]) -> InfRequest:
        by_name = {section.name.casefold(): section for section in sections}
        for folded, section in by_name.items():
            if folded not in _SECTIONS:
                self._faults.unknown(
                    "unknown-section", section.line, "a section", section.name, _SECTIONS
                )
            elif folded in _OTHER_SECTIONS:
                why = _BY_PROFILE
                self._ignored += [Ignored(e.line, e.key, e.value, why) for e in section.entries]
        self._version(by_name.get("version"))
        new = by_name.get("newrequest")
        if new is None:
            self._faults.add("no-request", 0, "there is no section [NewRequest]", "add it")
        else:
            self._new_request(new)
        asked = Asked()
        extensions = by_name.get("extensions")
        if extensions is not None:
            asked = read_extensions(extensions, self._faults, self._ignore)
        purposes = by_name.get("enhancedkeyusageextension")
        if purposes is not None:
            read_purposes(purposes, asked, self._faults)
        attributes = by_name.get("requestattributes")
        if attributes is not None:
            self._attributes(attributes, asked)
        return self._request(new.line if new else 0, asked)

    # ------------------------------------------------------------ sections

    def _version(self, section: Section | None) -> None:
        known = {"signature": "Signature", "provider": "Provider", "class": "Class"}
        for entry in section.entries if section else ():
            if entry.key.casefold() not in known:
                self._unknown(entry, "of [Version]", known)
            elif entry.key.casefold() == "signature" and entry.value.casefold() not in (
                *("$windows nt$", "$windows 95$", "$chicago$"),
            ):
                self._fault("signature", entry, "is not '$Windows NT$'", "correct or drop it")

    def _new_request(self, section: Section) -> None:
        known = {name.casefold(): name for name in (*_HONOURED, *_IRRELEVANT)}
        for entry in section.entries:
            folded = entry.key.casefold()
            held = self._keys.get(folded)
            if folded not in known:
                self._unknown(entry, "a key of [NewRequest]", known)
            elif known[folded] in _IRRELEVANT:
                self._ignore(entry, _IRRELEVANT[known[folded]])
            elif held is None:
                self._keys[folded] = entry
            elif held.value.casefold() != entry.value.casefold():
                text = f"contradicts line {held.line}, which says {visible(held.value)!r}"
                self._fault("contradiction", entry, text, "keep one of the two")

    def _attributes(self, section: Section, asked: Asked) -> None:
        known = {
            name.casefold(): name
            for name in (
                *("CertificateTemplate", "SAN", "RequesterName", "CertType", "ExpirationDate"),
                *("ValidityPeriod", "ValidityPeriodUnits", "Challenge", "CDC", "RMD", "CCM"),
            )
        }
        for entry in section.entries:
            if entry.key.casefold() == "san":
                read_san_attribute(entry, asked, self._faults)
            elif entry.key.casefold() in known:
                self._ignore(entry, "it speaks to a Windows CA; homeca signs by a profile")
            else:
                self._unknown(entry, "a request attribute", known)

    # ------------------------------------------------------------ [NewRequest]

    def _request(self, line: int, asked: Asked) -> InfRequest:
        kind = self._kind()
        self._hash(kind)
        self._provider()
        self._never("Exportable", "a key in a TPM cannot leave it", "write Exportable = FALSE")
        self._never(
            "ExportableEncrypted", "a key in a TPM cannot leave it", "write Exportable = FALSE"
        )
        self._never(
            "PrivateKeyArchive",
            "a key in a TPM cannot be archived: there is no second copy",
            "leave it out, and make a new key when the device is lost",
        )
        self._never(
            "AlternateSignatureAlgorithm",
            "homeca signs requests with ECDSA or PKCS#1 v1.5",
            "leave it out",
        )
        self._request_type()
        usage = self._key("KeyUsage")
        if usage is not None:
            asked.key_usage |= key_usages(usage, self._faults)
        named = self._subject()
        if line and not named and not asked.names and not self._faults.found:
            self._faults.add(
                "nobody",
                line,
                "it names nobody: no Subject and no subject alternative name",
                'write Subject = "CN=…"',
            )
        friendly = self._key("FriendlyName")
        return InfRequest(
            subject=named,
            names=tuple(dict.fromkeys(asked.names)),
            kind=kind,
            machine=self._flag("MachineKeySet"),
            friendly_name=friendly.value if friendly is not None else "",
            existing_key=self._existing(),
            extensions=asked.extensions(),
            san_critical=asked.san_critical,
            ignored=tuple(sorted(self._ignored, key=lambda one: one.line)),
        )

    def _kind(self) -> KeyKind:
        """KeyAlgorithm and KeyLength together; certreq's default algorithm is RSA."""
        entry, length = self._key("KeyAlgorithm"), self._key("KeyLength")
        name = entry.value.strip().upper() if entry is not None else "RSA"
        bits = number(length, self._faults) if length is not None else None
        if name == "RSA":
            return self._rsa(length, 2048 if bits is None else bits)
        assert entry is not None  # noqa: S101  # only an entry names another algorithm
        if name == "ECDSA" and length is not None and bits in _CURVES:
            return KEY_KINDS[_CURVES[bits]]
        family, _, suffix = name.partition("_P")
        size = int(suffix) if suffix.isdecimal() and len(suffix) < 5 else 0
        if family == "ECDSA" and size in _CURVES:
            if length is not None and bits not in (None, size):
                self._fault(
                    "key-length",
                    length,
                    f"contradicts KeyAlgorithm = {name}, which has {size} bits",
                    f"write KeyLength = {size}, or leave it out",
                )
            return KEY_KINDS[_CURVES[size]]
        self._fault("key-algorithm", entry, *_why_not_algorithm(name, size))
        return KEY_KINDS["ec-p256"]

    def _rsa(self, length: Entry | None, bits: int) -> KeyKind:
        kind = KEY_KINDS.get(f"rsa-{bits}")
        if kind is not None:
            return kind
        if length is not None and length.value.strip():
            weak = 0 < bits < 2048
            self._fault(
                "key-length",
                length,
                "is too short for RSA" if weak else "is no length for RSA",
                "write KeyAlgorithm = ECDSA_P256 and leave KeyLength out, or KeyLength = 2048",
            )
        return KEY_KINDS["rsa-2048"]

    def _hash(self, kind: KeyKind) -> None:
        entry = self._key("HashAlgorithm")
        if entry is None:
            return
        name = entry.value.replace("-", "").strip().lower()
        if name not in ("sha256", "sha384", "sha512"):
            self._fault(
                "hash", entry, "is not a digest that still proves something", "write SHA256"
            )
        elif name != kind.hash and not self._faults.found:
            self._ignore(
                entry, f"a key of kind {kind} signs with {kind.hash.upper()}, which fits it"
            )

    def _provider(self) -> None:
        entry = self._key("ProviderName")
        if entry is None:
            return
        names = {name.casefold(): name for name in _PROVIDERS}
        name = names.get(" ".join(entry.value.split()).casefold())
        if name is None:
            self._faults.unknown("provider", entry.line, "a provider", entry.value, names)
        elif _PROVIDERS[name]:
            self._fault(
                "provider",
                entry,
                f"cannot be had: {_PROVIDERS[name]}, and homeca's keys live in the TPM",
                f'write ProviderName = "{PLATFORM_PROVIDER}", or leave it out',
            )

    def _request_type(self) -> None:
        entry = self._key("RequestType")
        if entry is not None and entry.value.strip().casefold() not in ("pkcs10", "pkcs10-"):
            self._fault(
                "request-type", entry, "is not made here: homeca writes PKCS#10", "write PKCS10"
            )
        renewal = self._key("RenewalCert")
        if renewal is not None:
            self._fault(
                "renewal",
                renewal,
                "names a certificate in a Windows store",
                "run `homeca request renew NAME`; `homeca request list` shows the names",
            )

    def _existing(self) -> str | None:
        container = self._key("KeyContainer")
        if not self._flag("UseExistingKeySet"):
            if container is not None:
                self._ignore(container, "homeca names a request after its subject; see --name")
            return None
        if container is None:
            self._fault(
                "existing-key",
                self._keys["useexistingkeyset"],
                "does not say which key",
                "add KeyContainer = NAME; `homeca request list` shows the names",
            )
            return None
        return container.value.strip()

    def _subject(self) -> DistinguishedName:
        entry, flags = self._key("Subject"), self._key("X500NameFlags")
        if entry is None:
            if flags is not None:
                self._ignore(flags, "there is no Subject")
            return DistinguishedName()
        return subject(entry, flags, self._faults)

    # ------------------------------------------------------------ small things

    def _key(self, name: str) -> Entry | None:
        return self._keys.get(name.casefold())

    def _flag(self, name: str) -> bool | None:
        entry = self._key(name)
        return boolean(entry, self._faults) if entry is not None else None

    def _never(self, name: str, why: str, remedy: str) -> None:
        entry = self._key(name)
        if entry is not None and boolean(entry, self._faults):
            self._fault("cannot", entry, f"cannot be had: {why}", remedy)

    def _ignore(self, entry: Entry, why: str) -> None:
        self._ignored.append(Ignored(entry.line, entry.key, entry.value, why))

    def _unknown(self, entry: Entry, what: str, known: dict[str, str]) -> None:
        self._faults.unknown("unknown-key", entry.line, what, entry.key, known)

    def _fault(self, rule: str, entry: Entry, text: str, remedy: str) -> None:
        said = f"{visible(entry.key)} = {visible(entry.value)!r} {text}"
        self._faults.add(rule, entry.line, said, remedy)


def _why_not_algorithm(name: str, size: int) -> tuple[str, str]:
    if name.startswith("ECDH"):
        wanted = size if size in _CURVES else 256
        return (
            "only agrees on secrets: such a key cannot sign its own request "
            "(certreq says 0x80090029 NTE_NOT_SUPPORTED)",
            f"write KeyAlgorithm = ECDSA_P{wanted}",
        )
    if name == "ECDSA":
        return "does not name a curve", "write KeyAlgorithm = ECDSA_P256"
    if name in ("DSA", "DH"):
        return "is not a kind of key that a TPM makes", "write KeyAlgorithm = ECDSA_P256"
    return "is not an algorithm homeca knows", "write ECDSA_P256, ECDSA_P384, ECDSA_P521 or RSA"


#: Keys of [NewRequest] that decide something here.
_HONOURED: tuple[str, ...] = (
    *("Subject", "X500NameFlags", "FriendlyName", "HashAlgorithm", "KeyAlgorithm", "KeyLength"),
    *("MachineKeySet", "Exportable", "ExportableEncrypted", "ProviderName", "KeyUsage"),
    *("UseExistingKeySet", "KeyContainer", "RequestType", "RenewalCert", "PrivateKeyArchive"),
    "AlternateSignatureAlgorithm",
)
