"""The vocabulary of omni: values without I/O that every other package speaks."""
