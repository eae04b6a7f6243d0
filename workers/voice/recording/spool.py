"""Recordings that grow: files without a name, written in one thread of the process.

Such a file is gone with its last descriptor, so a process that is killed leaves nothing of a call behind.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final, TypeVar

from omni.audio.pcm import interleave
from omni.audio.wav import wav_header

T = TypeVar("T")

PIECE: Final = 256 * 1024
"""Bytes that are read in one go."""

BEHIND: Final = 20
"""Writes that may wait: about ten seconds of a call. A disk that is slower than that cannot record it."""

_BLOCK: Final = 4
"""Bytes of a sample of both parties."""


class SpoolError(Exception):
    """The recording cannot be written; the text says why and how to mend it."""


class Spool:
    """Where recordings grow. `folder` None: where this system keeps its temporary files."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="omni-recording")

    async def open(self) -> None:
        """Raises SpoolError when nothing can be written there."""
        try:
            (await self.run(self.file)).close()
        except OSError as error:
            raise SpoolError(
                f"recordings cannot be written to {self._folder or tempfile.gettempdir()}: {error}"
            ) from error

    async def close(self) -> None:
        """Returns when all that was asked for is written."""
        await asyncio.to_thread(self._thread.shutdown)

    def file(self) -> IO[bytes]:
        """Blocks: only for the thread."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.TemporaryFile(dir=self._folder)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        return self._thread.submit(work)

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self.submit(work))


class SpoolFile:
    """One recording: a WAV of 16-bit stereo. Its methods return at once, except those that are awaited."""

    def __init__(self, spool: Spool, rate: int) -> None:
        self._spool = spool
        self._rate = rate
        self._file: IO[bytes] | None = None
        self._header = len(wav_header(rate, 2, 0))
        self._waiting: deque[Future[None]] = deque()
        self._failure: str | None = None

    def write(self, place: int, left: bytes, right: bytes) -> None:
        """Both parties' sound from a place on; places that nothing was written to are silence."""
        if left or right:
            self._later(lambda: self._write(place, interleave(left, right)))

    def silence(self, first: int, last: int) -> None:
        """Take the sound out, for good."""
        self._later(lambda: self._write(first, bytes((last - first) * _BLOCK)))

    async def finish(self, length: int) -> int:
        """End it after so many samples; returns its size in bytes. Raises SpoolError."""
        try:
            size = await self._spool.run(lambda: self._finish(length))
        except OSError as error:
            self._failure = self._failure or str(error)
            size = 0
        self._look()
        if self._failure is not None:
            raise SpoolError(f"a recording could not be written ({self._failure}); it is lost. Is the disk full?")
        return size

    async def pieces(self) -> AsyncIterator[bytes]:
        """The whole file, once it is finished."""
        await self._spool.run(lambda: self._opened().seek(0))
        while piece := await self._spool.run(lambda: self._opened().read(PIECE)):
            yield piece

    def close(self) -> None:
        """Forget it, and what was not read of it."""
        self._spool.submit(self._close)

    def _later(self, work: Callable[[], None]) -> None:
        self._look()
        if self._failure is None and len(self._waiting) >= BEHIND:
            self._failure = f"the disk is {len(self._waiting)} writes behind"
        if self._failure is None:
            self._waiting.append(self._spool.submit(work))

    def _look(self) -> None:
        while self._waiting and self._waiting[0].done():
            error = self._waiting.popleft().exception()
            if error is not None and self._failure is None:
                self._failure = str(error) or type(error).__name__

    # in the thread

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = self._spool.file()
        return self._file

    def _write(self, place: int, sound: bytes) -> None:
        file = self._opened()
        file.seek(self._header + place * _BLOCK)
        file.write(sound)

    def _finish(self, length: int) -> int:
        file = self._opened()
        file.seek(0)
        file.write(wav_header(self._rate, 2, length * _BLOCK))
        return file.truncate(self._header + length * _BLOCK)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
