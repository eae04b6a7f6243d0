"""Sound that nobody recorded: keys, ringing, music while somebody waits. Signed 16-bit PCM, made once a rate.

A tone's level is in dBm0, the unit of telephone networks: a sine of full scale is +3.14 dBm0 (ITU-T G.711).
"""

from __future__ import annotations

import functools
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from omni.audio.pcm import silence

LOW_HZ: Final = (697, 770, 852, 941)
HIGH_HZ: Final = (1209, 1336, 1477, 1633)
KEYS: Final = ("123A", "456B", "789C", "*0#D")
"""Which key sounds a row's and a column's frequency together (ITU-T Q.23)."""
DIGITS: Final = "".join(KEYS)
PAUSES: Final = ",wW"
PAUSE_MS: Final = 500.0

_Wave = npt.NDArray[np.float64]

_LOW_DBM0: Final = -9.0
_HIGH_DBM0: Final = -7.0  # lines lose more of what is high
_EDGE_MS: Final = 2.0  # a tone that begins or ends at once clicks, and a click is every frequency


@functools.lru_cache(maxsize=128)
def dtmf(digit: str, rate: int, ms: float = 100.0) -> bytes:
    """A key as the other end of the line must hear it: `0-9*#A-D`, for at least 40 ms (ITU-T Q.24).

    Raises ValueError for another key.
    """
    key = digit.upper()
    row = next((row for row, keys in enumerate(KEYS) if key and key in keys), None)
    if row is None or len(key) != 1:
        raise ValueError(f"there is no key {digit!r} on a telephone; use 0-9, *, # and A-D")
    low = _sine(LOW_HZ[row], _LOW_DBM0, ms, rate)
    high = _sine(HIGH_HZ[KEYS[row].index(key)], _HIGH_DBM0, ms, rate)
    return _pcm(_soft_edges(low + high, rate))


def dtmf_sequence(digits: str, rate: int, ms: float = 100.0, gap_ms: float = 100.0) -> bytes:
    """Several keys, a gap after each; `,` and `w` wait half a second. Spaces and dashes do not count.

    Raises ValueError for what is no key.
    """
    parts = []
    for digit in digits:
        if digit in PAUSES:
            parts.append(silence(PAUSE_MS, rate))
        elif digit not in " -":
            parts += [dtmf(digit, rate, ms), silence(gap_ms, rate)]
    return b"".join(parts)


@functools.lru_cache(maxsize=8)
def ringback(rate: int, country: Literal["us", "eu"] = "us") -> bytes:
    """What one hears while it rings at the other end, once, with the pause after it: 6 s in North America, 5 s in
    Europe (ITU-T E.180)."""
    pitches, on, off = ((440, 480), 2_000.0, 4_000.0) if country == "us" else ((425,), 1_000.0, 4_000.0)
    tone = sum((_sine(hz, -19.0, on, rate) for hz in pitches), np.zeros(1))
    return _pcm(_soft_edges(tone, rate)) + silence(off, rate)


# Four chords of four beats, each a slow arpeggio: C, A minor, F, G, as semitones from A (440 Hz).
_BEAT_MS: Final = 750.0
_CHORDS: Final = ((-9, -5, -2, 3), (-12, -9, -5, 0), (-16, -12, -7, -4), (-14, -10, -5, -2))
_MUSIC_RMS: Final = 10 ** (
    -30 / 20
)  # softer than speech, which is at -26 dBov: it plays for minutes into somebody's ear


@functools.lru_cache(maxsize=4)
def hold_music(rate: int) -> bytes:
    """Twelve seconds of soft chords that begin where they end: play them again and again. Making it takes
    25 ms at 8,000 samples a second and 170 at 48,000: once, and not on the event loop."""
    beat = round(_BEAT_MS * rate / 1000)
    length = beat * sum(len(chord) for chord in _CHORDS)
    music = np.zeros(length)
    ring = np.arange(beat * 4) / rate  # a note rings for four beats
    attack = np.minimum(ring / 0.03, 1.0)
    notes = [note for chord in _CHORDS for note in chord]
    for place, note in enumerate(notes):
        hz = 440.0 * 2 ** (note / 12)
        sound = sum(
            (np.sin(2 * np.pi * hz * part * ring) * np.exp(-ring * (1.2 + part)) / part**2 for part in (1, 2, 3)),
            np.zeros(1),
        )
        # What rings on beyond the end is heard at the beginning, so the seam is not.
        music[(place * beat + np.arange(len(ring))) % length] += sound * attack * np.exp(-ring)
    return _pcm(music * (_MUSIC_RMS / np.sqrt(np.mean(music**2))))


def _sine(hz: float, dbm0: float, ms: float, rate: int) -> _Wave:
    amplitude = 10 ** ((dbm0 - 3.14) / 20)
    return np.asarray(amplitude * np.sin(2 * np.pi * hz / rate * np.arange(round(ms * rate / 1000))))


def _soft_edges(tone: _Wave, rate: int) -> _Wave:
    edge = min(round(_EDGE_MS * rate / 1000), len(tone) // 2)
    if edge:
        ramp = (1 - np.cos(np.pi * (np.arange(edge) + 0.5) / edge)) / 2
        tone[:edge] *= ramp
        tone[len(tone) - edge :] *= ramp[::-1]
    return tone


def _pcm(wave: _Wave) -> bytes:
    return np.rint(np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()
