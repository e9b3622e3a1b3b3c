"""One verb each: the order of effects. No ASN.1, no SQL, no prompts."""
