"""`WS /mic`: a terminal talks to an agent.

The first frame is JSON, `{"type": "start", "agent": slug}`. The answer is `{"type": "ready", "call": id, "rate": …}`,
or `{"type": "refused", "error": a sentence}` and the end. From then on binary frames are 16-bit little-endian mono
sound, both ways. Besides, the terminal says `{"type": "key", "digit": "1"}`, and `{"type": "played", "name": …}` when
it has played all sound before a `{"type": "mark", "name": …}` of ours; at `{"type": "clear"}` it drops what it has not
played yet.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Annotated, Final, Literal

from aiohttp import WSMsgType, hdrs, web
from pydantic import Field, TypeAdapter, ValidationError

from channels.audio import Refused, Switchboard
from channels.mic.leg import MOST_WAITING, RATE, MicLeg
from omni.access.keys import Keys
from omni.model.access import ApiKey
from omni.model.base import Value
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.ids import new_call_id
from omni.model.inbound import Ask, CallOffered
from omni.store.base import StoreError

log = logging.getLogger("omni.mic")

MOST: Final = 64 * 1024
START_SECONDS: Final = 5.0
TAKEN_SECONDS: Final = 10.0
CHANNEL: Final = "mic"

Socket = web.WebSocketResponse[Literal[True]]
HasAgent = Callable[[str, str], bool]
"""`(org, slug)`: whether there is such an agent."""


class Start(Value):
    type: Literal["start"]
    agent: str = Field(min_length=1, max_length=64)


class Key(Value):
    type: Literal["key"]
    digit: str = Field(pattern=r"^[0-9*#A-D]$")


class Played(Value):
    type: Literal["played"]
    name: str = Field(max_length=64)


_SAID: Final[TypeAdapter[Start | Key | Played]] = TypeAdapter(
    Annotated[Start | Key | Played, Field(discriminator="type")]
)


class MicSide:
    def __init__(self, switchboard: Switchboard, keys: Keys, has_agent: HasAgent) -> None:
        self._switchboard = switchboard
        self._keys = keys
        self._has_agent = has_agent

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/mic", self.open)]

    async def open(self, request: web.Request) -> web.StreamResponse:
        scheme, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        try:
            key = await self._keys.find(secret.strip()) if scheme.lower() == "bearer" else None
        except StoreError as error:
            return web.Response(status=503, text=f"the API key cannot be looked up for now: {error}")
        if key is None:
            return web.Response(status=401, text="show an API key: Authorization: Bearer pk_…")
        socket: Socket = web.WebSocketResponse(compress=False, max_msg_size=MOST, heartbeat=20)
        await socket.prepare(request)
        await _Talk(socket, self._switchboard).run(await self._offered(socket, key))
        return socket

    async def _offered(self, socket: Socket, key: ApiKey) -> CallOffered | str:
        """The call that is wanted, or a sentence why there will be none."""
        try:
            async with asyncio.timeout(START_SECONDS):
                said = _read(await socket.receive())
        except TimeoutError:
            said = None
        if not isinstance(said, Start):
            return 'the first frame must be {"type": "start", "agent": "…"}'
        if not self._has_agent(key.org, said.agent):
            return f"there is no agent {said.agent!r}; `omni agents` lists them"
        now, call = time.time(), new_call_id("mic")
        person = Identity(kind=IdentityKind.VISITOR, value=f"mic-{key.id}")
        return CallOffered(
            key=f"call:{call}",
            org=key.org,
            agent=said.agent,
            channel=CHANNEL,
            at=now,
            call=call,
            sender=Sender(identities=(person,), routing=person.value, name="terminal"),
            from_=CHANNEL,
            to=said.agent,
            ask=Ask(desk="", id=""),
            until=now + TAKEN_SECONDS,
        )


class _Talk:
    """One accepted socket."""

    def __init__(self, socket: Socket, switchboard: Switchboard) -> None:
        self._socket = socket
        self._switchboard = switchboard
        self._waiting: deque[bytes | dict[str, str]] = deque()
        self._news = asyncio.Event()
        self._is_closing = False
        self._leg = MicLeg(self._put, self._close)

    async def run(self, offered: CallOffered | str) -> None:
        writing = asyncio.create_task(self._write(), name="write to a terminal")
        try:
            if isinstance(offered, str):
                self._refuse(offered)
            else:
                await self._talk(offered)
        finally:
            self._leg.end("lost")
            self._close()
            await asyncio.wait([writing], timeout=2.0)
            writing.cancel()
            await asyncio.wait([writing])
            await self._socket.close()

    async def _talk(self, offered: CallOffered) -> None:
        taken = await self._switchboard.offer(offered)
        if isinstance(taken, Refused):
            self._refuse(f"the call was not taken: {taken.reason}")
            return
        ear = self._switchboard.connect(taken.token, offered.call, self._leg)
        if ear is None:
            self._refuse("the server can neither hear nor speak; its log says why")
            return
        self._put({"type": "ready", "call": offered.call, "rate": str(RATE)})
        self._leg.listen(ear)
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                self._leg.take(message.data)
                continue
            said = _read(message)
            if isinstance(said, Key):
                self._leg.press(said.digit)
            elif isinstance(said, Played):
                self._leg.returned(said.name)
        self._leg.end("lost" if self._socket.close_code not in (1000, 1001) else "hangup")

    def _refuse(self, why: str) -> None:
        self._put({"type": "refused", "error": why})

    def _put(self, item: bytes | dict[str, str]) -> None:
        if isinstance(item, dict) and item["type"] == "clear":
            self._waiting = deque(each for each in self._waiting if isinstance(each, dict))
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(item)
        else:
            self._close()  # it does not read: the reader sees the socket end
        self._news.set()

    def _close(self) -> None:
        self._is_closing = True
        self._news.set()

    async def _write(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                item = self._waiting.popleft()
                try:
                    if isinstance(item, bytes):
                        await self._socket.send_bytes(item)
                    else:
                        await self._socket.send_str(json.dumps(item))
                except (ConnectionError, RuntimeError):
                    return  # the terminal has gone: the reader says so
            if self._is_closing:
                await self._socket.close()
                return


def _read(message: object) -> Start | Key | Played | None:
    """A word of the terminal's; None for anything else, which is passed over."""
    if getattr(message, "type", None) is not WSMsgType.TEXT:
        return None
    try:
        return _SAID.validate_json(getattr(message, "data", ""))
    except ValidationError:
        return None
