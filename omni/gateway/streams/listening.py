"""`WS /v1/calls/{call_id}/listen`: what is said in a call, as it is said, for operators who listen in.

First a text frame says what the sound is, then every binary frame is a tenth of a second of it. What is lost on the way
is silence; whoever reads too slowly loses sound, and the call never waits for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from omni.access.access import Access
from omni.bus.base import Bus
from omni.gateway.streams.queries import LONGEST_ID
from omni.gateway.streams.sockets import ObserverSocket
from omni.gateway.streams.viewers import NO_CALL, RefusedError, Viewer, viewer_of
from omni.gateway.streams.watching import Keeper, closing, until_one_ends
from omni.live.sound import CHANNELS, PIECE_MS, RATE, Piece, follow_sound
from omni.model.call import Call
from omni.model.ids import new_id
from omni.model.operator import AuditRecord
from omni.store.base import Store

NOT_FOR_PARTICIPANTS: Final = "a token with scope participate cannot listen in; get one with scope=observe"
ENDED: Final = "the call has ended; its recording, if there is one, is at GET /v1/calls/{call_id}/recording"

LOOK_SECONDS: Final = 5.0
"""After so long without any sound it is looked up whether the call still goes on."""


class Listeners:
    def __init__(
        self, access: Access, store: Store, bus: Bus, keeper: Keeper, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._access = access
        self._store = store
        self._bus = bus
        self._keeper = keeper
        self._look_seconds = look_seconds

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/calls/{call_id}/listen", self.listen)]

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        pulse = self._keeper.pulse
        socket = ObserverSocket(request, patience=pulse.patience, flood=pulse.flood, heartbeat=2 * pulse.ping)
        await socket.open()
        await closing(socket, self._listen(socket, request))
        return socket.ws

    async def _listen(self, socket: ObserverSocket, request: web.Request) -> None:
        viewer = await viewer_of(self._access, request)
        call = await self._call(viewer, request.match_info["call_id"])
        await self._write_down(viewer, call, request.remote)
        async with follow_sound(self._bus, call.id) as sound:
            await socket.send(_header(call))
            await until_one_ends(self._send(socket, call, sound), _hear(socket), self._keeper.keep(viewer, None))

    async def _call(self, viewer: Viewer, call_id: str) -> Call:
        """The call, if it goes on and is the viewer's to hear. Raises RefusedError."""
        if len(call_id) > LONGEST_ID:
            raise RefusedError(404, NO_CALL)
        call = viewer.check_call(await self._store.call(call_id))
        if viewer.is_participant:
            raise RefusedError(403, NOT_FOR_PARTICIPANTS)
        if not call.is_open:
            raise RefusedError(409, ENDED)
        return call

    async def _write_down(self, viewer: Viewer, call: Call, address: str | None) -> None:
        """Nobody listens in unseen. Raises StoreError: what cannot be written down does not happen."""
        await self._store.write_audit(
            AuditRecord(
                id=new_id("aud"),
                org=call.org,
                at=time.time(),
                actor="token" if viewer.key is None else f"key:{viewer.key.id}",
                name=viewer.name if viewer.key is None else viewer.key.name,
                action="call.listen",
                target=call.id,
                address=address,
            )
        )

    async def _send(self, socket: ObserverSocket, call: Call, sound: AsyncIterator[Piece]) -> None:
        while True:
            try:
                async with asyncio.timeout(self._look_seconds):
                    piece = await anext(sound)
            except StopAsyncIteration:
                return
            except TimeoutError:
                now = await self._store.call(call.id)
                if now is None or not now.is_open:
                    return
            else:
                await socket.send_bytes(piece.sound)


def _header(call: Call) -> dict[str, Any]:
    return {
        "type": "sound",
        "call": call.id,
        "encoding": "mulaw",
        "rate": RATE,
        "channels": CHANNELS,
        "left": "caller",
        "right": "bot",
        "frame_ms": PIECE_MS,
    }


async def _hear(socket: ObserverSocket) -> None:
    """Listeners have nothing to say."""
    async for _ in socket.frames():
        pass
