"""May this request become a certificate: every objection at once, or exactly what is granted.

The request wishes, the operator's words override the wish, the profile is the law, the issuer's
name constraints and the CA's own list of names stand above all of them (lessons L7, L9 to L11).
"""
