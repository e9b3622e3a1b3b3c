"""homeca: a certificate authority for a home, whose signing key lives in a TPM 2.0."""
