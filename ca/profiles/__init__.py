"""Templates to openssl.cnf text to a strictly parsed, frozen Profile."""
