"""Blobs: media and recordings, under generated names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


class BlobError(Exception):
    """The blob store could not do what was asked; the text says what and how to mend it."""


class BlobTooLargeError(BlobError):
    """The content went over its cap; nothing was kept."""


@dataclass(frozen=True, slots=True)
class Blob:
    """`sha256` is lower-case hex, `size` bytes. `mime` is a label from outside: never serve it inline unchecked."""

    key: str
    size: int
    sha256: str
    mime: str | None = None


class Blobs(Protocol):
    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def put(self, key: str, content: AsyncIterator[bytes], *, mime: str | None, max_bytes: int) -> Blob:
        """Store a stream, all of it or nothing. `key` matches `[a-zA-Z0-9_-]{1,128}`; the same key is replaced.

        Raises BlobTooLargeError once `max_bytes` is exceeded.
        """

    async def get(self, key: str) -> Blob | None: ...

    def read(self, key: str) -> AsyncIterator[bytes]:
        """The content in pieces; raises BlobError when there is none."""

    async def delete(self, key: str) -> bool: ...

    def all(self) -> AsyncIterator[Blob]:
        """Every blob, in no order. What is put or deleted meanwhile may be among them or not."""

    async def ping(self) -> None: ...
