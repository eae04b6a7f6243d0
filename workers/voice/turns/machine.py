"""The turn rules: `step` says what an event changes and what is to be done about it.

Whose turn it is, in the words of the protocol: a `Speech` without a pause is listening, with one is analysing; a `Told`
turn waits for the bot; a `Bot` speaks, or is held. Any two of them may be there at once.

`at` may lie a little before that of an earlier event (a voice is noticed after it began), and a program that answers
late, twice, or not at all changes nothing but how long things take.
"""

from __future__ import annotations

from dataclasses import replace

from workers.voice.turns import bargein, endpointing
from workers.voice.turns.state import NOTHING_TO_DO, Bot, Did, NewId, Policy, Talk
from workers.voice.turns.typing import typed
from workers.voice.turns.words import (
    BotBegan,
    BotEnded,
    Deafened,
    Event,
    Interim,
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


def step(talk: Talk, event: Event, policy: Policy, new_id: NewId) -> tuple[Talk, Did]:
    """What becomes of the talk, and what is to be done, in this order. Pure but for `new_id`, which gives a message id
    that was never used."""
    match event:
        case VoiceWent():
            return _voice_went(talk, event, policy, new_id)
        case Silence():
            return _silence(talk, event, policy)
        case Tick(at):
            return _time(talk, at, policy)
        case Partial():
            return _partial(talk, event, policy)
        case VoiceBegan(at, confidence):
            return _voice_began(talk, at, confidence, policy, new_id)
        case Recognised() | NotRecognised():
            return _answered(talk, event, policy)
        case Judged():
            return _judged(talk, event, policy)
        case BotBegan():
            return _bot_began(talk, event, policy)
        case BotEnded(at):
            return _bot_ended(talk, at, policy)
        case NoAnswer(_, turn):
            is_told = talk.told is not None and talk.told.turn == turn
            return (replace(talk, told=None) if is_told else talk), NOTHING_TO_DO
        case Deafened():
            return _deafened(talk, event)
        case Typed():
            return typed(talk, event, policy, new_id)


def _voice_began(talk: Talk, at: float, confidence: float, policy: Policy, new_id: NewId) -> tuple[Talk, Did]:
    if talk.is_deaf:
        return talk, NOTHING_TO_DO
    if talk.speech is None:
        return endpointing.begin(talk, at, confidence, policy, new_id)
    if talk.speech.quiet_since is not None:
        return endpointing.go_on(talk, talk.speech, at, new_id)
    return _time(talk, at, policy)


def _voice_went(talk: Talk, event: VoiceWent, policy: Policy, new_id: NewId) -> tuple[Talk, Did]:
    speech, actions = talk.speech, NOTHING_TO_DO
    if speech is None or speech.quiet_since is not None:
        # They go on after a turn that was ended by force, or its beginning was not heard.
        talk, actions = _voice_began(talk, event.at, event.confidence, policy, new_id)
        speech = talk.speech
        if speech is None:
            return talk, actions
    if talk.bot is not None or not speech.has_floor:
        talk, more = bargein.over_the_bot(talk, speech, event, policy)
        actions += more
    if event.at - speech.since >= policy.turns.max_turn_ms and talk.speech is not None:
        talk, more = endpointing.force(talk, talk.speech, event.at, policy)
        actions += more
    return talk, actions


def _silence(talk: Talk, event: Silence, policy: Policy) -> tuple[Talk, Did]:
    speech = talk.speech
    if speech is None:
        if talk.is_wary and event.ms >= policy.interruption.resume_after_ms:
            talk = replace(talk, is_wary=False)
        return bargein.relieve(talk, event.at, policy)
    if speech.quiet_since is None:
        if event.ms < min(policy.turns.eager_ms, policy.turns.silence_ms):
            return talk, NOTHING_TO_DO
        talk = endpointing.pause(talk, speech, event.at - event.ms)
    return _time(talk, event.at, policy)


def _time(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    actions = NOTHING_TO_DO
    if talk.speech is not None and talk.speech.quiet_since is not None:
        talk, actions = endpointing.weigh(talk, at, policy)
    elif talk.speech is not None and at - talk.speech.since >= policy.turns.max_turn_ms:
        talk, actions = endpointing.force(talk, talk.speech, at, policy)
    talk, more = bargein.relieve(talk, at, policy)
    return talk, actions + more


def _partial(talk: Talk, event: Partial, policy: Policy) -> tuple[Talk, Did]:
    speech, text = talk.speech, event.text.strip()
    if speech is None or not text or text == speech.words or (speech.is_asked and speech.is_answered):
        return talk, NOTHING_TO_DO
    talk = _words(talk, text, event.confidence, None)
    actions = NOTHING_TO_DO
    if bargein.is_going_on(talk, policy) or bargein.is_interruption(talk, policy):
        talk, actions = bargein.take_floor(talk, event.at, policy)
    speech = talk.speech
    assert speech is not None
    actions += (Interim(speech.turn, speech.message, speech.text, event.confidence),)
    talk, more = endpointing.weigh(talk, event.at, policy)
    return talk, actions + more


def _answered(talk: Talk, event: Recognised | NotRecognised, policy: Policy) -> tuple[Talk, Did]:
    speech = talk.speech
    if speech is None or speech.question != event.pause:
        return talk, NOTHING_TO_DO
    talk = replace(talk, speech=replace(speech, question=None, is_answered=True))
    if isinstance(event, Recognised) and (text := event.text.strip()):
        talk = _words(talk, text, event.confidence, event.language)
    if speech.quiet_since is not None:
        return endpointing.weigh(talk, event.at, policy)
    actions = NOTHING_TO_DO
    if talk.bot is not None:
        talk, actions = bargein.heard_meanwhile(talk, event.at, policy)
    if speech.forced_at is not None and talk.speech is not None:
        talk, more = endpointing.force(talk, talk.speech, event.at, policy)
        actions += more
    return talk, actions


def _words(talk: Talk, text: str, confidence: float, language: str | None) -> Talk:
    assert talk.speech is not None
    speech = replace(
        talk.speech,
        words=text,
        words_confidence=confidence,
        language=language or talk.speech.language,
        is_fresh=True,
    )
    return replace(talk, speech=speech, vain=0)


def _judged(talk: Talk, event: Judged, policy: Policy) -> tuple[Talk, Did]:
    if not talk.has_judge:
        talk = replace(talk, has_judge=True)
    speech = talk.speech
    if speech is None or not speech.is_asked or event.pause != talk.pause or speech.judged is not None:
        return talk, NOTHING_TO_DO
    talk = replace(talk, speech=replace(speech, judged=event.probability))
    return endpointing.weigh(talk, event.at, policy)


def _bot_began(talk: Talk, event: BotBegan, policy: Policy) -> tuple[Talk, Did]:
    told, bot, speech = talk.told, talk.bot, talk.speech
    if bot is not None and bot.turn == event.turn:
        return talk, NOTHING_TO_DO  # its next message
    if told is not None and bot is not None and bot.turn == told.turn:
        told = None  # its answer is said
    now = Bot(event.turn, since=event.at)
    if bot is not None and bot.held_at is not None:
        now = replace(now, held_at=bot.held_at, resume_at=bot.resume_at)
    elif speech is not None and speech.quiet_since is None:
        # Words that were said before count; a noise that was taken for a turn does not stop the bot for ever.
        speech = replace(speech, has_floor=speech.has_floor and bool(speech.text), is_long=False)
    return bargein.suspect(replace(talk, told=told, bot=now, speech=speech), event.at, policy)


def _bot_ended(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """What they are saying now is no interruption of anything any more: it answers."""
    told, bot = talk.told, talk.bot
    if bot is None:
        return talk, NOTHING_TO_DO
    if told is not None and bot.turn == told.turn:
        told = None
    return endpointing.weigh(replace(talk, told=told, bot=None), at, policy)


def _deafened(talk: Talk, event: Deafened) -> tuple[Talk, Did]:
    if event.on == talk.is_deaf:
        return talk, NOTHING_TO_DO
    if not event.on:
        return replace(talk, is_deaf=False), NOTHING_TO_DO
    talk, actions = endpointing.drop(talk, event.at)
    talk, more = bargein.let_go(talk, event.at)
    return replace(talk, is_deaf=True), actions + more
