"""A socket that shows a log, from its first frame to its close."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSCloseCode

from omni.access.access import Access
from omni.access.web import WRONG_KEY
from omni.bus.base import BusError
from omni.gateway.client.pace import TooFastError
from omni.gateway.streams.queries import BadQueryError
from omni.gateway.streams.reading import StoppedError
from omni.gateway.streams.shown import Envelope
from omni.gateway.streams.sockets import ObserverSocket
from omni.gateway.streams.viewers import RefusedError, Viewer
from omni.live.hub import SlowFollowerError
from omni.store.base import StoreError

log = logging.getLogger("omni.streams")

SLOW: Final = "slow_consumer"
AWAY: Final = "the server cannot read the log right now; try again in a moment"


@dataclass(frozen=True, slots=True)
class Pulse:
    """Seconds: between two pings; how long a reader may take nothing, and how long send too much, before it is let
    go."""

    ping: float = 25.0
    patience: float = 10.0
    flood: float = 10.0


class Keeper:
    """What keeps the readers of a process: pings, the validity of their keys, and the end of the process."""

    def __init__(self, access: Access, pulse: Pulse) -> None:
        self._access = access
        self._is_stopping = asyncio.Event()
        self.pulse = pulse

    async def drain(self) -> None:
        """Send every reader away."""
        self._is_stopping.set()

    async def keep(self, viewer: Viewer, ping: Callable[[], Awaitable[None]] | None) -> None:
        """Ping now and then. Raises StoppedError when the process stops, and RefusedError when the viewer's key is no
        key any more."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pulse.ping):
                    await self._is_stopping.wait()
                    raise StoppedError
            if viewer.key is not None and not await self._access.keys.is_valid(viewer.key):
                raise RefusedError(401, WRONG_KEY)
            if ping is not None:
                await ping()


Hear = Callable[[Any], Awaitable[Mapping[str, Any] | None]]
"""What a frame of the observer's comes to: an answer, or nothing."""


async def show(
    socket: ObserverSocket, frames: AsyncIterator[Sequence[Envelope]], hear: Hear, keep: Coroutine[Any, Any, None]
) -> None:
    """Send the log, hear what the observer says, and `keep` the connection, until one of these ends."""
    await until_one_ends(_send(socket, frames), _hear(socket, hear), keep)


async def until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of it until one ends, and raise what that raised."""
    tasks = [asyncio.create_task(each, name="serve an observer") for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancelled(tasks)
    for task in done:
        task.result()


async def _cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    """Returns when all have ended. A task may have to be told twice: `asyncio.wait_for`, which the drivers use,
    swallows a cancellation now and then before Python 3.12."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1.0)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # one that broke in the same moment, or on its way out, has nothing to add


async def _send(socket: ObserverSocket, frames: AsyncIterator[Sequence[Envelope]]) -> None:
    async for some in frames:
        for frame in some:
            await socket.send(frame)


async def _hear(socket: ObserverSocket, hear: Hear) -> None:
    async for said in socket.frames():
        answer = await hear(said)
        if answer is not None:
            await socket.send(answer)


async def closing(socket: ObserverSocket, act: Awaitable[None]) -> None:
    """Do what a socket is there for, then close it: with the reason, when it ends before its log does."""
    code, reason = WSCloseCode.OK.value, ""
    try:
        await act
    except RefusedError as error:
        code, reason = 4000 + error.status, str(error)
    except BadQueryError as error:
        code, reason = 4400, str(error)
    except SlowFollowerError:
        code, reason = WSCloseCode.TRY_AGAIN_LATER.value, SLOW
    except TooFastError:
        code, reason = WSCloseCode.POLICY_VIOLATION.value, "too many frames; send fewer"
    except (StoreError, BusError) as error:
        log.warning("an observer's log cannot be read: %s", error)
        code, reason = WSCloseCode.TRY_AGAIN_LATER.value, AWAY
    except ConnectionError:
        return
    except StoppedError as error:
        code, reason = WSCloseCode.GOING_AWAY.value, str(error)
    except asyncio.CancelledError:
        await socket.close(WSCloseCode.GOING_AWAY, str(StoppedError()))
        raise
    await socket.close(code, reason)
