"""A pretend user's end of a call: a microphone, an ear, and one WebRTC connection (aiortc) with the business between.

Source: WhatsApp Cloud API, calling: one audio section with Opus, ICE-lite on the platform's side, everything in one
description.
"""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import struct
from collections.abc import Callable
from typing import Any, Final

import aiortc
import av
import numpy as np
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError

RATE: Final = 48_000
KEYS: Final = 126
"""The payload type of pressed keys."""
FRAME: Final = RATE // 50
CLOSE_SECONDS: Final = 2.0
BROKEN: Final = (
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    TypeError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)
"""What aiortc raises over a description that is no good."""


class Microphone(aiortc.MediaStreamTrack):
    """Silence, but for what is put in: signed 16-bit mono at 48,000."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._said = bytearray()
        self._due: float | None = None
        self._sample = 0

    def say(self, pcm: bytes) -> None:
        self._said += pcm

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


class Phone:
    """``sound`` is all that was heard of the business, mono at 48,000; ``changed`` is called when there is more, and
    when the connection opens or goes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.microphone = Microphone()
        self.sound = bytearray()
        self.frames = 0
        self._changed = changed
        self._listening: asyncio.Task[None] | None = None
        self._peer = aiortc.RTCPeerConnection(
            aiortc.RTCConfiguration(iceServers=[], bundlePolicy=aiortc.RTCBundlePolicy.MAX_BUNDLE)
        )
        self._peer.on("track", self._hear)
        self._peer.on("connectionstatechange", changed)

    @property
    def is_connected(self) -> bool:
        return str(self._peer.connectionState) == "connected"

    @property
    def is_gone(self) -> bool:
        """The business has closed the connection, or it broke."""
        return str(self._peer.connectionState) in ("closed", "failed")

    async def offer(self) -> str:
        self._prepare()
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return _lite(str(self._peer.localDescription.sdp))

    async def answered(self, sdp: str) -> None:
        """The business's answer. Raises one of ``BROKEN``."""
        await self._peer.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))

    async def answer(self, sdp: str) -> str:
        """The answer to the business's offer. Raises one of ``BROKEN``."""
        self._prepare()
        await self._peer.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "offer"))
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return _lite(str(self._peer.localDescription.sdp))

    def press(self, digits: str) -> None:
        """The user presses keys."""
        for digit in digits:
            self._keys.press(digit)

    def _prepare(self) -> None:
        self._peer.addTrack(self.microphone)
        [transceiver] = self._peer.getTransceivers()
        known = aiortc.RTCRtpReceiver.getCapabilities("audio")
        assert known is not None
        transceiver.setCodecPreferences([codec for codec in known.codecs if codec.mimeType.lower() == "audio/opus"])
        self._keys = _Keys(transceiver.receiver.transport)
        ice: Any = transceiver.receiver.transport.transport
        ice._connection.ice_controlling = False  # whoever is ICE-lite is controlled, also when they offer
        ice._role_set = True

    def _hear(self, track: aiortc.MediaStreamTrack) -> None:
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(track), name="whatsapp-simulator-ear")

    async def _listen(self, track: aiortc.MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            self.frames += 1
            self.sound += frame.to_ndarray().reshape(-1, 2)[:, 0].tobytes()
            self._changed()

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        transports: list[Any] = [one.receiver.transport.transport for one in self._peer.getTransceivers()]
        await self._peer.close()
        for transport in transports:  # aioice begins to ask for consent also after it was closed while connecting
            connecting = transport._RTCIceTransport__start
            if connecting is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await connecting.wait()
            await transport._connection.close()


def _lite(sdp: str) -> str:
    """As the platform describes itself: it checks no addresses, and leaves that to the business; and it sends keys."""
    head, section, rest = sdp.partition("m=audio")
    media, end, lines = rest.partition("\r\n")
    events = f"a=rtpmap:{KEYS} telephone-event/8000\r\n"
    return f"{head}a=ice-lite\r\n{section}{media} {KEYS}{end}{lines}{events}"


class _Keys:
    """Puts pressed keys in the place of packets of sound (RFC 4733): they are one stream."""

    def __init__(self, transport: Any) -> None:
        self._send = transport._send_rtp
        self._plan: list[bytes] = []
        self._stamp: bytes | None = None
        transport._send_rtp = self._sent

    def press(self, digit: str) -> None:
        code = "0123456789*#ABCD".index(digit)
        ends = [False] * 5 + [True] * 3
        self._plan += [
            struct.pack("!BBH", code, 0x8A if end else 10, 160 * min(n + 1, 6)) for n, end in enumerate(ends)
        ]

    async def _sent(self, data: bytes) -> None:
        is_rtcp = 192 <= data[1] <= 208
        if is_rtcp or not self._plan:
            await self._send(data)
            return
        size = 12 + 4 * (data[0] & 0x0F)
        if data[0] & 0x10:
            size += 4 + 4 * int.from_bytes(data[size + 2 : size + 4], "big")
        if self._stamp is None:
            self._stamp = data[4:8]
        header = bytes([data[0], KEYS]) + data[2:4] + self._stamp + data[8:size]
        await self._send(header + self._plan.pop(0))
        if not self._plan or self._plan[0][3] == 160:
            self._stamp = None
