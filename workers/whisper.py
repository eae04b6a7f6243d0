"""faster-whisper in a process of its own: `python -m workers.whisper MODEL`, spoken to by `workers.transcribe`.
An empty MODEL is the packaged one.

On stdin, for each recording: a line of JSON, `{"language": str | null, "size": bytes}`, and the recording. On stdout,
for each: a line of JSON, `{"words": str}` or `{"error": str}`. It ends when stdin does.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO


def serve(load: Callable[[], Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests. The model is loaded at the first one."""
    model: Any = None
    while line := requests.readline():
        header = json.loads(line)
        audio = requests.read(header["size"])
        try:
            if model is None:
                model = load()
            answer = {"words": _hear(model, audio, header["language"])}
        except Exception as error:  # noqa: BLE001 - whatever a stranger's recording does to the decoder
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _hear(model: Any, audio: bytes, language: str | None) -> str:
    segments, _ = model.transcribe(io.BytesIO(audio), language=language, beam_size=1, condition_on_previous_text=False)
    return " ".join(words for segment in segments if (words := segment.text.strip()))


def _load(name: str) -> Any:
    from faster_whisper import WhisperModel

    from workers.voice.stt.packaged import model_folder

    return WhisperModel(name or str(model_folder()), device="auto", compute_type="default")


def main() -> None:
    os.nice(10)  # conversations first
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not end up among the answers
    serve(lambda: _load(sys.argv[1]), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
