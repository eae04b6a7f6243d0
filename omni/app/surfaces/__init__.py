"""The gateway's surfaces, a file each: what it is built from, and its routes."""
