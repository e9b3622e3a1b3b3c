"""How the CA stands, what ends when, and who is told."""
