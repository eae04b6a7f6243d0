"""Pressed keys in a WebRTC call: events beside the sound (RFC 4733), which aiortc knows nothing of.

They are written into what is described, and taken out of what arrives before aiortc looks for a codec of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from aiortc.rtp import RtpPacket

from channels.rtc.arrivals import Arrivals
from omni.audio.telephone_events import KeysIn

PAYLOAD: Final = 126
"""What we call them when we describe the call first; aiortc begins at 96 with its own."""

_EVENTS: Final = re.compile(r"a=rtpmap:(\d{1,3}) telephone-event/8000\b", re.IGNORECASE)
_SOUND: Final = re.compile(r"^(m=audio \d+ \S+ [\d ]*\d)", re.MULTILINE)


def payload_of(sdp: str) -> int | None:
    """What the other side calls them; None when it sends none."""
    found = _EVENTS.search(sdp)
    return int(found[1]) if found is not None and int(found[1]) < 128 else None


def with_keys(sdp: str, payload: int) -> str:
    """A description of ours with them. aiortc's end with a line's end."""
    listed = _SOUND.sub(rf"\g<1> {payload}", sdp, count=1)
    return f"{listed}a=rtpmap:{payload} telephone-event/8000\r\na=fmtp:{payload} 0-15\r\n"


def divert(transport: Any, payload: int, arrivals: Arrivals, pressed: Callable[[str], None]) -> None:
    """From now on `pressed` is told of the keys that come by an aiortc transport. Their packets are numbered along with
    those of the sound, which must not take them for lost ones."""
    keys, others = KeysIn(), transport._handle_rtp_data

    async def handle(data: bytes, arrival_time_ms: int) -> None:
        if len(data) < 12 or data[1] & 0x7F != payload:
            await others(data, arrival_time_ms=arrival_time_ms)
            return
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return
        digit = keys.take(packet.payload, packet.timestamp)
        arrivals.skip(packet)
        if digit is not None:
            pressed(digit)

    transport._handle_rtp_data = handle
