"""Whisper on this machine: no account, no network, a third of a second for a sentence.

Utterances are decoded whole, in threads. A call's newest question takes the place of its older one, calls are served in
turn, and partial texts are only made with a thread to spare.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from typing import Final

from omni.model.sound import LOCAL, SttConfig
from workers.voice.stt.base import OnPartial, SttError, Transcript
from workers.voice.stt.decoder import WINDOW, Decoder, Heard, Unwanted, Utterance, load_decoder, sure
from workers.voice.stt.fair_queue import FairQueue, Wanted
from workers.voice.stt.naming import named

log = logging.getLogger(__name__)

_PARTIAL_EVERY: Final = 0.7
_WAITING: Final = 64
_LONGEST_WINDOW: Final = 30.0

Pieces = dict[tuple[int, int], Heard]


class Whisper:
    """`model`: a folder for CTranslate2 or a model's name, None for the packaged one. `workers` decode at once, on one
    core each (None: two, or one where there is one core only); at most `waiting` calls stand in line. `partial_every`
    is in seconds of sound; 0 for no partial texts."""

    name = LOCAL

    def __init__(
        self,
        model: str | None = None,
        *,
        workers: int | None = None,
        waiting: int = _WAITING,
        partial_every: float = _PARTIAL_EVERY,
    ) -> None:
        self._model = model
        self._workers = workers or min(2, os.cpu_count() or 1)
        self._queue: FairQueue[Pieces] = FairQueue(self._workers, waiting)
        self._partial_every = partial_every
        self.decoder: Decoder | None = None

    async def open(self) -> None:
        self.decoder = await asyncio.to_thread(load_decoder, self._model, self._workers)

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> _Ears:
        return _Ears(self, self._queue, config, rate, on_partial, self._partial_every)

    def hear(self, utterance: Utterance, is_wanted: Wanted) -> Pieces:
        """In a thread. Loads the model where nobody has opened it."""
        if not is_wanted():
            raise Unwanted
        decoder = self.decoder
        if decoder is None:
            decoder = self.decoder = load_decoder(self._model, self._workers)
        return decoder.hear(utterance, is_wanted)

    async def close(self) -> None:
        await self._queue.close()


class _Ears:
    wants_silence = False

    def __init__(
        self,
        whisper: Whisper,
        queue: FairQueue[Pieces],
        config: SttConfig,
        rate: int,
        on_partial: OnPartial,
        partial_every: float,
    ) -> None:
        self._whisper = whisper
        self._queue = queue
        self._rate = rate
        self._on_partial = on_partial
        self._partial_bytes = int(partial_every * rate) * 2
        self._config = self._next_config = named(config)
        self._spoken: str | None = None  # the language of the call, as far as it is certain
        self._pcm = bytearray()
        self._known: Pieces = {}
        self._heard_bytes = 0
        self._answer: Transcript | None = None
        self._partial: asyncio.Future[Pieces] | None = None
        self._partial_at = 0
        self._is_open = False
        self._asks = object()  # who asks, in the queue: another utterance's answer is none to this one

    def start(self) -> None:
        self.stop()
        self._asks = object()
        self._config = self._next_config
        self._is_open = True

    def feed(self, pcm: bytes) -> None:
        if not self._is_open:
            return
        self._pcm += pcm
        if self._partial_bytes and len(self._pcm) - self._partial_at >= self._partial_bytes and self._partial is None:
            self._begin_partial()

    async def so_far(self) -> Transcript:
        if self._answer is not None and self._heard_bytes == len(self._pcm):
            return self._answer
        self._drop_partial()
        utterance, size = self._utterance(), len(self._pcm)
        try:
            found = await self._queue.ask(self._asks, partial(self._whisper.hear, utterance))
        except (SttError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise SttError(f"Whisper cannot decode this: {type(error).__name__}: {error}") from error
        transcript = self._transcript(found)
        if self._is_open and size <= len(self._pcm) and utterance.known is self._known:
            self._heard_bytes, self._answer = size, transcript
            self._keep(found)
        return transcript

    def stop(self) -> None:
        self._drop_partial()
        self._is_open = False
        self._pcm = bytearray()
        self._known = {}
        self._heard_bytes = self._partial_at = 0
        self._answer = None

    def change(self, config: SttConfig) -> bool:
        config = named(config)
        if config.provider != self._config.provider:  # which it may hear for without being it
            return False
        self._next_config = config
        return True

    async def close(self) -> None:
        self.stop()

    def _utterance(self) -> Utterance:
        return Utterance(
            bytes(self._pcm),
            self._rate,
            language=_iso_639(self._config.language),
            before=self._spoken,
            window=_window(self._config),
            known=self._known,
        )

    def _begin_partial(self) -> None:
        self._partial_at = len(self._pcm)
        known = self._known
        running = self._queue.offer(self._asks, partial(self._whisper.hear, self._utterance()))
        if running is not None:
            self._partial = running
            running.add_done_callback(partial(self._tell_partial, known))

    def _tell_partial(self, known: Pieces, running: asyncio.Future[Pieces]) -> None:
        if running.cancelled():
            return
        error = running.exception()
        if running is not self._partial:
            return
        self._partial = None
        if error is not None:
            log.debug("no partial text: %s", error)
        elif known is self._known and self._is_open:
            self._keep(running.result())
            if (transcript := self._transcript(running.result())).text:
                self._on_partial(transcript)

    def _drop_partial(self) -> None:
        running, self._partial = self._partial, None
        if running is not None:
            running.cancel()

    def _keep(self, found: Pieces) -> None:
        """All pieces but the last will not change."""
        self._known.update(list(found.items())[:-1])
        last = [piece for piece in found.values() if piece.is_sure]
        if last:
            self._spoken = last[-1].language

    def _transcript(self, found: Pieces) -> Transcript:
        text, how_sure, language = sure(found)
        return Transcript(text, how_sure, language)


def _iso_639(language: str | None) -> str | None:
    """As Whisper names languages; None to guess."""
    named = (language or "multi").lower().partition("-")[0]
    return None if named == "multi" else named


def _window(config: SttConfig) -> float:
    """`window_s`: longer windows are slower, and better at what this one gets wrong."""
    wish = config.more.get("window_s")
    if isinstance(wish, int | float) and not isinstance(wish, bool):
        return min(_LONGEST_WINDOW, max(WINDOW, float(wish)))
    return WINDOW
