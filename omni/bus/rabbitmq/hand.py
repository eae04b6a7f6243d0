"""The messages a consumer holds on one channel, and the acknowledgements that wait to be written."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiormq.channel import Channel

from omni.bus.rabbitmq.link import GONE


class Hand:
    """Settling is noted at once and written in batches: one multiple ack for every unbroken run from the oldest."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._unsettled: dict[int, None] = {}  # in the order of delivery, which is the order of tags
        self._acked: set[int] = set()
        self._returned: set[int] = set()
        self._wake = asyncio.Event()
        self._lost = asyncio.Event()
        self._is_finishing = False

    @property
    def is_open(self) -> bool:
        return not self._lost.is_set() and not self._channel.is_closed

    @property
    def taken(self) -> int:
        return len(self._unsettled) if self.is_open else 0

    def take(self, tag: int) -> None:
        self._unsettled[tag] = None

    def ack(self, tag: int) -> None:
        self._acked.add(tag)
        self._wake.set()

    def give_back(self, tag: int) -> None:
        self._returned.add(tag)
        self._wake.set()

    async def cancel(self, consumer_tag: str) -> None:
        if consumer_tag in self._channel.consumers:
            await self._channel.basic_cancel(consumer_tag)

    def finish(self) -> None:
        """Nothing more is taken: close the channel as soon as everything is settled."""
        self._is_finishing = True
        self._wake.set()

    def lose(self) -> None:
        """The channel is gone; whatever is unsettled is the broker's again."""
        self._lost.set()
        self._wake.set()

    async def wait_closed(self, timeout: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._lost.wait()

    async def settle_forever(self) -> None:
        while self.is_open:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write()
                if self._is_finishing and not self._unsettled:
                    await self._close_channel()
            except GONE:
                return

    async def close(self) -> None:
        """Write what is noted; the rest goes back to the queue, in order, as the channel closes."""
        with suppress(*GONE):
            async with asyncio.timeout(2.0):
                await self._write()
                await self._close_channel()
        self.lose()

    async def _write(self) -> None:
        acked, self._acked = self._acked, set()
        returned, self._returned = self._returned, set()
        last = 0
        for tag in self._unsettled:
            if tag not in acked:
                break
            last = tag
        for tag in acked:
            self._unsettled.pop(tag, None)
        for tag in returned:
            self._unsettled.pop(tag, None)
        if not self.is_open:
            return
        if last:
            await self._channel.basic_ack(last, multiple=True, wait=False)
        for tag in sorted(acked):
            if tag > last:
                await self._channel.basic_ack(tag, wait=False)
        for tag in sorted(returned):
            await self._channel.basic_nack(tag, requeue=True, wait=False)

    async def _close_channel(self) -> None:
        await self._channel.close()
