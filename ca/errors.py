"""Everything that can go wrong, as a tree: what is wrong, what to do, a stable code.

The families decide the exit status (`ca.cli`), the leaves carry the condition. Nothing here
knows of exit codes, HTTP or logging. Rooms raise; only the doors (`cli`, `web`) speak.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


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


class Violation(Struct, frozen=True):
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


class ExtraMissing(ConfigurationError):
    """An optional part of homeca that is not installed here (`pip install 'homeca[lint]'`)."""

    code = "configuration.extra-missing"


class OutputFailed(HomecaError):
    """The file system refused to hold a result."""

    code = "output.failed"


class UnforeseenError(HomecaError):
    """A fault of the system or of homeca that no room has translated."""

    code = "unforeseen"


class NotFound(HomecaError):
    """No certificate, issuer or profile of that name."""

    code = "not-found"


class TrustStoreFailed(HomecaError):
    """A program that keeps a trust store did not do what it was asked to."""

    code = "trust-store.failed"


class ProgramMissing(ConfigurationError):
    """A program that homeca was asked to use is not installed."""

    code = "configuration.program-missing"


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


class KeyFileMalformed(EncodingError):
    """Not a TSS2 PRIVATE KEY that homeca can use (OID 2.23.133.10.1.3)."""

    code = "encoding.key-file"


class IllegalName(EncodingError):
    """A DNS name, address, e-mail, URI or DN that may not stand in a certificate."""

    code = "encoding.name"


class PrivateKeyUnusable(EncodingError):
    """A device's private key that cannot be read, or belongs to another certificate."""

    code = "encoding.private-key"


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


class InfRefused(Refused):
    """A certreq INF that cannot be read, or asks for what a key in a TPM cannot be."""

    code = "refused.inf"


class DeviceRefused(Refused):
    """A request or certificate of this device that does not fit what is here."""

    code = "refused.device"


class KitRefused(Refused):
    """A kit that cannot be made like this: a certificate, a CRL or a name does not fit it."""

    code = "refused.kit"


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


class PinNeeded(CustodyError):
    """The key has a PIN and none was given."""

    code = "custody.pin-needed"


class PinWrong(CustodyError):
    """The key's holder did not accept the PIN."""

    code = "custody.pin-wrong"


class PinUnusable(CustodyError):
    """A PIN that no key of this holder can have: too long, or with octets that get lost."""

    code = "custody.pin-unusable"


class KeyKindUnsupported(CustodyError):
    """This TPM or token cannot make that kind of key."""

    code = "custody.key-kind"


class KeyRefused(CustodyError):
    """A key that must not sign for this CA: another public half, or one that could leave."""

    code = "custody.key-refused"


class TpmUnreachable(CustodyError):
    """There is a TPM, and it cannot be opened."""

    code = "custody.tpm-unreachable"


class TpmProgramMissing(CustodyError):
    """swtpm is not installed, so there is no software TPM."""

    code = "custody.tpm-program-missing"


class TpmBusy(CustodyError):
    """Another process holds the TPM beyond the waiting time."""

    code = "custody.tpm-busy"


class TpmNotResponding(CustodyError):
    """No answer within the deadline."""

    code = "custody.tpm-not-responding"


class TpmConnectionLost(CustodyError):
    """The way to the TPM broke while it was in use."""

    code = "custody.tpm-connection-lost"


class TpmStateMissing(CustodyError):
    """The software TPM that holds the CA's keys is gone; no new one takes its place."""

    code = "custody.tpm-state-missing"


class TpmStateDamaged(CustodyError):
    """swtpm cannot read its state file."""

    code = "custody.tpm-state-damaged"


class TpmStateUnwritable(CustodyError):
    """swtpm cannot write its state: the disk is full or read-only."""

    code = "custody.tpm-state-unwritable"


class TpmStateNotPrivate(CustodyError):
    """Others can read or write the software TPM's state."""

    code = "custody.tpm-state-not-private"


class TpmSwapped(CustodyError):
    """Not the TPM this CA was made with: the storage key is another one (invariant 6)."""

    code = "custody.tpm-swapped"


class TpmTampered(CustodyError):
    """An answer that did not come from the TPM, or was changed on its way."""

    code = "custody.tpm-tampered"


class TpmStorageKeyUnusable(CustodyError):
    """What lies at 0x81000001 is not a storage key, or none can be made there."""

    code = "custody.tpm-storage-key"


class TpmOwnerAuthNeeded(CustodyError):
    """The owner hierarchy has a password, and it was not given or is another one."""

    code = "custody.tpm-owner-auth"


class TpmAnchorMissing(CustodyError):
    """The NV indices of the ledger are not in this TPM, or are others of the same handles."""

    code = "custody.tpm-anchor-missing"


class TpmEndorsementRefused(CustodyError):
    """The TPM makes no attestation key: its endorsement hierarchy has a password or is off."""

    code = "custody.tpm-endorsement"


class TpmLockedOut(CustodyError):
    """TPM_RC_LOCKOUT: too many wrong authValues (TPM 2.0 Part 1, dictionary attack)."""

    code = "custody.tpm-locked-out"


class TpmOutOfMemory(CustodyError):
    """No free slot for an object or a session: others left theirs in the TPM."""

    code = "custody.tpm-out-of-memory"


class TpmNotStarted(CustodyError):
    """TPM_RC_INITIALIZE: nobody sent TPM2_Startup, or the TPM was reset under us."""

    code = "custody.tpm-not-started"


class TpmUnavailable(CustodyError):
    """The TPM asks to be left alone for a while: RETRY, TESTING, NV_RATE, NV_UNAVAILABLE."""

    code = "custody.tpm-unavailable"


class TpmBroken(CustodyError):
    """TPM_RC_FAILURE: the TPM's self-test failed and it does nothing more."""

    code = "custody.tpm-broken"


class TpmRefused(CustodyError):
    """Any other answer that is not success, with its number."""

    code = "custody.tpm-refused"


# ---------------------------------------------------------------- store


class StoreError(HomecaError):
    """The record of what was issued cannot be read or written."""

    code = "store"


class StoreLocked(StoreError):
    """Another process holds the database beyond the waiting time."""

    code = "store.locked"


class StoreRolledBack(StoreLocked):
    """The database took a whole transaction back for another's sake; it may be tried again."""

    code = "store.rolled-back"


class StoreUnreachable(StoreError):
    """The PostgreSQL server does not answer, does not let us in, or went away."""

    code = "store.unreachable"


class StoreNotDurable(StoreError):
    """The database did not accept the settings that make a commit durable."""

    code = "store.not-durable"


class StoreUnwritable(StoreError):
    """Disk full, read-only or failing: nothing was recorded, so nothing may be signed."""

    code = "store.unwritable"


class StoreForbidden(StoreUnwritable):
    """A PostgreSQL role without the right, or a server that only lets one look."""

    code = "store.forbidden"


class StoreDamaged(StoreError):
    """The database file is not what SQLite or PostgreSQL can read."""

    code = "store.damaged"


class StoreGone(StoreError):
    """Keys lie in the home, and the record of what they signed does not."""

    code = "store.gone"


class SchemaMismatch(StoreError):
    """The database was written by another version of homeca."""

    code = "store.schema"


class SerialReserved(StoreError):
    """That serial belongs to another TBS already (invariant: one serial, one TBS, for ever)."""

    code = "store.serial-reserved"


class StateConflict(StoreError):
    """A step that the life of a serial or of an issuer does not have."""

    code = "store.state"


class TbsMismatch(StoreError):
    """A certificate that does not hold exactly the TBS recorded for its serial."""

    code = "store.tbs-mismatch"


class CrlSuperseded(StoreError):
    """A CRL with a higher number was recorded in the meantime."""

    code = "store.crl-superseded"


class RecordRefused(StoreError):
    """A constraint or an append-only trigger of the database stands against a row."""

    code = "store.refused"


class LedgerBroken(StoreError):
    """The ledger is not what homeca wrote: an entry is missing, changed or out of its place."""

    code = "store.ledger-broken"


class LedgerMismatch(StoreError):
    """Ledger and TPM do not tell the same story: one of them was set back, or rewritten."""

    code = "store.ledger-mismatch"


class LedgerUnanchored(StoreError):
    """The ledger has no anchor in this TPM, and only a ceremony may make one unasked."""

    code = "store.ledger-unanchored"


# ---------------------------------------------------------------- backup


class BackupError(HomecaError):
    """A backup that cannot be made, opened or trusted. A restore has then changed nothing."""

    code = "backup"


class NotABackup(BackupError):
    """A file of another kind."""

    code = "backup.not-a-backup"


class BackupLocked(BackupError):
    """The passphrase or identity is not one this backup was made for."""

    code = "backup.locked"


class BackupDamaged(BackupError):
    """Octets that are not the ones that were written."""

    code = "backup.damaged"


class BackupTruncated(BackupError):
    """The end is missing."""

    code = "backup.truncated"


class BackupTooNew(BackupError):
    """Written by a homeca that knows more than this one."""

    code = "backup.too-new"


class BackupStale(Refused):
    """A backup of an older state than one that is known: restoring it would forget."""

    code = "refused.backup-stale"


class BackupStrange(Refused):
    """A backup whose settings lead to a program, file or server that nobody here has named."""

    code = "refused.backup-strange"


class DrillFailed(BackupError):
    """A backup that opens, and from which this CA would not come back as it was."""

    code = "backup.drill-failed"


# ---------------------------------------------------------------- verification


class VerificationFailed(HomecaError):
    """A certificate, CRL or the record itself is not what it should be."""

    code = "verification"

    def __init__(
        self, problem: str, *, remedy: str, violations: tuple[Violation, ...] = ()
    ) -> None:
        super().__init__(problem, remedy=remedy)
        self.violations = violations


class StatementRefused(VerificationFailed):
    """A statement by a TPM that does not prove what it should, or was not made by that TPM."""

    code = "verification.statement"
