"""The lists that tell the world what is revoked."""
