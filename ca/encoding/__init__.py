"""Octets to values and back, pure; the sole home of asn1crypto."""
