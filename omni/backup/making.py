"""Making a backup, while the server runs."""

from __future__ import annotations

import time
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from omni.backup import blobs as blob_files
from omni.backup.draft import Draft, in_thread, told
from omni.backup.manifest import FORMAT, Engine, Manifest
from omni.blobs.base import Blobs


class Source(Protocol):
    @property
    def engine(self) -> Engine: ...

    async def save(self, draft: Draft) -> tuple[dict[str, int], dict[str, int]]:
        """Put what is stored into the draft; its versions by component, and its counts."""


async def back_up(folder: Path, source: Source, blobs: Blobs) -> Manifest:
    """Make the folder, all of it or nothing. Raises BackupError, and what the engines raise.

    The store comes before the blobs: a file is stored before a log names it, so all that the saved log names is there,
    unless it was deleted meanwhile.
    """
    draft = Draft(folder)
    made_at = time.time()
    draft.begin()
    try:
        with told(draft.folder):
            versions, counts = await source.save(draft)
            number, size = await blob_files.save(blobs, draft)
            manifest = Manifest(
                format=FORMAT,
                omni=release(),
                engine=source.engine,
                made_at=made_at,
                versions=versions,
                counts=counts,
                parts=tuple(draft.parts),
                blobs=number,
                blob_bytes=size,
            )
            await in_thread(partial(draft.finish, manifest))
    except BaseException:
        draft.abandon()
        raise
    return manifest


def release() -> str:
    try:
        return version("omni-server")
    except PackageNotFoundError:
        return "unknown"
