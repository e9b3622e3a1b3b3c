"""tpm2_pytss, imported in one place: it costs 0.1 s, and libtss2 must be hushed before it speaks.

libtss2 logs to stderr on its own; every failure reaches people as one of our errors instead.
Who wants its log sets TSS2_LOG. (TSS2_LOGFILE=none would write a file of that name.)
"""

from __future__ import annotations

import os

os.environ.setdefault("TSS2_LOG", "all+NONE")

from tpm2_pytss import (  # libtss2 reads TSS2_LOG at its first message
    ESAPI,
    ESYS_TR,
    TCTI,
    TPM2B_NV_PUBLIC,
    TPM2B_PRIVATE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_SESSION,
    TPMS_SCHEME_HASH,
    TPMS_SENSITIVE_CREATE,
    TPMT_PUBLIC_PARMS,
    TPMT_SIG_SCHEME,
    TPMU_SIG_SCHEME,
    PollData,
    PyTCTI,
    TCTILdr,
    TSS2_Exception,
)
from tpm2_pytss.constants import TPM2_ALG, TPM2_CAP, TPM2_SE

__all__ = [
    "ESAPI",
    "ESYS_TR",
    "TCTI",
    "TPM2B_NV_PUBLIC",
    "TPM2B_PRIVATE",
    "TPM2B_PUBLIC",
    "TPM2B_SENSITIVE_CREATE",
    "TPM2_ALG",
    "TPM2_CAP",
    "TPM2_SE",
    "TPMA_SESSION",
    "TPMS_SCHEME_HASH",
    "TPMS_SENSITIVE_CREATE",
    "TPMT_PUBLIC_PARMS",
    "TPMT_SIG_SCHEME",
    "TPMU_SIG_SCHEME",
    "PollData",
    "PyTCTI",
    "TCTILdr",
    "TSS2_Exception",
]
