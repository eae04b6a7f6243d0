"""What goes on in a call with sound and is too fleeting for its log: told as it happens. `at` is epoch seconds."""

from __future__ import annotations

from typing import Literal

from omni.model.base import Value


class SpeechStarted(Value):
    """The caller began to speak."""

    kind: Literal["speech_started"] = "speech_started"
    turn: int
    confidence: float
    at: float


class SpeechEnded(Value):
    kind: Literal["speech_ended"] = "speech_ended"
    turn: int
    duration_ms: float
    at: float


class Hearing(Value):
    """The caller's words so far; `message` is the id that their message will have."""

    kind: Literal["hearing"] = "hearing"
    turn: int
    message: str
    text: str
    confidence: float


class EagerTurn(Value):
    """The caller may have finished: an answer may be prepared, and is not said yet."""

    kind: Literal["eager_turn"] = "eager_turn"
    turn: int
    message: str
    text: str
    probability: float
    latency_ms: float


class TurnPaused(Value):
    """The caller paused, and seems to have more to say."""

    kind: Literal["turn_paused"] = "turn_paused"
    turn: int
    probability: float
    latency_ms: float


class TurnResumed(Value):
    kind: Literal["turn_resumed"] = "turn_resumed"
    turn: int
    at: float


class BotWord(Value):
    """The caller hears this word of the bot's message `message` now; times are seconds from its first sound."""

    kind: Literal["bot_word"] = "bot_word"
    message: str
    word: str
    index: int
    start: float
    end: float


class AudioMetrics(Value):
    """How loud a side is: `energy_db` -60 to 0, the others 0 to 1."""

    kind: Literal["audio_metrics"] = "audio_metrics"
    source: Literal["user", "bot"]
    energy_db: float
    rms: float
    peak: float
    is_speech: bool
    vad_prob: float
    at: float
