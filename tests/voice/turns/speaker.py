"""The bot's sound in a simulated call: one message after the other, held, resumed and dropped as the rules want it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workers.voice.turns.words import BotBegan, BotEnded, Event


class Speaker:
    def __init__(
        self,
        now: Callable[[], float],
        after: Callable[[float, Callable[[], None]], None],
        happens: Callable[[Event], None],
        ids: Iterator[int],
    ) -> None:
        self._now, self._after, self._happens, self._ids = now, after, happens, ids
        self._run = 0  # counts starts and stops, so that an end that was planned before them means nothing
        self._forget()

    def _forget(self) -> None:
        self._run += 1
        self._queue: list[tuple[int | None, float]] = []
        self._left_ms = 0.0
        self._since: float | None = None

    def says(self, turn: int | None, ms: float) -> None:
        self._queue.append((turn, ms))
        if self._left_ms == 0:
            self._next()

    def hold(self) -> None:
        assert self._since is not None, "held without a sound"
        self._left_ms = max(1.0, self._left_ms - (self._now() - self._since))
        self._since = None
        self._run += 1

    def resume(self) -> None:
        assert self._since is None, "resumed without being held"
        assert self._left_ms > 0, "resumed with nothing to say"
        self._goes()

    def drop(self, *, tells: bool) -> None:
        """All that is said, and all that waits."""
        self._forget()
        if tells:
            self._happens(BotEnded(self._now()))

    def _next(self) -> None:
        turn, self._left_ms = self._queue.pop(0)
        self._goes()
        self._happens(BotBegan(self._now(), f"m{next(self._ids)}", turn))

    def _goes(self) -> None:
        self._run += 1
        self._since, run = self._now(), self._run
        self._after(self._left_ms, lambda: self._said(run))

    def _said(self, run: int) -> None:
        if run != self._run:
            return
        self._left_ms, self._since = 0.0, None
        if self._queue:
            self._next()
        else:
            self._happens(BotEnded(self._now()))
