"""What the store's parts share: the file, and its refusals in the store's words."""

from __future__ import annotations

from typing import TypeVar

from omni.sqlite import Job, SqliteFile, SqliteFileError
from omni.store.base import StoreUnavailableError

T = TypeVar("T")


class Tables:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def _write(self, job: Job[T], *, long: bool = False) -> T:
        try:
            return await self._file.write(job, long=long)
        except SqliteFileError as error:
            raise StoreUnavailableError(str(error)) from error

    async def _read(self, job: Job[T]) -> T:
        """For what may be many rows."""
        try:
            return await self._file.read(job)
        except SqliteFileError as error:
            raise StoreUnavailableError(str(error)) from error

    def _look(self, job: Job[T]) -> T:
        """For a few rows found by an index."""
        try:
            return self._file.look(job)
        except SqliteFileError as error:
            raise StoreUnavailableError(str(error)) from error
