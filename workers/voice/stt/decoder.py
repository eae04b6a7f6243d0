"""Whisper with a window as short as the utterance allows, instead of 30 s for a "yes".

The encoder's time depends on its window alone. CTranslate2 takes any, faster-whisper around it always gives 30 s: so
the features are made here. Below 10 s the model begins to repeat itself. (Measured: a third of the
time, as few errors.)

Everything here blocks, and belongs in a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from omni.audio.resample import resampled
from workers.voice.stt.base import SttError
from workers.voice.stt.guards import Samples, confidence, is_made_up, pieces, unrepeated
from workers.voice.stt.packaged import INSTALL, model_folder

RATE: Final = 16_000
WINDOW: Final = 10.0

_LONGEST_WINDOW: Final = 30.0
_SILENCE_BEHIND: Final = 0.5
_LONG: Final = 9.0
_FRAMES_A_SECOND: Final = 100
_TOKENS_A_SECOND: Final = 6.4  # 64 for 10 s: three words a second are fast, more is a loop
_SURE: Final = 0.5
_SHORTEST: Final = 0.1


class Unwanted(Exception):
    """Nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The words of one piece of an utterance. `log_probability` is the mean of its tokens'; `language` ISO 639-1."""

    text: str
    log_probability: float = 0.0
    language: str | None = None
    is_sure: bool = False
    """Whether the language was given, or was easy to guess."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one person said so far (16-bit mono). `language`: ISO 639-1, None (or one that the model does not know) to
    guess; `before`: the language to assume where a guess would be a gamble; `known`: pieces that were heard before."""

    pcm: bytes
    rate: int
    language: str | None = None
    before: str | None = None
    window: float = WINDOW
    known: Mapping[tuple[int, int], Heard] = field(default_factory=dict)


class Decoder:
    """One model for all calls of a process; as many at a time as it was loaded for."""

    def __init__(self, model: Any) -> None:
        from faster_whisper.tokenizer import Tokenizer

        self._model = model
        self._tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en")
        self._languages = frozenset(model.supported_languages)

    def hear(self, utterance: Utterance, is_wanted: Callable[[], bool]) -> dict[tuple[int, int], Heard]:
        """The utterance in its pieces, in order. Raises Unwanted as soon as a step finds that it is."""
        sound = _samples(utterance.pcm)
        before = utterance.before
        found: dict[tuple[int, int], Heard] = {}
        for start, end in pieces(sound, utterance.rate):
            piece = utterance.known.get((start, end))
            if piece is None:
                cut = utterance.pcm[start * 2 : end * 2]
                piece = self._piece(cut, utterance, before, is_wanted)
            before = piece.language if piece.is_sure else before
            found[start, end] = piece
        return found

    def _piece(self, pcm: bytes, utterance: Utterance, before: str | None, is_wanted: Callable[[], bool]) -> Heard:
        import ctranslate2

        if len(pcm) < _SHORTEST * utterance.rate * 2:
            return Heard("")
        wide = pcm if utterance.rate == RATE else resampled(pcm, utterance.rate, RATE)
        features, seconds = self._features(wide, utterance.window)
        _check(is_wanted)
        encoded = self._model.model.encode(ctranslate2.StorageView.from_array(features), to_cpu=False)
        _check(is_wanted)
        language, is_sure = self._language(encoded, utterance.language, before)
        prompt = self._prompt(language)
        most = int(seconds * _TOKENS_A_SECOND)
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=len(prompt) + most,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        text = self._tokenizer.decode(result.sequences_ids[0]).strip()
        score = float(result.scores[0])
        if not text or is_made_up(result.no_speech_prob, score):
            return Heard("", score)
        return Heard(unrepeated(text), score, language, is_sure)

    def _features(self, pcm: bytes, window: float) -> tuple[Samples, float]:
        """Log-mel features (1, mels, frames) of the sound with silence up to the window's end, and the window."""
        sound = _samples(pcm)
        seconds = len(sound) / RATE
        window = max(window, seconds + 1 if seconds > _LONG else 0)
        window = min(_LONGEST_WINDOW, max(window, seconds + _SILENCE_BEHIND))
        padded = np.zeros(int(window * RATE), np.float32)
        padded[: len(sound)] = sound[: len(padded)]
        mels = self._model.feature_extractor(padded)
        frames = min(mels.shape[1], int(_LONGEST_WINDOW * _FRAMES_A_SECOND)) // 2 * 2  # the encoder halves them
        return np.ascontiguousarray(mels[None, :, :frames], np.float32), window

    def _language(self, encoded: Any, given: str | None, before: str | None) -> tuple[str | None, bool]:
        if not self._model.model.is_multilingual:
            return "en", True
        if given in self._languages:
            return given, True
        token, probability = self._model.model.detect_language(encoded)[0][0]
        guess = str(token)[2:-2]  # "<|en|>"
        if probability >= _SURE:
            return guess, True
        return before or guess, False  # one short word is too little to change the language of a call

    def _prompt(self, language: str | None) -> list[int]:
        tokens = self._tokenizer
        if not self._model.model.is_multilingual:
            return [tokens.sot, tokens.no_timestamps]
        spoken = tokens.tokenizer.token_to_id(f"<|{language}|>")
        return [tokens.sot, spoken, tokens.transcribe, tokens.no_timestamps]


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(2**-15)


def _check(is_wanted: Callable[[], bool]) -> None:
    if not is_wanted():
        raise Unwanted


def sure(heard: Mapping[tuple[int, int], Heard]) -> tuple[str, float, str | None]:
    """The pieces as one: the text, the confidence from 0 to 1, the language of the last piece that has one."""
    spoken = [piece for piece in heard.values() if piece.text]
    if not spoken:
        return "", 1.0, None
    mean = sum(piece.log_probability for piece in spoken) / len(spoken)
    languages = [piece.language for piece in spoken if piece.language]
    return " ".join(piece.text for piece in spoken), confidence(mean), languages[-1] if languages else None


_loaded: dict[tuple[str | None, int], Decoder] = {}
_loading = threading.Lock()


def load_decoder(model: str | None, workers: int) -> Decoder:
    """The process's one decoder for a model: a folder, a name (downloaded at first use), None for the packaged one.

    Takes about a second, and 350 MB for Whisper base. Raises SttError with the mend.
    """
    with _loading:
        if (model, workers) not in _loaded:
            _loaded[model, workers] = _load(model, workers)
        return _loaded[model, workers]


def _load(model: str | None, workers: int) -> Decoder:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise SttError(f"faster-whisper cannot be imported ({error}): {INSTALL.partition(',')[0]}") from error
    name = str(model_folder()) if model is None else model
    try:
        import ctranslate2

        on_cpu = not ctranslate2.get_cuda_device_count()
        # Threads do not shorten a decoding much; two decodings side by side are what two cores are for.
        loaded = WhisperModel(
            name,
            device="cpu" if on_cpu else "cuda",
            compute_type="int8" if on_cpu else "default",
            cpu_threads=1,
            num_workers=workers,
        )
    except Exception as error:  # the library's own, the hub's and the disk's
        where = "the folder" if Path(name).is_dir() else "the model"
        raise SttError(
            f"{where} {name!r} cannot be loaded ({type(error).__name__}: {error}); "
            "OMNI_STT_MODEL names a folder for CTranslate2, or a model such as `base` or `small`"
        ) from error
    decoder = Decoder(loaded)
    decoder.hear(Utterance(bytes(RATE * 2), RATE, "en"), lambda: True)  # the first is slow
    return decoder
