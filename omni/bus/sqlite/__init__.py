"""The embedded bus, in one SQLite file."""

from omni.bus.sqlite.bus import SqliteBus

__all__ = ["SqliteBus"]
