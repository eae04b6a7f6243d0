"""Events as server-sent events, for a page that shows a conversation live."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from omni.sdk import commands
from omni.sdk.catalog import ROWS

if TYPE_CHECKING:
    from aiohttp import web

log = logging.getLogger("omni.sdk")

QUEUE: Final = 1000
"""Events that a page may be behind; then its stream ends, and the browser opens another."""
PING_SECONDS: Final = 30
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
STREAMED: Final = frozenset(
    {
        "call.started",
        "call.ended",
        "chat.started",
        "speech.started",
        "speech.ended",
        "user.speaking",
        "user.message",
        "eager.turn",
        "turn.pause",
        "turn.end",
        "turn.resumed",
        "turn.continued",
        "bot.speaking",
        "bot.word",
        "bot.finished",
        "bot.interrupted",
        "message.confirmed",
        "reply.rejected",
        "audio.metrics",
        "call.dtmf_received",
        "whatsapp.session_started",
        "whatsapp.message",
        "whatsapp.response",
        "whatsapp.status",
        "whatsapp.session_ended",
        "session.paused",
        "session.resumed",
    }
)
_ONCE: Final = frozenset({"call.started", "call.ended", "user.message", "bot.speaking", "message.confirmed"})
"""Events of which a page gets one for each message of a call."""
_SEEN: Final = 2048


class StreamEvent(NamedTuple):
    """`data` has the names that browsers' code likes: `callId`, `messageId`, and `agent`."""

    event: str
    data: dict[str, Any]

    def sse(self) -> bytes:
        """As `text/event-stream` spells it."""
        return f"event: {self.event}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


class EventStream:
    """`async for event in agent.stream():` gives what happens from now on, of all the agent's calls.

    To a browser: `return await agent.stream().respond(request)` in an aiohttp handler; an ASGI application by itself
    (`await agent.stream()(scope, receive, send)`); elsewhere `agent.stream().sse()` are the bytes and `HEADERS` what
    goes before them. One stream is for one reader.
    """

    def __init__(self, agents: list[str], *, one: bool) -> None:
        self._hello = StreamEvent("connected", {"agent": agents[0]} if one else {"agents": agents})
        self._queue: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        self._seen: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._over = False

    def _offer(self, event: StreamEvent) -> None:
        if self._over or self._is_repeated(event):
            return
        if self._queue.qsize() >= QUEUE:
            log.warning("a stream of events is closed: its reader is %d behind", QUEUE)
            self._close()
        else:
            self._queue.put_nowait(event)

    def _is_repeated(self, event: StreamEvent) -> bool:
        message = str(event.data.get("messageId", ""))
        if event.event not in _ONCE or (event.event not in {"call.started", "call.ended"} and not message):
            return False
        key = (event.event, str(event.data.get("callId", "")), message)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        return False

    def _close(self) -> None:
        if not self._over:
            self._over = True
            self._queue.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        event = await self._queue.get()
        if event is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        return event

    async def sse(self, *, ping: float = PING_SECONDS) -> AsyncIterator[bytes]:
        """The stream's bytes; a comment every `ping` seconds of silence keeps the connection open."""
        yield self._hello.sse()
        while True:
            try:
                event = await asyncio.wait_for(self._queue.get(), ping)
            except TimeoutError:
                yield b":ping\n\n"
                continue
            if event is None:
                return
            yield event.sse()

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answers an aiohttp request with the stream, until the browser leaves."""
        from aiohttp import web

        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        try:
            async for piece in self.sse():
                await response.write(piece)
        except ConnectionError:
            pass
        finally:
            self._close()
        return response

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """An ASGI application that answers one request with the stream."""
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items() if name != "Connection"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        leaving = asyncio.create_task(self._until_left(receive), name="a browser reads events")
        try:
            async for piece in self.sse():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if not leaving.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._close()
            leaving.cancel()
            await asyncio.wait([leaving])

    async def _until_left(self, receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._close()


class Streams:
    """Those who read along. One that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[EventStream] = weakref.WeakSet()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, agents: list[str], *, one: bool = False) -> EventStream:
        stream = EventStream(agents, one=one)
        self._open.add(stream)
        return stream

    def offer(self, frame: commands.Frame, agent: str) -> None:
        if self._open:
            for event in streamed(frame, agent):
                for stream in tuple(self._open):
                    stream._offer(event)

    def close(self) -> None:
        for stream in tuple(self._open):
            stream._close()


def streamed(frame: commands.Frame, agent: str) -> list[StreamEvent]:
    """The events that a frame is to a page."""
    row = ROWS.get(frame["event"])
    names = [name for name, _ in row.emits if name in STREAMED] if row is not None else []
    if not names:
        return []
    data = {_camel(key): value for key, value in frame.items() if key not in {"event", "agent_id"}}
    return [StreamEvent(name, {**data, "agent": agent}) for name in names]


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
