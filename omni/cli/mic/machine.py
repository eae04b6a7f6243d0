"""Where the sound of `omni mic` comes from and goes to: this machine's microphone and speaker, or files."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import threading
import time
import wave
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from omni.cli.mic.speaker import FRAME, Speaker
from omni.cli.opening import Failure

RATE: Final = 16_000
SECONDS: Final = 0.02
NO_DEVICES: Final = (
    "this machine's microphone needs the package sounddevice: pip install 'omni-server[mic]'; "
    "or talk with files: --wav in.wav --out out.wav"
)


class Machine(Protocol):
    """20 ms in and 20 ms out at a time."""

    async def exchange(self) -> tuple[bytes | None, list[str]]:
        """The next 20 ms that were heard, as they happen (None: there will be no more), and the marks that were
        played meanwhile."""

    @property
    def is_through(self) -> bool:
        """Everything that there was to say has been said."""


class Files:
    """Says what is in a WAV, in real time, and writes what it hears to another."""

    def __init__(self, speaker: Speaker, said: Path, heard: Path | None) -> None:
        from omni.audio.wav import WavError, read_wav

        self._speaker = speaker
        try:
            self._said, _ = read_wav(said.read_bytes(), RATE)
        except (OSError, WavError) as error:
            raise Failure(f"{said} cannot be said: {error}") from None
        self._at = 0
        self._due = time.monotonic()
        self._heard: wave.Wave_write | None = None
        if heard is not None:
            try:
                self._heard = wave.open(str(heard), "wb")  # noqa: SIM115 - closed by `close`
            except OSError as error:
                raise Failure(f"{heard} cannot be written: {error}") from None
            self._heard.setparams((1, 2, RATE, 0, "NONE", ""))

    @property
    def is_through(self) -> bool:
        return self._at >= len(self._said)

    async def exchange(self) -> tuple[bytes | None, list[str]]:
        self._due += SECONDS
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        frame, marks = self._speaker.next_frame()
        if self._heard is not None:
            self._heard.writeframesraw(frame)
        said, self._at = self._said[self._at : self._at + FRAME], self._at + FRAME
        return said.ljust(FRAME, b"\0"), marks

    def close(self) -> None:
        if self._heard is not None:
            self._heard.close()


class Devices:
    """The microphone and the speaker. Their library calls back in a thread of its own."""

    is_through = False

    def __init__(self, speaker: Speaker) -> None:
        if importlib.util.find_spec("sounddevice") is None:
            raise Failure(NO_DEVICES)
        self._speaker = speaker
        self._lock = threading.Lock()
        self._heard: deque[tuple[bytes, list[str]]] = deque(maxlen=100)
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._stream = self._opened()

    def _opened(self) -> Any:
        try:
            import sounddevice
        except OSError as error:
            raise Failure(
                f"the microphone cannot be used: {error}; install PortAudio (Debian: libportaudio2)"
            ) from None
        try:
            stream = sounddevice.RawStream(
                samplerate=RATE, blocksize=FRAME // 2, channels=1, dtype="int16", callback=self._swap
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise Failure(f"the microphone cannot be used: {error}") from None
        return stream

    def _swap(self, heard: Any, out: Any, frames: int, at: Any, status: Any) -> None:
        with self._lock:
            frame, marks = self._speaker.next_frame()
        out[:] = frame
        self._heard.append((bytes(heard), marks))
        self._loop.call_soon_threadsafe(self._news.set)

    async def exchange(self) -> tuple[bytes | None, list[str]]:
        while not self._heard:
            self._news.clear()
            await self._news.wait()
        return self._heard.popleft()

    def close(self) -> None:
        self._stream.stop()
        self._stream.close()


@contextlib.contextmanager
def machine(speaker: Speaker, said: Path | None, heard: Path | None) -> Iterator[Files | Devices]:
    """Raises Failure with the mend."""
    found = Files(speaker, said, heard) if said is not None else Devices(speaker)
    try:
        yield found
    finally:
        found.close()
