"""`python -m benchmark.voice_floor PORT [silero|webrtc]`: the floor under a voice worker.

A bare aiohttp server that speaks Media Streams, runs the voice detector on every frame, answers after the configured
silence and paces that answer, 20 ms a frame on absolute deadlines. It checks nothing, keeps nothing and knows no turns.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import sys
import time

from aiohttp import WSMsgType, web

from benchmark.voice_server import FIRST, LAST, REST, SAMPLE, SECONDS
from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from omni.audio.pcm import power
from workers.voice.vad import choose
from workers.voice.vad.base import Vad
from workers.voice.vad.webrtc import WebRtcVad

SILENT = 10
"""Frames: 200 ms."""
AHEAD = 0.14
LOUD = 1e-4
"""What a detector still takes for a voice shortly after it has ended is not: 40 dB below full scale."""


class Floor:
    def __init__(self, webrtc: bool) -> None:
        self._webrtc = webrtc
        self._calls: set[Call] = set()

    def vad(self) -> Vad:
        return WebRtcVad(8000) if self._webrtc else choose.best(8000)

    async def media(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        call: Call | None = None
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                said = json.loads(message.data)
                if said["event"] == "media" and call is not None:
                    await call.heard(mulaw_to_pcm(base64.b64decode(said["media"]["payload"])))
                elif said["event"] == "start":
                    call = Call(socket, said["start"]["streamSid"], self.vad())
                    self._calls.add(call)
                elif said["event"] == "stop":
                    break
        finally:
            self._calls.discard(call) if call is not None else None
        return socket

    async def pace(self) -> None:
        due = time.monotonic()
        while True:
            now = time.monotonic()
            for call in list(self._calls):
                await call.tick(now)
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class Call:
    def __init__(self, socket: web.WebSocketResponse, stream: str, vad: Vad) -> None:
        self._socket = socket
        self._stream = stream
        self._vad = vad
        self._run = self._quiet = 0
        self._until = 0.0
        self._left: list[bytes] = []

    async def heard(self, frame: bytes) -> None:
        if self._vad.probability(frame) >= 0.5 and power(frame) > LOUD:
            self._run += 1
            self._quiet = 0
            if self._run == 6 and self._left:
                self._left.clear()
                self._until = 0.0
                await self._send({"event": "clear"})
            return
        self._quiet += 1
        if self._quiet == SILENT and self._run >= 6:
            self._run = 0
            self._left = list(reversed(_ANSWER))
            await self.tick(time.monotonic())

    async def tick(self, now: float) -> None:
        while self._left and self._until - now < AHEAD:
            self._until = max(now, self._until) + 0.02
            payload = base64.b64encode(self._left.pop()).decode()
            await self._send({"event": "media", "media": {"payload": payload}})

    async def _send(self, said: dict[str, object]) -> None:
        if not self._socket.closed:
            await self._socket.send_str(json.dumps({**said, "streamSid": self._stream}, separators=(",", ":")))


def _answer() -> list[bytes]:
    frames: list[int] = []
    for text in (FIRST, REST):
        frames += [SAMPLE[text]] * round(SECONDS[text] * 50)
    frames[-1] = LAST
    return [pcm_to_mulaw(one.to_bytes(2, "little") * 160) for one in frames]


_ANSWER = _answer()


async def _serve(port: int, webrtc: bool) -> None:
    choose.prepare()
    floor = Floor(webrtc)
    app = web.Application()
    app.router.add_get("/media", floor.media)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    gc.collect()
    gc.freeze()
    await floor.pace()


def main() -> None:
    import uvloop

    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2:] == ["webrtc"]))


if __name__ == "__main__":
    main()
