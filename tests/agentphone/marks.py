"""Sound that is its text: every 20 ms carry a byte, which survives the telephone's mu-law."""

from __future__ import annotations

from typing import Final

from omni.audio.g711 import mulaw_to_pcm
from omni.audio.wav import wav_of

RATE: Final = 8_000
FRAME: Final = 160
SHORTEST: Final = 20
"""Frames of an utterance: who says less is taken for a noise."""
_MAGIC: Final = bytes((0x05, 0x85, 0x06, 0x86))
_LOUD: Final = bytes((0x08, 0x88)) * ((FRAME - len(_MAGIC) - 2) // 2)


def mulaw_of(text: str) -> bytes:
    said = text.encode().ljust(SHORTEST, b"\0")
    return b"".join(_MAGIC + bytes((0x10 + (byte >> 4), 0x10 + (byte & 15))) + _LOUD for byte in said)


def pcm_of(text: str) -> bytes:
    """16-bit samples at 8 kHz."""
    return mulaw_to_pcm(mulaw_of(text))


def wav(text: str) -> bytes:
    return wav_of(pcm_of(text), RATE)


def text_of(mulaw: bytes) -> str:
    """What was said, in the order in which it was; pauses are none of it."""
    frames = (mulaw[at : at + FRAME] for at in range(0, len(mulaw), FRAME))
    said = bytes(((frame[4] & 15) << 4) | (frame[5] & 15) for frame in frames if frame[:4] == _MAGIC)
    return said.replace(b"\0", b"").decode(errors="replace")


def is_loud(pcm: bytes) -> bool:
    return pcm[:8] == _MAGIC_PCM


_MAGIC_PCM: Final = mulaw_to_pcm(_MAGIC)
