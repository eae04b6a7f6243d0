"""Who is at the other end of a call, and what they do: pick up or not, speak, press keys, leave.

Sound is read from WAV files of any kind. A script's steps are done one after the other, each when its condition holds.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from channels.twilio.simulator.phone.sound import SILENCE, is_loud, pcm_frames, wav_frames


def _decoded(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return base64.b64decode(given, validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None


Wav = Annotated[bytes, BeforeValidator(_decoded)]
"""A WAV file; in JSON as base64."""


class CallPlan(BaseModel):
    """What happens when this person is called. Times are milliseconds; `talk_ms` is how long they stay once they were
    put through by a transfer (null: until the other one leaves). `machine` is what answering machine detection finds,
    `amd_ms` after they picked up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["answer", "busy", "no-answer", "failed"] = "answer"
    dial_ms: int = Field(default=20, ge=0, le=60_000)
    ring_ms: int = Field(default=200, ge=0, le=600_000)
    sip: int | None = None
    error: int | None = None
    machine: Literal[
        "human", "fax", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "unknown"
    ] = "human"
    amd_ms: int = Field(default=100, ge=0, le=60_000)
    talk_ms: int | None = Field(default=200, ge=0)


class StreamFaults(BaseModel):
    """What goes wrong with a stream. The first five are chances a frame (0 to 1).

    A `late` frame comes `late_ms` after its time, a `swapped` one behind its successor; `garbage` adds a message that
    means nothing. `jitter_ms` sends each frame up to so late, in order. `cut_after_ms` breaks the connection;
    `without_stop` closes it without saying so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lost: float = Field(default=0.0, ge=0, le=1)
    late: float = Field(default=0.0, ge=0, le=1)
    doubled: float = Field(default=0.0, ge=0, le=1)
    swapped: float = Field(default=0.0, ge=0, le=1)
    garbage: float = Field(default=0.0, ge=0, le=1)
    late_ms: int = Field(default=100, ge=20, le=60_000)
    jitter_ms: int = Field(default=0, ge=0, le=1_000)
    cut_after_ms: int | None = Field(default=None, ge=0)
    without_stop: bool = False
    signature: Literal["valid", "wrong", "missing"] = "valid"


class Step(BaseModel):
    """One thing that a person does: speak a `wav`, `press` keys, or `hang_up`; and when.

    `at` is in seconds of the call's sound, `after_speech` once the bot has been speaking for so long (that is how to
    interrupt it), `after_silence` once it has spoken since this person's last words and then been silent for so long.
    Without any of them it is done at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wav: Wav | None = None
    press: str | None = Field(default=None, pattern=r"^[0-9*#A-D]+$")
    hang_up: bool = False
    at: float | None = Field(default=None, ge=0)
    after_speech: float | None = Field(default=None, ge=0)
    after_silence: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.wav is not None) + (self.press is not None) + self.hang_up != 1:
            raise ValueError("a step is one of wav, press and hang_up")
        if sum(when is not None for when in (self.at, self.after_speech, self.after_silence)) > 1:
            raise ValueError("a step waits for one of at, after_speech and after_silence")
        return self


class Person(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: CallPlan = CallPlan()
    script: tuple[Step, ...] = ()
    faults: StreamFaults = StreamFaults()


class Bot(Protocol):
    """What a person has heard, in milliseconds: of the utterance that is going on, of silence since the last one, and
    of speech altogether."""

    spoken_ms: float
    quiet_ms: float
    voiced_ms: float


class Caller:
    """A person in a call. `say`, `press` and `hang_up` may also be called while it runs."""

    def __init__(self, script: Sequence[Step] = ()) -> None:
        """Raises ValueError for sound that is no WAV file."""
        self.left = False
        # Read now: it takes a moment, and a tick has none.
        self._steps = deque((step, None if step.wav is None else wav_frames(step.wav)) for step in script)
        self._heard_before = 0.0
        self._is_saying = False
        self._frames: deque[bytes] = deque()
        self.spans: list[tuple[float, float]] = []
        """When each thing was said, in seconds of the call's sound: its first and its last sound."""
        self._keys: deque[str] = deque()
        self.said = bytearray()
        """mu-law that was sent, with the silence between."""

    def say(self, wav: bytes) -> None:
        """Speak, after what is still being said. Raises ValueError for what is no WAV file."""
        self._frames.extend(wav_frames(wav))

    def say_pcm(self, pcm: bytes) -> None:
        """16-bit samples at 8 kHz."""
        self._frames.extend(pcm_frames(pcm))

    def press(self, keys: str) -> None:
        self._keys.extend(keys)

    def hang_up(self) -> None:
        self.left = True

    @property
    def is_speaking(self) -> bool:
        return bool(self._frames)

    def tick(self, at_ms: float, bot: Bot) -> tuple[bytes, str | None]:
        """The next 20 ms of sound, and a key that is pressed now."""
        while self._steps and self._is_time(self._steps[0][0], at_ms, bot):
            self._do(*self._steps.popleft())
            self._heard_before = bot.voiced_ms
        if self._frames:
            self._heard_before = bot.voiced_ms  # what is said into a sentence is no answer to it
        frame = self._frames.popleft() if self._frames else SILENCE
        if not self._frames and frame is SILENCE:
            self._is_saying = False
        elif is_loud(frame):
            began = self.spans.pop()[0] if self._is_saying else at_ms / 1000
            self.spans.append((began, at_ms / 1000 + 0.02))
            self._is_saying = True
        self.said += frame
        return frame, self._keys.popleft() if self._keys else None

    def _is_time(self, step: Step, at_ms: float, bot: Bot) -> bool:
        news = bot.voiced_ms - self._heard_before
        if step.at is not None:
            return at_ms >= step.at * 1000
        if step.after_speech is not None:
            return min(bot.spoken_ms, news) >= max(step.after_speech * 1000, 20)
        if step.after_silence is not None:
            return not self._frames and news > 0 and bot.quiet_ms >= step.after_silence * 1000
        return not self._frames

    def _do(self, step: Step, sound: list[bytes] | None) -> None:
        if sound is not None:
            self._frames.extend(sound)
        elif step.press is not None:
            self.press(step.press)
        else:
            self.hang_up()
