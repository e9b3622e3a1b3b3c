"""Where private keys live: a TPM 2.0, a PKCS#11 token, an encrypted file."""
