"""Blobs of any engine as files: `blobs/ab/ab12…` by their SHA-256, and a list of which key has which.

What has the same content is one file. The list is a line of JSON a blob, so that there may be millions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from omni.backup.draft import Draft, hash_of, in_thread
from omni.backup.errors import BackupError
from omni.blobs.base import Blob, BlobError, Blobs
from omni.model.base import Value

LIST: Final = "blobs.jsonl"


class Listed(Value):
    key: str
    size: int
    sha256: str
    mime: str | None = None

    @property
    def path(self) -> str:
        return f"blobs/{self.sha256[:2]}/{self.sha256}"


async def save(blobs: Blobs, draft: Draft) -> tuple[int, int]:
    """How many there are, and their bytes. What is deleted meanwhile is left out."""
    number = size = 0
    listing = draft.file(LIST)
    try:
        async for blob in blobs.all():
            listed = Listed(key=blob.key, size=blob.size, sha256=blob.sha256, mime=blob.mime)
            if not await _saved(blobs, blob, listed, draft):
                continue
            listing.write(listed.model_dump_json().encode() + b"\n")
            number, size = number + 1, size + blob.size
    except BaseException:
        listing.abandon()
        raise
    await in_thread(partial(draft.keep, LIST, listing))
    return number, size


async def _saved(blobs: Blobs, blob: Blob, listed: Listed, draft: Draft) -> bool:
    path = draft.folder / listed.path
    if path.exists():
        return True
    file = draft.file(listed.path)
    try:
        async for piece in blobs.read(blob.key):
            await in_thread(partial(file.write, piece))
        sha256 = await in_thread(file.close)
    except BlobError:
        file.abandon()
        path.unlink()
        if await blobs.get(blob.key) == blob:
            raise  # it is there, and cannot be read
        return False
    except BaseException:
        file.abandon()
        raise
    if sha256 != blob.sha256:
        path.unlink()
        if await blobs.get(blob.key) == blob:
            raise BackupError(
                f"the blob {blob.key} is damaged: its content is not what was stored; delete it, or mend it"
            )
        return False  # replaced while it was read
    return True


def listed_in(folder: Path) -> Iterator[Listed]:
    with (folder / LIST).open("rb") as lines:
        for line in lines:
            try:
                yield Listed.model_validate_json(line)
            except ValidationError:
                raise BackupError(f"{folder / LIST} is damaged; take another backup") from None


def check(folder: Path) -> None:
    """Every blob that is listed is there, and is what it was. Blocks."""
    for blob in listed_in(folder):
        try:
            found = hash_of(folder / blob.path)
        except FileNotFoundError:
            raise BackupError(f"{folder / blob.path} is missing; take another backup") from None
        if found != (blob.size, blob.sha256):
            raise BackupError(f"{folder / blob.path} is not what it was when it was saved; take another backup")


async def load(blobs: Blobs, folder: Path) -> None:
    listed = listed_in(folder)
    while (blob := await asyncio.to_thread(next, listed, None)) is not None:
        put = await blobs.put(blob.key, _content(folder / blob.path), mime=blob.mime, max_bytes=blob.size)
        if put.sha256 != blob.sha256:
            raise BackupError(f"{folder / blob.path} changed while it was restored; begin again")


async def _content(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while some := await asyncio.to_thread(file.read, 256 * 1024):
            yield some
