"""What the turn rules remember of a call, and how long they wait for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omni.model.sound import Interruption, Sound, TurnDetection
from workers.voice.turns.words import Action

HEARD_MS: Final = 2_000.0
"""A bot that was cut before so much of it was heard has said nothing, and the user's turn goes on."""
HOLD_MS: Final = 120.0
"""So much voice stops the bot's sound, on suspicion: with the detector's delay it is silent within 200 ms."""
CERTAIN_MS: Final = 800.0
"""No cough, and no sign of attention, lasts so long: the recogniser is asked while they still speak."""
HELD_MS: Final = 6_000.0
"""A suspicion holds the bot no longer than this, beyond `resume_after_ms`."""
AFTER_ALL_MS: Final = 1_500.0
"""An "ok" over the end of what the bot says answers it, where the bot ends so soon after."""
ANSWER_MS: Final = 10_000.0
"""Whoever goes on while no answer is heard goes on with the same turn, for so long."""
RECOGNISER_MS: Final = 4_000.0
"""A recogniser that has not answered after so long will not."""
PARTIAL_MS: Final = 2_000.0
"""What a recogniser told along the way will do when its answer is so late. It lacks the last words: a busy machine
had better answer late than to half a sentence."""
JUDGE_MS: Final = 120.0
"""A turn model that has answered before is awaited so long beyond `silence_ms`."""
VAIN_MS: Final = 50.0
VAIN_MOST_MS: Final = 1_000.0
"""Every question that brings no words puts the next one off a little more, up to once a second."""

Did = tuple[Action, ...]
NOTHING_TO_DO: Final[Did] = ()
NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Policy:
    turns: TurnDetection = TurnDetection()
    interruption: Interruption = Interruption()

    @classmethod
    def of(cls, sound: Sound) -> Policy:
        return cls(sound.turns, sound.interruption)


@dataclass(frozen=True, slots=True)
class Speech:
    """An utterance that is not over."""

    turn: int
    message: str
    since: float
    confidence: float
    has_floor: bool
    """It is the user's turn. Without it they may be interrupting the bot, or going on with what it has not answered."""
    began: float
    """When the turn began, which may have been with an utterance before this one."""
    run_since: float
    """Since when they speak without a pause."""
    voice_ms: float = 0.0
    """Voice before that, of the whole turn."""
    quiet_since: float | None = None
    """The pause they are in."""
    is_plausible: bool = False
    """Enough voice, in one piece, to stop the bot's sound on suspicion."""
    is_long: bool = False
    """Enough voice, in one piece, to interrupt."""
    base: str = ""
    """The words of the turn from before it was continued."""
    replaces: str | None = None
    """The message that told them."""
    words: str = ""
    words_confidence: float = 0.0
    language: str | None = None
    is_fresh: bool = False
    """The words came since they last began to speak."""
    question: int | None = None
    """The one that is open."""
    is_asked: bool = False
    is_answered: bool = False
    judged: float | None = None
    is_eager: bool = False
    is_paused: bool = False
    forced_at: float | None = None
    """When it had become too long."""
    check_ms: float = CERTAIN_MS
    """After so much voice the recogniser is asked (again) whether they interrupt."""

    @property
    def text(self) -> str:
        """The whole turn so far."""
        return f"{self.base} {self.words}" if self.base and self.words else self.base or self.words


@dataclass(frozen=True, slots=True)
class Told:
    """A turn that is over but not answered: the user may go on with it."""

    turn: int
    message: str
    text: str
    confidence: float
    language: str | None
    at: float
    began: float
    speech_ms: float


@dataclass(frozen=True, slots=True)
class Bot:
    """What is being said, or held."""

    turn: int | None
    since: float
    before_ms: float = 0.0
    """Heard before `since`."""
    held_at: float | None = None
    resume_at: float | None = None

    def heard(self, at: float) -> float:
        return self.before_ms + (max(0.0, at - self.since) if self.held_at is None else 0.0)


@dataclass(frozen=True, slots=True)
class Talk:
    """All there is to know; its size does not depend on the length of the call."""

    turn: int = 0
    """The last one that was told."""
    speech: Speech | None = None
    told: Told | None = None
    bot: Bot | None = None
    is_deaf: bool = False
    is_wary: bool = False
    """The last suspicion was wrong, and the noise goes on: only words interrupt now."""
    has_judge: bool = False
    pause: int = 0
    """The last question's number."""
    asked_at: float = float("-inf")
    vain: int = 0
    """Questions since the last words."""
