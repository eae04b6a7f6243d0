"""Piper in a process of its own: `python -m workers.voice.tts.piper_process VOICES THREADS`, spoken to by
`workers.voice.tts.piper`. Piper is GPL-3.0: it is spoken to over pipes, and never imported by the server.

`VOICES` is a JSON object of names and paths of `.onnx` files; the first is loaded at once. On stdin come lines of JSON:
`{"id": int, "text": str, "voice": str, "speed": float, "rate": int}`, or `{"cancel": int}`. On stdout goes
`{"ready": true}` once and then, for each request, for each of its sentences, a line of JSON
`{"id": int, "size": bytes, "words": [[text, start, end], …]}` with so many bytes of 16-bit mono sound behind it, and at
last `{"id": int, "size": 0, "end": true}` or `{"id": int, "size": 0, "error": str}`. It ends when stdin does.

One model serves all threads (onnxruntime lets go of the interpreter while it computes); each uses one core.
"""

from __future__ import annotations

import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from omni.audio.resample import resampled
from workers.voice.tts.base import WordTime
from workers.voice.tts.phonemes import Ranges, ranges_of
from workers.voice.tts.silence import seconds_of, sounding
from workers.voice.tts.words import estimated, matched, words_of

_YIELDS: Final = 0.01
"""Seconds a character: a short piece, which somebody waits for, overtakes a long one that came a moment earlier."""
_LOUDNESS: Final = 0.9
_CEIL = re.compile(rb"\x12(.)([ -~]{1,100})\x1a.[ -~]{1,100}\x22\x04Ceil", re.DOTALL)

Sentence = tuple[bytes, list[WordTime]]
Say = Callable[[dict[str, Any]], Iterator[Sentence]]


class Voices:
    """The models, loaded at their first use."""

    def __init__(self, paths: dict[str, str]) -> None:
        self._paths = paths
        self._loaded: dict[str, Any] = {}
        self._lock = threading.Lock()

    def say(self, request: dict[str, Any]) -> Iterator[Sentence]:
        from piper import SynthesisConfig

        voice, text, rate = self._voice(request["voice"]), request["text"].replace("[[", "[ ["), request["rate"]
        config = SynthesisConfig(volume=_LOUDNESS, length_scale=voice.config.length_scale / request["speed"])
        spoken = _Spoken(text, voice)
        sounds: list[bytes] = []
        for chunk in voice.synthesize(text, config, include_alignments=True):
            pcm = resampled(chunk.audio_int16_bytes, chunk.sample_rate, rate)
            before = seconds_of(b"".join(sounds), rate)
            sounds.append(pcm)
            yield pcm, spoken.heard(chunk.phoneme_alignments, chunk.sample_rate, before)
        yield b"", spoken.rest(b"".join(sounds), rate)

    def warm(self) -> None:
        list(self.say({"text": "Ready.", "voice": "", "speed": 1.0, "rate": 8_000}))

    def _voice(self, name: str) -> Any:
        with self._lock:
            name = name if name in self._paths else next(iter(self._paths))
            if name not in self._loaded:
                self._loaded[name] = load(Path(self._paths[name]))
            return self._loaded[name]


class _Spoken:
    """The words of one request, with their times as the sentences are made."""

    def __init__(self, text: str, voice: Any) -> None:
        self._text = text
        self._words = words_of(text)
        self._ranges: Ranges = ranges_of(_phonemes(voice, text), [_phonemes(voice, word) for word in self._words])
        self._times: list[tuple[float, float]] | None = []
        self._told: list[WordTime] = []

    def heard(self, phonemes: Sequence[Any] | None, rate: int, before: float) -> list[WordTime]:
        """The words that are complete with this sentence. `phonemes` have lengths in samples, None when the voice
        cannot tell; the first and the last are its edges."""
        if self._times is None or phonemes is None:
            self._times = None
            return []
        samples = 0
        for index, phoneme in enumerate(phonemes):
            start, samples = samples, samples + int(phoneme.num_samples)
            if 0 < index < len(phonemes) - 1:
                self._times.append((before + start / rate, before + samples / rate))
        ready: list[WordTime] = []
        for word, (first, last) in list(zip(self._words, self._ranges, strict=True))[len(self._told) :]:
            if last > len(self._times):
                break
            end = self._times[last - 1][1] if last else 0.0
            ready.append(WordTime(word, self._times[first][0] if first < last else end, end))
        self._told += ready
        return ready

    def rest(self, pcm: bytes, rate: int) -> list[WordTime]:
        """The words that the voice has not told the times of."""
        if len(self._told) == len(self._words):
            return []
        seconds = seconds_of(pcm, rate)
        told = self._told or estimated(self._text, seconds, sounding(pcm, rate))
        return list(matched(self._text, told, seconds)[len(self._told) :])


def _phonemes(voice: Any, text: str) -> list[str]:
    return [phoneme for sentence in voice.phonemize(text) for phoneme in sentence]


def load(path: Path) -> Any:
    """A voice on one core, which tells how long each phoneme lasts.

    The model computes that but does not give it out. To name one more output in an ONNX file, nothing needs to be
    rewritten: protobuf merges what is appended, so a graph with only that output is put behind the model's bytes.
    """
    import onnxruntime
    from piper import PiperVoice
    from piper.config import PiperConfig

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = path.read_bytes()
    config = PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
    providers = ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(model + _durations(model), options, providers=providers)
    except Exception:  # noqa: BLE001 - onnxruntime's errors have no common class; the words are estimated then
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    return PiperVoice(session=session, config=config)


def _durations(model: bytes) -> bytes:
    """ModelProto.graph (7) . GraphProto.output (12) . ValueInfoProto.name (1) of the one `Ceil` node's output."""
    names = {found[2] for found in _CEIL.finditer(model) if found[1][0] == len(found[2])}
    if len(names) != 1:
        return b""
    name = names.pop()
    info = b"\x0a" + bytes([len(name)]) + name
    graph = b"\x62" + bytes([len(info)]) + info
    return b"\x3a" + bytes([len(graph)]) + graph


def serve(say: Say, threads: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests. A request that was cancelled is not begun, or ends with its sentence."""
    waiting: queue.PriorityQueue[tuple[float, int, dict[str, Any]]] = queue.PriorityQueue()
    live: set[int] = set()
    lock = threading.Lock()

    def answer(header: dict[str, Any], pcm: bytes = b"") -> None:
        with lock:
            answers.write(json.dumps({**header, "size": len(pcm)}).encode() + b"\n" + pcm)
            answers.flush()

    def work() -> None:
        while True:
            _, number, request = waiting.get()
            try:
                if number in live:
                    for pcm, words in say(request):
                        if number not in live:
                            break
                        answer({"id": number, "words": [(word.text, word.start, word.end) for word in words]}, pcm)
                answer({"id": number, "end": True})
            except BrokenPipeError:
                return
            except Exception as error:  # noqa: BLE001 - whatever a text does to a voice; the caller is told
                answer({"id": number, "error": f"{type(error).__name__}: {error}"})
            live.discard(number)

    answer({"ready": True})
    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()
    while line := requests.readline():
        request = json.loads(line)
        if "cancel" in request:
            live.discard(request["cancel"])
        else:
            live.add(request["id"])
            waiting.put((time.monotonic() + len(request["text"]) * _YIELDS, request["id"], request))


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not end up among the answers
    voices = Voices(json.loads(sys.argv[1]))
    try:
        voices.warm()
    except Exception as error:  # noqa: BLE001 - said to the server, which says it to the operator
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        answers.flush()
        return
    serve(voices.say, int(sys.argv[2]), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
