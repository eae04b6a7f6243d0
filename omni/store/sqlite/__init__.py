"""The embedded store, in one SQLite file."""

from omni.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
