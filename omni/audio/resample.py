"""From one sample rate to another, by FFmpeg's resampler (PyAV).

It is the one that does not hold sound back: it lags its input by 1 to 2 ms, where others that work on streams keep 30
to 150 ms and give it out in bursts. A frame costs 20 to 75 microseconds, so nothing that happens to every frame of a
call should be resampled; sentences and utterances may be.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np


class Resampler:
    """One direction of one stream: mono, signed 16-bit little-endian."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        """Raises ValueError for rates that are not positive."""
        if rate_in <= 0 or rate_out <= 0:
            raise ValueError(f"cannot resample from {rate_in} to {rate_out} samples a second; both must be positive")
        self.rate_in = rate_in
        self.rate_out = rate_out
        self._rest = b""
        self._swr: Any = None

    def feed(self, pcm: bytes) -> bytes:
        """What comes out for this piece of any length; half a sample at its end waits for the next."""
        if self._rest:
            pcm = self._rest + pcm
        whole = len(pcm) & ~1
        self._rest = pcm[whole:]
        if self.rate_in == self.rate_out or not whole:
            return pcm[:whole]
        if self._swr is None:
            self._swr = av.AudioResampler(format="s16", layout="mono", rate=self.rate_out)
        heard = np.frombuffer(pcm, "<i2", whole // 2)
        frame = av.AudioFrame.from_ndarray(heard.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self.rate_in
        return _sound(self._swr.resample(frame))

    def flush(self) -> bytes:
        """What is still held; after it a new stream may begin."""
        swr, self._swr, self._rest = self._swr, None, b""
        return b"" if swr is None else _sound(swr.resample(None))

    def reset(self) -> None:
        """Throw away what is held: after an interruption no sound from before it may come out."""
        self._swr, self._rest = None, b""


def resampled(pcm: bytes, rate_in: int, rate_out: int) -> bytes:
    """A whole sound at another rate, as long as it was."""
    resampler = Resampler(rate_in, rate_out)
    return resampler.feed(pcm) + resampler.flush()


def _sound(frames: list[Any]) -> bytes:
    return b"".join(frame.to_ndarray().tobytes() for frame in frames)
