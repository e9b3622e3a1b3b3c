"""How fast homeca is, as ratios to `openssl ca`, to the chip and to itself: `make bench`."""
