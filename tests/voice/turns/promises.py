"""What always holds of the turn rules, whatever happens in whatever order: looked at after every step."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass

from workers.voice.turns import Policy, Talk
from workers.voice.turns.state import AFTER_ALL_MS, HEARD_MS, HELD_MS, RECOGNISER_MS
from workers.voice.turns.words import (
    Action,
    BotBegan,
    BotEnded,
    Continue,
    Eager,
    EndTurn,
    Event,
    Forget,
    HoldBot,
    Interim,
    Interrupt,
    Nothing,
    NotRecognised,
    Pause,
    Recognise,
    Recognised,
    ResumeBot,
    Resumed,
    Silence,
    SpeechEnded,
    SpeechStarted,
    Typed,
)

SLACK_MS = 1_000.0
"""Nothing can be done between two events."""
MOST_QUESTIONS = 14
"""In one second: less than the pauses that fit into it, and one while they speak."""


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass
class Promises:
    policy: Policy
    is_speaking: bool = False
    """Between `SpeechStarted` and `SpeechEnded`."""
    since: float = 0.0
    ended: SpeechEnded | None = None
    is_paused: bool = False
    message: str = ""
    messages: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    """The text of every message that was told as over."""
    eager: Eager | None = None
    last: EndTurn | None = None
    continued: Continue | None = None
    """A turn that was over goes on."""
    question: int | None = None
    questions: int = 0
    asked: list[float] = field(default_factory=list)
    words: str = ""
    """What the recogniser had for this utterance last."""
    bot_since: float | None = None
    bot_turn: int | None = None
    answered: int | None = None
    """The turn whose answer was heard, or ended."""
    heard_ms: float = 0.0
    held_at: float | None = None
    now: float = 0.0
    holds: int = 0

    def hold(self, event: Event, actions: tuple[Action, ...], talk: Talk) -> None:
        self.now = max(self.now, event.at)
        if isinstance(event, BotBegan) and (self.bot_since is None or self.bot_turn != event.turn):
            self.bot_turn, self.heard_ms = event.turn, 0.0
            self.bot_since = event.at
        elif isinstance(event, BotEnded):
            if self.bot_since is not None:
                self.answered = self.bot_turn
            self.bot_since = self.held_at = None
        elif isinstance(event, Recognised) and event.pause == self.question:
            self.question = None
            if self.is_speaking and event.text.strip():
                self.words = event.text.strip()
        elif isinstance(event, NotRecognised) and event.pause == self.question:
            self.question = None
        if isinstance(event, Typed):
            actions = _as_spoken(event, actions)
        for action in actions:
            self._kept(action, event.at)
        self._must(self.ended is None, "an utterance that ended is a turn or nothing, at once")
        self._settled(event, talk)

    def _must(self, holds: bool, promise: str) -> None:
        if not holds:
            raise Broken(promise)

    def _settled(self, event: Event, talk: Talk) -> None:
        must = self._must
        must(self.is_speaking == (talk.speech is not None), "the speech that was told is the one that is known")
        is_held = talk.bot is not None and talk.bot.held_at is not None
        must(is_held == (self.held_at is not None), "the bot is held when it was told so")
        if self.held_at is not None:
            most = self.policy.interruption.resume_after_ms + HELD_MS + SLACK_MS
            must(event.at - self.held_at <= most, "a bot is not held for longer than a suspicion lasts")
            is_calm = isinstance(event, Silence) and event.ms >= self.policy.interruption.resume_after_ms
            must(self.is_speaking or not is_calm, "a bot that was held for nothing goes on after so much silence")
        if self.is_speaking:
            must(event.at - self.since <= self._longest(), "an utterance comes to an end")
        must(_size(talk) <= 70, "what is remembered does not grow")

    def _longest(self) -> float:
        """How long an utterance may be, with the longest pause in it that may be waited for."""
        turns, gate = self.policy.turns, self.policy.interruption
        over_the_bot = gate.resume_after_ms + AFTER_ALL_MS if gate.enabled else turns.max_turn_ms
        pause = RECOGNISER_MS + max(turns.silence_ms, turns.max_silence_ms, over_the_bot)
        return turns.max_turn_ms + RECOGNISER_MS + pause + 6 * SLACK_MS

    def _kept(self, action: Action, at: float) -> None:
        must = self._must
        if self.ended is not None:
            must(isinstance(action, EndTurn | Nothing), "right behind the end of speech is what it was")
        match action:
            case SpeechStarted(turn, message, _, since):
                must(not self.is_speaking, "one utterance at a time")
                must(turn >= 1 and (self.last is None or turn >= self.last.turn), "turns count upwards")
                self.is_speaking, self.message, self.words, self.continued = True, message, "", None
                self.since = since
                self._new_message(message)
            case SpeechEnded():
                must(self.is_speaking, "no end without a beginning")
                must(action.duration_ms >= 0, "speech takes time")
                self.is_speaking, self.ended = False, action
                self.is_paused = False
            case Nothing(turn):
                must(self.ended is not None and self.ended.turn == turn, "nothing comes of an utterance that ended")
                self.ended = self.eager = None
            case EndTurn():
                self._turn_ended(action)
            case Continue(turn, was, message):
                must(self.is_speaking, "only who speaks goes on")
                if self.eager is not None:
                    must(was == self.eager.message, "what is continued is what was told as eager")
                    self.eager = None
                    self._new_message(message)
                else:
                    must(self.last is not None and self.last.message == was, "what is continued was told as over")
                    must(self.last is not None and self.last.turn == turn, "the turn keeps its number")
                    must(message == self.message, "an utterance has one message id")
                    must(turn != self.answered, "a turn whose answer was heard is over")
                    self.continued = action
                self.message = message
            case Eager(_, message, text):
                must(self.is_speaking and self.eager is None, "eager once, before the end")
                must(bool(text.strip()), "no eager turn without words")
                must(message == self.message, "an utterance has one message id")
                must(self.policy.turns.is_eager, "eager only where it is wanted")
                self.eager = action
            case Interim(_, message, text):
                must(self.is_speaking and message == self.message, "interim words belong to who speaks")
                base = self.told[self.continued.was] if self.continued is not None else ""
                must(text.startswith(base), "interim words begin with those from before")
                self.words = text.removeprefix(base).strip()
            case Pause():
                must(self.is_speaking and not self.is_paused, "a pause is told once")
                self.is_paused = True
            case Resumed():
                must(self.is_paused, "only a pause that was told is resumed")
                self.is_paused = False
            case Recognise(pause):
                must(self.is_speaking, "nothing is asked of nobody")
                must(pause > self.questions, "questions have numbers of their own")
                self.question = self.questions = pause
                self.asked = [*(then for then in self.asked if at - then < 1_000.0), at]
                must(len(self.asked) <= MOST_QUESTIONS, "the recogniser is not asked all the time")
            case Forget():
                self.question = None
            case HoldBot():
                must(self.bot_since is not None and self.held_at is None, "only a bot that is heard is held")
                must(self.policy.interruption.enabled, "nothing holds a bot that must not be interrupted")
                self.heard_ms += max(0.0, at - (self.bot_since or 0.0))
                self.held_at = at
                self.holds += 1
            case ResumeBot():
                must(self.held_at is not None, "only a bot that is held goes on")
                self.held_at, self.bot_since = None, at
            case Interrupt(reason):
                must(self.bot_since is not None, "only a bot that speaks is interrupted")
                must(self.policy.interruption.enabled, "nothing interrupts a bot that must not be")
                running = max(0.0, at - (self.bot_since or 0.0)) if self.held_at is None else 0.0
                self.answered = self.bot_turn if reason == "user_spoke" else self.answered
                is_early = self.heard_ms + running < HEARD_MS
                must((reason == "early") == is_early, "early is what was not heard for 2 s")
                self.bot_since = self.held_at = None
            case _:
                pass

    def _turn_ended(self, told: EndTurn) -> None:
        must = self._must
        must(self.ended is not None and self.ended.turn == told.turn, "a turn ends with its speech")
        must(bool(told.text.strip()), "no turn without words")
        must(told.message == self.message and told.message not in self.told, "a message is told once, as its own")
        must(self.held_at is None, "whoever has the turn has interrupted")
        base = ""
        if self.continued is not None:
            must(told.replaces == self.continued.was, "a continued turn replaces what was told")
            must(self.last is not None and told.turn == self.last.turn, "a continued turn keeps its number")
            base = self.told[self.continued.was]
        else:
            must(told.replaces is None, "a new turn replaces nothing")
            must(told.turn == (self.last.turn if self.last else 0) + 1, "turns are numbered one after the other")
        if self.words:
            must(told.text == f"{base} {self.words}".strip(), "a turn is all its words in order")
        must(told.text.startswith(base), "a turn that goes on begins as it began")
        if self.eager is not None:
            must((self.eager.message, self.eager.text) == (told.message, told.text), "the brain began on these words")
        must(told.latency_ms >= 0 and told.speech_ms >= 0 and 0 <= told.probability <= 1, "numbers mean something")
        if told.replaces is None and self.answered == told.turn:
            self.answered = None  # a bot that spoke for a turn that there was not yet
        self.told[told.message] = told.text
        self.last, self.ended, self.eager, self.continued = told, None, None, None

    def _new_message(self, message: str) -> None:
        self._must(message not in self.messages, "a message id is used once")
        self.messages.add(message)


def _as_spoken(typed: Typed, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """What is typed is a turn without speech. With speech around it all the same must hold of it."""
    if not typed.text.strip():
        assert not actions
        return actions
    *before, end = actions
    assert isinstance(end, EndTurn)
    assert end.text.endswith(typed.text.strip())
    began = next((at + 2 for at, each in enumerate(before) if isinstance(each, SpeechEnded)), 0)
    return (
        *before[:began],
        SpeechStarted(end.turn, end.message, 1.0, typed.at),
        *before[began:],
        SpeechEnded(end.turn, 0.0),
        end,
    )


def _size(value: object) -> int:
    """How many values it is made of."""
    if not is_dataclass(value):
        return 1
    return sum(_size(getattr(value, each.name)) for each in fields(value))
