"""Browsers of the load generator: callers by WebRTC. Connecting, encryption and packets are aiortc's; what they say is
encoded once, and what they hear is decoded, so that most of the cost of a call is at the server.
"""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from functools import cache
from typing import Any, Final

import aiohttp
import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamError

from benchmark.voice_server import FIRST, REST, SAMPLE
from benchmark.voice_talk import CUTS, INTERRUPTION, TICK, Found, Material, PacedTalk, clip, line_noise
from channels.rtc.arrivals import Arrivals
from channels.rtc.codec import RATE, WIRE_RATE, WIRE_SAMPLES, Decoder, Encoder
from channels.rtc.peer import closed
from omni.audio.g711 import mulaw_to_pcm

SILENT: Final = 500
_FIRST: Final = range(SAMPLE[FIRST] // 2, (SAMPLE[FIRST] + SAMPLE[REST]) // 2)
_WIRE_TIME: Final = Fraction(1, WIRE_RATE)


@cache
def material() -> Material:
    """Each clip behind a little of the quiet line, so that its first packet is what an encoder makes in a call."""
    quiet = line_noise()

    def encoded(frames: list[bytes]) -> list[bytes]:
        encoder = Encoder()
        try:
            packets = [encoder.encode(wide(frame)) for frame in [*quiet[:10], *frames]]
        finally:
            encoder.close()
        return packets[-len(frames) :]

    return Material([encoded(clip(*cut)) for cut in CUTS], encoded(clip(*INTERRUPTION)), encoded(quiet))


def wide(mulaw: bytes) -> bytes:
    """From 8,000 samples a second to 16,000, each in the middle of its neighbours."""
    narrow = np.frombuffer(mulaw_to_pcm(mulaw), "<i2").astype(np.float32)
    places = np.arange(len(narrow) * RATE // 8000) * 8000 / RATE
    return np.interp(places, np.arange(len(narrow)), narrow).astype("<i2").tobytes()


class _Microphone(aiortc.MediaStreamTrack):
    kind = "audio"

    def __init__(self, talk: PacedTalk, number: int) -> None:
        super().__init__()
        self._talk = talk
        self._phase = number * 0.618034 % 1 * TICK
        self._began: float | None = None
        self._sent = 0

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._began is None:
            self._began = now - now % TICK + TICK + self._phase
        due = self._began + self._sent * TICK
        if due > now:
            await asyncio.sleep(due - now)
        if self._talk.found.counts(now):
            self._talk.found.late.append(max(0.0, time.monotonic() - due) * 1000)
        packet = av.Packet(self._talk.next())
        packet.pts, packet.time_base = self._sent * WIRE_SAMPLES, _WIRE_TIME
        self._sent += 1
        return packet


class _Arriving:
    """In the place of aiortc's jitter buffer: its decoder, a thread, would cost more than all else."""

    def __init__(self, browser: Browser) -> None:
        self._arrivals = Arrivals(browser.sound_came)

    def add(self, packet: Any) -> tuple[bool, None]:
        self._arrivals.add(packet)
        return False, None


class Browser:
    """One caller. `closed` is done when the call is over."""

    def __init__(self, number: int, found: Found) -> None:
        self.talk = PacedTalk(number, found, material())
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._decoder = Decoder()
        self._peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._peer.addTrack(_Microphone(self.talk, number))
        receiver: Any = self._peer.getTransceivers()[0].receiver
        receiver._RTCRtpReceiver__jitter_buffer = _Arriving(self)
        self._peer.createDataChannel("events")
        self._connected = asyncio.Event()
        self._peer.on("connectionstatechange", self._changed)

    async def dial(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bool:
        """False: refused."""
        await self._peer.setLocalDescription(await self._peer.createOffer())
        body = {"sdp": self._peer.localDescription.sdp, "agent": "desk"}
        async with http.post(f"{url}/webrtc/offer", json=body, headers={"Origin": url, **headers}) as answer:
            told = await answer.json()
            if answer.status != 200:
                await self.hang_up()
                return False
        await self._peer.setRemoteDescription(aiortc.RTCSessionDescription(told["sdp"], "answer"))
        await asyncio.wait_for(self._connected.wait(), 15)
        return True

    async def hang_up(self) -> None:
        self._over()
        await closed(self._peer)
        self._decoder.close()

    def sound_came(self, payload: bytes, _: int) -> None:
        pcm = np.frombuffer(self._decoder.decode(payload), "<i2")
        level = int(np.abs(pcm).mean()) if len(pcm) else 0
        self.talk.packet(level, time.monotonic(), first=_FIRST, silent=SILENT)

    def _changed(self) -> None:
        match self._peer.connectionState:
            case "connected":
                self._connected.set()
            case "failed" | "closed":
                self._over()

    def _over(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
