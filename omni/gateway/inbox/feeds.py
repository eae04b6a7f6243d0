"""The feeds of a process: one for each organisation whose inbox somebody has open here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import JsonValue

from omni.bus.base import BusError
from omni.gateway.inbox.feed import Feed
from omni.gateway.inbox.kit import Kit
from omni.store.base import StoreError


class Feeds:
    """An organisation's feed begins with its first page and ends with its last."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._feeds: dict[str, tuple[Feed, int]] = {}
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def join(self, org: str) -> AsyncIterator[Feed]:
        """Raises BusError and StoreError."""
        feed = await self._enter(org)
        try:
            yield feed
        finally:
            leaving = asyncio.ensure_future(self._leave(org))
            try:
                await asyncio.shield(leaving)
            except asyncio.CancelledError:
                await asyncio.wait([leaving])
                raise

    def present(self, org: str, conversation: str) -> list[JsonValue]:
        found = self._feeds.get(org)
        return found[0].present(conversation) if found is not None else []

    async def _enter(self, org: str) -> Feed:
        async with self._changing:
            feed, number = self._feeds.get(org, (None, 0))
            if feed is None:
                feed = Feed(self._kit, org)
                try:
                    await feed.start()
                except BaseException:
                    with contextlib.suppress(BusError, StoreError):
                        await feed.stop()
                    raise
            self._feeds[org] = (feed, number + 1)
            return feed

    async def _leave(self, org: str) -> None:
        async with self._changing:
            feed, number = self._feeds[org]
            if number > 1:
                self._feeds[org] = (feed, number - 1)
                return
            del self._feeds[org]
            await feed.stop()
