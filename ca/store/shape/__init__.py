"""What a database holds beside its rows, against what `migrations/` make of it."""
