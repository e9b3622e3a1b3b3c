"""Certificates, CRLs and requests as lines a person reads, and as JSON. Every value is harmless."""
