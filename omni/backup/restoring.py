"""Restoring a backup into the engine it was made of."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from omni.backup import blobs as blob_files
from omni.backup import manifest as manifests
from omni.backup.draft import hash_of, told
from omni.backup.errors import BackupError
from omni.backup.manifest import Engine, Manifest
from omni.backup.settling import Settled
from omni.blobs.base import Blobs


class Target(Protocol):
    @property
    def engine(self) -> Engine: ...

    @property
    def known(self) -> dict[str, int]:
        """The versions of what this release stores, by component."""

    async def is_empty(self) -> bool: ...

    def reserved(self) -> AbstractContextManager[None]: ...

    async def begin(self) -> None:
        """Make room."""

    async def load(self, folder: Path, versions: dict[str, int], *, resume: bool) -> Settled:
        """Put in what the backup has, upgraded to this release; without `resume` nothing that waited is done again."""


async def restore(
    folder: Path, target: Target, blobs: Blobs, *, replace: bool = False, resume: bool = False
) -> tuple[Manifest, Settled]:
    """Put a backup in place of what is stored. Everything is checked before anything is changed.

    Raises BackupError, and what the engines raise.
    """
    manifest = await asyncio.to_thread(check, folder)
    _require_fitting(folder, manifest, target)
    with target.reserved():
        if not replace:
            await _require_empty(target, blobs)
        with told(folder):
            await target.begin()
            await _clear(blobs)
            await blob_files.load(blobs, folder)
            settled = await target.load(folder, manifest.versions, resume=resume)
    return manifest, settled


def check(folder: Path) -> Manifest:
    """Read everything once, and hold it to the manifest. Blocks."""
    manifest = manifests.read(folder)
    for part in manifest.parts:
        path = folder / part.path
        if not path.is_file():
            raise BackupError(f"{path} is missing; take another backup")
        with told(path):
            if hash_of(path) != (part.size, part.sha256):
                raise BackupError(f"{path} is not what it was when it was saved; take another backup")
    with told(folder):
        blob_files.check(folder)
    return manifest


def _require_fitting(folder: Path, manifest: Manifest, target: Target) -> None:
    if manifest.engine != target.engine:
        wanted = "sqlite:///omni.db" if manifest.engine == "sqlite" else "mongodb://…"
        raise BackupError(
            f"{folder} is a backup of {manifest.engine}, and OMNI_STORE_URL names {target.engine}: it goes back into "
            f"its own engine only; set OMNI_STORE_URL={wanted}"
        )
    for component, version in manifest.versions.items():
        if version > target.known.get(component, 0):
            raise BackupError(
                f"{folder} was made by omni {manifest.omni}, whose {component} has schema version {version}, and this "
                f"release knows {target.known.get(component, 0)}: restore it with that release or a newer one"
            )


async def _require_empty(target: Target, blobs: Blobs) -> None:
    if not await target.is_empty():
        raise BackupError(
            "OMNI_STORE_URL names a store that is not empty; name an empty one, or say --replace to lose what is there"
        )
    async for blob in blobs.all():
        raise BackupError(
            f"OMNI_BLOB_URL names a place that is not empty (it has {blob.key}); name an empty one, or say --replace "
            "to lose what is there"
        )


async def _clear(blobs: Blobs) -> None:
    for key in [blob.key async for blob in blobs.all()]:
        await blobs.delete(key)
