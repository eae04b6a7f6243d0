"""A caller and a bot for the turn rules: voice and silence as the endpointer tells them, on a clock of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from omni.model.sound import Interruption, TurnDetection
from tests.voice.turns.promises import Promises
from workers.voice.turns import Policy, Talk, step
from workers.voice.turns.words import (
    Action,
    BotBegan,
    BotEnded,
    Deafened,
    EndTurn,
    Event,
    Judged,
    NoAnswer,
    NotRecognised,
    Partial,
    Recognise,
    Recognised,
    Silence,
    Tick,
    Typed,
    VoiceBegan,
    VoiceWent,
)

EVERY_MS = 40.0
"""How often the endpointer tells that a voice goes on."""
A = TypeVar("A")


def policy(**settings: object) -> Policy:
    """The defaults, but for the named settings of either kind."""
    turns = {name: value for name, value in settings.items() if name in TurnDetection.model_fields}
    gates = {name: value for name, value in settings.items() if name in Interruption.model_fields}
    assert turns.keys() | gates.keys() == settings.keys()
    return Policy(TurnDetection.model_validate(turns), Interruption.model_validate(gates))


def any_policy(rng: random.Random) -> Policy:
    """Some that a developer may set."""
    silence = rng.choice([100, 200, 200, 400, 800])
    return Policy(
        TurnDetection(
            silence_ms=silence,
            max_silence_ms=rng.choice([100, 1_000, 1_500, 3_000]),
            eager_ms=rng.choice([40, 96, 96, 500]),
            is_eager=rng.random() < 0.8,
            max_turn_ms=rng.choice([3_000, 20_000, 60_000]),
        ),
        Interruption(
            enabled=rng.random() < 0.8,
            min_duration_ms=rng.choice([0, 100, 300, 300, 700]),
            min_words=rng.choice([1, 2, 2, 4]),
            backchannel_filter=rng.random() < 0.8,
            resume_after_ms=rng.choice([0, 300, 1_000, 1_000, 4_000]),
        ),
    )


@dataclass
class Listener:
    """`did` is everything the rules wanted since it was last looked at with `take`."""

    policy: Policy = field(default_factory=policy)
    talk: Talk = field(default_factory=Talk)
    at: float = 0.0
    did: list[Action] = field(default_factory=list)
    times: list[tuple[float, Action]] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = count(1)
        self.new_id = lambda: f"u{next(numbers)}"
        self.promises = Promises(self.policy)

    def hears(self, event: Event) -> None:
        self.talk, actions = step(self.talk, event, self.policy, self.new_id)
        self.promises.hold(event, actions, self.talk)
        self.did += actions
        self.times += [(event.at, action) for action in actions]

    def voice(self, ms: float, *, confidence: float = 0.9, volume: float = 0.6) -> None:
        began, end = self.at, self.at + ms
        self.hears(VoiceBegan(began, confidence))
        while self.at + EVERY_MS <= end:
            self.at += EVERY_MS
            self.hears(VoiceWent(self.at, self.at - began, confidence, volume))
        self.at = end

    def quiet(self, ms: float, since: float = 0.0) -> None:
        """Silence of so much; `since` of it was told before."""
        gone, until = since, since + ms
        turns = self.policy.turns
        while gone < until:
            wanted = [t for t in (turns.eager_ms, turns.silence_ms, turns.max_silence_ms) if t > gone]
            step_ms = min([*wanted, gone + 100.0, until]) - gone
            gone += step_ms
            self.at += step_ms
            self.hears(Silence(self.at, gone))

    def says(self, text: str, ms: float = 800.0) -> None:
        """So many words, and the recogniser has them 100 ms after it was asked."""
        self.voice(ms)
        self.quiet(self.policy.turns.eager_ms)
        self.quiet(self.policy.turns.silence_ms - self.policy.turns.eager_ms - 20, since=self.policy.turns.eager_ms)
        self.recognised(text)

    def ends_a_turn(self, text: str) -> EndTurn:
        self.says(text)
        self.quiet(3_000.0, since=self.policy.turns.silence_ms - 20)
        return self.one(EndTurn)

    def recognised(self, text: str, language: str | None = None) -> None:
        self.hears(Recognised(self.at, self.question, text, 0.9 if text else 0.0, language))

    def not_recognised(self) -> None:
        self.hears(NotRecognised(self.at, self.question))

    def judged(self, probability: float) -> None:
        self.hears(Judged(self.at, self.question, probability))

    def partial(self, text: str) -> None:
        self.hears(Partial(self.at, text, 0.6))

    def bot_begins(self, turn: int | None = None) -> None:
        self.hears(BotBegan(self.at, f"m{self.at}", turn))

    def bot_ends(self) -> None:
        self.hears(BotEnded(self.at))

    def no_answer(self, turn: int) -> None:
        self.hears(NoAnswer(self.at, turn))

    def types(self, text: str) -> None:
        self.hears(Typed(self.at, text))

    def deafened(self, on: bool) -> None:
        self.hears(Deafened(self.at, on))

    def waits(self, ms: float) -> None:
        """Time passes in which nobody says anything, and the detector tells nothing."""
        for _ in range(int(ms // 100)):
            self.at += 100.0
            self.hears(Tick(self.at))

    @property
    def question(self) -> int:
        return [action.pause for _, action in self.times if isinstance(action, Recognise)][-1]

    def take(self) -> list[Action]:
        did, self.did = self.did, []
        return did

    def all(self, kind: type[A]) -> list[A]:
        return [action for action in self.did if isinstance(action, kind)]

    def one(self, kind: type[A]) -> A:
        (found,) = self.all(kind)
        return found

    def kinds(self) -> list[str]:
        return [type(action).__name__ for action in self.did]

    def first(self, kind: type[Action]) -> float:
        """When it was wanted."""
        return next(at for at, action in self.times if isinstance(action, kind))


def answering(heard_ms: float, **settings: object) -> Listener:
    """A bot whose answer to turn 1 has been heard for so long."""
    call = Listener(policy(**settings))
    call.ends_a_turn("Tell me about it.")
    call.bot_begins(turn=1)
    call.quiet(heard_ms, since=3_200)
    call.take()
    return call
