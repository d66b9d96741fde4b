"""Files that one job writes and another reads, checked."""
