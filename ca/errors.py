"""Everything that can go wrong, as a tree: what is wrong, what to do, a stable code.

The families decide the exit status (`ca.cli`), the leaves carry the condition. Nothing here
knows of exit codes, HTTP or logging. Rooms raise; only the doors (`cli`, `web`) speak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class HomecaError(Exception):
    """What is wrong, and the one next thing to try.

    problem: lower case, no full stop, values quoted.
    remedy:  an imperative; the exact command where one exists.
    """

    code: ClassVar[str] = "homeca"  # stable; scripts may match on it

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a request, a profile or a certificate breaks, as a person reads it.

    rule:   stable id: "key.rsa-too-small", "rfc5280.4.1.2.2-serial".
    text:   what is wrong, values quoted and escaped.
    remedy: what to do about this one, or "" where the rule says it all.
    """

    rule: str
    text: str
    remedy: str = ""


# ---------------------------------------------------------------- settings, home, usage


class ConfigurationError(HomecaError):
    """The caller, the settings or the home directory must change before anything can be done."""

    code = "configuration"


class UsageError(ConfigurationError):
    """Arguments that contradict each other or name nothing."""

    code = "configuration.usage"


class HomeMissing(ConfigurationError):
    """The home holds no CA yet."""

    code = "configuration.no-ca"


class HomeNotPrivate(ConfigurationError):
    """The home, or a file in it, can be read or written by others."""

    code = "configuration.home-not-private"


class AlreadyInitialised(ConfigurationError):
    """A second root in one home."""

    code = "configuration.already-initialised"


class SettingsMalformed(ConfigurationError):
    """homeca.toml is not what it should be; nothing of it is used."""

    code = "configuration.settings"


class OutputExists(ConfigurationError):
    """A file that must not be overwritten is in the way."""

    code = "configuration.output-exists"


class InstallationIncomplete(ConfigurationError):
    """Files that belong to homeca itself are not where its package should have put them."""

    code = "configuration.installation"


class OutputFailed(HomecaError):
    """The file system refused to hold a result."""

    code = "output.failed"


class NotFound(HomecaError):
    """No certificate, issuer or profile of that name."""

    code = "not-found"


# ---------------------------------------------------------------- octets


class EncodingError(HomecaError):
    """Octets that are not what they claim to be, or a value that has no encoding."""

    code = "encoding"


class RequestMalformed(EncodingError):
    """Not a PKCS#10 request, or one that cannot be read safely (RFC 2986)."""

    code = "encoding.request"


class CertificateMalformed(EncodingError):
    """Not an X.509 certificate or CRL that can be read safely (RFC 5280 §4.1, §5.1)."""

    code = "encoding.certificate"


class IllegalName(EncodingError):
    """A DNS name, address, e-mail, URI or DN that may not stand in a certificate."""

    code = "encoding.name"


class SignatureInvalid(EncodingError):
    """A signature that does not verify under the key it should be from."""

    code = "encoding.signature"


# ---------------------------------------------------------------- refusals


class Refused(HomecaError):
    """homeca could, and will not. `violations` holds every reason found, not the first.

    >>> [v.rule for v in error.violations]  # doctest: +SKIP
    """

    code = "refused"

    def __init__(
        self, problem: str, *, remedy: str, violations: tuple[Violation, ...] = ()
    ) -> None:
        super().__init__(problem, remedy=remedy)
        self.violations = violations


class RequestRefused(Refused):
    """A request that may not become a certificate under this profile."""

    code = "refused.request"


class LintRefused(Refused):
    """A to-be-signed structure that breaks RFC 5280 or a rule of its consumers."""

    code = "refused.lint"


class ProfileMalformed(Refused):
    """A profile that does not render, does not parse or asks for what no leaf may have."""

    code = "refused.profile"


class CeremonyRefused(Refused):
    """An issuer that may not be made like this."""

    code = "refused.ceremony"


class RevocationRefused(Refused):
    """A revocation that contradicts the record."""

    code = "refused.revocation"


class ClockSuspect(Refused):
    """The clock stands before the last recorded act, or far beyond it."""

    code = "refused.clock"


# ---------------------------------------------------------------- custody


class CustodyError(HomecaError):
    """The place where a key lives cannot be used."""

    code = "custody"


class SignatureUncertain(CustodyError):
    """The TPM was asked to sign and the answer was lost: a signature may exist.

    The serial must be treated as issued and revoked, and never be signed again.
    """

    code = "custody.signature-uncertain"


# ---------------------------------------------------------------- store


class StoreError(HomecaError):
    """The record of what was issued cannot be read or written."""

    code = "store"


class StoreLocked(StoreError):
    """Another process holds the database beyond the waiting time."""

    code = "store.locked"


class StoreNotDurable(StoreError):
    """The database did not accept the settings that make a commit durable."""

    code = "store.not-durable"


class StoreUnwritable(StoreError):
    """Disk full, read-only or failing: nothing was recorded, so nothing may be signed."""

    code = "store.unwritable"


class StoreDamaged(StoreError):
    """The database file is not what SQLite or PostgreSQL can read."""

    code = "store.damaged"


class SchemaMismatch(StoreError):
    """The database was written by another version of homeca."""

    code = "store.schema"


class SerialReserved(StoreError):
    """That serial belongs to another TBS already (invariant: one serial, one TBS, for ever)."""

    code = "store.serial-reserved"


# ---------------------------------------------------------------- verification


class VerificationFailed(HomecaError):
    """A certificate, CRL or the record itself is not what it should be."""

    code = "verification"

    def __init__(
        self, problem: str, *, remedy: str, violations: tuple[Violation, ...] = ()
    ) -> None:
        super().__init__(problem, remedy=remedy)
        self.violations = violations
