"""layouts: the ways in which data sets lie on disk."""
