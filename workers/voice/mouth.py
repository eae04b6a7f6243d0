"""The way of one turn's words from the brain to the caller's ear. Until the turn is sure, they wait here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sessions.brains.base import Press, Transfer
from workers.voice.bot import Bot
from workers.voice.latency import TurnTimes


class Hands(Protocol):
    """Who does what a brain asks for beside words."""

    def act(self, act: Transfer | Press) -> None:
        """When what was said before it was heard."""


class TurnMouth:
    """Of the answer to turn `turn`, which answers the user's message `answers`. `new_id` names our messages."""

    def __init__(
        self, bot: Bot, hands: Hands, times: TurnTimes, turn: int, answers: str, new_id: Callable[[], str]
    ) -> None:
        self.turn = turn
        self.answers = answers
        self.is_done = False
        self._bot = bot
        self._hands = hands
        self._times = times
        self._new_id = new_id
        self._message: str | None = None
        self._held: list[Callable[[], None]] | None = []
        self.is_shut = False

    @property
    def is_released(self) -> bool:
        return self._held is None and not self.is_shut

    @property
    def is_awaited(self) -> bool:
        """True while nothing of the answer is there yet."""
        return not (self.is_shut or self.is_done or self.has_begun)

    @property
    def has_begun(self) -> bool:
        """True once anything of the answer was given to the bot's voice, or waits for it."""
        return self._message is not None or bool(self._held)

    def release(self) -> None:
        """The turn is sure: what was thought of is said."""
        held, self._held = self._held, None
        for act in held or ():
            act()

    def shut(self) -> None:
        """Nothing of it is wanted any more."""
        self.is_shut = True
        self._held = None

    def say(self, text: str, *, is_whole: bool = False) -> None:
        self._times.first_words(self.turn)
        self._do(lambda: self._say(text, is_whole=is_whole))

    def next(self) -> None:
        self._do(self._next)

    def forget(self) -> None:
        self._do(self._forget)

    def act(self, act: Transfer | Press) -> None:
        self._do(lambda: self._hands.act(act))

    def done(self) -> None:
        self.is_done = True
        self._do(self._next)

    def latency(self) -> dict[str, float]:
        return self._times.of(self.turn)

    def _do(self, act: Callable[[], None]) -> None:
        if self.is_shut:
            return
        if self._held is not None:
            self._held.append(act)
        else:
            act()

    def _say(self, text: str, *, is_whole: bool) -> None:
        if self._message is None:
            if not text.strip():
                return
            self._message = self._new_id()
            self._bot.open(self._message, self.turn)
        self._bot.add(self._message, text, is_whole=is_whole)

    def _next(self) -> None:
        if self._message is not None:
            self._bot.close(self._message)
            self._message = None

    def _forget(self) -> None:
        if self._message is not None:
            self._bot.cancel(self._message)
            self._message = None
