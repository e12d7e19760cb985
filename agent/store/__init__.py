"""What must survive: one SQLite file, one writer thread."""
