"""A seeded world around the turn rules: people who speak, cough and pause, a recogniser, a turn model and a bot that
answer when they like, on one virtual clock.

In a kind world everything answers within half a second and is right, and whoever speaks means it. In a hostile one
answers are late, missing, stale, doubled or wrong, the bot speaks unasked, and the call is put on hold at any moment.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from tests.voice.turns.listener import any_policy
from tests.voice.turns.promises import Promises
from tests.voice.turns.speaker import Speaker
from workers.voice.turns import Policy, Talk, step
from workers.voice.turns.state import NewId
from workers.voice.turns.words import (
    Action,
    Deafened,
    EndTurn,
    Event,
    HoldBot,
    Interrupt,
    Judge,
    Judged,
    NoAnswer,
    Nothing,
    NotRecognised,
    Partial,
    Recognise,
    Recognised,
    ResumeBot,
    Silence,
    SpeechStarted,
    Tick,
    VoiceBegan,
    VoiceWent,
)

Step = Callable[[Talk, Event, Policy, NewId], tuple[Talk, tuple[Action, ...]]]
WORD_MS = 250.0
BEFORE_MS = 300.0
"""The recogniser is given so much from before the voice was noticed."""


@dataclass
class World:
    seed: int
    is_kind: bool = False
    step: Step = step
    seconds: float = 120.0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.policy = Policy() if self.is_kind else any_policy(self.rng)
        self.talk = Talk()
        self.promises = Promises(self.policy)
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self.order, self.ids = count(), count(1)
        self.now = 0.0
        self.steps = 0
        self.spoken: list[tuple[float, str]] = []
        self.heard_from = 0.0
        self.meant: list[str] = []
        self.turns: dict[int, str] = {}
        self.bot = Speaker(lambda: self.now, self._after, self.happens, self.ids)
        self.kinds: set[str] = set()

    def run(self) -> World:
        at = 500.0
        while at < self.seconds * 1_000:
            at = self._speaks(at)
            at = self._pauses(at, self._pause_ms())
        self._pauses(at, 40_000.0)
        for second in range(int(at / 1_000) + 60):
            self._at(second * 1_000.0 + 7, self._ticks)
        if not self.is_kind:
            for _ in range(int(self.seconds / 20)):
                self._at(self.rng.uniform(0, at), self._meddles)
        while self.later and self.later[0][0] <= at + 40_000:
            self.now, _, happens = heapq.heappop(self.later)
            happens()
        return self

    # the caller

    def _speaks(self, at: float) -> float:
        rng = self.rng
        kind = rng.choices(["words", "noise", "mhm", "music"], [6, 2, 2, 0 if self.is_kind else 0.3])[0]
        words = rng.randint(2, 8) if self.is_kind else rng.randint(1, 8)
        ms = {"words": words * WORD_MS, "noise": rng.uniform(80, 280), "mhm": rng.uniform(150, 450)}.get(
            kind, rng.uniform(2_000, 40_000)
        )
        is_clear = kind == "words" if self.is_kind else rng.random() < 0.7
        confidence, volume = (0.9, 0.7) if is_clear or rng.random() < 0.5 else (0.75, 0.2)
        if kind == "words":
            for number in range(words):
                word = f"w{len(self.meant)}"
                self.meant.append(word)
                if not self.is_kind and number == words - 1 and rng.random() < 0.2:
                    word += " and"
                self.spoken.append((at + (number + 1) * WORD_MS - 20, word))
        elif kind == "mhm":
            self.spoken.append((at + ms * 0.6, "mhm"))
        self._at(at + 60, lambda: self.happens(VoiceBegan(at, confidence)))
        gone = 80.0
        while gone <= ms:
            self._at(at + gone, lambda gone=gone: self.happens(VoiceWent(at + gone, gone, confidence, volume)))
            gone += 40.0
        return at + ms

    def _pause_ms(self) -> float:
        rng = self.rng
        return rng.choice(
            [rng.uniform(30, 150), rng.uniform(100, 500), rng.uniform(500, 3_000), rng.uniform(2e3, 15e3)]
        )

    def _pauses(self, at: float, ms: float) -> float:
        gone = 20.0
        while gone < ms:
            self._at(at + gone, lambda gone=gone: self.happens(Silence(at + gone, gone)))
            gone += 20.0 if gone < 300 else 100.0
        return at + ms

    def _ticks(self) -> None:
        self.happens(Tick(self.now))

    def _meddles(self) -> None:
        rng = self.rng
        match rng.randrange(4):
            case 0:
                self.happens(Deafened(self.now, True))
                self._after(rng.uniform(0, 5_000), lambda: self.happens(Deafened(self.now, False)))
            case 1:
                self.bot.says(None, rng.uniform(100, 8_000))
            case 2:
                self.happens(NoAnswer(self.now, rng.randint(0, self.talk.turn + 1)))
            case _:
                self.bot.drop(tells=True)

    # the rules

    def happens(self, event: Event) -> None:
        self.steps += 1
        self.talk, actions = self.step(self.talk, event, self.policy, lambda: f"u{next(self.ids)}")
        self.promises.hold(event, actions, self.talk)
        for action in actions:
            self.kinds.add(type(action).__name__)
            self._does(action)

    def _does(self, action: Action) -> None:
        match action:
            case SpeechStarted(since=since):
                self.heard_from = max(self.heard_from, since - BEFORE_MS)
                self._partials()
            case Nothing():
                self.heard_from = self.now
            case Recognise(pause):
                self._recognises(pause)
            case Judge(pause):
                if self.rng.random() < 0.7:
                    late = self.rng.uniform(60, 150) if self.is_kind else self.rng.expovariate(1 / 200)
                    sure = self.rng.random()
                    self._after(late, lambda: self.happens(Judged(self.now, pause, sure)))
            case EndTurn(turn, message, text):
                self.heard_from = self.now
                self.turns[turn] = text
                self._answers(turn, message)
            case HoldBot():
                self.bot.hold()
            case ResumeBot():
                self.bot.resume()
            case Interrupt():
                said = set(self._text().split()) - {"mhm"}
                assert said or not self.is_kind, "only words interrupt"
                self.bot.drop(tells=self.rng.random() < 0.5)
            case _:
                pass

    # the recogniser

    def _text(self) -> str:
        return " ".join(word for at, word in self.spoken if self.heard_from <= at <= self.now)

    def _recognises(self, pause: int) -> None:
        rng, text = self.rng, self._text()
        if self.is_kind:
            self._after(rng.uniform(20, 500), lambda: self.happens(Recognised(self.now, pause, text, 0.9)))
            return
        for _ in range(rng.choice([0, 1, 1, 1, 1, 1, 1, 2])):
            answer: Callable[[], None]
            if rng.random() < 0.1:
                answer = lambda: self.happens(NotRecognised(self.now, pause))  # noqa: E731
            else:
                said = rng.choice([text, text, text, text, text, "", "mhm", f"{text} wrong"])
                answer = lambda said=said: self.happens(Recognised(self.now, pause, said, 0.5, "en"))  # noqa: E731
            self._after(rng.choice([rng.expovariate(1 / 250), rng.uniform(0, 9_000)]), answer)

    def _partials(self) -> None:
        if self.rng.random() < 0.5:
            return
        since = self.heard_from

        def tell() -> None:
            if self.heard_from == since and self.talk.speech is not None:
                self.happens(Partial(self.now, self._text(), 0.5))
                self._after(self.rng.uniform(100, 600), tell)

        self._after(300, tell)

    # the brain

    def _answers(self, turn: int, message: str) -> None:
        late = self.rng.choice([0.0, 200.0, 600.0, 3_000.0, 12_000.0])
        self._after(late, lambda: self._answer(turn, message))

    def _answer(self, turn: int, message: str) -> None:
        told = self.promises.last
        if told is None or told.message != message or self.promises.continued is not None:
            return  # stale
        if self.rng.random() < 0.1:
            self.happens(NoAnswer(self.now, turn))
        else:
            self.bot.says(turn, self.rng.uniform(200, 9_000))

    # time

    def _at(self, at: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self.later, (at, next(self.order), happens))

    def _after(self, ms: float, happens: Callable[[], None]) -> None:
        self._at(self.now + ms, happens)
