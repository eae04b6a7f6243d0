"""Smart Turn v3 (BSD-2, pipecat-ai): whether a pause is an end, by how it sounded. 23 languages, 8.7 MB.

The model is a file that the operator names, and no part of this project: `smart-turn-v3.2-cpu.onnx` of
https://huggingface.co/pipecat-ai/smart-turn-v3, or of the wheel `pipecat-ai`, whose other needs we would not install
for it. It hears the last 8 s, nothing in front of them, made even in level, as a log-mel spectrogram:
`input_features` (1, 80, 800) -> a probability. A decision takes 50 to 130 ms of one core.

It was trained on sound that ends in a pause: give it 200 ms of the silence as well, and ask again when the pause gets
longer (finished sentences of ours scored above 0.5: 5 of 8 after 100 ms, 6 after 200, 7 after 500).
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from omni.audio.resample import resampled
from workers.voice.vad.log_mel import BANDS, HOP, RATE, log_mel

log = logging.getLogger(__name__)

SECONDS: Final = 8
_INPUT: Final = "input_features"
_FRAMES: Final = SECONDS * RATE // HOP


class SmartTurnError(Exception):
    """There is no such model. The text says what to do."""


class SmartTurn:
    """One a process, for all its calls; a `TurnModel`."""

    def __init__(self, file: Path, workers: int = 1) -> None:
        """Loads the model, which blocks for a tenth of a second: in a thread. Raises SmartTurnError.

        `workers` is how many pauses are judged at a time; more than there are cores only makes all of them late.
        """
        self._session = _loaded(file)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="smart-turn")

    async def probability(self, pcm: bytes, rate: int) -> float:
        """From 0 (they go on) to 1 (they have finished). Who is cancelled before their turn costs nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.judge, pcm, rate)

    def judge(self, pcm: bytes, rate: int) -> float:
        """The same, in the caller's thread."""
        heard = features(pcm, rate)[None]
        (said,) = self._session.run(None, {_INPUT: heard})
        return min(max(float(np.ravel(said)[0]), 0.0), 1.0)

    def close(self) -> None:
        """Judge no more: what waits is cancelled. What is being judged ends on its own."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def features(pcm: bytes, rate: int) -> npt.NDArray[np.float32]:
    """What the model hears of 16-bit mono sound at any rate: (80, 800)."""
    last = pcm[-SECONDS * rate * 2 :]
    wave = np.frombuffer(resampled(last, rate, RATE), "<i2").astype(np.float32) / 32768
    window = np.zeros(SECONDS * RATE, np.float32)
    if len(wave):
        window[-len(wave) :] = wave[-len(window) :]
    even = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
    return log_mel(even)


def _loaded(file: Path) -> Any:
    if not file.is_file():
        raise SmartTurnError(
            f"there is no turn model at {file}; download smart-turn-v3.2-cpu.onnx from "
            "https://huggingface.co/pipecat-ai/smart-turn-v3 and name it, or name none"
        )
    try:
        import onnxruntime
    except ImportError:
        raise SmartTurnError("a turn model needs onnxruntime; pip install 'omni-server[local-speech]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each way a file can be wrong
        raise SmartTurnError(f"the turn model {file} cannot be loaded: {error}") from error
    takes = {each.name: each.shape[1:] for each in session.get_inputs()}
    if takes != {_INPUT: [BANDS, _FRAMES]}:
        raise SmartTurnError(f"{file} is no Smart Turn v3: it takes {takes}, and not {_INPUT} of {BANDS} x {_FRAMES}")
    log.info("turn model %s loaded", file.name)
    return session
