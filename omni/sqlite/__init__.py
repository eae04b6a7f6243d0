"""The SQLite file that the embedded bus and store share."""

from omni.sqlite.errors import SqliteFileError, SqliteFullError
from omni.sqlite.file import CHECKPOINT_AFTER, Job, SqliteFile

__all__ = ["CHECKPOINT_AFTER", "Job", "SqliteFile", "SqliteFileError", "SqliteFullError"]
