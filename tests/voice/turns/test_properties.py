"""Whatever happens, possible or not, in whatever order: what always holds (`promises`)."""

from __future__ import annotations

from itertools import count

import hypothesis.strategies as st
from hypothesis import given, settings

from omni.model.sound import Interruption, TurnDetection
from tests.voice.turns.promises import Promises
from workers.voice.turns import Policy, Talk, step
from workers.voice.turns.words import (
    BotBegan,
    BotEnded,
    Deafened,
    Event,
    Judged,
    NoAnswer,
    NotRecognised,
    Partial,
    Recognised,
    Silence,
    Tick,
    Typed,
    VoiceBegan,
    VoiceWent,
)

CHANCE = st.sampled_from([0.0, 0.4, 0.75, 1.0])
MS = st.sampled_from([0.0, 20.0, 96.0, 120.0, 200.0, 320.0, 850.0, 1_500.0, 6_000.0, 70_000.0])
WORDS = st.sampled_from(["", " ", "mhm", "stop", "wait a moment", "my number is", "I want two and"])
POLICIES = st.builds(
    Policy,
    st.builds(
        TurnDetection,
        silence_ms=st.sampled_from([60, 200, 5_000]),
        max_silence_ms=st.sampled_from([60, 1_500]),
        eager_ms=st.sampled_from([20, 96, 5_000]),
        is_eager=st.booleans(),
        max_turn_ms=st.sampled_from([1_000, 60_000]),
    ),
    st.builds(
        Interruption,
        enabled=st.booleans(),
        min_duration_ms=st.sampled_from([0, 300, 5_000]),
        min_words=st.sampled_from([1, 2]),
        backchannel_filter=st.booleans(),
        resume_after_ms=st.sampled_from([0, 1_000]),
    ),
)
TURN = st.integers(0, 3)
AGO = st.integers(0, 2)
HAPPENING = st.one_of(
    st.tuples(st.just("began"), CHANCE),
    st.tuples(st.just("went"), MS, CHANCE, CHANCE),
    st.tuples(st.just("silence"), MS),
    st.tuples(st.just("partial"), WORDS),
    st.tuples(st.just("recognised"), AGO, WORDS),
    st.tuples(st.just("failed"), AGO),
    st.tuples(st.just("judged"), AGO, CHANCE),
    st.tuples(st.just("bot"), st.none() | TURN),
    st.tuples(st.just("bot ended")),
    st.tuples(st.just("no answer"), TURN),
    st.tuples(st.just("tick")),
    st.tuples(st.just("deaf"), st.booleans()),
    st.tuples(st.just("typed"), WORDS),
)


def event_of(happening: tuple, at: float, pause: int) -> Event:  # type: ignore[type-arg]
    match happening:
        case ("began", confidence):
            return VoiceBegan(at, confidence)
        case ("went", ms, confidence, volume):
            return VoiceWent(at, ms, confidence, volume)
        case ("silence", ms):
            return Silence(at, ms)
        case ("partial", text):
            return Partial(at, text, 0.5)
        case ("recognised", ago, text):
            return Recognised(at, pause - ago, text, 0.9)
        case ("failed", ago):
            return NotRecognised(at, pause - ago)
        case ("judged", ago, probability):
            return Judged(at, pause - ago, probability)
        case ("bot", turn):
            return BotBegan(at, f"m{at}", turn)
        case ("bot ended",):
            return BotEnded(at)
        case ("no answer", turn):
            return NoAnswer(at, turn)
        case ("deaf", on):
            return Deafened(at, on)
        case ("typed", text):
            return Typed(at, text)
        case _:
            return Tick(at)


@settings(max_examples=400, deadline=None)
@given(POLICIES, st.lists(st.tuples(st.sampled_from([0.0, 40.0, 200.0, 1_500.0]), HAPPENING), max_size=60))
def test_whatever_happens_no_promise_is_broken_and_it_ends(
    policy: Policy,
    happenings: list[tuple[float, tuple]],  # type: ignore[type-arg]
) -> None:
    numbers, talk, at, promises = count(1), Talk(), 0.0, Promises(policy)

    def happens(event: Event) -> None:
        nonlocal talk
        talk, actions = step(talk, event, policy, lambda: f"u{next(numbers)}")
        promises.hold(event, actions, talk)

    for wait, happening in happenings:
        at += wait
        happens(event_of(happening, at, talk.pause))
    quiet = 0.0
    while quiet < 90_000:  # nobody speaks, nobody answers, and the bot has finished
        at, quiet = at + 200, quiet + 200
        happens(BotEnded(at) if quiet == 10_000 else Silence(at, quiet))
    assert talk.speech is None
    assert talk.bot is None


@settings(max_examples=100, deadline=None)
@given(POLICIES, st.lists(HAPPENING, max_size=30))
def test_the_same_happenings_have_the_same_outcome(policy: Policy, happenings: list[tuple]) -> None:  # type: ignore[type-arg]
    def outcome() -> list[object]:
        numbers, talk, seen = count(1), Talk(), []
        for number, happening in enumerate(happenings):
            event = event_of(happening, number * 100.0, talk.pause)
            talk, actions = step(talk, event, policy, lambda: f"u{next(numbers)}")
            seen += [talk, *actions]
        return seen

    assert outcome() == outcome()
