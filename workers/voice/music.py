"""What a caller hears on hold: music of the agent's own, or a soft tune."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from omni.audio import tones
from omni.audio.wav import WavError, read_wav
from omni.blobs.base import BlobError, Blobs

log = logging.getLogger("omni.voice")

MOST: Final = 16 * 2**20
"""Bytes of a file of music."""


async def hold_music(blobs: Blobs, key: str | None, rate: int) -> bytes:
    """Played again and again. A file that cannot be had is said in the log, and the tune is played."""
    if key is not None:
        try:
            pieces: list[bytes] = []
            size = 0
            async for piece in blobs.read(key):
                pieces.append(piece)
                size += len(piece)
                if size > MOST:
                    raise BlobError(f"it is larger than {MOST} bytes")
            music, _ = await asyncio.to_thread(read_wav, b"".join(pieces), rate)
            return music
        except (BlobError, WavError) as error:
            log.warning("the music %r cannot be played: %s", key, error)
    return await asyncio.to_thread(tones.hold_music, rate)
