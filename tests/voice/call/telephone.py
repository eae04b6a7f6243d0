"""The far end of a call: it buffers what it is given, plays it in real time, sends marks back a little later, and
speaks for the caller."""

from __future__ import annotations

import asyncio
from collections import deque

from channels.audio import Ear
from tests.voice.call.marked import FRAME, FRAMES, QUIET, RATE, Lexicon

DEAF_AFTER_S = 0.2


class Telephone:
    """A `Leg`. `delay` is one way, in seconds; without `echoes` the line knows no marks."""

    def __init__(self, lexicon: Lexicon, delay: float = 0.04, *, echoes: bool = True) -> None:
        self.lexicon = lexicon
        self.delay = delay
        self.echoes = echoes
        self.heard: list[tuple[float, bytes]] = []
        """What the caller's ear was played: when, and each frame that was not silence."""
        self.clears: list[float] = []
        self.given_after_end = 0
        self.hung_up: float | None = None
        """When our side ended it."""
        self.is_gone = False
        self.ear: Ear | None = None
        self._waiting: deque[bytes | str] = deque()
        self._speech: deque[bytes | str] = deque()
        self._at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    # Leg

    @property
    def rate(self) -> int:
        return RATE

    def listen(self, ear: Ear) -> None:
        self.ear = ear
        self._task = asyncio.create_task(self._run(), name="telephone")

    def play(self, pcm: bytes) -> None:
        assert len(pcm) % FRAME == 0, "whole frames"
        if self.is_over:
            self.given_after_end += 1
            return
        self._waiting.extend(pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME))

    def clear(self) -> None:
        self.clears.append(self.now)
        self._waiting.clear()

    def mark(self, name: str) -> None:
        self._waiting.append(name)

    def hang_up(self) -> None:
        if not self.is_over:
            self.hung_up = self.now
        self._stop()

    # the caller

    @property
    def now(self) -> float:
        return self._loop.time()

    @property
    def is_over(self) -> bool:
        return self.is_gone or self.hung_up is not None

    @property
    def is_silent(self) -> bool:
        """They have said all they had to say."""
        return not self._speech

    def say(self, text: str, gap_ms: int = 0) -> None:
        """Words, and a short silence between them if there is a gap."""
        for word in text.split():
            self._speech.extend(self.lexicon.sound(word))
            self._speech.extend([QUIET] * (gap_ms // 20))

    def noise(self, ms: int) -> None:
        self._speech.extend(self.lexicon.sound("", ms // 20))

    def silence(self, ms: int) -> None:
        self._speech.extend([QUIET] * (ms // 20))

    def press(self, digit: str) -> None:
        self._speech.append(digit)

    def lose(self, ms: float) -> None:
        """The network drops so much of what they send."""
        self._at += ms

    def leave(self, reason: str = "hangup") -> None:
        if not self.is_over:
            self.is_gone = True
            self._stop()
            assert self.ear is not None
            self.ear.gone(reason)

    def words(self, since: float = 0.0, least: int = FRAMES // 2 + 1) -> list[str]:
        """What the caller heard of the bot, by words of which they heard more than half."""
        return self.lexicon.words([frame for at, frame in self.heard if at >= since], least)

    @property
    def text(self) -> str:
        return " ".join(self.words())

    def sounds_between(self, begin: float, end: float) -> int:
        """Frames of anything but silence."""
        return sum(begin < at <= end for at, _ in self.heard)

    # time

    def _stop(self) -> None:
        self._waiting.clear()
        self._speech.clear()
        if self._task is not None:
            self._task.cancel()

    async def closed(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        due = self.now
        while not self.is_over:
            due += 0.02
            await asyncio.sleep(due - self.now)
            self._pass_frame()

    def _pass_frame(self) -> None:
        ear = self.ear
        assert ear is not None
        self._echo()
        if self._waiting:
            frame = self._waiting.popleft()
            assert isinstance(frame, bytes)
            if frame != QUIET:
                self.heard.append((self.now, frame))
            self._echo()
        while self._speech and isinstance(digit := self._speech[0], str):
            self._speech.popleft()
            ear.pressed(digit)
        said = self._speech.popleft() if self._speech else QUIET
        assert isinstance(said, bytes)
        at, self._at = self._at, self._at + 20
        ear.heard(said, at)

    def _echo(self) -> None:
        while self._waiting and isinstance(name := self._waiting[0], str):
            self._waiting.popleft()
            if self.echoes:
                self._loop.call_later(2 * self.delay, self._echoed, name)

    def _echoed(self, name: str) -> None:
        if not self.is_over and self.ear is not None:
            self.ear.played(name)
