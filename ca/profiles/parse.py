"""The text of an openssl.cnf to a Profile: strict, and every fault at once.

The form of a profile. OpenSSL reads all of it but `[ homeca ]`, and gives the same certificate:

    [ ca ]
    default_ca = NAME              which section is the profile

    [ NAME ]                       as for `openssl ca`
    default_days    = 375
    default_md      = sha256       or default: the digest that goes with the CA's key
    policy          = SECTION      countryName = match | supplied | optional; order of the RDNs
    x509_extensions = SECTION      x509v3_config(5)
    copy_extensions = none         copy: names of every kind may be granted

    [ homeca ]                     what OpenSSL has no word for
    purpose      = one line for people
    consumers    = openvpn, windows
    max_days     = 825             default: the larger of 825 and default_days
    keys         = ec, rsa         kinds as in `homeca keys`, or rsa (2048 to 4096), ec, ed25519
    san          = dns, ip         kinds of names a request may ask for: dns, ip, email, uri, upn
    san_required = yes | no
    cn_from_san  = yes | no        the first DNS name (else the first name) becomes the commonName
    organizationName         = Home    every subject has it, whatever is asked
    organizationName_default = Home    a subject that leaves it out gets it

`subjectAltName = @alt_names` without a section of that name stands for the granted names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from ca.encoding.asn1_generate import parse_boolean
from ca.errors import HomecaError, ProfileMalformed
from ca.names.distinguished import Attribute
from ca.names.showing import shell_word, visible
from ca.profiles import values
from ca.profiles.leaf_law import judge_extensions
from ca.profiles.object_names import ATTRIBUTES, meant
from ca.profiles.openssl_cnf import Cnf, Entry, read_cnf
from ca.profiles.profile import PolicyField, PolicyRule, Profile
from ca.profiles.x509v3 import AlternativeNames, ExtensionDirective
from ca.profiles.x509v3_names import attribute_oid
from ca.profiles.x509v3_syntax import read_extensions

T = TypeVar("T")

#: Only these, and only as shipped, may make a CA (invariant 4).
CEREMONIES = frozenset({"root-ca", "intermediate-ca"})
BUILT_IN = "built-in"
DEFAULT_KEYS = ("ec-p256", "ec-p384", "ec-p521", "rsa")
CEILING = 825  # Apple's limit for servers (AP1), and long enough for anything at home
#: Keys of a CA section that are for OpenSSL's own files or output; they decide no certificate.
_OPENSSL_ONLY = frozenset(
    {"dir", "certs", "crl_dir", "new_certs_dir", "database", "serial", "RANDFILE", "private_key"}
    | {"certificate", "crlnumber", "crl", "crl_extensions", "default_crl_days"}
    | {"default_crl_hours", "name_opt", "cert_opt", "unique_subject", "rand_serial"}
)
_CA_KEYS = ("default_days", "default_md", "policy", "x509_extensions", "copy_extensions")
_HOMECA_KEYS = ("purpose", "consumers", "max_days", "keys", "san", "san_required", "cn_from_san")
#: Keys that would change certificates in ways homeca does not follow, and their harmless value.
_FIXED = {"preserve": "no", "email_in_dn": "yes", "msie_hack": "no"}


def parse_profile(text: str, *, name: str, source: str) -> Profile:
    """The profile a rendered openssl.cnf is.

    source: a file's path, or "built-in".
    Raises: ProfileMalformed with every fault: file, line, key and the nearest known key.
    """
    reader = _Reader(text, name, source)
    profile = reader.read()
    if profile is None or reader.cnf.faults:
        count = len(reader.cnf.faults)
        raise ProfileMalformed(
            f"the profile {name!r} has {count} fault{'s' if count != 1 else ''}: "
            f"{reader.cnf.faults[0].text}",
            remedy=reader.cnf.faults[0].remedy
            or f"run `homeca profile check {shell_word(source)}`",
            violations=tuple(reader.cnf.faults),
        )
    return profile


class _Reader:
    """One text on its way to a Profile; faults gather in the Cnf."""

    def __init__(self, text: str, name: str, source: str) -> None:
        self.text, self.name, self.source = text, name, source
        self.cnf: Cnf = read_cnf(text, source=name if source == BUILT_IN else source)

    def read(self) -> Profile | None:
        section = self._ca_section()
        if section is None:
            return None
        extensions_entry = self._required(section, "x509_extensions")
        policy_entry = self._required(section, "policy")
        days_entry = self._required(section, "default_days")
        extensions = self._extensions(extensions_entry)
        policy = self._policy(policy_entry)
        default_days = self._take(days_entry, values.read_days, 1)
        max_days = self._take(
            self._homeca("max_days"), values.read_days, max(CEILING, default_days)
        )
        if default_days > max_days:
            self._fault(days_entry, "profile.value", f"default_days is above max_days ({max_days})")
        copies = self._take(self.cnf.get(section, "copy_extensions"), values.read_copies, False)
        names_wanted = any(
            isinstance(d.value, AlternativeNames) and d.value.takes_names for d in extensions
        )
        open_kinds = frozenset(values.SAN_KINDS if copies else ("dns", "ip", "email", "uri"))
        kinds = open_kinds if copies or names_wanted else frozenset[str]()
        fixed, defaults = self._subject(policy)
        ceremony = self.source == BUILT_IN and self.name in CEREMONIES
        facts = judge_extensions(self.cnf, extensions, may_certify=ceremony)
        profile = Profile(
            name=self.name,
            purpose=self._take(self._homeca("purpose"), str, ""),
            consumers=self._take(self._homeca("consumers"), values.read_words, ()),
            text=self.text,
            sha256=hashlib.sha256(self.text.encode()).digest(),
            source=self.source,
            default_days=default_days,
            max_days=max_days,
            digest=self._take(self.cnf.get(section, "default_md"), values.read_digest, None),
            policy=policy,
            subject_defaults=defaults,
            subject_fixed=fixed,
            keys=self._take(self._homeca("keys"), values.read_keys, DEFAULT_KEYS),
            san_kinds=self._take(self._homeca("san"), values.read_kinds, kinds),
            san_required=self._take(self._homeca("san_required"), parse_boolean, False),
            cn_from_san=self._take(self._homeca("cn_from_san"), parse_boolean, False),
            copies_extensions=copies,
            is_ca=facts.is_ca,
            extensions=extensions,
            key_usage=facts.key_usage,
            eku=facts.eku,
        )
        self._known_keys(section)
        self._nothing_unused()
        return profile

    # -- sections

    def _ca_section(self) -> str | None:
        default_ca = self.cnf.get("ca", "default_ca")
        if default_ca is None:
            self.cnf.fault(
                "profile.missing", 1, "there is no [ ca ] with default_ca", "write [ ca ] first"
            )
            return None
        if self.cnf.section(default_ca.value) is None:
            self._fault(
                default_ca,
                "profile.missing",
                f"there is no section {visible(default_ca.value)!r}"
                f"{meant(default_ca.value, self.cnf.sections)}",
            )
            return None
        for entry in self.cnf.section("ca") or ():
            if entry.name != "default_ca":
                self._unknown(entry, ("default_ca",))
        return default_ca.value

    def _required(self, section: str, key: str) -> Entry | None:
        entry = self.cnf.get(section, key)
        if entry is None:
            self.cnf.fault(
                "profile.missing",
                self.cnf.lines.get(section, 1),
                f"[{section}] has no {key}",
                f"write {key} = …",
            )
        return entry

    def _homeca(self, key: str) -> Entry | None:
        return self.cnf.sections.get("homeca", {}).get(key)

    def _extensions(self, entry: Entry | None) -> tuple[ExtensionDirective, ...]:
        if entry is None:
            return ()
        if self.cnf.section(entry.value) is None:
            self._fault(
                entry,
                "profile.missing",
                f"there is no section {visible(entry.value)!r}"
                f"{meant(entry.value, self.cnf.sections)}",
            )
        return read_extensions(self.cnf, entry.value)

    def _policy(self, entry: Entry | None) -> tuple[PolicyField, ...]:
        if entry is None:
            return ()
        lines = self.cnf.section(entry.value)
        if not lines:
            self._fault(
                entry,
                "profile.missing",
                f"there is no policy {visible(entry.value)!r}"
                f"{meant(entry.value, self.cnf.sections)}",
            )
            return ()
        fields = [field for line in lines if (field := self._policy_field(line)) is not None]
        return tuple(fields)

    def _policy_field(self, line: Entry) -> PolicyField | None:
        try:
            oid = attribute_oid(line.name)
        except HomecaError as error:
            self._fault(line, "profile.unknown-key", error.problem, error.remedy)
            return None
        if line.value not in tuple(PolicyRule):
            self._fault(
                line,
                "profile.value",
                f"{visible(line.value)!r} is not a rule{meant(line.value, tuple(PolicyRule))}",
                "write match, supplied or optional",
            )
            return None
        return PolicyField(oid, PolicyRule(line.value))

    def _subject(
        self, policy: tuple[PolicyField, ...]
    ) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """Fixed and default attributes: the keys of [ homeca ] that name an attribute."""
        fixed: list[tuple[str, str]] = []
        defaults: list[tuple[str, str]] = []
        taken = {field.oid for field in policy}
        for entry in self.cnf.section("homeca") or ():
            if entry.name in _HOMECA_KEYS:
                continue
            key = entry.name.removesuffix("_default")
            if key not in ATTRIBUTES:
                self._unknown(entry, (*_HOMECA_KEYS, "organizationName", "countryName_default"))
                continue
            oid = ATTRIBUTES[key]
            if oid not in taken:
                self._fault(
                    entry, "profile.value", f"{key} is not in the policy, so no subject has it"
                )
            try:
                Attribute(oid, entry.value)
            except HomecaError as error:
                self._fault(entry, "profile.value", error.problem, error.remedy)
            (defaults if key != entry.name else fixed).append((oid, entry.value))
        return tuple(fixed), tuple(defaults)

    # -- strictness

    def _known_keys(self, section: str) -> None:
        for entry in self.cnf.section(section) or ():
            harmless = _FIXED.get(entry.name)
            if harmless is not None:
                if entry.value != harmless:
                    self._fault(
                        entry,
                        "profile.value",
                        f"homeca does not follow {visible(entry.value)!r} here",
                        f"write {entry.name} = {harmless}, or delete the line",
                    )
            elif entry.name not in _CA_KEYS and entry.name not in _OPENSSL_ONLY:
                self._unknown(entry, (*_CA_KEYS, *_OPENSSL_ONLY))

    def _nothing_unused(self) -> None:
        """A section or key that nothing looks at is a slip of the pen."""
        for entry in self.cnf.replaced:
            self._fault(
                entry, "profile.duplicate", "a later line says it again", "delete one of the two"
            )
        for section, line in self.cnf.lines.items():
            if section not in self.cnf.used:
                self.cnf.fault(
                    "profile.unused", line, f"nothing uses the section [{section}]", "delete it"
                )
        for entry in self.cnf.sections["default"].values():
            if entry.name not in self.cnf.referenced and entry.name not in _OPENSSL_ONLY:
                self._unknown(entry, _OPENSSL_ONLY)

    def _unknown(self, entry: Entry, known: tuple[str, ...] | frozenset[str]) -> None:
        self._fault(
            entry,
            "profile.unknown-key",
            f"[{entry.section}] has no key of this name{meant(entry.name, known)}",
            "delete it",
        )

    def _fault(self, entry: Entry | None, rule: str, text: str, remedy: str = "") -> None:
        if entry is not None:
            self.cnf.fault(rule, entry.line, f"{visible(entry.name)}: {text}", remedy)

    def _take(self, entry: Entry | None, read: Callable[[str], T], default: T) -> T:
        if entry is None:
            return default
        try:
            return read(entry.value)
        except HomecaError as error:
            self._fault(entry, "profile.value", error.problem, error.remedy)
            return default
