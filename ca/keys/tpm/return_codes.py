"""TPM_RC to errors: what each refusal means to a person, and what to do (Part 2 §6.6).

The same number says different things after different commands: an authorization failure at
TPM2_Load is a storage key that is not ours, at TPM2_Sign it is a wrong PIN. So the command
is part of the question.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ca.errors import (
    CustodyError,
    KeyKindUnsupported,
    KeyRefused,
    PinWrong,
    TpmAnchorMissing,
    TpmBroken,
    TpmLockedOut,
    TpmNotStarted,
    TpmOutOfMemory,
    TpmOwnerAuthNeeded,
    TpmRefused,
    TpmStorageKeyUnusable,
    TpmSwapped,
    TpmTampered,
    TpmUnavailable,
)
from ca.names.showing import shell_word

# TPM_CC (Part 2 §6.5.2)
CC_EVICT_CONTROL = 0x120
CC_CREATE_PRIMARY = 0x131
CC_CREATE = 0x153
CC_LOAD = 0x157
CC_SIGN = 0x15D
CC_FLUSH_CONTEXT = 0x165
CC_READ_PUBLIC = 0x173
CC_START_AUTH_SESSION = 0x176
CC_GET_CAPABILITY = 0x17A
CC_TEST_PARMS = 0x18A
CC_SHUTDOWN = 0x145
CC_NV_DEFINE_SPACE = 0x12A
CC_NV_INCREMENT = 0x134
CC_NV_EXTEND = 0x136
CC_CERTIFY = 0x148
CC_CERTIFY_CREATION = 0x14A
CC_NV_READ = 0x14E
CC_NV_READ_PUBLIC = 0x169
CC_NV_CERTIFY = 0x184

COMMAND_NAMES: dict[int, str] = {
    CC_EVICT_CONTROL: "TPM2_EvictControl",
    CC_CREATE_PRIMARY: "TPM2_CreatePrimary",
    CC_CREATE: "TPM2_Create",
    CC_LOAD: "TPM2_Load",
    CC_SIGN: "TPM2_Sign",
    CC_FLUSH_CONTEXT: "TPM2_FlushContext",
    CC_READ_PUBLIC: "TPM2_ReadPublic",
    CC_START_AUTH_SESSION: "TPM2_StartAuthSession",
    CC_GET_CAPABILITY: "TPM2_GetCapability",
    CC_TEST_PARMS: "TPM2_TestParms",
    CC_SHUTDOWN: "TPM2_Shutdown",
    CC_NV_DEFINE_SPACE: "TPM2_NV_DefineSpace",
    CC_NV_INCREMENT: "TPM2_NV_Increment",
    CC_NV_EXTEND: "TPM2_NV_Extend",
    CC_CERTIFY: "TPM2_Certify",
    CC_CERTIFY_CREATION: "TPM2_CertifyCreation",
    CC_NV_READ: "TPM2_NV_Read",
    CC_NV_READ_PUBLIC: "TPM2_NV_ReadPublic",
    CC_NV_CERTIFY: "TPM2_NV_Certify",
}

# Format-one errors with handle, session or parameter number taken away (Part 2 §6.6.3)
RC_HIERARCHY = 0x085
RC_HANDLE = 0x08B
RC_AUTH_FAIL = 0x08E
RC_INTEGRITY = 0x09F
RC_BAD_AUTH = 0x0A2
RC_NV_UNINITIALIZED = 0x14A
RC_NV_SPACE = 0x14B

# TSS2_BASE_RC of an answer whose HMAC is wrong, or that cannot be read: INSUFFICIENT_BUFFER,
# BAD_VALUE, BAD_SIZE, MALFORMED_RESPONSE, INSUFFICIENT_RESPONSE, RSP_AUTH_FAILED
_UNREADABLE = frozenset({0x06, 0x0B, 0x10, 0x11, 0x13, 0x1B})

# TPM_RC_HASH, MODE, SYMMETRIC: this TPM has no AES-128-CFB or SHA-256 for sessions
_NO_SESSION_CIPHER = frozenset({0x083, 0x089, 0x096})

_KEY_COMMANDS = frozenset({CC_TEST_PARMS, CC_CREATE, CC_LOAD})
_OWNER_COMMANDS = frozenset({CC_CREATE_PRIMARY, CC_EVICT_CONTROL, CC_NV_DEFINE_SPACE})
_NV_COMMANDS = frozenset({CC_NV_READ, CC_NV_EXTEND, CC_NV_INCREMENT, CC_NV_CERTIFY})

SWAPPED_REMEDY = (
    "reconnect the TPM this CA was made with; if it was cleared or is gone, restore a backup "
    "of the software TPM, or make a new CA"
)


class ReturnCode(Struct, frozen=True):
    """A TSS return code taken apart (Part 2 §6.6, TSS 2.0 overview §6).

    layer: who says it: 0 the TPM, 7 ESAPI, 8 SAPI, 10 the TCTI, 11 a resource manager.
    error: the TPM's number without its handle, session or parameter part.
    """

    number: int

    @property
    def layer(self) -> int:
        return self.number >> 16 & 0xFF

    @property
    def is_from_tpm(self) -> bool:
        """The TPM, or the kernel's resource manager in its name, answered."""
        return self.layer in (0, 11)

    @property
    def error(self) -> int:
        low = self.number & 0xFFFF
        return low & 0x3F | 0x80 if low & 0x80 else low

    @property
    def about(self) -> str:
        """Which part of the command: "parameter 1", "session 1", "handle 2"; "" when none."""
        low = self.number & 0xFFFF
        if not low & 0x80:
            return ""
        if low & 0x40:
            return f"parameter {low >> 8 & 0xF}"
        return f"session {low >> 8 & 0x7}" if low & 0x800 else f"handle {low >> 8 & 0x7}"


class _Meaning(Struct, frozen=True):
    leaf: type[CustodyError]
    problem: str
    remedy: str


_LATER = "wait a minute and try again; if it recurs, restart the machine"

_ALWAYS: dict[int, _Meaning] = {
    0x100: _Meaning(
        TpmNotStarted,
        "the TPM was reset or never started",
        "run `tpm2_startup -c`, or restart the machine, and try again",
    ),
    0x101: _Meaning(
        TpmBroken,
        "the TPM is in failure mode: its self-test did not pass",
        "switch the machine off and on; if it recurs, this TPM is broken",
    ),
    0x910: _Meaning(
        TpmNotStarted,
        "the TPM was reset while it was in use",
        "try again",
    ),
    0x908: _Meaning(TpmUnavailable, "the TPM keeps asking for more time", _LATER),
    0x90A: _Meaning(TpmUnavailable, "the TPM is still testing itself", _LATER),
    0x920: _Meaning(TpmUnavailable, "the TPM slows writes down to spare its memory", _LATER),
    0x922: _Meaning(TpmUnavailable, "the TPM could not start the command", _LATER),
    0x923: _Meaning(TpmUnavailable, "the TPM's own memory cannot be written now", _LATER),
    0x921: _Meaning(
        TpmLockedOut,
        "the TPM refuses authorizations after repeated failures",
        "run `tpm2_dictionarylockout --clear-lockout`, then try again",
    ),
    0x143: _Meaning(
        TpmRefused,
        "the TPM does not know a command homeca needs",
        "update the TPM's firmware, or use a software TPM with `--tpm embedded`",
    ),
    0x12D: _Meaning(
        TpmUnavailable,
        "the TPM is in the middle of a firmware update",
        "finish that update, then try again",
    ),
    0x120: _Meaning(
        TpmUnavailable,
        "the command is switched off in this TPM",
        "enable the TPM's owner hierarchy in the firmware settings",
    ),
}

#: No room for another: what is said, and what tpm2_flushcontext is to make room with.
_FULL: dict[int, tuple[str, str]] = {
    0x902: ("the TPM has no free slot for a key: other programs left theirs inside", "-t"),
    0x903: ("the TPM has no free slot for a session: other programs left theirs inside", "-l"),
    0x904: ("the TPM has no memory left", "-t"),
    0x905: ("the TPM has too many sessions", "-s"),
}

#: The kernel's devices of one TPM: with its resource manager, and without.
_DEVICE = re.compile(r"device:/dev/tpm(?:rm)?(\d+)")

_SWAPPED = _Meaning(
    TpmSwapped, "this is not the TPM that holds the CA's keys, or it was cleared", SWAPPED_REMEDY
)
_ANCHOR = _Meaning(
    TpmAnchorMissing,
    "the TPM does not hold the anchor of this ledger where it was put, or holds another there",
    "run `homeca audit verify` to see what is known, then `homeca audit accept` if it is in order",
)
_NV_FULL = _Meaning(
    TpmOutOfMemory,
    "the TPM has no room for the anchor of the ledger: 40 octets of its own memory",
    "run `tpm2_getcap handles-nv-index` and remove with `tpm2_nvundefine` what nothing needs",
)
_OWNER = _Meaning(
    TpmOwnerAuthNeeded,
    "the TPM's owner hierarchy has another password than the one given",
    "give the owner's password with --tpm-owner-file; if nobody knows it, clear the TPM in the "
    "firmware settings",
)
_UNSUPPORTED = _Meaning(
    KeyKindUnsupported,
    "this TPM cannot make that kind of key",
    "run `homeca tpm info` to see the kinds it can make",
)
_TAMPERED = _Meaning(
    TpmTampered,
    "an answer of the TPM was changed on its way, or is not from this TPM",
    "check what sits between this machine and its TPM; do not use it until that is known",
)


def error(number: int, *, command: int, tcti: str) -> CustodyError:
    """The error to raise for a return code.

    number:  as TSS2_Exception.rc has it.
    command: TPM_CC of the command that was answered, 0 when none was sent.
    tcti:    how the TPM was reached.
    """
    rc = ReturnCode(number)
    if rc.is_from_tpm and rc.error in _FULL and not rc.about:
        return _full(*_FULL[rc.error], tcti)
    meaning = _meaning(rc, command)
    if meaning is None:
        name = COMMAND_NAMES.get(command, f"command 0x{command:x}")
        detail = f" ({rc.about})" if rc.about else ""
        source = "the TPM" if rc.is_from_tpm else "the TPM software stack"
        return TpmRefused(
            f"{source} answered {name} with 0x{number:x}{detail}",
            remedy=f"run `tpm2_rc_decode 0x{number:x}` to read it, and report it",
        )
    return meaning.leaf(meaning.problem, remedy=meaning.remedy)


def _full(problem: str, option: str, tcti: str) -> TpmOutOfMemory:
    """The kernel's resource manager shows each user his own objects and sessions, and nobody those
    that a user of the plain device left: they are seen, and flushed, through that alone.
    """
    kernel = _DEVICE.fullmatch(tcti)
    if kernel is not None:
        flush = f"sudo tpm2_flushcontext -T device:/dev/tpm{kernel[1]} {option}"
    else:
        flush = f"tpm2_flushcontext -T {shell_word(tcti)} {option}"
    return TpmOutOfMemory(problem, remedy=f"run `{flush}`, and try again; or restart the machine")


def _meaning(rc: ReturnCode, command: int) -> _Meaning | None:
    if not rc.is_from_tpm:
        return _TAMPERED if rc.number & 0xFFFF in _UNREADABLE else None
    if rc.error in _ALWAYS and not rc.about:
        return _ALWAYS[rc.error]
    if rc.error in (RC_AUTH_FAIL, RC_BAD_AUTH):
        return _authorization(rc, command)
    if rc.error == RC_HIERARCHY:
        return _Meaning(
            TpmStorageKeyUnusable,
            "the TPM's owner hierarchy is switched off",
            "switch the TPM's storage hierarchy on in the firmware settings",
        )
    if command in _NV_COMMANDS and rc.error in (RC_HANDLE, RC_NV_UNINITIALIZED):
        return _ANCHOR
    if command == CC_NV_DEFINE_SPACE and rc.error == RC_NV_SPACE:
        return _NV_FULL
    if command == CC_CREATE_PRIMARY and rc.about:
        return _Meaning(
            TpmStorageKeyUnusable,
            "this TPM cannot make a storage key on the curve P-256",
            "use another TPM, or a software TPM with `--tpm embedded`",
        )
    if command == CC_LOAD and rc.error == RC_INTEGRITY:
        return _Meaning(
            KeyRefused,
            "the key file was made in another TPM, or before this one was cleared",
            "restore the key file that belongs to this TPM, or the TPM's state",
        )
    if command == CC_START_AUTH_SESSION and rc.about:  # it cannot decrypt our salt
        return None if rc.error in _NO_SESSION_CIPHER else _SWAPPED
    if command in (CC_LOAD, CC_CREATE, CC_READ_PUBLIC) and rc.error == RC_HANDLE:
        return _SWAPPED
    return _UNSUPPORTED if command in _KEY_COMMANDS and rc.about else None


def _authorization(rc: ReturnCode, command: int) -> _Meaning:
    if command == CC_SIGN:
        counted = rc.error == RC_AUTH_FAIL
        return _Meaning(
            PinWrong,
            "the TPM does not accept the PIN of this key",
            "give the right PIN; the TPM counts failures and locks itself after some"
            if counted
            else "give the PIN that was set when the key was made",
        )
    if command in _OWNER_COMMANDS:
        return _OWNER
    if command == CC_CERTIFY:
        return _Meaning(
            PinWrong,
            "the TPM does not accept the PIN of this key",
            "give the PIN that was set when the key was made",
        )
    # The session is salted to the storage key we know: only that key's TPM can compute its HMAC.
    return _SWAPPED
