"""Silero's voice detector (MIT), version 6, as it comes with faster-whisper: right more often than WebRTC's, at 30
times its price (100 to 160 microseconds per 32 ms).

The model hears windows of 512 samples at 16 kHz behind the 64 samples before them, and carries an LSTM's two states:
`input` (1, 576), `h` and `c` (1, 1, 128) -> `speech_probs` (1), `hn`, `cn`. Telephone sound is brought to 16 kHz here.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

RATES: Final = (8_000, 16_000)
WINDOW: Final = 512
CONTEXT: Final = 64
_INPUTS: Final = {"input", "h", "c"}

_Floats = npt.NDArray[np.float32]


class SileroMissing(Exception):
    """There is no Silero model on this machine. The text says what to install."""


def model_file() -> Path:
    """Where the model is; nothing is imported to find it. Raises SileroMissing."""
    spec = find_spec("faster_whisper")
    if spec is None or spec.origin is None or find_spec("onnxruntime") is None:
        raise SileroMissing("Silero needs faster-whisper and onnxruntime; pip install 'omni-server[local-speech]'")
    found = sorted((Path(spec.origin).parent / "assets").glob("silero_vad_v*.onnx"))
    if not found:
        raise SileroMissing("this faster-whisper has no silero_vad_v6.onnx in its assets; install 1.2.1 or newer")
    return found[-1]


@functools.cache
def session() -> Any:
    """The model, loaded once a process and shared by its calls. Takes up to half a second: in a thread, before the
    first call. Raises SileroMissing.
    """
    file = model_file()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        loaded = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each way a file can be wrong
        raise SileroMissing(f"{file} cannot be loaded ({error}); install faster-whisper again") from error
    inputs = {each.name for each in loaded.get_inputs()}
    if inputs != _INPUTS:
        raise SileroMissing(
            f"{file.name} takes {sorted(inputs)} and not {sorted(_INPUTS)}; install faster-whisper 1.2.x"
        )
    return loaded


class SileroVad:
    """One call's detector. Frames are 20 ms, its windows 32: between them it says what it said last."""

    def __init__(self, rate: int) -> None:
        """Raises ValueError for a rate that it does not know (`RATES`), SileroMissing without a model."""
        if rate not in RATES:
            raise ValueError(f"Silero does not know {rate} samples a second; it knows {', '.join(map(str, RATES))}")
        self.rate = rate
        self._session = session()
        self._double = _Doubler() if rate == 8_000 else None
        self._window_bytes = WINDOW * rate // 16_000 * 2
        self._held = b""  # less than a window
        self._said = 0.0
        self.reset()

    def probability(self, frame: bytes) -> float:
        self._held += frame
        while len(self._held) >= self._window_bytes:
            self._hear(self._held[: self._window_bytes])
            self._held = self._held[self._window_bytes :]
        return self._said

    def reset(self) -> None:
        self._held = b""
        self._said = 0.0
        self._input: _Floats = np.zeros((1, CONTEXT + WINDOW), np.float32)
        self._h: _Floats = np.zeros((1, 1, 128), np.float32)
        self._c: _Floats = np.zeros((1, 1, 128), np.float32)
        if self._double is not None:
            self._double.reset()

    def _hear(self, pcm: bytes) -> None:
        window = np.frombuffer(pcm, "<i2").astype(np.float32)
        window *= 1 / 32768
        if self._double is not None:
            window = self._double(window)
        self._input[0, :CONTEXT] = self._input[0, -CONTEXT:]
        self._input[0, CONTEXT:] = window
        said, self._h, self._c = self._session.run(None, {"input": self._input, "h": self._h, "c": self._c})
        self._said = float(said[0])


class _Doubler:
    """8 to 16 kHz: every second sample is an old one, those between come from a half-band filter. 1 ms late.

    16 taps are no studio's resampler, but a tenth of its price, and no detector hears the difference.
    """

    TAPS: Final = 16

    def __init__(self) -> None:
        half = np.arange(self.TAPS) - (self.TAPS - 1) / 2
        taps = np.sinc(half) * np.hanning(self.TAPS + 2)[1:-1]
        self._taps = (taps / taps.sum()).astype(np.float32)
        self.reset()

    def reset(self) -> None:
        self._before: _Floats = np.zeros(self.TAPS - 1, np.float32)

    def __call__(self, window: _Floats) -> _Floats:
        line = np.concatenate((self._before, window))
        self._before = line[len(window) :]
        twice = np.empty(len(window) * 2, np.float32)
        middle = self.TAPS // 2 - 1
        twice[0::2] = line[middle : middle + len(window)]
        twice[1::2] = np.convolve(line, self._taps, "valid")
        return twice
