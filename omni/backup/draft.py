"""A backup while it is being made: a folder that gets its name when it is whole.

Files are this user's alone (mode 0600, folders 0700): they hold what the store holds, tokens and all. What is not
async blocks, and what writes much belongs in a thread (`in_thread`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from omni.backup.errors import BackupError
from omni.backup.manifest import NAME, Manifest, Part

T = TypeVar("T")

PART: Final = ".part"
PIECE: Final = 1024 * 1024


class HashedFile:
    """A new file of the draft, whose hash is known when it is closed."""

    def __init__(self, path: Path) -> None:
        self._file = create(path)
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, some: bytes) -> int:
        self._digest.update(some)
        self.size += len(some)
        return self._file.write(some)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> str:
        """On the disk; returns the hash."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def abandon(self) -> None:
        self._file.close()


class Draft:
    """The folder `<name>.part`. `finish` gives it its name, `abandon` deletes it."""

    def __init__(self, folder: Path) -> None:
        self._final = folder
        self.folder = folder.with_name(f"{folder.name}{PART}")
        self.parts: list[Part] = []

    def begin(self) -> None:
        if self._final.exists():
            raise BackupError(f"{self._final} exists; name a folder that is not there yet")
        try:
            self._final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            raise BackupError(
                f"{self.folder} is there: another backup is on its way, or was cut off; wait for it, or delete the "
                "folder"
            ) from None
        except OSError as error:
            raise BackupError(f"{self.folder} cannot be made ({error.strerror}); name another folder") from None

    def file(self, path: str) -> HashedFile:
        whole = self.folder / path
        for above in reversed(Path(path).parents[:-1]):
            (self.folder / above).mkdir(mode=0o700, exist_ok=True)
        return HashedFile(whole)

    def keep(self, path: str, file: HashedFile) -> None:
        """Close a file that the manifest lists."""
        self.parts.append(Part(path=path, sha256=file.close(), size=file.size))

    def adopt(self, path: str) -> None:
        """List a file that somebody else wrote."""
        with (self.folder / path).open("rb") as file:
            os.fsync(file.fileno())
        size, sha256 = hash_of(self.folder / path)
        self.parts.append(Part(path=path, sha256=sha256, size=size))

    def finish(self, manifest: Manifest) -> None:
        with create(self.folder / NAME) as file:
            file.write(manifest.model_dump_json(indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        for folder, _, _ in os.walk(self.folder):
            sync_folder(Path(folder))
        self.folder.rename(self._final)
        sync_folder(self._final.parent)

    def abandon(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def hash_of(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for some in pieces(file):
            digest.update(some)
            size += len(some)
    return size, digest.hexdigest()


def pieces(file: BinaryIO) -> Iterator[bytes]:
    while some := file.read(PIECE):
        yield some


def sync_folder(path: Path) -> None:
    """Make new names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def told(what: object) -> Iterator[None]:
    """What the disk refuses, as a sentence."""
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"{what}: {(error.strerror or str(error)).lower()}; see that the disk has room and that "
            "this user may write there"
        ) from error


async def in_thread(work: Callable[[], T]) -> T:
    """`asyncio.to_thread` for work on a file of the draft: when cancelled it waits for the thread to let go of it."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # nobody asks any more
        raise


def create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
