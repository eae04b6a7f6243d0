"""What the other side of a call sends: RTP, put in order and decoded, and the keys in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from channels.audio import Ear
from channels.sip import rtp
from channels.sip.latch import Address, Latch
from channels.sip.sdp import Far
from omni.audio.g711 import alaw_to_pcm, mulaw_to_pcm
from omni.audio.telephone_events import KeysIn

if TYPE_CHECKING:
    from channels.sip.srtp import Srtp

LONGEST: Final = 2048
"""Bytes of a packet: more is no telephone's sound."""


class Hearing:
    """Of one call. Nothing is heard before there is an `ear`, and a `latch` that says whose packets count."""

    def __init__(self) -> None:
        self.ear: Ear | None = None
        self.latch: Latch | None = None
        self.srtp: Srtp | None = None
        self.source: int | None = None
        self.order = rtp.InOrder(self._take)
        self._loop = asyncio.get_running_loop()
        self.heard_at = self._loop.time()
        """When they last sent anything that counts, on the loop's clock."""
        self._frames = rtp.Frames(self._hear)
        self._keys = KeysIn()
        self._decoders: dict[int, Callable[[bytes], bytes]] = {0: mulaw_to_pcm, 8: alaw_to_pcm}
        self._events: int | None = None
        self._is_listening = True

    def agree(self, far: Far) -> None:
        self._decoders[far.number] = alaw_to_pcm if far.codec == "PCMA" else mulaw_to_pcm
        self._events = far.events
        self._is_listening = far.direction == "sendrecv" and far.listens
        self.heard_at = self._loop.time()

    @property
    def is_listening(self) -> bool:
        """False while they hold us: what comes then is music."""
        return self._is_listening

    def received(self, data: bytes, sender: Address) -> None:
        """A packet has come to our port. Returns at once and never raises."""
        latch, srtp = self.latch, self.srtp
        if latch is None or len(data) > LONGEST:
            return
        now = self._loop.time()
        if srtp is not None:
            plain = srtp.unlock(data)
            if plain is None or not latch.takes(sender, now, has_keys=True):
                return
            data = plain
        packet = rtp.read(data)
        if packet is None or (srtp is None and not latch.takes(sender, now)):
            return
        if packet.source != self.source:
            self._follow(packet.source, now)
        self.heard_at = now
        self.order.take(packet)

    def _follow(self, source: int, now: float) -> None:
        """Another machine of theirs has taken over, with numbers and a clock of its own."""
        if self.source is not None:
            self.order.release()
            self._frames.restart((now - self.heard_at) * 1000)
            self.order = rtp.InOrder(self._take)
        self.source = source

    def reported(self, data: bytes, sender: Address) -> None:
        """A report has come: they are alive, though they may have nothing to say."""
        if self.latch is None or not self.latch.permits(sender[0]):
            return
        if self.srtp is None or self.srtp.unlock_report(data) is not None:
            self.heard_at = self._loop.time()

    def _take(self, packet: rtp.Packet) -> None:
        ear = self.ear
        if ear is None:
            return
        if packet.kind == self._events:
            digit = self._keys.take(packet.payload, packet.stamp)
            if digit is not None:
                ear.pressed(digit)
            return
        decode = self._decoders.get(packet.kind)
        if decode is not None and packet.payload and self._is_listening:
            self._frames.take(decode(packet.payload), packet.stamp)

    def _hear(self, pcm: bytes, at: float) -> None:
        if self.ear is not None:
            self.ear.heard(pcm, at)
