"""Writing until the engine takes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from omni.bus.base import BusUnavailableError
from omni.store.base import StoreUnavailableError
from workers.clock import Clock

log = logging.getLogger(__name__)

T = TypeVar("T")

_WAITS: Final = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Seconds between two tries."""


async def persist(write: Callable[[], Awaitable[T]], clock: Clock, stopping: asyncio.Event) -> T:
    """What `write` returns when the engine takes it. Raises its refusal only once the worker is stopping."""
    failures = 0
    while True:
        try:
            return await write()
        except (StoreUnavailableError, BusUnavailableError) as error:
            if stopping.is_set():
                raise
            wait = _WAITS[min(failures, len(_WAITS) - 1)]
            failures += 1
            log.warning("cannot be written, trying again in %g s: %s", wait, error)
            await clock.wait(stopping, wait)  # cut short by the end of the worker, for one last try
