"""The append-only account of everything the CA did, and its anchor in the TPM."""
