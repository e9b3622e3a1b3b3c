"""What the TPM says of the CA's keys."""
