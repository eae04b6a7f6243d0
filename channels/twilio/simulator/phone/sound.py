"""20 ms of mu-law, and whether anything is in it."""

from __future__ import annotations

from typing import Final

FRAME: Final = 160
"""Bytes of mu-law in 20 ms."""
SILENCE: Final = b"\xff" * FRAME
LOUD_DB: Final = -45.0
"""What counts as sound, in dB below full scale."""


def is_loud(frame: bytes) -> bool:
    from omni.audio.g711 import mulaw_to_pcm
    from omni.audio.pcm import energy_db

    return frame != SILENCE and energy_db(mulaw_to_pcm(frame)) >= LOUD_DB


def wav_frames(wav: bytes) -> list[bytes]:
    """A WAV file of any kind. Raises ValueError for what is none."""
    from omni.audio.wav import read_wav

    return pcm_frames(read_wav(wav, 8000)[0])


def pcm_frames(pcm: bytes) -> list[bytes]:
    """16-bit samples at 8 kHz."""
    from omni.audio.g711 import pcm_to_mulaw

    mulaw = pcm_to_mulaw(pcm)
    return [mulaw[start : start + FRAME].ljust(FRAME, b"\xff") for start in range(0, len(mulaw), FRAME)]
