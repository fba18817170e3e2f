"""letters: the fields of a scanned Persian letter, found and read."""
