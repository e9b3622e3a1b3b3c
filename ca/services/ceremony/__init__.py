"""Making an issuer: the only code that asks for CA:TRUE (invariant 4).

Order: the pending issuer and its serial are recorded, then the key is made, then its blob is
written, then the certificate takes the one path (record, sign, verify, record), then the issuer
becomes active. A crash at any point leaves rows that `settlement` ends and reports.

`root` and `intermediate` are held where the root's key lives, `foreign_root` where it does not;
`pending` and `certificate` are the steps they are made of.
"""
