"""The recording of a call, on its way to the program: one large event before the call's end."""

from __future__ import annotations

import base64
import logging
from typing import Final

from omni.blobs.base import BlobError
from omni.gateway.client.codec.view import Event
from omni.gateway.client.gear import Gear
from omni.gateway.client.sockets import Socket
from omni.model.entry import CallRecorded

log = logging.getLogger("omni.client")

LONGEST: Final = 12_000_000
"""Bytes of a WAV that is sent; as base64 in one frame it is just under 16 MiB, which is what programs take. A longer
recording is told without its sound."""

_TRIPLE: Final = 3
"""Bytes that base64 makes four letters of: only the last piece may be cut otherwise."""


async def send_recording(gear: Gear, socket: Socket, event: Event, fact: CallRecorded) -> None:
    """`event` with the sound in it, as far as there is sound, and a program that takes it."""
    sound = await _as_base64(gear, fact) if fact.size <= LONGEST else b""
    is_taken = not sound or await socket.drained(gear.timing.recording)
    if not is_taken:
        log.warning("a program reads too slowly for a recording", extra={"call": event["call_id"]})
    socket.send_with(event, "audio", sound if is_taken else b"")


async def _as_base64(gear: Gear, fact: CallRecorded) -> bytes:
    """Piece by piece: the whole at once would hold everything else up."""
    pieces: list[bytes] = []
    rest, size = b"", 0
    try:
        async for piece in gear.blobs.read(fact.blob):
            size += len(piece)
            if size > LONGEST:
                return b""
            rest += piece
            whole = len(rest) - len(rest) % _TRIPLE
            pieces.append(base64.b64encode(rest[:whole]))
            rest = rest[whole:]
    except BlobError as error:
        log.warning("a recording cannot be read: %s", error)
        return b""
    pieces.append(base64.b64encode(rest))
    return b"".join(pieces)
