"""`GET /v1/inbox/live`: one page's socket. Rows of the whole organisation, and what happens in what it has open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omni.bus.base import BusError
from omni.gateway.client.pace import Pace, TooFastError
from omni.gateway.inbox.asking import InboxError
from omni.gateway.inbox.cursors import CursorError, place_of
from omni.gateway.inbox.feed import Feed
from omni.gateway.inbox.feeds import Feeds
from omni.gateway.inbox.guard import SIGNED_OUT, Actor
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.outbox import Outbox
from omni.gateway.inbox.watch import Watch
from omni.gateway.streams.watching import until_one_ends
from omni.live.hub import SlowFollowerError
from omni.model.call import Call
from omni.store.base import StoreError

log = logging.getLogger("omni.inbox")

MAX_FRAME: Final = 16 * 1024
MOST_OPEN: Final = 10
"""Conversations that one page follows at a time; the one it opened first is let go for another."""

CHECK_SECONDS: Final = 3.0
"""How often a page's session is looked at. Whoever was signed out elsewhere is so here within five seconds."""

PATIENCE: Final = 10.0
HEARTBEAT: Final = 30.0
CLOSE_SECONDS: Final = 2.0
ABORT_SECONDS: Final = 15.0
WAITING_BYTES: Final = 64 * 1024
SIGNED_OUT_CODE: Final = 4401

TypingSignal = Callable[[Call, bool], Awaitable[None]]
"""Tells the customer, where their channel shows it, that somebody types."""


class Said(BaseModel):
    """What a page says. Fields it does not know are passed over."""

    model_config = ConfigDict(extra="ignore")

    type: str = Field(max_length=40)
    conversation: str = Field(default="", max_length=2100)
    after: str | None = Field(default=None, max_length=1000)
    on: bool = False


class SignedOutError(Exception):
    """The page's session or key has ended."""


class StoppingError(Exception):
    """This process stops."""


class Live:
    def __init__(
        self, kit: Kit, feeds: Feeds, tell_typing: TypingSignal, *, check_every: float = CHECK_SECONDS
    ) -> None:
        self._kit = kit
        self._feeds = feeds
        self._tell_typing = tell_typing
        self._check_every = check_every
        self._is_stopping = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/inbox/live", self._kit.wrap("viewer", self.live), allow_head=False)]

    async def drain(self) -> None:
        """Send every page away."""
        self._is_stopping.set()

    async def live(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        ws = web.WebSocketResponse(
            heartbeat=HEARTBEAT,
            max_msg_size=MAX_FRAME,
            compress=False,
            timeout=CLOSE_SECONDS,
            writer_limit=WAITING_BYTES,
        )
        await ws.prepare(request)
        outbox = Outbox(ws, patience=PATIENCE)
        code, reason = WSCloseCode.OK.value, ""
        try:
            async with self._feeds.join(actor.org) as feed:
                page = LivePage(self._kit, feed, actor, outbox, self._tell_typing)
                await page.run(ws, self._keep(page))
        except SignedOutError:
            code, reason = SIGNED_OUT_CODE, SIGNED_OUT
        except StoppingError:
            code, reason = WSCloseCode.GOING_AWAY.value, "the server stops; connect again"
        except SlowFollowerError as error:
            code, reason = WSCloseCode.TRY_AGAIN_LATER.value, str(error)
        except TooFastError:
            code, reason = WSCloseCode.POLICY_VIOLATION.value, "too many frames; send fewer"
        except (StoreError, BusError) as error:
            log.warning("a page of the inbox cannot be served for now: %s", error)
            code, reason = WSCloseCode.TRY_AGAIN_LATER.value, "the server cannot reach its store; try again in a moment"
        except ConnectionError:
            return ws
        except asyncio.CancelledError:
            await self._close(request, ws, outbox, WSCloseCode.GOING_AWAY.value, "the server stops; connect again")
            raise
        await self._close(request, ws, outbox, code, reason)
        return ws

    async def _keep(self, page: LivePage) -> None:
        """Raises SignedOutError and StoppingError."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._check_every):
                    await self._is_stopping.wait()
                    raise StoppingError
            try:
                actor = await self._kit.guard.current(page.actor)
                if actor is None:
                    raise SignedOutError
                page.actor = actor  # with the role they have by now
            except StoreError as error:
                log.warning("a page's session cannot be looked at for now: %s", error)

    async def _close(
        self, request: web.Request, ws: web.WebSocketResponse, outbox: Outbox, code: int, reason: str
    ) -> None:
        """Say why and end. Whoever does not read that is cut off some time later."""
        if request.transport is not None:
            asyncio.get_running_loop().call_later(ABORT_SECONDS, request.transport.abort)
        with contextlib.suppress(TimeoutError, ConnectionError, SlowFollowerError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if reason and code != WSCloseCode.TRY_AGAIN_LATER:
                    await outbox.last({"type": "bye", "reason": reason})
                await ws.close(code=code, message=reason.encode()[:120])


class LivePage:
    """One page, from its socket's beginning to its end."""

    def __init__(self, kit: Kit, feed: Feed, actor: Actor, outbox: Outbox, tell_typing: TypingSignal) -> None:
        self._kit = kit
        self._feed = feed
        self.actor = actor
        self._outbox = outbox
        self._tell_typing = tell_typing
        self._watches: dict[str, tuple[Watch, asyncio.Task[None]]] = {}
        self._typing: dict[str, bool] = {}
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.name = kit.new_id("page")
        self.operator = actor.id

    async def run(self, ws: web.WebSocketResponse, keep: Awaitable[None]) -> None:
        """Until the socket or `keep` ends."""
        self._outbox.put({"type": "hello", "operator": self.actor.id, "server_time": self._kit.clock()})
        self._feed.join(self)
        try:
            await until_one_ends(self._outbox.run(), self._hear(ws), self._keep(keep), self._until_broken())
        finally:
            self._feed.leave(self)
            for conversation in list(self._watches):
                await self._close(conversation)

    def put_encoded(self, frame: bytes) -> None:
        self._outbox.put_encoded(frame)

    def shown(self) -> Mapping[str, bool]:
        return {conversation: self._typing.get(conversation, False) for conversation in self._watches}

    async def _keep(self, keep: Awaitable[None]) -> None:
        await keep

    async def _until_broken(self) -> None:
        await self._broken

    async def _hear(self, ws: web.WebSocketResponse) -> None:
        pace = Pace(rate=20, burst=100, patience=10.0)
        while True:
            message = await ws.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
                await pace.take(len(message.data))
            else:
                return
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                said = Said.model_validate(json.loads(message.data))
            except (ValidationError, ValueError, RecursionError):
                continue
            await self._heed(said)

    async def _heed(self, said: Said) -> None:
        match said.type:
            case "ping":
                self._outbox.put({"type": "pong"})
            case "open":
                await self._open(said)
            case "close" | "typing":
                found = next((key for key, (watch, _) in self._watches.items() if watch.id == said.conversation), None)
                if found is None:
                    return
                if said.type == "close":
                    await self._close(found)
                else:
                    await self._type(found, on=said.on)
            case _:
                pass

    async def _open(self, said: Said) -> None:
        try:
            call = (await self._kit.find(said.conversation, self.actor)).call
            place = place_of(call.conversation, said.after) if said.after is not None else None
            if place is not None and not await self._kit.is_in(place, call.conversation):
                raise CursorError
        except InboxError:
            self._outbox.put({"type": "gone", "ids": [said.conversation]})
            return
        except CursorError:
            self._outbox.put({"type": "stale", "conversation": said.conversation})
            return
        await self._close(call.conversation)
        while len(self._watches) >= MOST_OPEN:
            await self._close(next(iter(self._watches)))
        watch = Watch(self._kit.store, call.conversation, call.id, place, self._outbox.put)
        self._feed.watch(watch, self)
        task = asyncio.create_task(watch.run(), name=f"follow {watch.id} for a page")
        task.add_done_callback(self._ended)
        self._watches[call.conversation] = watch, task
        self._outbox.put(
            {"type": "presence", "conversation": watch.id, "operators": self._feed.present(call.conversation)}
        )
        await self._feed.say_here(self, call.conversation)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A watch ends when it is told to; one that fails takes the page with it, which comes back."""
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def _close(self, conversation: str) -> None:
        watch, task = self._watches.pop(conversation, (None, None))
        if watch is None or task is None:
            return
        was_typing = self._typing.pop(conversation, False)
        self._feed.unwatch(watch)
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=1.0)
        if was_typing:
            await self._tell(watch.call, on=False)
        await self._feed.say_here(self, conversation)

    async def _type(self, conversation: str, *, on: bool) -> None:
        if not self.actor.may("agent"):
            return
        self._typing[conversation] = on
        await self._feed.say_here(self, conversation)
        await self._tell(self._watches[conversation][0].call, on=on)

    async def _tell(self, call_id: str, *, on: bool) -> None:
        with contextlib.suppress(StoreError, BusError):  # a courtesy
            call = await self._kit.store.call(call_id)
            if call is not None and call.is_open:
                await self._tell_typing(call, on)
