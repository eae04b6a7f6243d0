"""`GET /twilio/media`: the socket of Media Streams, in the process of the voice worker.

Who connects must be signed for before the socket is accepted, and must then bring the token of a call that is waited
for: a signature does not run out, a token does. From then on the socket is the call's leg.

Source: Twilio's Media Streams reference and its security page (an upgrade is signed over the `wss://` address).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Final, Literal

from aiohttp import WSMsgType, web
from multidict import MultiDict

from channels.audio import Switchboard
from channels.per_minute import PerMinute
from channels.phone.addresses import MEDIA_PATH
from channels.phone.directory import Directory
from channels.phone.leg import BACKLOG, RATE, StreamLeg
from channels.phone.payloads import Digit, Mark, Media, Start, Stop, stream_message
from channels.twilio import package
from channels.twilio.account import Account
from channels.twilio.signature import HEADER, signer

log = logging.getLogger("omni.phone.media")

MOST: Final = 64 * 1024
"""Bytes of one message."""
START_SECONDS: Final = 5.0
"""How long a socket may take to say whose it is."""
SILENCE_SECONDS: Final = 15.0
"""Twilio sends fifty messages a second; a socket that says nothing for so long is broken."""
CLOSE_SECONDS: Final = 2.0

Socket = web.WebSocketResponse[Literal[False]]


def routes(switchboard: Switchboard, directory: Callable[[], Directory], url: Callable[[], str]) -> list[web.RouteDef]:
    """`url` is our public address without a trailing slash, as `http(s)://…`."""
    side = MediaSide(switchboard, directory, url)
    return [web.get(MEDIA_PATH, side.open), web.get(f"{MEDIA_PATH}/{{account}}", side.open)]


class MediaSide:
    def __init__(self, switchboard: Switchboard, directory: Callable[[], Directory], url: Callable[[], str]) -> None:
        self._switchboard = switchboard
        self._directory = directory
        self._url = url
        self._oddities = PerMinute(lambda: asyncio.get_running_loop().time())

    async def open(self, request: web.Request) -> web.StreamResponse:
        account = self._signer(request)
        if account is None:
            return self._refused(request)
        socket: Socket = web.WebSocketResponse(
            timeout=CLOSE_SECONDS, compress=False, max_msg_size=MOST, decode_text=False
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is not None and (wire := transport.get_extra_info("socket")) is not None:
            # The kernel would hold minutes of sound for somebody who does not read; this is seconds.
            wire.setsockopt(SOL_SOCKET, SO_SNDBUF, BACKLOG)
        start = None if transport is None else await self._start(socket)
        if start is None or transport is None or not self._is_wanted(start, account):
            await socket.close(code=1008)
            return socket
        await Stream(socket, transport, start, self._switchboard, self._odd).run()
        return socket

    def _signer(self, request: web.Request) -> Account | None:
        """The account that signed the upgrade. A slash at the end is signed by some edges of Twilio's and not by
        others; either way it is this address."""
        if len(request.headers.getall(HEADER, ())) != 1 or not package.is_installed():
            return None
        known = self._directory().owners(request.match_info.get("account"))
        address = f"ws{self._url().removeprefix('http')}{request.raw_path}"
        for each in (address, f"{address}/"):
            if (owner := signer(known, each, MultiDict(), request.headers)) is not None:
                return owner.account
        return None

    def _refused(self, request: web.Request) -> web.Response:
        source = ascii(request.remote or "?")[:64]
        self._odd(f"refused a socket from {source}: not signed for this address by an account that we know")
        return web.Response(status=403, text="forbidden")

    async def _start(self, socket: Socket) -> Start | None:
        """Who is there. `connected` comes before."""
        try:
            async with asyncio.timeout(START_SECONDS):
                async for message in socket:
                    if message.type is not WSMsgType.TEXT:
                        break
                    said = stream_message(message.data)
                    if isinstance(said, Start):
                        return said
        except TimeoutError:
            pass
        self._odd("closed a socket that did not say which call it is of")
        return None

    def _is_wanted(self, start: Start, account: Account) -> bool:
        if start.account != account.sid:
            self._odd("closed a stream of another account than the one that signed for it")
            return False
        if start.encoding == "audio/x-mulaw" and start.rate == RATE and start.channels in (1, None):
            return True
        self._odd(
            f"closed a stream of {ascii(start.encoding)[:64]} at {start.rate}: only µ-law at {RATE} is understood"
        )
        return False

    def _odd(self, why: str) -> None:
        if self._oddities.count(why) == 1:
            log.warning("media stream: %s", why)


class Stream:
    """One accepted socket, from its start to its end. Tells the ear that the leg is gone exactly once, however that
    comes, unless it was us who hung up."""

    def __init__(
        self,
        socket: Socket,
        transport: asyncio.Transport,
        start: Start,
        switchboard: Switchboard,
        odd: Callable[[str], None],
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._start = start
        self._switchboard = switchboard
        self._odd = odd
        self._loop = asyncio.get_running_loop()
        self._leg = StreamLeg(transport, start.stream, self._hang_up)
        self._closing: asyncio.Task[bool] | None = None
        self._messages = 0
        self._watch: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        ear = self._switchboard.connect(self._start.token, self._start.call, self._leg)
        if ear is None:
            self._odd("closed a stream whose token is not, or no longer, waited for")
            await self._socket.close(code=1008)
            return
        self._leg.listen(ear)
        self._look(-1)
        reason = "lost"
        try:
            reason = await self._read()
        finally:
            if self._watch is not None:
                self._watch.cancel()
            self._leg.end(reason)
            if self._closing is not None:
                await self._closing
        if not self._socket.closed:
            await self._socket.close()

    async def _read(self) -> str:
        leg, receive, text = self._leg, self._socket.receive, WSMsgType.TEXT
        while True:
            message = await receive()
            if message.type is not text:
                # Twilio closes only after `stop`: a socket that goes without it broke.
                return "lost"
            self._messages += 1
            said = stream_message(message.data)
            if type(said) is Media:
                leg.take(said.payload, said.stamp)
            elif isinstance(said, Mark):
                leg.returned(said.name)
            elif isinstance(said, Digit):
                leg.press(said.digit)
            elif isinstance(said, Stop):
                return "hangup"

    def _hang_up(self) -> None:
        if self._closing is None:
            self._closing = self._loop.create_task(self._socket.close(), name="phone-hang-up")

    def _look(self, before: int) -> None:
        """Drop a socket that has said nothing since the last look."""
        if before == self._messages:
            self._transport.abort()
            return
        self._watch = self._loop.call_later(SILENCE_SECONDS, self._look, self._messages)
