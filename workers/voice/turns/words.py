"""The words between the stages of a call and its turn rules: what happens, and what is to be done about it.

`at` is the call's clock: milliseconds since its sound began, as the caller's own frames count it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# what happens


@dataclass(frozen=True, slots=True)
class VoiceBegan:
    """The detector is sure that somebody speaks since `at`. `confidence` 0 to 1."""

    at: float
    confidence: float


@dataclass(frozen=True, slots=True)
class VoiceWent:
    """They still speak: `ms` of it without a pause, with at least `confidence`, as loud as `volume` (0 to 1)."""

    at: float
    ms: float
    confidence: float
    volume: float


@dataclass(frozen=True, slots=True)
class Silence:
    """They have said nothing for `ms`. Told at every threshold that the rules have asked for (`policy`), and with every
    tick of a longer silence."""

    at: float
    ms: float


@dataclass(frozen=True, slots=True)
class Partial:
    """The utterance so far, as the recogniser has it while they speak."""

    at: float
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Recognised:
    """The answer to `Recognise(pause)`: the whole utterance so far. No text: nobody said a word."""

    at: float
    pause: int
    text: str
    confidence: float
    language: str | None = None


@dataclass(frozen=True, slots=True)
class NotRecognised:
    """The recogniser failed, or is too late."""

    at: float
    pause: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The turn model's answer to `Judge(pause)`: how sure it is, 0 to 1, that they have finished."""

    at: float
    pause: int
    probability: float


@dataclass(frozen=True, slots=True)
class BotBegan:
    """The first sound of an utterance of ours goes out. `turn` is the user's turn that it answers, if any."""

    at: float
    message: str
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class BotEnded:
    """Nothing of ours is being played or waits (finished, or dropped)."""

    at: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing will be said to the turn (the brain chose silence, or a human has the call): what the user says next is
    a turn of its own. Without it that is so after a while."""

    at: float
    turn: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    at: float


@dataclass(frozen=True, slots=True)
class Deafened:
    """The caller is not listened to any more (hold, mute, the call is given away), or is again. What they were saying
    is dropped."""

    at: float
    on: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """The caller has written instead of speaking: a turn at once."""

    at: float
    text: str


Event = (
    VoiceBegan
    | VoiceWent
    | Silence
    | Partial
    | Recognised
    | NotRecognised
    | Judged
    | BotBegan
    | BotEnded
    | NoAnswer
    | Tick
    | Deafened
    | Typed
)


# what is to be done


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Tell it (`speech.started`), and begin to recognise: the utterance starts a little before `since`."""

    turn: int
    message: str
    confidence: float
    since: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Tell it (`speech.ended`): once for every `SpeechStarted`, with `EndTurn` or `Nothing` right behind it. `turn` is
    that of what follows; it is the next one to `SpeechStarted`'s where the bot's answer was heard in between."""

    turn: int
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Interim:
    """Tell the words so far (`user.speaking`)."""

    turn: int
    message: str
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Recognise:
    """Ask the recogniser what was said up to now. An earlier question that is still open is void."""

    pause: int


@dataclass(frozen=True, slots=True)
class Judge:
    """Ask the turn model."""

    pause: int


@dataclass(frozen=True, slots=True)
class Forget:
    """They go on: open questions to the recogniser and the turn model are void."""


@dataclass(frozen=True, slots=True)
class Eager:
    """The turn may be over: the brain may begin on this text, silently. Tell it (`eager.turn`)."""

    turn: int
    message: str
    text: str
    confidence: float
    probability: float
    latency_ms: float
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """They paused and seem to have more to say (`turn.pause`)."""

    turn: int
    probability: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """They went on after a `Pause` (`turn.resumed`)."""

    turn: int


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The turn is over: these are its words (all of them, also those from before a `Continue`). Tell it
    (`user.message`, `turn.end`), and let the bot answer. `replaces` is the message of the same turn that was told
    before and is part of this one. `latency_ms` is from the last sound of the voice to now."""

    turn: int
    message: str
    text: str
    confidence: float
    probability: float
    latency_ms: float
    speech_ms: float
    language: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """They go on although the turn was told as eager or over (`turn.continued`): what answers it is void. Its words
    come again, with more, under the id `message`."""

    turn: int
    was: str
    message: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """The utterance is no turn (no words in it, or none that concern the bot), and says nothing against what the bot
    says or prepares for another turn; an `Eager` of its own is void. The next utterance may have the same number, never
    the same message."""

    turn: int


@dataclass(frozen=True, slots=True)
class HoldBot:
    """Somebody may be interrupting: stop our sound where it is, and keep the rest. `ResumeBot` or `Interrupt` follows,
    unless the bot's sound ends otherwise (`BotEnded`)."""


@dataclass(frozen=True, slots=True)
class ResumeBot:
    """It was nothing: go on with what was held."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Drop what we were saying and everything that waits behind it. `early` before 2 s of it were heard: what was said
    counts as unsaid; `user_spoke` after: what was heard stays said."""

    reason: Literal["early", "user_spoke"]


Action = (
    SpeechStarted
    | SpeechEnded
    | Interim
    | Recognise
    | Judge
    | Forget
    | Eager
    | Pause
    | Resumed
    | EndTurn
    | Continue
    | Nothing
    | HoldBot
    | ResumeBot
    | Interrupt
)
