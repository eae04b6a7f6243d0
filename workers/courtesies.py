"""Read marks and typing indicators: shown when it costs nobody anything, dropped otherwise."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from channels.base import Adapter, RefusedError
from omni.model.channel import WhatsAppChannel
from omni.model.delivery import Delivery, Typing
from workers.clock import Clock
from workers.line import Channels, Lines

log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_WAITING: Final = 200
_REMEMBERED: Final = 2_000


@dataclass(frozen=True, slots=True)
class _Courtesy:
    call: str
    org: str
    agent: str
    channel: str
    provider_id: str
    typing: bool
    until: float


class Courtesies:
    """A few requests at a time, never tried twice; a long queue, a late one or one on hold is dropped."""

    def __init__(self, adapters: Mapping[str, Adapter], channels: Channels, lines: Lines, clock: Clock) -> None:
        self._adapters = adapters
        self._channels = channels
        self._lines = lines
        self._clock = clock
        self._waiting: OrderedDict[str, _Courtesy] = OrderedDict()
        self._shown: OrderedDict[str, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False

    def typing(self, typing: Typing) -> None:
        about = (typing.call, typing.org, typing.agent, typing.channel)
        self._show(_Courtesy(*about, typing.provider_id, typing.typing, typing.until))

    def answered(self, delivery: Delivery) -> None:
        """The answer was sent: the message it answers was read, unless it was shown as read before."""
        if delivery.mark_read is not None and delivery.mark_read not in self._shown:
            until = self._clock.now() + 60
            about = (delivery.call, delivery.org, delivery.agent, delivery.channel)
            self._show(_Courtesy(*about, delivery.mark_read, False, until))

    def overtaken(self, call: str) -> None:
        """An answer is about to be sent: an indicator that was not shown yet would come after it."""
        waiting = self._waiting.get(call)
        if waiting is not None and waiting.typing:
            del self._waiting[call]

    async def stop(self) -> None:
        """Idempotent. An answer that is sent while the worker drains is not followed by a read mark any more."""
        self._is_over = True
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _show(self, courtesy: _Courtesy) -> None:
        if self._is_over:
            return
        self._waiting.pop(courtesy.call, None)
        if len(self._waiting) >= _WAITING:
            self._waiting.popitem(last=False)
        self._waiting[courtesy.call] = courtesy
        if len(self._tasks) < _AT_ONCE:
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        while self._waiting:
            _, courtesy = self._waiting.popitem(last=False)
            try:
                await self._request(courtesy)
            except RefusedError as refused:
                log.debug("not shown as read: %s", refused.reason, extra={"call": courtesy.call})
            except Exception:
                log.exception("a read mark failed", extra={"call": courtesy.call})

    async def _request(self, courtesy: _Courtesy) -> None:
        if self._clock.now() > courtesy.until:
            return
        route = await self._channels.route(courtesy.org, courtesy.channel, courtesy.agent)
        if route is None or not self._lines.of(route).is_open():
            return
        if isinstance(route.channel, WhatsAppChannel) and not route.channel.read_receipts:
            return
        adapter = self._adapters.get(route.channel.kind)
        if adapter is None:
            return
        await adapter.show_typing(route.channel, courtesy.provider_id, typing=courtesy.typing)
        self._shown[courtesy.provider_id] = None
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)
