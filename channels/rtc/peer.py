"""One WebRTC connection (aiortc): described at once with everything in it, no candidates come later.

Its jitter buffer is replaced (`arrivals`), which is private to it, so its minor version is pinned. Ours never has a
frame for its decoder: that works in a thread, and two switches and a task for each packet cost more than decoding.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, Protocol

import aiortc
import av
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError

from channels.rtc import keys
from channels.rtc.arrivals import Arrivals
from channels.rtc.codec import WIRE_RATE, WIRE_SAMPLES, Decoder, Encoder
from channels.rtc.sdp import OfferError

log = logging.getLogger("omni.webrtc")

CHANNEL: Final = "events"
STEP: Final = 0.02
SKIP: Final = 0.1
"""Later than this, what was missed is left out: a burst would help nobody."""
MOST_UNSENT: Final = 500
"""Events that wait for the data channel; the oldest are forgotten."""
BACKLOG: Final = 256 * 1024
"""Bytes that may wait in the data channel for a browser that takes nothing."""
CLOSE_SECONDS: Final = 2.0
LONGEST: Final = 32 * 1024
"""Characters of one message of the page's."""

_WIRE_TIME: Final = Fraction(1, WIRE_RATE)
_BROKEN: Final = (
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
    OSError,
)
"""What aiortc raises over a description that is no good."""


class Owner(Protocol):
    """Whose connection it is. Called on the event loop; each returns at once."""

    def opened(self, peer: Peer) -> None:
        """Sound can go both ways."""

    def next(self, peer: Peer) -> bytes | None:
        """The frame to send now."""

    def heard(self, peer: Peer, pcm: bytes, sample: int) -> None: ...

    def pressed(self, peer: Peer, digit: str) -> None:
        """They pressed a key. Only with `takes_keys`."""

    def told(self, peer: Peer, text: str) -> None:
        """A page sent something."""

    def over(self, peer: Peer, *, is_closed: bool) -> None:
        """Once, and not after `close`. `is_closed`: the page closed it; else it broke."""


class _Outgoing(aiortc.MediaStreamTrack):
    """Our side's sound, a packet every 20 ms on absolute deadlines: silence where there is nothing to say."""

    kind = "audio"

    def __init__(self, peer: Peer, owner: Owner) -> None:
        super().__init__()
        self._peer = peer
        self._owner = owner
        self._encoder = Encoder()
        self._due: float | None = None
        self._sample = 0

    def stop(self) -> None:
        super().stop()
        self._encoder.close()

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        await self._peer.may_send.wait()
        while True:
            await self._wait()
            payload = self._encoder.encode(self._owner.next(self._peer))
            sample, self._sample = self._sample, self._sample + WIRE_SAMPLES
            if payload:
                packet = av.Packet(payload)
                packet.pts, packet.time_base = sample, _WIRE_TIME
                return packet

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        self._due = now if self._due is None else self._due + STEP
        late = now - self._due
        if late > SKIP:
            missed = int(late / STEP)
            self._due += missed * STEP
            self._sample += missed * WIRE_SAMPLES
        elif late < 0:
            await asyncio.sleep(-late)


class _Arriving:
    """In the place of aiortc's jitter buffer."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def add(self, packet: Any) -> tuple[bool, None]:
        self._arrivals.add(packet)
        return False, None


class Peer:
    """`ice_servers` are aiortc's. Without `sends` nothing is sent before `may_send` is set, silence neither;
    `takes_keys`: the other side may press some."""

    def __init__(
        self,
        owner: Owner,
        ice_servers: Sequence[aiortc.RTCIceServer] = (),
        *,
        sends: bool = True,
        takes_keys: bool = False,
    ) -> None:
        self._owner = owner
        self._takes_keys = takes_keys
        self.may_send = asyncio.Event()
        if sends:
            self.may_send.set()
        self._connection = aiortc.RTCPeerConnection(
            aiortc.RTCConfiguration(iceServers=list(ice_servers), bundlePolicy=aiortc.RTCBundlePolicy.MAX_BUNDLE)
        )
        self._decoder = Decoder()
        self.arrivals = Arrivals(self._arrived)
        self._channel: aiortc.RTCDataChannel | None = None
        self._unsent: deque[str] = deque(maxlen=MOST_UNSENT)
        self._is_open = False
        self._is_over = False
        self._connection.on("connectionstatechange", self._changed)
        self._connection.on("datachannel", self._channel_opened)

    async def answer(self, sdp: str) -> str:
        """The answer to an offer, complete. Raises OfferError."""
        self._prepare()
        try:
            await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except _BROKEN as error:
            log.info("an offer could not be answered: %r", error)
            raise OfferError("the offer cannot be answered; send it as the browser made it") from error
        return self._described(keys.payload_of(sdp))

    async def offer(self) -> str:
        """An offer of ours, complete; `accept` takes the answer to it."""
        self._prepare()
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._described(keys.PAYLOAD)

    def _described(self, payload: int | None) -> str:
        """What we say of ourselves; `payload` is what keys are called."""
        sdp = str(self._connection.localDescription.sdp)
        if payload is None or not self._takes_keys:
            return sdp
        [transceiver] = self._connection.getTransceivers()
        keys.divert(transceiver.receiver.transport, payload, self.arrivals, self._pressed)
        return keys.with_keys(sdp, payload)

    async def accept(self, sdp: str) -> None:
        """The answer to our offer. Raises OfferError."""
        try:
            await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))
        except _BROKEN as error:
            log.info("an answer could not be used: %r", error)
            raise OfferError("the answer to our offer cannot be used; it does not fit what was offered") from error

    def _prepare(self) -> None:
        """Sound both ways, as Opus, and packets in our own order."""
        connection = self._connection
        connection.addTrack(_Outgoing(self, self._owner))
        [transceiver] = connection.getTransceivers()
        known = aiortc.RTCRtpReceiver.getCapabilities("audio")
        assert known is not None, "aiortc speaks sound"
        transceiver.setCodecPreferences([codec for codec in known.codecs if codec.mimeType.lower() == "audio/opus"])
        receiver: Any = transceiver.receiver
        receiver._RTCRtpReceiver__jitter_buffer = _Arriving(self.arrivals)

    def send(self, text: str) -> None:
        """An event for the page, in order; it waits for the data channel."""
        channel = self._channel
        if self._is_over:
            return
        if channel is None or channel.readyState != "open":
            self._unsent.append(text)
        elif channel.bufferedAmount < BACKLOG:
            channel.send(text)

    async def close(self) -> None:
        self._is_over = True
        await closed(self._connection)
        self._decoder.close()

    def _arrived(self, payload: bytes, sample: int) -> None:
        self._owner.heard(self, self._decoder.decode(payload), sample)

    def _pressed(self, digit: str) -> None:
        if not self._is_over:
            self._owner.pressed(self, digit)

    def _changed(self) -> None:
        match self._connection.connectionState:
            case "connected" if not self._is_open and not self._is_over:
                self._is_open = True
                self._owner.opened(self)
            case "failed" | "closed" if not self._is_over:
                self._is_over = True
                is_closed = self._connection.connectionState == "closed" and self._is_open
                self._owner.over(self, is_closed=is_closed and self._connection.iceConnectionState != "failed")

    def _channel_opened(self, channel: aiortc.RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._message)
        while self._unsent:
            channel.send(self._unsent.popleft())

    def _message(self, message: object) -> None:
        if isinstance(message, str) and len(message) <= LONGEST and not self._is_over:
            self._owner.told(self, message)


async def _nothing() -> None: ...


async def closed(connection: aiortc.RTCPeerConnection) -> None:
    """Close it, also while it connects: aioice then begins to ask for consent all the same, for ever. What was sent
    just now is on its way first, and nothing is sent after it: a timer of aiortc's that has run out meanwhile would do
    so in a task, which breaks on a connection that is shut."""
    await asyncio.sleep(0)
    channels: Any = connection.sctp
    if channels is not None:
        channels._transmit = _nothing
    transports: list[Any] = [one.receiver.transport.transport for one in connection.getTransceivers()]
    await connection.close()
    for transport in transports:
        connecting = transport._RTCIceTransport__start
        if connecting is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connecting.wait()
        await transport._connection.close()
