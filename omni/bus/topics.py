"""Who listens to which topic in this process, and what each listener has not read yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from omni.bus.base import MISSED

LISTENER_MESSAGES: Final = 1_000
"""What a listener may be behind before it loses the oldest."""


class Listener(AsyncIterator[bytes]):
    """Not a generator: waiting for the next may be cancelled (by a timeout) and tried again."""

    def __init__(self) -> None:
        self._heard: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._has_missed = False
        self._is_closed = False

    def hear(self, body: bytes) -> None:
        if len(self._heard) == LISTENER_MESSAGES:
            self._heard.popleft()
            self._has_missed = True
        self._heard.append(body)
        self._news.set()

    def miss(self) -> None:
        """Broadcasts may have been lost here."""
        self._has_missed = True
        self._news.set()

    def close(self) -> None:
        """End once everything was read."""
        self._is_closed = True
        self._news.set()

    async def __anext__(self) -> bytes:
        while True:
            if self._has_missed:
                self._has_missed = False
                return MISSED
            if self._heard:
                return self._heard.popleft()
            if self._is_closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()


class Topics:
    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}

    def __contains__(self, topic: object) -> bool:
        """True while somebody listens to it."""
        return topic in self._listeners

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._listeners))

    def tell(self, topic: str, body: bytes) -> None:
        for listener in self._listeners.get(topic, ()):
            listener.hear(body)

    def miss(self) -> None:
        """Every listener may have missed something."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.miss()

    def close(self) -> None:
        """Every listener ends."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.close()

    @contextmanager
    def listener(self, topic: str) -> Iterator[Listener]:
        listener = Listener()
        self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield listener
        finally:
            listeners = self._listeners[topic]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[topic]
