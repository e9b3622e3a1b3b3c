"""Settings become adapters, adapters become what a command works with."""
