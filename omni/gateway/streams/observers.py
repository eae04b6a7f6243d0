"""`WS /v1/attach` and `WS /ws/stream`: a call's log, or an agent's, over a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from omni.access.access import Access
from omni.gateway.streams.queries import LONGEST_ID, BadQueryError, cursor
from omni.gateway.streams.reading import agent_log, call_log
from omni.gateway.streams.sockets import ObserverSocket
from omni.gateway.streams.verbs import Supervisor, refused
from omni.gateway.streams.viewers import Viewer, viewer_of
from omni.gateway.streams.watching import Hear, Keeper, closing, show
from omni.live.hub import Hub
from omni.model.call import Call
from omni.model.slugs import slug_of
from omni.store.base import Store
from sessions.book import Book
from sessions.commands import Commands

PING: Final[Mapping[str, str]] = {"type": "ping"}
PONG: Final[Mapping[str, str]] = {"event": "pong"}


class Observers:
    def __init__(self, access: Access, book: Book, hub: Hub, store: Store, commands: Commands, keeper: Keeper) -> None:
        self._access = access
        self._book = book
        self._hub = hub
        self._store = store
        self._commands = commands
        self._keeper = keeper

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/attach", self.attach), web.get("/ws/stream", self.stream)]

    async def attach(self, request: web.Request) -> web.WebSocketResponse:
        socket = await self._open(request)
        await closing(socket, self._attach(socket, request))
        return socket.ws

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = await self._open(request)
        await closing(socket, self._stream(socket, request))
        return socket.ws

    async def _open(self, request: web.Request) -> ObserverSocket:
        """Refusals are close codes, so every socket is accepted first."""
        pulse = self._keeper.pulse
        socket = ObserverSocket(request, patience=pulse.patience, flood=pulse.flood, heartbeat=2 * pulse.ping)
        await socket.open()
        return socket

    async def _attach(self, socket: ObserverSocket, request: web.Request) -> None:
        call_id, agent = request.query.get("call", ""), request.query.get("agent", "")
        if bool(call_id) == bool(agent):
            raise BadQueryError("name either the call or the agent to follow: ?call=<id> or ?agent=<slug>")
        after = cursor(request.query) or 0
        viewer = await viewer_of(self._access, request)
        if call_id:
            call = await self._call(viewer, call_id)
            hear = Supervisor(viewer, call.id, self._store, self._commands).hear
            await self._show_call(socket, viewer, call, after, hear, with_live=False)
        else:
            slug = self._agent(viewer, agent)
            await self._show_agent(socket, viewer, slug, after, _refuse, with_live=False)

    async def _stream(self, socket: ObserverSocket, request: web.Request) -> None:
        session, agent, after = request.query.get("session", ""), request.query.get("agent", ""), cursor(request.query)
        viewer = await viewer_of(self._access, request)
        if session:
            call = await self._call(viewer, session)
            await self._show_call(socket, viewer, call, after or 0, _pong, with_live=True)
            return
        named = agent or viewer.only_agent
        if named is None:
            raise BadQueryError("name the agent, or the call, to follow: ?agent=<slug> or ?session=<call id>")
        slug = self._agent(viewer, named)
        await socket.send({"event": "connected", "agent": slug})
        if after is None:
            after = await self._store.last_milestone(viewer.org, slug)
        await self._show_agent(socket, viewer, slug, after, _pong, with_live=True)

    async def _call(self, viewer: Viewer, call_id: str) -> Call:
        return viewer.check_call(await self._store.call(call_id) if len(call_id) <= LONGEST_ID else None)

    def _agent(self, viewer: Viewer, typed: str) -> str:
        slug = slug_of(typed)
        return viewer.check_agent(slug, is_there=self._book.get(viewer.org, slug) is not None)

    async def _show_call(
        self, socket: ObserverSocket, viewer: Viewer, call: Call, after: int, hear: Hear, *, with_live: bool
    ) -> None:
        async with self._hub.follow_call(call.id, after=after) as news:
            about_them = viewer.is_participant
            frames = call_log(self._store, call, news, after, to_participant=about_them, with_live=with_live)
            async with aclosing(frames):
                await show(socket, frames, hear, self._keep(socket, viewer, pings=not with_live))

    async def _show_agent(
        self, socket: ObserverSocket, viewer: Viewer, slug: str, after: int, hear: Hear, *, with_live: bool
    ) -> None:
        async with self._hub.follow_agent(viewer.org, slug) as news:
            frames = agent_log(self._store, viewer.org, slug, news, after, with_live=with_live)
            async with aclosing(frames):
                await show(socket, frames, hear, self._keep(socket, viewer, pings=not with_live))

    async def _keep(self, socket: ObserverSocket, viewer: Viewer, *, pings: bool) -> None:
        async def ping() -> None:
            await socket.send(PING)

        await self._keeper.keep(viewer, ping if pings else None)


async def _refuse(said: Any) -> dict[str, Any] | None:
    """An agent's log is no call that something could be done to."""
    if not isinstance(said, dict) or "verb" not in said:
        return None
    return refused(said["verb"], "this socket follows an agent; attach to one call with ?call=<id> to act on it")


async def _pong(said: Any) -> Mapping[str, Any] | None:
    return PONG if isinstance(said, dict) and said.get("action") == "ping" else None
