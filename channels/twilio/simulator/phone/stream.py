"""Media Streams as Twilio speaks it: a WebSocket client in real time.

Fifty messages a second on absolute deadlines, numbers as texts, marks that come back when what was before them has been
played. Source: Twilio's Media Streams reference.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import aiohttp

from channels.twilio.simulator.phone.heard import Heard
from channels.twilio.simulator.phone.people import Caller, StreamFaults
from channels.twilio.simulator.phone.twiml import TwimlError, Verb

TICK: Final = 0.02
End = Literal["closed", "left", "cut", "refused", "interrupted"]
Report = Callable[[str, dict[str, Any]], None]
RUBBISH: Final = (
    "{",
    "[]",
    '{"event":"media"}',
    '{"event":"media","media":{"track":"inbound","chunk":"-1","timestamp":"yesterday","payload":"%%%"}}',
    '{"event":"of tomorrow","sequenceNumber":"1"}',
)


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """What a `<Stream>` asks for."""

    url: str
    parameters: Mapping[str, str]
    account: str
    call: str
    stream: str


def stream_order(connect: Verb, *, account: str, call: str, stream: str) -> StreamOrder:
    """Of a `<Connect>`. Raises TwimlError."""
    noun = next((each for each in connect.nouns if each.name == "Stream"), None)
    if noun is None:
        raise TwimlError("12200: <Connect> without <Stream>")
    url = noun.attributes.get("url", "")
    if "?" in url:
        raise TwimlError("31920: the url of a <Stream> may not have a query")
    given = [each.attributes for each in noun.nouns if each.name == "Parameter"]
    return StreamOrder(url, {one.get("name", ""): one.get("value", "") for one in given}, account, call, stream)


class Stream:
    def __init__(
        self, order: StreamOrder, caller: Caller, faults: StreamFaults, dice: random.Random, report: Report
    ) -> None:
        self.order = order
        self.heard = Heard()
        self.lateness: list[float] = []
        """By how many seconds each tick was late: what this machine adds to what was measured."""
        self.is_open = False
        self._caller = caller
        self._faults = faults
        self._dice = dice
        self._report = report
        self._sequence = 0
        self._began = 0.0
        self._held: list[tuple[int, str]] = []
        self._interrupted = asyncio.Event()

    def interrupt(self) -> None:
        """The call gets other TwiML, or ends: the stream stops."""
        self._interrupted.set()

    async def run(self, session: aiohttp.ClientSession, headers: Mapping[str, str]) -> End:
        """Until one side ends it."""
        try:
            socket = await session.ws_connect(
                self.order.url, headers=headers, compress=0, max_msg_size=0, timeout=aiohttp.ClientWSTimeout(ws_close=2)
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            status = getattr(error, "status", None)
            facts = {"url": self.order.url, "status": status, "error": 31920, "why": type(error).__name__}
            self._report("stream-error", facts)
            return "refused"
        try:
            return await self._talk(socket)
        finally:
            self.is_open = False
            await socket.close()

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> End:
        order = self.order
        await socket.send_str(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await self._send(socket, self._start())
        self.is_open = True
        self._began = asyncio.get_running_loop().time()
        self._report("stream-started", {"sid": order.call, "stream": order.stream})
        reader = asyncio.create_task(self._read(socket), name="twilio-simulator-read")
        pacer = asyncio.create_task(self._pace(socket), name="twilio-simulator-pace")
        try:
            await asyncio.wait((reader, pacer), return_when=asyncio.FIRST_COMPLETED)
            end = _end_of(pacer)
        finally:
            for task in (reader, pacer):
                task.cancel()
            await asyncio.gather(reader, pacer, return_exceptions=True)
        if end in ("left", "interrupted") and not self._faults.without_stop and not socket.closed:
            said = {"accountSid": order.account, "callSid": order.call}
            await self._send(socket, {"event": "stop", "stop": said})
        self._report("stream-stopped", {"sid": order.call, "stream": order.stream, "end": end})
        return end

    def _start(self) -> dict[str, Any]:
        order = self.order
        return {
            "event": "start",
            "start": {
                "accountSid": order.account,
                "streamSid": order.stream,
                "callSid": order.call,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(order.parameters),
            },
        }

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                self._report("stream-warning", {"error": 31951, "why": "not a text message"})
                continue
            try:
                said = json.loads(message.data)
                event, stream = said["event"], said["streamSid"]
                if stream != self.order.stream:
                    raise ValueError(f"of another stream: {stream}")
                if event == "media":
                    self.heard.arrive(base64.b64decode(said["media"]["payload"], validate=True), self._now(loop))
                elif event == "mark":
                    self.heard.mark(str(said["mark"]["name"]))
                elif event == "clear":
                    for name in self.heard.clear(self._now(loop)):
                        await self._send(socket, {"event": "mark", "mark": {"name": name}})
                else:
                    raise ValueError(f"an event of another kind: {event}")
            except (ValueError, KeyError, TypeError) as error:
                self._report("stream-warning", {"error": 31951, "why": str(error)[:200]})

    async def _pace(self, socket: aiohttp.ClientWebSocketResponse) -> End:
        loop = asyncio.get_running_loop()
        cut = self._faults.cut_after_ms
        number = 0
        while True:
            due = self._began + number * TICK + self._dice.random() * self._faults.jitter_ms / 1000
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            self.lateness.append(loop.time() - due)
            if self._interrupted.is_set():
                return "interrupted"
            if cut is not None and number * 20 >= cut:
                _abort(socket)
                return "cut"
            for name in self.heard.play(number * TICK):
                await self._send(socket, {"event": "mark", "mark": {"name": name}})
            frame, key = self._caller.tick(number * 20.0, self.heard)
            if self._caller.left:
                return "left"
            if key is not None:
                await self._send(socket, {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": key}})
            await self._send_frame(socket, number, frame)
            number += 1

    async def _send_frame(self, socket: aiohttp.ClientWebSocketResponse, number: int, frame: bytes) -> None:
        faults, dice = self._faults, self._dice
        media = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(number * 20)}
        text = self._text({"event": "media", "media": {**media, "payload": base64.b64encode(frame).decode()}})
        if dice.random() < faults.lost:
            pass
        elif dice.random() < faults.late:
            self._held.append((number + faults.late_ms // 20, text))
        elif dice.random() < faults.swapped:
            self._held.append((number + 1, text))
        else:
            await socket.send_str(text)
            if dice.random() < faults.doubled:
                await socket.send_str(text)
        for held in [each for each in self._held if each[0] <= number]:
            self._held.remove(held)
            await socket.send_str(held[1])
        if dice.random() < faults.garbage:
            await socket.send_str(dice.choice(RUBBISH))

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, said: dict[str, Any]) -> None:
        await socket.send_str(self._text(said))

    def _text(self, said: dict[str, Any]) -> str:
        self._sequence += 1
        return json.dumps({**said, "sequenceNumber": str(self._sequence), "streamSid": self.order.stream})

    def _now(self, loop: asyncio.AbstractEventLoop) -> float:
        return loop.time() - self._began


def _end_of(pacer: asyncio.Task[End]) -> End:
    """How it ended: the other side closes while we send, or before."""
    if not pacer.done() or isinstance(pacer.exception(), ConnectionError):
        return "closed"
    return pacer.result()


def _abort(socket: aiohttp.ClientWebSocketResponse) -> None:
    """As a broken wire ends it: no closing handshake."""
    transport = socket.get_extra_info("transport")
    connection = getattr(socket, "_response", None)
    wire = transport or (connection.connection.transport if connection is not None and connection.connection else None)
    if wire is not None:
        wire.abort()
