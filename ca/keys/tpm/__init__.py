"""A TPM 2.0 as the place where the CA's keys live: reached, pinned, asked to sign."""
