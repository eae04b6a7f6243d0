"""Telephones of the load generator that call by SIP: PCMU in RTP over UDP, on bare protocols.

A switchboard without faults: its requests are never repeated, since nothing is lost on this machine's loopback.
"""

from __future__ import annotations

import asyncio
import re
import struct
import time
from typing import Any, Final

from benchmark.server import BenchError
from benchmark.voice_server import FIRST, SAMPLE
from benchmark.voice_talk import CUTS, INTERRUPTION, TICK, Found, Material, PacedTalk, clip, line_noise
from omni.audio.g711 import mulaw_to_pcm

MATERIAL: Final = Material([clip(*cut) for cut in CUTS], clip(*INTERRUPTION), line_noise())
SILENT: Final = 500
_LEVELS: Final = tuple(abs(struct.unpack("<h", mulaw_to_pcm(bytes([byte])))[0]) for byte in range(256))
_FIRST: Final = range(round(SAMPLE[FIRST] * 0.9), round(SAMPLE[FIRST] * 1.1))
_HEAD: Final = struct.Struct("!BBHII")
_ANSWER_SECONDS: Final = 5.0


class _Wire(asyncio.DatagramProtocol):
    def __init__(self, phone: SipPhone, *, is_sound: bool) -> None:
        self._phone = phone
        self._is_sound = is_sound

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if self._is_sound:
            self._phone.sound_came(data)
        else:
            self._phone.told(data.decode())


class SipPhone:
    """One caller. `closed` is done when the call is over."""

    def __init__(self, number: int, found: Found) -> None:
        self.talk = PacedTalk(number, found, MATERIAL)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number = number
        self._found = found
        self._answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._wire: asyncio.DatagramTransport | None = None
        self._sound: asyncio.DatagramTransport | None = None
        self._to = "<sip:nobody@127.0.0.1>"
        self._towards = ("127.0.0.1", 9)
        self._name = f"b{number}-{time.monotonic_ns()}"
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0
        self._began = 0.0

    async def dial(self, port: int, called: str) -> bool:
        """False: refused."""
        loop = asyncio.get_running_loop()
        self._wire, _ = await loop.create_datagram_endpoint(
            lambda: _Wire(self, is_sound=False), local_addr=("127.0.0.1", 0), remote_addr=("127.0.0.1", port)
        )
        self._sound, _ = await loop.create_datagram_endpoint(
            lambda: _Wire(self, is_sound=True), local_addr=("127.0.0.1", 0)
        )
        self._to = f"<sip:{called}@127.0.0.1>"
        sound_port = self._sound.get_extra_info("sockname")[1]
        self._send("INVITE", 1, _SDP.format(port=sound_port))
        try:
            status = await asyncio.wait_for(asyncio.shield(self._answered), _ANSWER_SECONDS)
        except TimeoutError:
            raise BenchError("a call by SIP got no answer") from None
        self._send("ACK", 1)
        if status != 200:
            self._over()
            return False
        now = time.monotonic()
        self._began = now - now % TICK + TICK + self._number * 0.618034 % 1 * TICK
        self._timer = loop.call_later(self._began - now, self._tick)
        return True

    async def hang_up(self) -> None:
        self._send("BYE", 2)
        self._over()

    # signalling

    def told(self, text: str) -> None:
        line = text.partition("\r\n")[0]
        if line.startswith("SIP/2.0") and "INVITE" in _header(text, "CSeq"):
            status = int(line.split()[1])
            if status >= 200 and not self._answered.done():
                self._to = _header(text, "To")
                if found := re.search(r"m=audio (\d+) ", text):
                    self._towards = ("127.0.0.1", int(found[1]))
                self._answered.set_result(status)
        elif line.startswith(("BYE", "OPTIONS", "UPDATE")) and self._wire is not None:
            kept = [f"{name}: {_header(text, name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
            self._wire.sendto(("SIP/2.0 200 OK\r\n" + "\r\n".join(kept) + "\r\nContent-Length: 0\r\n\r\n").encode())
            if line.startswith("BYE"):
                self._over()

    def _send(self, method: str, cseq: int, body: str = "") -> None:
        if self._wire is None:
            return
        port = self._wire.get_extra_info("sockname")[1]
        kind = "Content-Type: application/sdp\r\n" if body else ""
        uri = self._to.partition("<")[2].partition(">")[0]
        self._wire.sendto(
            (
                f"{method} {uri} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{self._name}{method}{cseq};rport\r\n"
                f"From: <sip:+1303555{self._number:04d}@127.0.0.1>;tag={self._name}\r\nTo: {self._to}\r\n"
                f"Call-ID: {self._name}@bench\r\nCSeq: {cseq} {method}\r\nContact: <sip:bench@127.0.0.1:{port}>\r\n"
                f"Max-Forwards: 70\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )

    def _over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for wire in (self._wire, self._sound):
            if wire is not None:
                wire.close()
        if not self.closed.done():
            self.closed.set_result(None)

    # sound

    def _tick(self) -> None:
        now = time.monotonic()
        due = self._began + self._sent * TICK
        if self._found.counts(now):
            self._found.late.append((now - due) * 1000)
        while due <= now:
            head = _HEAD.pack(0x80, 0, self._sent & 0xFFFF, self._sent * 160, self._number + 1)
            self._sent += 1
            if self._sound is not None:
                self._sound.sendto(head + self.talk.next(), self._towards)
            due = self._began + self._sent * TICK
        self._timer = asyncio.get_running_loop().call_later(due - time.monotonic(), self._tick)

    def sound_came(self, data: bytes) -> None:
        if data[1] & 0x7F == 0:
            level = max(_LEVELS[data[12]], _LEVELS[data[92]], _LEVELS[data[-1]])
            self.talk.packet(level, time.monotonic(), first=_FIRST, silent=SILENT)


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*?)\r$", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


_SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
)
