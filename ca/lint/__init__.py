"""Rules over TBS, certificates and CRLs: RFC 5280, and what their consumers demand."""
