"""Somebody who calls from a program instead of a page: the other end of the same protocol, by aiortc."""

from __future__ import annotations

import asyncio
import fractions
import json
from collections.abc import Callable
from itertools import groupby
from typing import Any

import aiohttp
import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamError

from channels.rtc.peer import closed
from tests.webrtc.speech import heard, spoken

RATE = 48_000
FRAME = RATE // 50


class Microphone(aiortc.MediaStreamTrack):
    """Silence, but for what is put in."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._said = bytearray()
        self._due: float | None = None
        self._sample = 0

    def say(self, words: str) -> None:
        self._said += spoken(words, RATE)

    @property
    def is_saying(self) -> bool:
        return bool(self._said)

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._due = loop.time() if self._due is None else self._due + 0.02
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        pcm = bytes(self._said[: FRAME * 2]).ljust(FRAME * 2, b"\0")
        del self._said[: FRAME * 2]
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sample, fractions.Fraction(1, RATE)
        self._sample += FRAME
        return frame


class Caller:
    """`events` are what it was told, `sound` what it heard, at 48,000."""

    def __init__(self, http: aiohttp.ClientSession, url: str, path: str = "/webrtc/offer") -> None:
        self._http = http
        self._url = url
        self._path = path
        self.microphone = Microphone()
        self.events: list[dict[str, Any]] = []
        self.sound = bytearray()
        self.call = ""
        self.ticket = ""
        self.visitor: str | None = None
        self._news = asyncio.Event()
        self._listening: list[asyncio.Task[None]] = []
        self.peer = self._new_peer()

    def _new_peer(self) -> aiortc.RTCPeerConnection:
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        peer.addTrack(self.microphone)
        self.channel = peer.createDataChannel("events")
        self.channel.on("message", self._told)
        peer.on("track", self._hear)
        return peer

    async def offer(self, **who: Any) -> aiohttp.ClientResponse:
        """The answer to the offer, as it came. `who` is `token=`, `agent=` or `ticket=`, and `headers=`."""
        headers = who.pop("headers", {})
        await self.peer.setLocalDescription(await self.peer.createOffer())
        body = {"sdp": self.peer.localDescription.sdp, **who}
        return await self._http.post(f"{self._url}{self._path}", json=body, headers=headers)

    async def dial(self, **who: Any) -> None:
        answer = await self.offer(**who)
        told = await answer.json()
        assert answer.status == 200, told
        self.call, self.ticket, self.visitor = told.get("call_id", ""), told.get("ticket", ""), told.get("visitor")
        await self.peer.setRemoteDescription(aiortc.RTCSessionDescription(told["sdp"], "answer"))

    async def elsewhere(self) -> None:
        """The same call from another network; the old connection just falls silent."""
        old, self.microphone = self.peer, Microphone()
        self.peer = self._new_peer()
        await self.dial(ticket=self.ticket)
        await self.hears("call.resumed")
        await closed(old)

    def say(self, words: str) -> None:
        self.microphone.say(words)

    def send(self, frame: dict[str, Any] | str) -> None:
        self.channel.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        async with asyncio.timeout(seconds):
            while not (found := condition()):
                self._news.clear()
                await self._news.wait()
            return found

    async def hears(self, event: str, text: str | None = None) -> dict[str, Any]:
        """The first event of that kind (and text), now or later."""
        found = await self.until(lambda: [one for one in self.told(event) if text in (None, one.get("text"))])
        first: dict[str, Any] = found[0]
        return first

    def told(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    def words(self) -> list[str]:
        """What was heard of the others. A word that broke off on a busy machine counts once."""
        return [word for word, _ in groupby(heard(bytes(self.sound), RATE))]

    async def leave(self) -> None:
        await closed(self.peer)
        for task in self._listening:
            task.cancel()
        if self._listening:
            await asyncio.wait(self._listening)

    def _told(self, message: str) -> None:
        self.events.append(json.loads(message))
        self._news.set()

    def _hear(self, track: aiortc.MediaStreamTrack) -> None:
        self._listening.append(asyncio.create_task(self._listen(track), name="hear the bot"))

    async def _listen(self, track: aiortc.MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            self.sound += frame.to_ndarray().reshape(-1, 2)[:, 0].tobytes()
            self._news.set()
