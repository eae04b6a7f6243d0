"""How an agent sounds and hears, parsed once from its `audio` settings (`Agent.audio`, a channel's, a call's).

The settings are tolerant: programs of other releases and other servers write them, so a member that cannot be read is
as good as absent, and never the end of a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

LOCAL: Final = "local"
"""The provider that runs here: whisper for hearing, Piper for speaking."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    @property
    def more(self) -> dict[str, Any]:
        """What only the provider understands."""
        return dict(self.model_extra or {})


class SttConfig(_Settings):
    """`language` is BCP-47, or `multi`; None lets the recogniser guess."""

    provider: str = LOCAL
    model: str | None = None
    language: str | None = None


class VoiceConfig(_Settings):
    """`speed` 1 is the voice's own."""

    provider: str = LOCAL
    voice_id: str | None = None
    model: str | None = None
    language: str | None = None
    speed: float = Field(default=1.0, ge=0.25, le=4.0)


class Interruption(_Settings):
    """When a caller who speaks stops the bot. `min_duration_ms` of voice with at least `confidence`, as loud as
    `min_volume` (0 to 1), or `min_words` that are more than a sign of attention (`backchannel_filter`)."""

    enabled: bool = True
    min_duration_ms: float = Field(default=300, ge=0, le=5_000)
    confidence: float = Field(default=0.7, ge=0, le=1)
    min_volume: float = Field(default=0.35, ge=0, le=1)
    min_words: int = Field(default=2, ge=1, le=50)
    backchannel_filter: bool = True
    resume_after_ms: float = Field(default=1_000, ge=0, le=10_000)
    """Speech that was cut by what turned out to be a noise goes on after so much silence."""


class TurnDetection(_Settings):
    """When a caller who pauses has finished. A silence of `silence_ms`, longer (up to `max_silence_ms`) where the words
    or the turn model say that more is to come; the first guess is made after `eager_ms`."""

    silence_ms: float = Field(default=200, ge=60, le=5_000)
    max_silence_ms: float = Field(default=1_500, ge=60, le=20_000)
    eager_ms: float = Field(default=96, ge=20, le=5_000)
    is_eager: bool = True
    """Whether the brain may begin before the turn is certain. Nothing is said and no tool runs until it is."""
    max_turn_ms: float = Field(default=60_000, ge=1_000, le=600_000)
    """Sound without a pause (music, a machine) is taken as a turn after so long."""


class Limits(_Settings):
    """Seconds; 0 is no limit, no warning, no grace."""

    max_duration_seconds: float = Field(default=600, ge=0)
    idle_timeout_seconds: float = Field(default=60, ge=0)
    idle_warning_seconds: float = Field(default=15, ge=0)
    idle_grace_seconds: float = Field(default=10, ge=0)


class Analysis(_Settings):
    send_audio_metrics: bool = False
    audio_metrics_interval_ms: float = Field(default=100, ge=20, le=10_000)
    recording: bool = False


class Media(_Settings):
    """`recording`: the call is kept as a stereo WAV. `live`: operators may listen. `hold_music`: the address of a WAV
    in the blobs, or None for a soft tone. `redact`: kinds of numbers that are not written down (`card`, `phone`, …)."""

    recording: bool = False
    live: bool = True
    max_duration_seconds: float | None = Field(default=None, ge=0)
    hold_music: str | None = None
    recording_notice: str | None = None
    """Said first where a call is recorded."""
    redact: tuple[str, ...] = ()
    filler: str | None = None
    """Said when a tool keeps the caller waiting."""
    filler_after_ms: float = Field(default=1_200, ge=0, le=30_000)
    machine: Literal["ignore", "hang_up", "message"] = "ignore"
    """What becomes of a call that we placed and an answering machine took."""
    machine_message: str | None = None


class Sound(BaseModel):
    """All of it."""

    model_config = ConfigDict(frozen=True)

    voice: VoiceConfig = VoiceConfig()
    stt: SttConfig = SttConfig()
    interruption: Interruption = Interruption()
    turns: TurnDetection = TurnDetection()
    limits: Limits = Limits()
    analysis: Analysis = Analysis()
    media: Media = Media()

    @property
    def is_recorded(self) -> bool:
        return self.media.recording or self.analysis.recording


_S = TypeVar("_S", bound=_Settings)


def sound_of(audio: Mapping[str, JsonValue], language: str | None = None) -> Sound:
    """The settings of a call whose agent, channel and own `audio` these are, in its language."""
    interruption = audio.get("interruption")
    if isinstance(interruption, bool):
        interruption = {"enabled": interruption}
    if interruption is None:
        interruption = _threshold(audio.get("interruption_threshold"))
    turns = audio.get("turn_detection")
    stt, voice = _read(SttConfig, audio.get("stt")), _read(VoiceConfig, audio.get("voice"))
    if language is not None:
        stt = stt if stt.language is not None else stt.model_copy(update={"language": language})
        voice = voice if voice.language is not None else voice.model_copy(update={"language": language})
    return Sound(
        voice=voice,
        stt=stt,
        interruption=_read(Interruption, interruption),
        turns=_read(TurnDetection, turns),
        limits=_read(Limits, audio.get("session_limits")),
        analysis=_read(Analysis, audio.get("analysis")),
        media=_read(Media, audio.get("media")),
    )


def _threshold(value: JsonValue) -> JsonValue:
    """From 0, where the first sound stops the bot, to 1, where nothing does."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return {"enabled": value < 1, "min_duration_ms": 80 + 1_200 * value}


def _read(shape: type[_S], value: JsonValue) -> _S:
    """What can be read of it: a member that is wrong is left out."""
    if not isinstance(value, Mapping):
        return shape()
    given = {name: each for name, each in value.items() if each is not None}
    while True:
        try:
            return shape.model_validate(given)
        except ValidationError as error:
            wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
            if not wrong & given.keys():
                return shape()
            given = {name: each for name, each in given.items() if name not in wrong}
