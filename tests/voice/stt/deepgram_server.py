"""A stand-in for Deepgram's real-time API on a real socket: `GET /v1/listen`, its messages and its bad days.

It "recognises" the sound of `spoken`: the first two bytes of each 20 ms frame are the number of a word, 0 for silence.
Interim results come with the sound, finals when it is asked to finalize, as with `endpointing=false`.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "dg-key-of-the-tests"
RATE = 8_000
FRAME = RATE // 50 * 2
WORDS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def spoken(*numbers: int, frames: int = 10) -> list[bytes]:
    """Frames in which each word lasts 200 ms."""
    return [number.to_bytes(2, "little") + bytes(FRAME - 2) for number in numbers for _ in range(frames)]


@dataclass
class Faults:
    """`refuse`: the status of the handshake; `mute`: nothing is answered; `stall`: nothing is even read;
    `cut_at`: the connection breaks once so many bytes have come; `garbage` is sent before each result;
    `silent_finalize`: Finalize is not answered where nothing was left to do; `late`: finals are held until `release`;
    `error`: said instead of results, and the connection is closed."""

    refuse: list[int] = field(default_factory=list)
    mute: bool = False
    stall: bool = False
    cut_at: int | None = None
    garbage: bool = False
    silent_finalize: bool = False
    late: bool = False
    error: bool = False
    backwards: bool = False


@dataclass
class Connection:
    """What one client said."""

    query: list[tuple[str, str]]
    authorization: str
    socket: web.WebSocketResponse
    sound: bytearray = field(default_factory=bytearray)
    messages: list[str] = field(default_factory=list)
    final_to: int = 0
    held: list[dict[str, Any]] = field(default_factory=list)


class DeepgramServer:
    def __init__(self) -> None:
        self.faults = Faults()
        self.connections: list[Connection] = []
        self.attempts = 0
        self._changed = asyncio.Condition()
        self._over = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/listen", self._listen)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._over.set()
        for connection in self.connections:
            await connection.socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, condition: Any) -> None:
        """Wait until something that happens here makes it true."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(condition)

    async def release(self) -> None:
        """Send what was held back, as it would have come (or the other way round)."""
        for connection in self.connections:
            held, connection.held = connection.held, []
            for result in reversed(held) if self.faults.backwards else held:
                await connection.socket.send_json(result)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        if self.faults.refuse:
            await self._tell()
            return web.json_response({"err_code": "NO"}, status=self.faults.refuse.pop(0), headers={"dg-error": "no"})
        if request.headers.get("Authorization") != f"Token {KEY}":
            return web.json_response({"err_code": "INVALID_AUTH"}, status=401, headers={"dg-error": "bad credentials"})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(list(request.query.items()), request.headers["Authorization"], socket)
        self.connections.append(connection)
        await self._tell()
        if self.faults.stall:
            await self._over.wait()
            return socket
        async for message in socket:
            if isinstance(message.data, bytes):
                connection.sound += message.data
                cut = self.faults.cut_at
                if cut is not None and len(connection.sound) >= cut:
                    self.faults.cut_at = None
                    assert request.transport is not None
                    request.transport.abort()
                    break
                await self._say(connection, is_final=False)
            else:
                kind = json.loads(message.data)["type"]
                connection.messages.append(kind)
                if kind == "Finalize":
                    await self._say(connection, is_final=True)
                elif kind == "CloseStream":
                    await socket.send_json({"type": "Metadata", "duration": len(connection.sound) / RATE / 2})
                    await socket.close()
            await self._tell()
        await self._tell()
        return socket

    async def _say(self, connection: Connection, *, is_final: bool) -> None:
        if self.faults.mute:
            return
        if self.faults.error:
            await connection.socket.send_json({"type": "Error", "description": "the audio cannot be read"})
            await connection.socket.close(code=1008, message=b"DATA-0000")
            return
        if self.faults.garbage:
            for nonsense in ("{", "[]", "null", '{"type": "Results"}', '{"type": "SpeechStarted", "timestamp": 1}'):
                await connection.socket.send_str(nonsense)
            await connection.socket.send_bytes(b"\xff\xfe")
        if is_final and self.faults.silent_finalize and connection.final_to == len(connection.sound):
            return
        result = self._result(connection, is_final=is_final)
        if is_final:
            connection.final_to = len(connection.sound)
        if is_final and self.faults.late:
            connection.held.append(result)
            return
        await connection.socket.send_json(result)

    def _result(self, connection: Connection, *, is_final: bool) -> dict[str, Any]:
        start = connection.final_to
        words: list[dict[str, Any]] = []
        for at in range(start, len(connection.sound) // FRAME * FRAME, FRAME):
            number = int.from_bytes(connection.sound[at : at + 2], "little")
            if not 0 < number < len(WORDS):
                continue
            begin, end = at / RATE / 2, (at + FRAME) / RATE / 2
            if words and words[-1]["word"] == WORDS[number] and begin - words[-1]["end"] < 0.001:
                words[-1]["end"] = end
            else:
                words.append({"word": WORDS[number], "start": begin, "end": end, "confidence": 0.9})
        for word in words:
            word["punctuated_word"] = word["word"].capitalize()
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": start / RATE / 2,
            "duration": (len(connection.sound) - start) / RATE / 2,
            "is_final": is_final,
            "speech_final": is_final,
            "from_finalize": is_final,
            "channel": {
                "alternatives": [
                    {
                        "transcript": " ".join(word["punctuated_word"] for word in words),
                        "confidence": 0.9 if words else 0.0,
                        "words": words,
                        "languages": ["en"],
                    }
                ]
            },
            "metadata": {"request_id": "r"},
        }

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
