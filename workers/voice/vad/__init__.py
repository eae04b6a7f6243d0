"""Is somebody speaking? One detector a file."""
