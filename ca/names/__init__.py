"""What may stand in a certificate as a name. Values only, checked when they are made.

A name from a request is hostile until one of these constructors has accepted it, and even then
it is shown through `visible` and never used as a path or as template source (invariant 10).
"""
