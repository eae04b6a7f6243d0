"""The sound of one SIP call: RTP both ways as a `Leg`.

Called fifty times a second each way by every call of the process. Sound comes in as it arrives; it goes out one packet
every 20 ms, from a queue, by the ticker. Where nothing is to be said silence is sent, as phones do: it keeps the
routers on the way open, and tells the other side that we are there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from channels.audio import Ear
from channels.sip import rtp
from channels.sip.hearing import Hearing
from channels.sip.keys import KeysOut
from channels.sip.latch import Address, Latch
from channels.sip.sdp import Far
from channels.sip.ticker import Ticker
from omni.audio.g711 import ALAW_SILENCE, MULAW_SILENCE, pcm_to_alaw, pcm_to_mulaw

if TYPE_CHECKING:
    from channels.sip.ports import Pair
    from channels.sip.srtp import Srtp

log = logging.getLogger("omni.sip")

RATE: Final = 8000
MOST_QUEUED: Final = 500
"""Frames that wait to be sent: ten seconds. The voice worker keeps it at a few."""
REPORT_TICKS: Final = 250
LOOK_TICKS: Final = 50
_MASK: Final = 0xFFFFFFFF


class SipLeg:
    """`closed` is called once, when our side hangs up; `lost` when nothing has been heard for `patience` seconds (0:
    for ever)."""

    def __init__(
        self, pair: Pair, ticker: Ticker, *, patience: float, closed: Callable[[], None], lost: Callable[[], None]
    ) -> None:
        self.rate = RATE
        self.unsent = 0
        """Frames that were taken back before they were sent."""
        self._pair = pair
        self._ticker = ticker
        self._patience = patience
        self._closed = closed
        self._lost = lost
        self._hearing = Hearing()
        self.received = self._hearing.received
        self.reported = self._hearing.reported
        self._far: Far | None = None
        self._srtp: Srtp | None = None
        self._is_over = False
        self._is_ticking = False
        self._loop = asyncio.get_running_loop()
        # out
        self._queue: deque[bytes | str] = deque()
        self._rest = b""
        self._encode = pcm_to_mulaw
        self._silence = MULAW_SILENCE * rtp.UNITS
        self._keys = KeysOut()
        self._pressed: list[asyncio.Future[None]] = []
        self._key_stamp = 0
        self._number = secrets.randbelow(1 << 15)
        self._stamp = secrets.randbelow(1 << 31)
        self._source = secrets.randbits(32)
        self._events: int | None = None
        self._is_first = True
        self._sent = 0
        self._ticks = 0

    # what the worker does

    def listen(self, ear: Ear) -> None:
        self._hearing.ear = ear
        self._hearing.heard_at = self._loop.time()

    def play(self, pcm: bytes) -> None:
        if self._is_over:
            return
        if self._rest or len(pcm) != rtp.FRAME_BYTES:
            pcm = self._rest + pcm
            whole = len(pcm) - len(pcm) % rtp.FRAME_BYTES
            self._rest = pcm[whole:]
            pcm = pcm[:whole]
        for start in range(0, len(pcm), rtp.FRAME_BYTES):
            if len(self._queue) >= MOST_QUEUED:
                self.unsent += 1
                continue
            self._queue.append(self._encode(pcm[start : start + rtp.FRAME_BYTES]))

    def clear(self) -> None:
        self.unsent += sum(1 for each in self._queue if isinstance(each, bytes))
        self._queue.clear()
        self._rest = b""

    def mark(self, name: str) -> None:
        if not self._is_over and len(self._queue) < MOST_QUEUED * 2:
            self._queue.append(name)

    def hang_up(self) -> None:
        if not self._is_over:
            self._close()
            self._closed()

    # what the call does

    @property
    def takes_keys(self) -> bool:
        return self._events is not None and not self._is_over

    async def press(self, digits: str) -> None:
        """Returns when they have been pressed, or the call is over."""
        done = self._loop.create_future()
        self._keys.press(digits)
        self._pressed.append(done)
        await done

    def press_in(self, digit: str) -> None:
        """A key that did not come by RTP."""
        if self._hearing.ear is not None:
            self._hearing.ear.pressed(digit)

    def agree(self, far: Far, srtp: Srtp | None, neighbour: str) -> None:
        """What the two sides have agreed to, at first or anew. `neighbour` is where their signalling comes from."""
        known = self._far
        if known is None or (known.ip, known.port) != (far.ip, far.port):
            self._hearing.latch = Latch((far.ip, far.port), neighbour)
        if far.codec == "PCMA":
            self._encode, self._silence = pcm_to_alaw, ALAW_SILENCE * rtp.UNITS
        else:
            self._encode, self._silence = pcm_to_mulaw, MULAW_SILENCE * rtp.UNITS
        if known is not None and known.codec != far.codec:
            self.clear()
        self._events = far.events
        self._srtp = self._hearing.srtp = srtp
        self._hearing.agree(far)
        if known is not None and not known.listens and far.listens:
            self._is_first = True
        self._far = far
        if not self._is_ticking and not self._is_over:
            self._is_ticking = True
            self._ticker.add(self)

    def end(self, reason: str) -> None:
        """The call is over; told once, and not after `hang_up`."""
        if not self._is_over:
            ear = self._hearing.ear
            self._close()
            if ear is not None:
                ear.gone(reason)

    def _close(self) -> None:
        self._is_over = True
        self._hearing.ear = self._hearing.latch = None
        self._queue.clear()
        self._keys.clear()
        self._ticker.remove(self)
        for done in self._pressed:
            if not done.done():
                done.set_result(None)
        self._pressed.clear()

    # out

    def tick(self, ticks: int) -> None:
        far, latch = self._far, self._hearing.latch
        if far is None or latch is None or self._is_over:
            return
        self._stamp = (self._stamp + rtp.UNITS * ticks) & _MASK
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self._look()
        if self._keys:
            payload, is_new = self._keys.next()
            if is_new:
                self._key_stamp = self._stamp
            if payload is None or self._events is None:
                self._send(latch.target, far.number, self._stamp, self._silence)
            else:
                self._send(latch.target, self._events, self._key_stamp, payload, marked=is_new)
            if not self._keys:
                self._end_keys()
            return
        queue = self._queue
        sound: bytes | None = None
        while queue:
            one = queue[0]
            if isinstance(one, bytes):
                if sound is not None:
                    break
                sound = one
            elif self._hearing.ear is not None:
                self._hearing.ear.played(one)
            if queue:  # whoever heard of the mark may have cleared it
                queue.popleft()
        if far.listens:
            self._send(latch.target, far.number, self._stamp, sound or self._silence)

    def _send(self, to: Address, kind: int, stamp: int, payload: bytes, *, marked: bool = False) -> None:
        self._number = (self._number + 1) & 0xFFFF
        if self._is_first:
            self._is_first, marked = False, True
        header = rtp.HEADER.pack(0x80, kind | 0x80 if marked else kind, self._number, stamp, self._source)
        packet = header + payload
        if self._srtp is not None:
            packet = self._srtp.lock(packet)
        self._sent += 1
        self._pair.send(packet, to)

    def _end_keys(self) -> None:
        self._is_first = True
        for done in self._pressed:
            if not done.done():
                done.set_result(None)
        self._pressed.clear()

    def _look(self) -> None:
        """Once a second: is anybody there, and do they want a report?"""
        hearing, far = self._hearing, self._far
        hearing.order.release()
        now = self._loop.time()
        if far is None or not far.sends or not hearing.is_listening:
            hearing.heard_at = now
        elif self._patience and hearing.ear is not None and now - hearing.heard_at > self._patience:
            self._loop.call_soon(self._lost)
        if self._ticks % REPORT_TICKS == 0:
            self._report()

    def _report(self) -> None:
        hearing = self._hearing
        if hearing.latch is None:
            return
        order = hearing.order if hearing.source is not None else None
        octets = self._sent * rtp.UNITS
        packet = rtp.report(self._source, self._stamp, self._sent, octets, time.time(), hearing.source or 0, order)
        if self._srtp is not None:
            packet = self._srtp.lock_report(packet)
        ip, port = hearing.latch.target
        self._pair.report(packet, (ip, port + 1))
