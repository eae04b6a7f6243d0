"""Opus as browsers speak it (RFC 7587): 48,000 samples a second on the wire, 16,000 here, mono, 20 ms.

Speech has nothing above 8 kHz that a recogniser or a telephone voice would use. At 16,000 an encoder works a third less
and the voice worker's own stages a third of what 48,000 would cost; the decoder has no choice, so its sound goes
through one resampler, which costs 13 microseconds a packet.
"""

from __future__ import annotations

from typing import Final

import av
import numpy as np

RATE: Final = 16_000
SAMPLES: Final = RATE // 50
FRAME_BYTES: Final = SAMPLES * 2
WIRE_RATE: Final = 48_000
WIRE_SAMPLES: Final = WIRE_RATE // 50
BITS: Final = 32_000
"""A second. Wideband speech is as good as it gets from about 24,000 on."""
EFFORT: Final = "5"
"""Of 10: half the work, and nobody hears it at this rate."""
FADE_FRAMES: Final = 5
"""Silence that is really encoded after sound; from then on one packet of it is sent again and again."""


class Decoder:
    """One stream of packets; its sound may be resampled only in one piece."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "r")
        codec.format = av.AudioFormat("s16")
        codec.layout = "mono"
        codec.sample_rate = WIRE_RATE
        codec.thread_count = 1  # else FFmpeg starts threads of its own, two a call
        self._codec: av.AudioCodecContext | None = codec
        self._swr: av.AudioResampler | None = av.AudioResampler(format="s16", layout="mono", rate=RATE)

    def close(self) -> None:
        """What FFmpeg holds is let go now, and not when somebody collects garbage: a resampler has two threads."""
        self._codec = self._swr = None

    def decode(self, payload: bytes) -> bytes:
        """Sound at 16,000; it lags the packet by 1 ms. Nothing for a packet that is no Opus."""
        codec, swr = self._codec, self._swr
        if codec is None or swr is None:
            return b""
        try:
            frames = codec.decode(av.Packet(payload))
        except av.FFmpegError:
            return b""
        return b"".join(made.to_ndarray().tobytes() for frame in frames for made in swr.resample(frame))


class Encoder:
    """One stream of packets of 20 ms."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "w")
        codec.bit_rate = BITS
        codec.format = av.AudioFormat("s16")
        codec.layout = "mono"
        codec.sample_rate = RATE
        codec.thread_count = 1
        codec.options = {"application": "voip", "compression_level": EFFORT}
        self._codec: av.AudioCodecContext | None = codec
        self._silent = 0
        self._silence = b""

    def close(self) -> None:
        self._codec = None

    def encode(self, pcm: bytes | None) -> bytes:
        """The packet of one frame; None is silence. What it gives first may be empty: an encoder looks ahead."""
        if pcm is None:
            if self._silent >= FADE_FRAMES and self._silence:
                return self._silence
            self._silent += 1
            self._silence = self._packet(bytes(FRAME_BYTES))
            return self._silence
        self._silent = 0
        return self._packet(pcm)

    def _packet(self, pcm: bytes) -> bytes:
        if self._codec is None:
            return b""
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
