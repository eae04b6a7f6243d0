"""Speech to text for voice notes.

The `voice` extra brings faster-whisper; without it audio reaches the brain without words.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import logging
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

log = logging.getLogger(__name__)

_WAITING: Final = 32
_LEAVE_SECONDS: Final = 3.0
"""The model's own threads must be gone before the interpreter is."""


class TranscriberError(Exception):
    """There are no words to be had; the text says why."""


class Transcriber(Protocol):
    async def transcribe(self, audio: bytes, language: str | None) -> str:
        """The words of a recording in any common container; empty when nobody speaks. `language` is an ISO 639-1 code
        or None to guess. Raises TranscriberError. Cancelling it ends the work soon."""

    async def close(self) -> None: ...


@dataclass(slots=True)
class _Request:
    audio: bytes
    language: str | None
    answer: asyncio.Future[str]
    loop: asyncio.AbstractEventLoop
    is_dropped: bool = False

    def tell(self, words: str | None, error: Exception | None) -> None:
        """Called in the model's thread."""

        def settle() -> None:
            if self.answer.done():
                return
            if error is not None:
                self.answer.set_exception(error)
            else:
                self.answer.set_result(words or "")

        try:
            self.loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("a transcript came after the end")


class WhisperTranscriber:
    """faster-whisper in a thread of its own: the model is loaded once, one recording at a time, the rest waits.

    `model` is a model's name (`base`, `small`, …: downloaded at first use) or the path of a folder with one.
    """

    def __init__(self, model: str, *, waiting: int = _WAITING, load: Callable[[str], Any] | None = None) -> None:
        self._model_name = model
        self._load = load or _load_whisper
        self._requests: queue.Queue[_Request | None] = queue.Queue(maxsize=waiting)
        self._thread: threading.Thread | None = None
        self._is_closing = threading.Event()

    async def transcribe(self, audio: bytes, language: str | None) -> str:
        if self._is_closing.is_set():
            raise TranscriberError("the transcriber is closed")
        loop = asyncio.get_running_loop()
        request = _Request(audio, language, loop.create_future(), loop)
        try:
            self._requests.put_nowait(request)
        except queue.Full:
            raise TranscriberError(
                f"{self._requests.maxsize} recordings wait already: this one stays without words"
            ) from None
        if self._thread is None:
            # A daemon: a process that was told to end does not wait for the words of a long recording.
            self._thread = threading.Thread(target=self._work, name="transcriber", daemon=True)
            self._thread.start()
        try:
            return await request.answer
        finally:
            request.is_dropped = True

    async def close(self) -> None:
        """Drop what waits; the recording in work ends at its next sentence, and is waited for a few seconds."""
        self._is_closing.set()
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                break
            if request is not None and not request.answer.done():
                request.answer.set_exception(TranscriberError("the transcriber was closed"))
        self._requests.put_nowait(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _LEAVE_SECONDS)

    def _work(self) -> None:
        model: Any = None
        while (request := self._requests.get()) is not None:
            if request.is_dropped:
                continue
            try:
                if model is None:
                    model = self._load(self._model_name)
                words = self._hear(model, request)
            except Exception as error:
                log.debug("a recording could not be transcribed", exc_info=True)
                request.tell(None, TranscriberError(f"{type(error).__name__}: {error}"))
            else:
                request.tell(words, None)

    def _hear(self, model: Any, request: _Request) -> str:
        # Whisper is lazy: each segment is worked out when it is asked for, so we can stop between two of them.
        segments: Iterable[Any]
        segments, _ = model.transcribe(
            io.BytesIO(request.audio),
            language=request.language,
            beam_size=1,
            vad_filter=False,
            condition_on_previous_text=False,
        )
        words: list[str] = []
        for segment in segments:
            if request.is_dropped or self._is_closing.is_set():
                raise TranscriberError("nobody waits for it any more")
            words.append(segment.text.strip())
        return " ".join(word for word in words if word)


def load_transcriber(model: str | None) -> Transcriber | None:
    """A transcriber for the model that the settings name; None, and a line in the log, when there cannot be one."""
    if not model:
        log.info("voice notes are not transcribed: no model is set (OMNI_STT_MODEL)")
        return None
    if importlib.util.find_spec("faster_whisper") is None:
        log.info("voice notes are not transcribed: install omni with the extra `voice` for that")
        return None
    return WhisperTranscriber(model)


def _load_whisper(model: str) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(model, device="auto", compute_type="default")
