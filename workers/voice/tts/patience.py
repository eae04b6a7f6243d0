"""Not waiting for ever for somebody else's stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

_T = TypeVar("_T")


async def patient(stream: AsyncIterator[_T], seconds: float) -> AsyncGenerator[_T, None]:
    """The same items; TimeoutError when the next does not come within so many seconds. The time that the taker of an
    item needs does not count."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                item = await anext(stream)
        except StopAsyncIteration:
            return
        yield item
