"""Sound in RTP packets (RFC 3550): read, put in order, and made into frames of 20 ms.

Nothing waits that need not: a packet that is next goes on at once, and what comes early waits for the missing one only
until two more are here; a network that shuffles more than that is given more time, as long as it does. What was lost is
not made up; the time of the next frame jumps.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from channels.audio import FRAME_MS

HEADER: Final = struct.Struct("!BBHII")
WAITING: Final = 2
"""Packets that may wait for one before them: 40 ms."""
MOST_WAITING: Final = 10
"""And where packets were given up too early."""
CALM: Final = 250
"""Packets in a row without one that was given up, after which less is waited."""
FAR: Final = 500
"""Numbers that are so far from the expected ones are of another stream, when a second one agrees."""
LONGEST_GAP: Final = 60 * 8000
UNITS: Final = 160
"""Of a frame's stamp: samples at 8,000 a second."""
UNITS_A_MS: Final = 8
FRAME_BYTES: Final = 320

Heard = Callable[[bytes, float], None]


@dataclass(frozen=True, slots=True)
class Packet:
    kind: int
    number: int
    stamp: int
    source: int
    payload: bytes


def read(data: bytes) -> Packet | None:
    """None for what is no RTP."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    first, second, number, stamp, source = HEADER.unpack_from(data)
    if first == 0x80:  # nearly all of them
        return Packet(second & 0x7F, number, stamp, source, data[12:])
    start, end = 12 + 4 * (first & 0x0F), len(data)
    if first & 0x10:
        if end < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= data[-1]
    return Packet(second & 0x7F, number, stamp, source, data[start:end]) if start <= end else None


class InOrder:
    """Packets of one source, in order and once each. `tell` is called with each; `lost` counts what never came."""

    def __init__(self, tell: Callable[[Packet], None]) -> None:
        self.received = 0
        self.lost = 0
        self.highest = 0
        """The highest number so far, with how often it has begun again in the upper half (RFC 3550 section 6.4.1)."""
        self._tell = tell
        self._next: int | None = None
        self._waiting: dict[int, Packet] = {}
        self._patience = WAITING
        self._calm = 0
        self._given_up: dict[int, None] = {}
        self._odd: int | None = None

    def take(self, packet: Packet) -> None:
        self.received += 1
        due = self._next
        if due is None:
            due = self._next = packet.number
            self.highest = packet.number
        ahead = (packet.number - due) & 0xFFFF
        if ahead == 0:
            self._pass(packet)
            if self._waiting:
                self._go_on()
        elif ahead < FAR:
            self._odd = None
            self._waiting[packet.number] = packet
            if len(self._waiting) > self._patience:
                self._skip()
        elif ahead < 0x10000 - FAR or packet.number == self._odd:
            self._begin_again(packet)
        elif packet.number in self._given_up:  # it was not lost, only slow
            del self._given_up[packet.number]
            self._patience, self._calm = min(self._patience + 1, MOST_WAITING), 0

    def release(self) -> None:
        """Wait no longer for what is missing."""
        while self._waiting:
            self._skip()

    def _skip(self) -> None:
        """Give up what is missing before the next that is here."""
        if self._waiting and self._next is not None:
            due = self._next
            ahead = min((number - due) & 0xFFFF for number in self._waiting)
            self.lost += ahead
            self._given_up.update(dict.fromkeys((due + n) & 0xFFFF for n in range(ahead)))
            while len(self._given_up) > FAR:
                del self._given_up[next(iter(self._given_up))]
            self._next = (due + ahead) & 0xFFFF
            self._go_on()

    def _go_on(self) -> None:
        while self._next is not None and (packet := self._waiting.pop(self._next, None)) is not None:
            self._pass(packet)

    def _pass(self, packet: Packet) -> None:
        self._next = (packet.number + 1) & 0xFFFF
        self._calm += 1
        if self._calm >= CALM and self._patience > WAITING:
            self._patience, self._calm = self._patience - 1, 0
        self.highest += (packet.number - self.highest) & 0xFFFF
        self._tell(packet)

    def _begin_again(self, packet: Packet) -> None:
        """The numbers have jumped: believed when the next packet goes on from there."""
        if self._odd == packet.number:
            self.release()
            self._pass(packet)
            self._odd = None
        else:
            self._odd = (packet.number + 1) & 0xFFFF


class Frames:
    """From sound with stamps to whole frames and their times, in milliseconds since the first."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._rest = b""
        self._at = 0  # units: when the rest begins
        self._due: int | None = None  # the stamp that would go on without a gap

    def restart(self, elapsed_ms: float = 0.0) -> None:
        """Another clock begins to stamp, so much later."""
        if self._due is not None:
            self._jump(round(elapsed_ms / FRAME_MS) * UNITS)
            self._due = None

    def take(self, pcm: bytes, stamp: int) -> None:
        """Late and doubled sound is dropped."""
        due = self._due
        if due is not None and stamp != due:
            gap = (stamp - due) & 0xFFFFFFFF
            if gap >= 0x100000000 - LONGEST_GAP:
                return
            if gap <= LONGEST_GAP:
                self._jump(gap)
        self._due = (stamp + len(pcm) // 2) & 0xFFFFFFFF
        if not self._rest and len(pcm) == FRAME_BYTES:
            at, self._at = self._at, self._at + UNITS
            self._heard(pcm, at / UNITS_A_MS)
            return
        sound = self._rest + pcm
        whole = len(sound) - len(sound) % FRAME_BYTES
        self._rest = sound[whole:]
        for start in range(0, whole, FRAME_BYTES):
            at, self._at = self._at, self._at + UNITS
            self._heard(sound[start : start + FRAME_BYTES], at / UNITS_A_MS)

    def _jump(self, units: int) -> None:
        """Sound was lost; a frame that was begun ends in silence."""
        missing = (FRAME_BYTES - len(self._rest)) // 2
        if self._rest:
            self._heard(self._rest.ljust(FRAME_BYTES, b"\0"), self._at / UNITS_A_MS)
            self._rest = b""
            self._at += UNITS
            units = max(units - missing, 0)
        self._at += units


def report(source: int, stamp: int, sent: int, octets: int, ntp: float, theirs: int, order: InOrder | None) -> bytes:
    """A sender's report and a name (RFC 3550 sections 6.4.1, 6.5). `ntp` is epoch seconds."""
    seconds = ntp + 2_208_988_800
    blocks = b""
    if order is not None:
        lost = min(order.lost, 0x7FFFFF)
        blocks = struct.pack("!IIIIII", theirs, lost, order.highest & 0xFFFFFFFF, 0, 0, 0)
    first = struct.pack(
        "!BBHIIIIII",
        0x80 | (1 if blocks else 0),
        200,
        6 + len(blocks) // 4,
        source,
        int(seconds) & 0xFFFFFFFF,
        int(seconds % 1 * (1 << 32)) & 0xFFFFFFFF,
        stamp & 0xFFFFFFFF,
        sent & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    name = f"{source:08x}".encode()
    item = bytes([1, len(name)]) + name
    item += b"\0" * (4 - len(item) % 4)
    return first + blocks + struct.pack("!BBHI", 0x81, 202, 1 + len(item) // 4, source) + item
