"""Broadcasts within one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

LISTENER_MESSAGES: Final = 1_000
"""What a listener may be behind before it loses the oldest."""


class Topics:
    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Queue[bytes]]] = {}

    def tell(self, topic: str, body: bytes) -> None:
        for listener in self._listeners.get(topic, ()):
            if listener.full():
                listener.get_nowait()
            listener.put_nowait(body)

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        listener: asyncio.Queue[bytes] = asyncio.Queue(LISTENER_MESSAGES)
        self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield _Bodies(listener)
        finally:
            listeners = self._listeners[topic]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[topic]


class _Bodies(AsyncIterator[bytes]):
    """Not a generator: waiting for the next may be cancelled (by a timeout) and tried again."""

    def __init__(self, listener: asyncio.Queue[bytes]) -> None:
        self._listener = listener

    async def __anext__(self) -> bytes:
        return await self._listener.get()
