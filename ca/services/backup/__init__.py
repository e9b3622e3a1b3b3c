"""The way back: backups, and what becomes of them."""
