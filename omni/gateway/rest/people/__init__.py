"""People: found, changed, merged, taken out and forgotten."""
