"""A turn that is typed: it needs no ear, no pause and no judgement."""

from __future__ import annotations

from dataclasses import replace

from workers.voice.turns import bargein, endpointing
from workers.voice.turns.state import NOTHING_TO_DO, Did, NewId, Policy, Talk
from workers.voice.turns.words import SpeechEnded, Typed


def typed(talk: Talk, event: Typed, policy: Policy, new_id: NewId) -> tuple[Talk, Did]:
    """What they were saying aloud is over; what the bot says is dropped, where it may be; and a turn that it has not
    answered yet goes on with these words. Nothing is told of speech: there was none."""
    at, text, actions = event.at, event.text.strip(), NOTHING_TO_DO
    if not text:
        return talk, NOTHING_TO_DO
    if talk.speech is not None:
        talk, actions = endpointing.end(talk, at, policy)
    talk, _ = endpointing.begin(talk, at, 1.0, policy, new_id)
    assert talk.speech is not None
    speech = replace(talk.speech, words=text, words_confidence=1.0, quiet_since=at)
    talk, more = bargein.take_floor(replace(talk, speech=speech), at, policy)
    talk, told = endpointing.end(talk, at, policy)
    return talk, actions + more + tuple(each for each in told if not isinstance(each, SpeechEnded))
