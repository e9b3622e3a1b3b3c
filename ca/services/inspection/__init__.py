"""`homeca check`: everything that is kept, held against everything else."""
