"""Each number a TPM may answer with becomes the error that fits the command."""

from __future__ import annotations

import pytest

from ca.errors import (
    CustodyError,
    KeyKindUnsupported,
    KeyRefused,
    PinWrong,
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
from ca.keys.tpm.return_codes import ReturnCode, error

START, LOAD, SIGN, CREATE, TEST_PARMS = 0x176, 0x157, 0x15D, 0x153, 0x18A
RM = "device:/dev/tpmrm0"
CREATE_PRIMARY, EVICT_CONTROL, READ_PUBLIC = 0x131, 0x120, 0x173


@pytest.mark.parametrize(
    ("number", "command", "expected"),
    [
        (0x921, SIGN, TpmLockedOut),
        (0x9A2, SIGN, PinWrong),
        (0x98E, SIGN, PinWrong),
        (0x9A2, LOAD, TpmSwapped),
        (0x9A2, CREATE, TpmSwapped),
        (0x9A2, READ_PUBLIC, TpmSwapped),
        (0x98E, LOAD, TpmSwapped),
        (0x18B, START, TpmSwapped),
        (0x18B, LOAD, TpmSwapped),
        (0x1C4, START, TpmSwapped),
        (0x2D5, START, TpmSwapped),
        (0x4D6, START, TpmRefused),
        (0x9A2, CREATE_PRIMARY, TpmOwnerAuthNeeded),
        (0x9A2, EVICT_CONTROL, TpmOwnerAuthNeeded),
        (0x185, CREATE_PRIMARY, TpmStorageKeyUnusable),
        (0x2C4, CREATE_PRIMARY, TpmStorageKeyUnusable),
        (0x1DF, LOAD, KeyRefused),
        (0x1C4, TEST_PARMS, KeyKindUnsupported),
        (0x2C4, CREATE, KeyKindUnsupported),
        (0x2D2, TEST_PARMS, KeyKindUnsupported),
        (0x2D2, SIGN, TpmRefused),
        (0x100, LOAD, TpmNotStarted),
        (0x910, SIGN, TpmNotStarted),
        (0x101, SIGN, TpmBroken),
        (0x902, LOAD, TpmOutOfMemory),
        (0x903, START, TpmOutOfMemory),
        (0x904, LOAD, TpmOutOfMemory),
        (0x905, START, TpmOutOfMemory),
        (0x908, SIGN, TpmUnavailable),
        (0x90A, SIGN, TpmUnavailable),
        (0x920, EVICT_CONTROL, TpmUnavailable),
        (0x922, SIGN, TpmUnavailable),
        (0x923, EVICT_CONTROL, TpmUnavailable),
        (0x12D, SIGN, TpmUnavailable),
        (0x143, TEST_PARMS, TpmRefused),
        (0x0B0902, LOAD, TpmOutOfMemory),
        (0x7001B, LOAD, TpmTampered),
        (0x90006, SIGN, TpmTampered),
        (0x80011, SIGN, TpmTampered),
        (0x70007, SIGN, TpmRefused),
        (0x12F, SIGN, TpmRefused),
    ],
)
def test_a_return_code_means_what_its_command_makes_of_it(
    number: int, command: int, expected: type[CustodyError]
) -> None:
    found = error(number, command=command, tcti=RM)
    assert type(found) is expected
    assert found.problem[0].islower()
    assert not found.problem.endswith(".")
    assert found.remedy


@pytest.mark.parametrize(
    ("number", "about"),
    [
        (0x1C4, "parameter 1"),
        (0x2D2, "parameter 2"),
        (0x9A2, "session 1"),
        (0x18B, "handle 1"),
        (0x902, ""),
        (0x101, ""),
    ],
)
def test_a_format_one_code_says_what_it_is_about(number: int, about: str) -> None:
    assert ReturnCode(number).about == about


def test_a_number_nobody_foresaw_is_told_with_its_command_and_how_to_read_it() -> None:
    found = error(0x2D5, command=SIGN, tcti=RM)
    assert found.problem == "the TPM answered TPM2_Sign with 0x2d5 (parameter 2)"
    assert "tpm2_rc_decode 0x2d5" in found.remedy


def test_a_wrong_pin_warns_only_where_the_tpm_counts() -> None:
    assert "counts failures" in error(0x98E, command=SIGN, tcti=RM).remedy
    assert "counts failures" not in error(0x9A2, command=SIGN, tcti=RM).remedy


@pytest.mark.parametrize(("number", "option"), [(0x902, "-t"), (0x903, "-l"), (0x905, "-s")])
@pytest.mark.parametrize("tcti", ["device:/dev/tpmrm0", "device:/dev/tpm0"])
def test_what_fills_a_chip_is_flushed_past_the_kernels_resource_manager(
    number: int, option: str, tcti: str
) -> None:
    """Seen before the kernel's driver: through /dev/tpmrm0 the same command flushes nothing."""
    for layer in (0, 0xB0000):
        remedy = error(layer | number, command=LOAD, tcti=tcti).remedy
        assert f"`sudo tpm2_flushcontext -T device:/dev/tpm0 {option}`" in remedy
        assert "tpmrm" not in remedy


def test_what_fills_another_tpm_is_flushed_there() -> None:
    remedy = error(0x902, command=LOAD, tcti="swtpm:path=/run/my tpm/s").remedy
    assert "`tpm2_flushcontext -T 'swtpm:path=/run/my tpm/s' -t`" in remedy
