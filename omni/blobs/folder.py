"""Blobs as files of a folder: the embedded default."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from pydantic import ValidationError

from omni.blobs.base import Blob, BlobError, BlobTooLargeError
from omni.model.base import Value

T = TypeVar("T")

PIECE: Final = 256 * 1024
"""Bytes that are written, and read, in one go."""

_KEY: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)


class _Label(Value):
    """What is known of a blob. It names the content's file, so replacing the label replaces all of it at once. `key` is
    missing in labels of earlier releases."""

    content: str
    size: int
    sha256: str
    mime: str | None = None
    key: str | None = None


class FolderBlobs:
    """Two files a blob, its label and its content; all are this user's alone (mode 0600). Content without a label is
    what a crash left: it does not count. One process writes to a folder at a time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._folder = Path(path)

    async def open(self) -> None:
        await asyncio.to_thread(self._prepare)

    async def close(self) -> None:
        """Nothing is held open between two calls."""

    async def ping(self) -> None:
        if not await asyncio.to_thread(os.access, self._folder, os.R_OK | os.W_OK | os.X_OK):
            raise BlobError(f"{self._folder}: not a folder this user can write to; create it or name another")

    async def put(self, key: str, content: AsyncIterator[bytes], *, mime: str | None, max_bytes: int) -> Blob:
        label_path = self._label_path(key)
        writing = await _in_thread(lambda: _Writing(key, label_path), undo=_Writing.abandon)
        try:
            async for piece in content:
                if writing.size + len(piece) > max_bytes:
                    raise BlobTooLargeError(f"{key}: larger than {max_bytes} bytes; nothing of it was kept")
                if writing.buffer(piece):
                    await _in_thread(writing.flush)
            label = await _in_thread(lambda: writing.finish(mime))
        except BaseException:
            writing.abandon()
            raise
        return _blob(key, label)

    async def get(self, key: str) -> Blob | None:
        path = self._label_path(key)
        label = await asyncio.to_thread(_label_of, path)
        return None if label is None else _blob(key, label)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        path = self._label_path(key)
        file = await _in_thread(lambda: _open_content(path), undo=_close)
        if file is None:
            raise BlobError(f"there is no blob {key!r}")
        with file:
            while piece := await _in_thread(lambda: file.read(PIECE)):
                yield piece

    async def delete(self, key: str) -> bool:
        path = self._label_path(key)
        return await asyncio.to_thread(_delete, path)

    async def all(self) -> AsyncIterator[Blob]:
        labels = iter(self._folder.glob("??/*.json"))
        while (path := await asyncio.to_thread(next, labels, None)) is not None:
            label = await asyncio.to_thread(_label_of, path)
            if label is not None:
                yield _blob(label.key or _key_of(path), label)

    def _label_path(self, key: str) -> Path:
        """Keys differ by case, files of some systems do not: a digest tells them apart, and spreads them."""
        if not _KEY.fullmatch(key):
            raise BlobError(f"{key[:140]!r} is no blob key: use 1 to 128 letters, digits, _ and -")
        digest = _digest_of(key)
        return self._folder / digest[:2] / f"{key.lower()}.{digest}.json"

    def _prepare(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BlobError(f"{self._folder}: cannot be created ({error.strerror}); name another folder") from error


class _Writing:
    """Content on its way into a file that nobody knows yet. Blocks: for a thread, but for `buffer`."""

    def __init__(self, key: str, label_path: Path) -> None:
        self._key = key
        self._label_path = label_path
        self._path = label_path.with_name(f"{label_path.stem}.{secrets.token_hex(8)}")
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self.size = 0
        try:
            if not label_path.parent.exists():
                label_path.parent.mkdir(mode=0o700, exist_ok=True)
                _sync_folder(label_path.parent.parent)
            self._file = _create(self._path)
        except OSError as error:
            raise _refusal(self._path, error) from error

    def buffer(self, piece: bytes) -> bool:
        """True when enough waits to be worth a write."""
        self.size += len(piece)
        self._waiting += piece
        return len(self._waiting) >= PIECE

    def flush(self) -> None:
        try:
            self._digest.update(self._waiting)
            self._file.write(self._waiting)
            self._waiting.clear()
        except OSError as error:
            raise _refusal(self._path, error) from error

    def finish(self, mime: str | None) -> _Label:
        """Content on the disk, then the label in one step, then what the label named before may go."""
        self.flush()
        label = _Label(
            content=self._path.name, size=self.size, sha256=self._digest.hexdigest(), mime=mime, key=self._key
        )
        try:
            _sync(self._file)
            self._file.close()
            draft = self._path.with_name(f"{self._path.name}.label")
            with _create(draft) as file:
                file.write(label.model_dump_json().encode())
                _sync(file)
            with _replacing(self._label_path) as replaced:
                draft.replace(self._label_path)
            if replaced is not None:
                self._path.with_name(replaced.content).unlink(missing_ok=True)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise _refusal(self._path, error) from error
        return label

    def abandon(self) -> None:
        self._file.close()
        label = _label_of(self._label_path)
        if label is None or label.content != self._path.name:
            self._path.unlink(missing_ok=True)


_LABELLING = threading.Lock()
"""Whoever replaces a label knows which one, and so which content is nobody's any more."""


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[_Label | None]:
    with _LABELLING:
        yield _label_of(path)


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make new names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _label_of(path: Path) -> _Label | None:
    try:
        return _Label.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BlobError(f"{path}: damaged; delete it to forget this blob") from error


def _digest_of(key: str) -> str:
    return hashlib.blake2s(key.encode(), digest_size=8).hexdigest()


def _key_of(path: Path) -> str:
    """The key of a label that does not have it: its file's name is without capitals, which only our own ids had."""
    name, digest = path.name.split(".")[:2]
    prefix, joint, rest = name.rpartition("_")
    for key in (name, f"{prefix}{joint}{rest.upper()}"):
        if _digest_of(key) == digest:
            return key
    raise BlobError(f"{path}: its key cannot be told from its name; put it again, or delete it to forget this blob")


def _open_content(path: Path) -> BinaryIO | None:
    """The content, or None when there is no blob. Between label and content somebody may put another: once more."""
    while (label := _label_of(path)) is not None:
        try:
            return path.with_name(label.content).open("rb", buffering=0)
        except FileNotFoundError as error:
            if _label_of(path) == label:
                raise BlobError(f"{path}: names content that is not there; delete it to forget this blob") from error
    return None


def _delete(path: Path) -> bool:
    with _replacing(path) as label:
        if label is None:
            return False
        path.unlink(missing_ok=True)
        path.with_name(label.content).unlink(missing_ok=True)
        return True


def _blob(key: str, label: _Label) -> Blob:
    return Blob(key=key, size=label.size, sha256=label.sha256, mime=label.mime)


def _refusal(path: Path, error: OSError) -> BlobError:
    return BlobError(f"{path}: cannot be written ({error.strerror}); nothing of it was kept")


def _close(file: BinaryIO | None) -> None:
    if file is not None:
        file.close()


async def _in_thread(work: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
    """`asyncio.to_thread` for work on a file of ours: when cancelled it waits for the thread to let go of it, and
    undoes what it did."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled() and running.exception() is None and undo is not None:
            undo(running.result())
        raise
