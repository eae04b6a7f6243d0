"""Packets of sound in their order, without a wait where none is needed.

A library's jitter buffer waits for four packets (82 ms) before it gives out the first, and after one that was lost
keeps everything a third of a second late. Here a packet in its turn goes on at once. Behind a gap three more may come
before what is missing counts as lost: a network that reorders does so by a packet or two, and sound that jumps (the
time of a frame says so) costs less than sound that is late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

WAIT: Final = 3
"""Packets of 20 ms that may come before the one that is missing."""
FAR: Final = 500
"""A number so far from what is expected begins another stream."""
STEP: Final = 960
"""Samples of the wire's clock in a packet."""

_HALF: Final = 1 << 15


class Packet(Protocol):
    """An RTP packet (RFC 3550): `timestamp` counts samples."""

    ssrc: int
    sequence_number: int
    timestamp: int
    payload: bytes


Take = Callable[[bytes, int], None]
"""A payload, and the sample of the stream that it begins with: 0 for the first."""


class Arrivals:
    """Of one sender; `add` is called with each packet as it comes."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._held: dict[int, tuple[bytes, int]] = {}
        self._ssrc: int | None = None
        self._next = 0
        self._stamp = 0
        self._at = 0
        self.lost = 0
        self.late = 0

    def add(self, packet: Packet) -> None:
        ahead = ((packet.sequence_number - self._next + _HALF) & 0xFFFF) - _HALF
        if packet.ssrc != self._ssrc or abs(ahead) > FAR:
            self._begin(packet)
            ahead = 0
        if ahead < 0:
            self.late += 1
            return
        self._held[packet.sequence_number] = (packet.payload, packet.timestamp)
        self._give()
        if len(self._held) > WAIT:
            self._skip()

    def skip(self, packet: Packet) -> None:
        """A packet of the same stream that is no sound, whatever its clock counts."""
        if packet.ssrc == self._ssrc:
            packet.payload, packet.timestamp = b"", self._stamp
            self.add(packet)

    def _begin(self, packet: Packet) -> None:
        """Another stream, which goes on where the one before it was."""
        self._held.clear()
        if self._ssrc is not None:
            self._at += STEP
        self._ssrc = packet.ssrc
        self._next, self._stamp = packet.sequence_number, packet.timestamp

    def _skip(self) -> None:
        """What is missing is lost."""
        first = min(self._held, key=lambda number: (number - self._next) & 0xFFFF)
        self.lost += (first - self._next) & 0xFFFF
        self._next = first
        self._give()

    def _give(self) -> None:
        while (found := self._held.pop(self._next, None)) is not None:
            self._next = (self._next + 1) & 0xFFFF
            payload, stamp = found
            ahead = (stamp - self._stamp) & 0xFFFFFFFF
            if ahead < 1 << 31:  # a clock that runs backwards does not
                self._at += ahead
            self._stamp = stamp
            if payload:
                self._take(payload, self._at)
