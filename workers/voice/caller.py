"""The caller's side of a call: from frames to what was said, as events of the turn rules."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from channels.audio import FRAME_MS
from workers.voice.stt.base import Ears, SttError, Transcript
from workers.voice.turns.words import Event, Judged, NotRecognised, Partial, Recognised, Silence, VoiceBegan
from workers.voice.vad.base import TurnModel
from workers.voice.vad.endpoint import Endpointer

log = logging.getLogger("omni.voice")

JUDGED_MS: Final = 8_000
"""So much of an utterance is given to a turn model."""

OVERHEARD_MS: Final = 400.0
"""A pause after which what somebody on mute says is written down."""
OVERHEARD_SECONDS: Final = 5.0
"""So long the words of somebody who is not on mute any more are waited for."""


class Caller:
    """`happens` takes each event; `now_at` tells the call's clock. Synchronous, but for what the recogniser and the
    turn model are asked."""

    def __init__(
        self,
        ears: Ears,
        endpointer: Endpointer,
        rate: int,
        happens: Callable[[Event], None],
        now_at: Callable[[], float],
        judge: TurnModel | None = None,
    ) -> None:
        self.ears = ears
        self._endpointer = endpointer
        self._rate = rate
        self._happens = happens
        self._now_at = now_at
        self._judge = judge
        self._is_heard = False
        self._is_muted = False
        self._unheard = 0
        """Frames since the last utterance: those before were given to the recogniser."""
        self._recent: deque[bytes] = deque(maxlen=JUDGED_MS // FRAME_MS)
        self._question: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._overheard: list[str] = []
        self._writing: set[asyncio.Task[None]] = set()

    def replace(self, ears: Ears) -> None:
        """Other ears, from the next utterance on."""
        self.end()
        old, self.ears = self.ears, ears
        self._begin(old.close(), "close old ears")

    @property
    def is_voice(self) -> bool:
        return self._endpointer.is_voice

    def heard(self, frame: bytes, at: float) -> None:
        """One frame, in order."""
        events = self._endpointer.hear(frame, at)
        self._unheard += 1
        if self._is_heard or self.ears.wants_silence:
            self.ears.feed(frame)
            if self._judge is not None:
                self._recent.append(frame)
        if events:
            for event in events:
                if self._is_muted:
                    self._overhear(event)
                else:
                    self._happens(event)

    # an utterance

    def begin(self) -> None:
        """The utterance began a little ago: what was heard since goes to the recogniser first, and the end of the
        utterance before it does not come again."""
        if self._is_heard:
            self.ears.stop()
        frames = self._endpointer.preroll()[-max(1, self._unheard) :]
        self._recent.clear()
        self._recent.extend(frames)
        self.ears.start()
        self._is_heard = True
        if not self.ears.wants_silence:
            for frame in frames:
                self.ears.feed(frame)

    def listen_anew(self) -> None:
        """They were not listened to for a while: that was no silence of theirs."""
        self.end()
        self._endpointer.reset()

    def end(self) -> None:
        self.forget()
        if self._is_heard:
            self._is_heard = False
            self._unheard = 0
            self.ears.stop()

    def ask(self, pause: int, done: Callable[[], None]) -> None:
        """What was said until now? The answer is an event; `done` is called before it."""
        self.forget()

        async def asking() -> None:
            event: Event
            try:
                said = await self.ears.so_far()
                event = Recognised(self._now_at(), pause, said.text, _sane(said.confidence), said.language)
            except SttError as error:
                log.warning("an utterance was not recognised: %s", error)
                event = NotRecognised(self._now_at(), pause)
            except Exception:
                log.exception("a recogniser broke")
                event = NotRecognised(self._now_at(), pause)
            if self._question is asyncio.current_task():
                self._question = None
            done()
            self._happens(event)

        self._begin(asking(), "recognise an utterance", is_question=True)

    def judge(self, pause: int) -> None:
        """Have they finished? The answer is an event, if there is a turn model."""
        if self._judge is None:
            return
        model, pcm = self._judge, b"".join(self._recent)

        async def judging() -> None:
            try:
                probability = await model.probability(pcm, self._rate)
            except Exception:
                log.exception("a turn model broke")
                return
            self._happens(Judged(self._now_at(), pause, probability))

        self._begin(judging(), "judge a pause")

    def forget(self) -> None:
        """The open question is void."""
        question, self._question = self._question, None
        if question is not None:
            question.cancel()

    def partial(self, said: Transcript) -> None:
        """The recogniser's words so far."""
        if self._is_heard and not self._is_muted and said.text:
            self._happens(Partial(self._now_at(), said.text, _sane(said.confidence)))

    # mute: they are written down, and not listened to

    def mute(self) -> None:
        self.end()
        self._is_muted = True
        self._overheard = []

    def unmute(self, told: Callable[[str | None], None]) -> None:
        """They are listened to again. `told` gets what they said meanwhile, None for nothing: as soon as the last words
        of it are recognised, too."""
        self._is_muted = False
        if self._is_heard:
            self._overhear_all()
        self._endpointer.reset()
        words, writing = self._overheard, set(self._writing)
        self._overheard = []
        if not writing:
            told(" ".join(words) or None)
            return

        async def telling() -> None:
            await asyncio.wait(writing, timeout=OVERHEARD_SECONDS)
            told(" ".join(words) or None)

        self._begin(telling(), "tell what a muted caller said")

    def _overhear(self, event: Event) -> None:
        if isinstance(event, VoiceBegan) and not self._is_heard:
            self.begin()
        elif isinstance(event, Silence) and self._is_heard and event.ms >= OVERHEARD_MS:
            self._overhear_all()

    def _overhear_all(self) -> None:
        """The utterance of somebody on mute is over."""
        self._is_heard = False
        task = self._begun(self._write_down(self._overheard), "write down what a muted caller says")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_down(self, words: list[str]) -> None:
        try:
            said = await self.ears.so_far()
        except SttError as error:
            log.warning("an utterance was not recognised: %s", error)
            return
        finally:
            if not self._is_heard:
                self.ears.stop()
        if said.text:
            words.append(said.text)

    # tasks

    def _begin(self, work: Coroutine[Any, Any, None], name: str, *, is_question: bool = False) -> None:
        task = self._begun(work, name)
        if is_question:
            self._question = task

    def _begun(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("what a caller said was lost", exc_info=task.exception())

    async def close(self) -> None:
        self.end()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        await self.ears.close()


def _sane(confidence: float) -> float:
    """From 0 to 1, whatever a service says: not a number is no confidence."""
    return min(1.0, max(0.0, confidence)) if confidence == confidence else 0.0  # noqa: PLR0124
