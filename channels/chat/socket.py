"""`WS /chat/ws` (and `/ws`): a browser's conversation with an agent.

With `?token=cht_…[&thread=…]` the server speaks first, to any browser client. Without a token omni's own page says
hello, and can come back later to where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from aiohttp import WSMessage, WSMsgType, hdrs, web

from channels.chat import wire
from channels.chat.admission import Admission, AdmissionError
from channels.chat.frames import FrameRefusedError, HelloFrame, parse
from channels.chat.pace import Pace
from channels.chat.plain import PlainTalk
from channels.chat.resumable import ResumableTalk
from channels.chat.talk import GOING_AWAY, NOT_NOW, TRY_LATER, Services, Talk
from channels.chat.transcript import Cursor
from omni.access.asking import Asking
from omni.access.web import address_of, server_url
from omni.bus.base import BusError
from omni.store.base import StoreError

log = logging.getLogger("omni.chat")

PING_SECONDS: Final = 25.0
HELLO_SECONDS: Final = 10.0
SEND_SECONDS: Final = 20.0
"""A page that takes nothing for so long is gone."""

GOODBYE_SECONDS: Final = 1.5
MAX_FRAME: Final = 128 * 1024
"""Bytes; the largest context, escaped, fits."""

POLICY: Final = 1008
UNAUTHORISED: Final = 4401


class ChatSockets:
    """`public_url` is how the world reaches us, when that is configured; `proxies` as in `Access`."""

    def __init__(self, services: Services, admission: Admission, *, public_url: str | None, proxies: int) -> None:
        self._services = services
        self._admission = admission
        self._public_url = public_url
        self._proxies = proxies
        self._open: set[_Socket] = set()

    async def drain(self) -> None:
        """The server stops: pages may come back elsewhere."""
        sockets = list(self._open)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await asyncio.gather(*(socket.hang_up(GOING_AWAY, "the server stops") for socket in sockets))

    def asking(self, request: web.Request) -> Asking:
        return Asking(
            address=address_of(request, self._proxies),
            origin=request.headers.get(hdrs.ORIGIN),
            own_origin=server_url(request, self._public_url, self._proxies),
        )

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(heartbeat=PING_SECONDS, max_msg_size=MAX_FRAME, compress=False)
        await ws.prepare(request)
        socket = _Socket(ws)
        self._open.add(socket)
        talk: Talk | None = None
        try:
            talk = await self._admit(request, socket)
            await talk.begin()
            await socket.listen(talk)
        except AdmissionError as refused:
            await socket.refuse(str(refused), refused.code)
        except (StoreError, BusError):
            await socket.refuse(NOT_NOW, TRY_LATER)
        except ConnectionError:
            pass
        finally:
            self._open.discard(socket)
            await _leave(talk)
            await ws.close()
        return ws

    async def _admit(self, request: web.Request, socket: _Socket) -> Talk:
        asking = self.asking(request)
        token = request.query.get("token")
        if token is not None:
            admitted = await self._admission.by_token(token, request.query.get("thread"), asking)
            return PlainTalk(self._services, admitted, socket.send, socket.hang_up)
        hello = await socket.hello()
        admitted = await self._admission.by_hello(hello, asking)
        after = Cursor.parse(hello.after) if hello.after is not None else None
        return ResumableTalk(self._services, admitted, socket.send, socket.hang_up, after)


class _Socket:
    """A WebSocket, frame by frame."""

    def __init__(self, ws: web.WebSocketResponse) -> None:
        self._ws = ws
        self._pace = Pace()

    async def send(self, frame: wire.Frame) -> None:
        """Raises ConnectionError."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._ws.send_frame(wire.dumps(frame), WSMsgType.TEXT)
        except TimeoutError:
            await self.hang_up(POLICY, "too slow")
            raise ConnectionError("the page takes nothing") from None
        except RuntimeError:  # aiohttp's word for a socket that is closing
            raise ConnectionError("the page is gone") from None

    async def hang_up(self, code: int, reason: str) -> None:
        await self._ws.close(code=code, message=reason.encode())

    async def refuse(self, sentence: str, code: int) -> None:
        """The last frame, and the end."""
        try:
            await self.send(wire.fatal(sentence))
            await self.hang_up(code, "refused")
        except ConnectionError:
            pass

    async def hello(self) -> HelloFrame:
        """The first frame of omni's own page. Raises AdmissionError and ConnectionError."""
        try:
            message = await self._ws.receive(timeout=HELLO_SECONDS)
        except TimeoutError:
            raise AdmissionError("Nobody said hello.", code=UNAUTHORISED, status=401) from None
        if message.type is not WSMsgType.TEXT:
            raise ConnectionError("the page is gone")
        try:
            frame = parse(message.data)
        except FrameRefusedError as refused:
            raise AdmissionError(str(refused), code=UNAUTHORISED, status=401) from None
        if not isinstance(frame, HelloFrame):
            raise AdmissionError("Bring a token, or say hello first.", code=UNAUTHORISED, status=401)
        return frame

    async def listen(self, talk: Talk) -> None:
        """Hear the page until it is gone. Raises what `Talk.hear` raises."""
        clock = asyncio.get_running_loop().time
        while True:
            try:
                message: WSMessage = await self._ws.receive(timeout=talk.patience())
            except TimeoutError:
                await talk.overdue()
                continue
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            wait = self._pace.take(clock())
            if self._pace.is_flood:
                await self.refuse("Too many frames; connect again and send fewer.", POLICY)
                return
            if wait:
                await asyncio.sleep(wait)
            await self._hear(talk, message)

    async def _hear(self, talk: Talk, message: WSMessage) -> None:
        try:
            if message.type is WSMsgType.BINARY:
                raise FrameRefusedError("Frames are JSON text.", what="frame")
            frame = parse(message.data)
        except FrameRefusedError as refused:
            await talk.refuse(refused)
            return
        if frame is not None:
            await talk.hear(frame)


async def _leave(talk: Talk | None) -> None:
    if talk is None:
        return
    try:
        await talk.close()
    except (StoreError, BusError) as error:
        log.warning("a conversation could not be ended with its page; it ends when it has been idle: %s", error)
