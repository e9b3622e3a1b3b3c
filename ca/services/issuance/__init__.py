"""The path of a certificate: prepared, recorded, signed, verified, recorded."""
