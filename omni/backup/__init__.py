"""Backup and restore: a folder that holds all that a server has stored, and says of itself that it is whole."""
