"""Which TPM: the one that was named, else the machine's own, else a software one.

Never a software TPM in place of a hardware one that is there but does not open (invariant 6).
"""

from __future__ import annotations

from pathlib import Path

from ca.errors import TpmUnreachable
from ca.interfaces.custody import CustodyKind
from ca.keys.tpm.embedded import EmbeddedTpm
from ca.keys.tpm.link import DeviceLink, Link

EMBEDDED = "embedded"
DEVICE = Path("/dev/tpmrm0")
SYSFS = Path("/sys/class/tpm")

#: (TPM_PT_MANUFACTURER, vendor string) of TPMs that are programs: libtpms (swtpm, QEMU), and
#: the reference implementation.
SOFTWARE_TPMS = frozenset({("IBM", "SW   TPM"), ("MSFT", "xCG fTPM")})


def choose(tcti: str, *, device: Path = DEVICE, sysfs: Path = SYSFS) -> str:
    """The TCTI to use, as it is recorded with the CA.

    tcti:    what the settings say; "" or "auto" to look for a TPM.
    Returns: "embedded", "device:/dev/tpmrm0", or the TCTI string as given.
    Raises:  TpmUnreachable when the kernel has a TPM that offers no resource manager, as one by
             the old specification does not.
    """
    if tcti not in ("", "auto"):
        return tcti
    if device.exists():
        return f"device:{device}"
    if _is_of_version_1(sysfs):
        raise TpmUnreachable(
            "this machine's TPM is a TPM 1.2, and homeca needs a TPM 2.0",
            remedy="switch it to 2.0 in the firmware settings if they offer that, or choose "
            "software with `--tpm embedded`",
        )
    if sysfs.is_dir() and any(sysfs.iterdir()):
        raise TpmUnreachable(
            f"this machine has a TPM, but there is no {str(device)!r}",
            remedy="pass that device into the container, or choose software with `--tpm embedded`",
        )
    return EMBEDDED


def _is_of_version_1(sysfs: Path) -> bool:
    """By what the kernel says of its first TPM; a kernel before 5.6 says nothing."""
    try:
        return (sysfs / "tpm0/tpm_version_major").read_text().strip() == "1"
    except OSError:
        return False


def open_link(tcti: str, *, state_dir: Path, manufacture: bool, deadline: float) -> Link:
    """Open what `choose` returned.

    state_dir, manufacture: for the embedded TPM; see `EmbeddedTpm`.
    deadline:               seconds to connect.
    Raises:                 CustodyError.
    """
    if tcti == EMBEDDED:
        return EmbeddedTpm(state_dir, manufacture=manufacture)
    library, _, where = tcti.partition(":")
    if library == "device":
        return DeviceLink(Path(where or DEVICE))
    from ca.keys.tpm.library import LibraryLink

    return LibraryLink(tcti, deadline=deadline)


def custody_kind(manufacturer: str, model: str) -> CustodyKind:
    """By what the TPM says of itself, not by how it is reached."""
    if (manufacturer, model) in SOFTWARE_TPMS:
        return CustodyKind.SOFTWARE_TPM
    return CustodyKind.HARDWARE_TPM
