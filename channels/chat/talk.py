"""One page's conversation over one connection: frames in, frames out, until either side goes.

What kind of page it is decides what it is sent: `channels.chat.plain` and `channels.chat.resumable`.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from channels.chat import wire
from channels.chat.admission import Admitted
from channels.chat.files import Files
from channels.chat.frames import (
    ContextFrame,
    EndFrame,
    Frame,
    FrameRefusedError,
    HelloFrame,
    MessageFrame,
    PingFrame,
    TypingFrame,
)
from channels.chat.line import Line
from omni.bus.base import BusError
from omni.live.hub import SlowFollowerError
from omni.live.told import Told
from omni.live.visitor import Visitor, Visits
from omni.model.agent import Agent
from omni.model.message import Choice, Message, Part, Text
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.chat")

NOT_NOW: Final = "The server cannot take this right now; try again in a moment."
HUNG_UP: Final = "client_hangup"
GOING_AWAY: Final = 1001
TRY_LATER: Final = 1013
"""WebSocket close codes: after both the page may come back."""

RETRY_SECONDS: Final = 1.0

Send = Callable[[wire.Frame], Awaitable[None]]
"""Sends one frame. Raises ConnectionError once the page is gone or takes nothing any more."""

HangUp = Callable[[int, str], Awaitable[None]]
"""Closes the connection with a code and a reason."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every conversation needs. `has_program` tells whether a program is connected for an agent (org, slug), `url`
    our public address without a trailing slash."""

    visits: Visits
    store: Store
    files: Files
    has_program: Callable[[str, str], bool]
    url: Callable[[], str]


class Talk(ABC):
    def __init__(self, services: Services, admitted: Admitted, send: Send, hang_up: HangUp) -> None:
        self.services = services
        self.admitted = admitted
        self.agent = admitted.agent
        self.send = send
        self._hang_up = hang_up
        self._line: Line | None = None
        self._follower: asyncio.Task[None] | None = None

    @abstractmethod
    async def begin(self) -> None:
        """Greet the page. Raises StoreError, BusError and ConnectionError."""

    @abstractmethod
    async def said(self, line: Line, frame: MessageFrame) -> None:
        """The visitor wrote. Raises FrameRefusedError, BusError and ConnectionError."""

    @abstractmethod
    async def refuse(self, refused: FrameRefusedError) -> None:
        """Tell the page that a frame was not acted on."""

    @abstractmethod
    async def catch_up(self, line: Line) -> None:
        """Send what is there already: when the conversation is first followed, and after we fell behind."""

    @abstractmethod
    async def told(self, line: Line, told: Told) -> None:
        """Send what is new."""

    def patience(self) -> float | None:
        """Seconds until `overdue` wants to be called; None for never."""
        return None

    async def overdue(self) -> None:  # noqa: B027 - nobody calls it who has all the patience in the world
        """Nothing came from the page for as long as `patience` said."""

    async def hear(self, frame: Frame) -> None:
        """Act on a frame of the page. Raises ConnectionError."""
        try:
            match frame:
                case MessageFrame():
                    line = await self.line()
                    await self.said(line, frame)
                    if line.call is None and await line.visit.has_moved():
                        await self._hang_up(TRY_LATER, "your conversation goes on elsewhere; connect again")
                case ContextFrame():
                    await (await self.line()).set_context(frame)
                case TypingFrame():
                    if self._line is not None:
                        await self._line.typing(on=frame.on)
                case EndFrame():
                    await (await self.line()).end(HUNG_UP)
                case PingFrame():
                    await self.send(wire.pong())
                case HelloFrame():
                    raise FrameRefusedError("You are in already.", what="hello")
        except FrameRefusedError as refused:
            await self.refuse(refused)
        except (StoreError, BusError) as error:
            log.warning("a frame of a chat could not be acted on: %s", error)
            id_ = frame.id if isinstance(frame, MessageFrame) else None
            await self.refuse(FrameRefusedError(NOT_NOW, what=frame.event, id_=id_, may_retry=True))

    async def line(self) -> Line:
        """The line to the conversation, followed from the first time on. Raises StoreError and BusError."""
        if self._line is None:
            claim = self.admitted.claim
            visit = await self.services.visits.enter(claim.who)
            line = Line(visit, self.services.store, claim.opening)
            begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._follower = asyncio.create_task(self._follow(line, begun), name=f"chat of {claim.visitor}")
            await begun
            self._line = line
        return self._line

    async def close(self) -> None:
        """The page is gone."""
        task, self._follower = self._follower, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _follow(self, line: Line, begun: asyncio.Future[None]) -> None:
        try:
            while not await self._follow_once(line, begun):
                pass
            await self._hang_up(GOING_AWAY, "the server stops")
        except Exception as error:
            if not begun.done():
                begun.set_exception(error)
            elif not isinstance(error, ConnectionError):
                log.exception("a conversation could not be followed", extra={"agent": self.agent.slug})
                await self._hang_up(TRY_LATER, "try again")
        finally:
            begun.cancel()

    async def _follow_once(self, line: Line, begun: asyncio.Future[None]) -> bool:
        """True when there is nothing more to follow. Else we fell behind, or an engine was away: what was missed is in
        the log."""
        try:
            async with line.follow() as news:
                await self.catch_up(line)
                if not begun.done():
                    begun.set_result(None)
                async for told in news:
                    await self.told(line, told)
                    del told  # some 20 kB, which an idle page would keep until the next one
        except SlowFollowerError:
            return False
        except (StoreError, BusError) as error:
            if not begun.done():
                raise
            log.warning("a chat waits for its engine: %s", error, extra={"agent": self.agent.slug})
            await asyncio.sleep(RETRY_SECONDS)
            return False
        return True


def wants_arrival(services: Services, agent: Agent) -> bool:
    """Whether a call begins before the visitor has said anything: to greet them, or to show them to the program."""
    greets = agent.greeting_in_chat and bool(agent.greeting)
    return greets or services.has_program(agent.org, agent.slug)


def message_of(files: Files, who: Visitor, frame: MessageFrame) -> Message:
    """What the visitor sent. Raises FrameRefusedError."""
    parts: list[Part] = [*files.media_of(who, frame.files, frame.id)]
    if frame.choice is not None:
        parts.append(Choice(kind="button", id=frame.choice.id, title=frame.choice.title))
    if frame.text.strip():
        parts.append(Text(text=frame.text))
    return Message(parts=tuple(parts))
