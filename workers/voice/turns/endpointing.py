"""When they have finished: an utterance from its first sound to the end of the turn.

At `eager_ms` of silence the recogniser is asked, and the turn model. At `silence_ms` the turn is over, if there are
words and nothing says that more is to come; otherwise up to `max_silence_ms` later. Every wait has an end.
"""

from __future__ import annotations

from dataclasses import replace

from workers.voice.turns import bargein
from workers.voice.turns.state import (
    JUDGE_MS,
    NOTHING_TO_DO,
    PARTIAL_MS,
    RECOGNISER_MS,
    VAIN_MOST_MS,
    VAIN_MS,
    Did,
    NewId,
    Policy,
    Speech,
    Talk,
    Told,
)
from workers.voice.turns.unfinished import finished
from workers.voice.turns.words import (
    Continue,
    Eager,
    EndTurn,
    Forget,
    Judge,
    Nothing,
    Pause,
    Recognise,
    Resumed,
    SpeechEnded,
    SpeechStarted,
)


def begin(talk: Talk, at: float, confidence: float, policy: Policy, new_id: NewId) -> tuple[Talk, Did]:
    told, bot = bargein.unanswered(talk, at, policy), talk.bot
    speech = Speech(
        turn=told.turn if told is not None else talk.turn + 1,
        message=new_id(),
        since=at,
        confidence=confidence,
        has_floor=told is None and bot is None,
        began=at,
        run_since=at,
    )
    if bot is not None and bot.resume_at is not None:
        bot = replace(bot, resume_at=None)
    started = SpeechStarted(speech.turn, speech.message, confidence, at)
    return replace(talk, speech=speech, bot=bot), (started,)


def pause(talk: Talk, speech: Speech, since: float) -> Talk:
    """They are silent. A question that was asked while they spoke is as good as none."""
    spoken = speech.voice_ms + max(0.0, since - speech.run_since)
    return replace(talk, speech=replace(speech, quiet_since=max(since, speech.since), voice_ms=spoken, is_asked=False))


def go_on(talk: Talk, speech: Speech, at: float, new_id: NewId) -> tuple[Talk, Did]:
    """They were not finished."""
    actions: Did = (Forget(),) if speech.is_asked or speech.question is not None else ()
    message = speech.message
    if speech.is_paused:
        actions += (Resumed(speech.turn),)
    if speech.is_eager:
        message = new_id()
        actions += (Continue(speech.turn, speech.message, message),)
    speech = Speech(
        turn=speech.turn,
        message=message,
        since=speech.since,
        confidence=speech.confidence,
        has_floor=speech.has_floor,
        began=speech.began,
        run_since=at,
        voice_ms=speech.voice_ms,
        is_long=speech.is_long,
        base=speech.base,
        replaces=speech.replaces,
        words=speech.words,
        words_confidence=speech.words_confidence,
        language=speech.language,
        forced_at=speech.forced_at,
    )
    return replace(talk, speech=speech), actions


def weigh(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """What a pause means by now."""
    speech = talk.speech
    if speech is None or speech.quiet_since is None:
        return talk, NOTHING_TO_DO
    turns, quiet = policy.turns, at - speech.quiet_since
    if not speech.is_asked:
        off = min(VAIN_MOST_MS, VAIN_MS * talk.vain)
        if quiet < min(turns.eager_ms, turns.silence_ms) or at < talk.asked_at + off:
            return talk, NOTHING_TO_DO
        return ask(talk, speech, at)
    if not speech.is_answered and not _is_overdue(talk, speech, at):
        return talk, NOTHING_TO_DO
    if not speech.text:
        return end(talk, at, policy) if quiet >= turns.silence_ms else (talk, NOTHING_TO_DO)
    actions = NOTHING_TO_DO
    if not speech.has_floor:
        talk, actions = bargein.weigh_words(talk, at, policy)
        speech = talk.speech
        assert speech is not None
        if not speech.has_floor:
            if bargein.is_beside_the_point(talk, at, policy):
                talk, more = end(talk, at, policy)
                actions += more
            return talk, actions
    talk, more = _decide(talk, speech, at, quiet, policy)
    return talk, actions + more


def ask(talk: Talk, speech: Speech, at: float) -> tuple[Talk, Did]:
    number = talk.pause + 1
    speech = replace(speech, question=number, is_asked=True, is_answered=False, judged=None)
    talk = replace(talk, speech=speech, pause=number, asked_at=at, vain=talk.vain + 1)
    return talk, (Recognise(number), Judge(number))


def end(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """The utterance is over: a turn where it has words and the floor."""
    speech, bot = talk.speech, talk.bot
    assert speech is not None
    last = speech.quiet_since if speech.quiet_since is not None else at
    voice_ms = speech.voice_ms + (0.0 if speech.quiet_since is not None else max(0.0, at - speech.run_since))
    actions: Did = (Forget(),) if speech.question is not None else ()
    talk = replace(talk, speech=None)
    if not (speech.has_floor and speech.text):
        actions += (SpeechEnded(speech.turn, last - speech.since), Nothing(speech.turn))
        if bot is not None and bot.held_at is not None:
            held = replace(bot, resume_at=last + policy.interruption.resume_after_ms)
            talk, more = bargein.relieve(replace(talk, bot=held), at, policy)
            actions += more
        return talk, actions
    probability = _guess(speech)
    told = EndTurn(
        turn=speech.turn,
        message=speech.message,
        text=speech.text,
        confidence=speech.words_confidence,
        probability=probability,
        latency_ms=at - last,
        speech_ms=voice_ms,
        language=speech.language,
        replaces=speech.replaces,
    )
    if bot is not None and bot.held_at is not None:
        talk, more = bargein.take_floor(replace(talk, speech=speech), at, policy)
        talk = replace(talk, speech=None)
        actions += more
    actions += (SpeechEnded(speech.turn, last - speech.since), told)
    known = Told(told.turn, told.message, told.text, told.confidence, told.language, at, speech.began, told.speech_ms)
    return replace(talk, turn=speech.turn, told=known, is_wary=False), actions


def drop(talk: Talk, at: float) -> tuple[Talk, Did]:
    """What they are saying does not count."""
    speech = talk.speech
    actions: Did = ()
    if speech is not None:
        until = speech.quiet_since if speech.quiet_since is not None else max(at, speech.run_since)
        actions = (Forget(),) if speech.is_asked or speech.question is not None else ()
        actions += (SpeechEnded(speech.turn, until - speech.since), Nothing(speech.turn))
    return replace(talk, speech=None, told=None), actions


def force(talk: Talk, speech: Speech, at: float, policy: Policy) -> tuple[Talk, Did]:
    """Sound without a pause has lasted too long: it is a turn, if there are words in it."""
    if speech.forced_at is None:
        actions = NOTHING_TO_DO
        if speech.question is None:
            talk, actions = ask(talk, speech, at)
            assert talk.speech is not None
            speech = talk.speech
        return replace(talk, speech=replace(speech, forced_at=at, is_answered=False)), actions
    if not speech.is_answered and at - speech.forced_at < RECOGNISER_MS:
        return talk, NOTHING_TO_DO
    actions = NOTHING_TO_DO
    is_free = talk.bot is None or not policy.interruption.enabled
    if speech.words and not speech.has_floor and (is_free or bargein.is_interruption(talk, policy)):
        talk, actions = bargein.take_floor(talk, at, policy)
    talk, more = end(talk, at, policy)
    return replace(talk, told=None), actions + more


def _decide(talk: Talk, speech: Speech, at: float, quiet: float, policy: Policy) -> tuple[Talk, Did]:
    """They have the floor and have said something: are they finished?"""
    turns, probability = policy.turns, _guess(speech)
    if quiet >= _patience(probability, policy) and not _awaits_judge(talk, speech, quiet, policy):
        return end(talk, at, policy)
    said = speech.quiet_since is not None and speech.is_answered
    if probability >= 0.5 and turns.is_eager and said and not speech.is_eager and not speech.is_paused:
        told = Eager(
            speech.turn, speech.message, speech.text, speech.words_confidence, probability, quiet, speech.language
        )
        return replace(talk, speech=replace(speech, is_eager=True)), (told,)
    if probability < 0.5 and quiet >= turns.silence_ms and not speech.is_paused:
        return replace(talk, speech=replace(speech, is_paused=True)), (Pause(speech.turn, probability, quiet),)
    return talk, NOTHING_TO_DO


def _guess(speech: Speech) -> float:
    """How likely it is that they have finished: either the words or the turn model may say that more is to come."""
    words = finished(speech.words or speech.base, speech.language)
    if speech.judged is None:
        return words
    return min(words, speech.judged) if words < 0.5 else speech.judged


def _patience(probability: float, policy: Policy) -> float:
    turns = policy.turns
    more = max(0.0, turns.max_silence_ms - turns.silence_ms)
    return turns.silence_ms + more * min(1.0, max(0.0, (0.5 - probability) / 0.4))


def _awaits_judge(talk: Talk, speech: Speech, quiet: float, policy: Policy) -> bool:
    return talk.has_judge and speech.judged is None and quiet < policy.turns.silence_ms + JUDGE_MS


def _is_overdue(talk: Talk, speech: Speech, at: float) -> bool:
    """The recogniser is so late that its last partial, or nothing, has to do."""
    return at - talk.asked_at >= (PARTIAL_MS if speech.words and speech.is_fresh else RECOGNISER_MS)
