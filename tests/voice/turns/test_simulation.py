"""Minutes of talk in which anything happens at any moment, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.voice.turns.promises import Broken
from tests.voice.turns.world import World
from workers.voice.turns import Policy, Talk, step
from workers.voice.turns.state import NewId
from workers.voice.turns.words import (
    Action,
    Continue,
    EndTurn,
    Event,
    HoldBot,
    Interrupt,
    Nothing,
    Recognise,
    ResumeBot,
    SpeechEnded,
)


def settled(world: World) -> None:
    """Half a minute after the last sound."""
    bot = world.talk.bot
    assert world.talk.speech is None, "an utterance is open for ever"
    assert bot is None or bot.held_at is None, "the bot is held for ever"


@pytest.mark.parametrize("seed", range(40))
def test_a_hostile_world_breaks_no_promise(seed: int) -> None:
    world = World(seed).run()
    settled(world)
    assert world.steps > 1_000


@pytest.mark.parametrize("seed", range(40))
def test_in_a_kind_world_every_word_is_in_one_turn_and_in_order(seed: int) -> None:
    world = World(seed, is_kind=True).run()
    settled(world)
    told = [word for turn in sorted(world.turns) for word in world.turns[turn].split()]
    told = [word for word in told if word != "mhm"]  # which is a turn where the bot is silent, and not over it
    assert told == world.meant
    assert len(told) > 20


def test_the_worlds_bring_up_everything_that_the_rules_can_want() -> None:
    worlds = [World(seed, is_kind=seed % 2 == 0).run() for seed in range(12)]
    assert set.union(*(world.kinds for world in worlds)) == {kind.__name__ for kind in Action.__args__}


# What would be wrong, and must be noticed: the rules with a flaw.

Flaw = Callable[[Talk, Event, Talk, tuple[Action, ...]], tuple[Talk, tuple[Action, ...]]]


def without(kind: type[Action]) -> Flaw:
    return lambda _was, _event, talk, did: (talk, tuple(action for action in did if not isinstance(action, kind)))


def changed(kind: type[Action], change: Callable[..., Action]) -> Flaw:
    return lambda _was, _event, talk, did: (
        talk,
        tuple(change(action) if isinstance(action, kind) else action for action in did),
    )


def never_ends(was: Talk, _event: Event, talk: Talk, did: tuple[Action, ...]) -> tuple[Talk, tuple[Action, ...]]:
    """Noise leaves its utterance open."""
    return (was, ()) if any(isinstance(action, Nothing) for action in did) else (talk, did)


def never_resumes(was: Talk, _event: Event, talk: Talk, did: tuple[Action, ...]) -> tuple[Talk, tuple[Action, ...]]:
    if not any(isinstance(action, ResumeBot) for action in did):
        return talk, did
    return replace(talk, bot=was.bot), tuple(action for action in did if not isinstance(action, ResumeBot))


def interrupts_for_noise(
    was: Talk, _event: Event, talk: Talk, did: tuple[Action, ...]
) -> tuple[Talk, tuple[Action, ...]]:
    return talk, (Interrupt("early"), *did) if any(isinstance(action, Nothing) for action in did) else did


def asks_all_the_time(was: Talk, event: Event, talk: Talk, did: tuple[Action, ...]) -> tuple[Talk, tuple[Action, ...]]:
    if talk.speech is None or did:
        return talk, did
    pause = talk.pause + 1
    return replace(talk, pause=pause, speech=replace(talk.speech, question=pause)), (Recognise(pause),)


FLAWS: dict[str, Flaw] = {
    "a turn ends twice": lambda _w, _e, talk, did: (
        talk,
        (*did, *(action for action in did if isinstance(action, EndTurn))),
    ),
    "a turn never ends": without(EndTurn),
    "the end of speech is not told": without(SpeechEnded),
    "a turn without words": changed(Nothing, lambda a: EndTurn(a.turn, "u1", "", 1.0, 1.0, 0.0, 0.0)),
    "the words from before are lost": changed(EndTurn, lambda a: replace(a, text=a.text.split()[-1])),
    "a message id is used again": changed(Continue, lambda a: replace(a, message=a.was)),
    "what is continued is not told": without(Continue),
    "turns are not counted": changed(EndTurn, lambda a: replace(a, turn=1)),
    "what is replaced is not told": changed(EndTurn, lambda a: replace(a, replaces=None)),
    "a bot that is silent is interrupted": interrupts_for_noise,
    "early and late are mixed up": changed(Interrupt, lambda _: Interrupt("early")),
    "the bot is not stopped": without(HoldBot),
    "the bot is not resumed": without(ResumeBot),
    "the bot is held for ever": never_resumes,
    "an utterance stays open": never_ends,
    "the recogniser is asked all the time": asks_all_the_time,
}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=list(FLAWS))
def test_rules_with_a_flaw_are_found_out(flaw: Flaw) -> None:
    def flawed(talk: Talk, event: Event, policy: Policy, new_id: NewId) -> tuple[Talk, tuple[Action, ...]]:
        now, did = step(talk, event, policy, new_id)
        return flaw(talk, event, now, did)

    def worlds() -> None:
        for seed in range(10):
            settled(World(seed, step=flawed).run())

    with pytest.raises((Broken, AssertionError)):
        worlds()
