"""What a TPM signed about itself, verified in pure Python: no TPM and no TPM library is needed."""
