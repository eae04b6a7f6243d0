"""Who speaks over the bot: its sound stops on suspicion, and is dropped for words or goes on.

A suspicion (`HoldBot`) costs nothing that cannot be mended, so it comes early. What is dropped (`Interrupt`) does not
come back, so it takes `min_words`, or `min_duration_ms` of voice in which something was said. With
`backchannel_filter` off the voice alone is enough.

With `enabled` off nothing stops the bot. What is said over it is recognised, and is a turn when the bot has finished.
"""

from __future__ import annotations

from dataclasses import replace

from workers.voice.turns.backchannel import is_backchannel, tokens
from workers.voice.turns.state import (
    AFTER_ALL_MS,
    ANSWER_MS,
    HEARD_MS,
    HELD_MS,
    HOLD_MS,
    NOTHING_TO_DO,
    RECOGNISER_MS,
    Bot,
    Did,
    Policy,
    Speech,
    Talk,
    Told,
)
from workers.voice.turns.words import Continue, Forget, HoldBot, Interrupt, Recognise, ResumeBot, VoiceWent


def unanswered(talk: Talk, at: float, policy: Policy) -> Told | None:
    """The turn that whoever speaks now goes on with."""
    told, bot = talk.told, talk.bot
    if told is None or at - told.began >= policy.turns.max_turn_ms:
        return None
    if bot is not None and bot.turn == told.turn:
        return told if bot.heard(at) < HEARD_MS else None
    return told if at - told.at <= ANSWER_MS else None


def over_the_bot(talk: Talk, speech: Speech, event: VoiceWent, policy: Policy) -> tuple[Talk, Did]:
    """They still speak: while the bot does, or before it has answered."""
    at, gate = event.at, policy.interruption
    talk, actions = relieve(talk, at, policy)
    if event.confidence >= gate.confidence and event.volume >= gate.min_volume:
        is_plausible = event.ms >= min(HOLD_MS, gate.min_duration_ms)
        is_long = speech.is_long or event.ms >= gate.min_duration_ms
        if is_plausible != speech.is_plausible or is_long != speech.is_long:
            speech = replace(speech, is_plausible=is_plausible or speech.is_plausible, is_long=is_long)
            talk = replace(talk, speech=speech)
    talk, more = suspect(talk, at, policy)
    actions += more
    is_new = speech.is_fresh or speech.is_plausible
    if is_going_on(talk, policy) or (is_new and is_interruption(talk, policy)):
        talk, more = take_floor(talk, at, policy)
    else:
        talk, more = _ask_meanwhile(talk, event, policy)
    return talk, actions + more


def suspect(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """Stop the bot's sound, if it may be an interruption."""
    speech, bot = talk.speech, talk.bot
    if speech is None or bot is None or bot.held_at is not None or talk.is_wary or not policy.interruption.enabled:
        return talk, NOTHING_TO_DO
    if speech.quiet_since is not None or not speech.is_plausible:
        return talk, NOTHING_TO_DO
    held = replace(bot, held_at=at, before_ms=bot.heard(at), resume_at=None)
    return replace(talk, bot=held), (HoldBot(),)


def is_going_on(talk: Talk, policy: Policy) -> bool:
    """Whether they go on with a turn before the bot has said anything to it."""
    speech, gate = talk.speech, policy.interruption
    if speech is None or speech.has_floor or talk.bot is not None:
        return False
    return speech.is_long or len(tokens(speech.words)) >= gate.min_words


def is_interruption(talk: Talk, policy: Policy) -> bool:
    """Whether what is known of the utterance by now is enough to drop what the bot says."""
    speech, gate = talk.speech, policy.interruption
    if speech is None or talk.bot is None or not gate.enabled:
        return False
    if not gate.backchannel_filter and speech.is_long:
        return True
    if not speech.words or (gate.backchannel_filter and is_backchannel(speech.words)):
        return False
    return speech.is_long or len(tokens(speech.words)) >= gate.min_words


def take_floor(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """It is the user's turn: what the bot says is dropped (where it may be), and a turn that it has not answered yet
    goes on."""
    speech, bot = talk.speech, talk.bot
    assert speech is not None
    actions: Did = ()
    told = None if speech.has_floor else unanswered(talk, at, policy)
    if bot is not None and policy.interruption.enabled:
        actions = (Interrupt("early" if bot.heard(at) < HEARD_MS else "user_spoke"),)
        bot = None
    if speech.has_floor:
        return replace(talk, bot=bot, is_wary=False), actions
    if told is not None:
        actions += (Continue(told.turn, told.message, speech.message),)
        speech = replace(
            speech,
            has_floor=True,
            turn=told.turn,
            base=told.text,
            replaces=told.message,
            began=told.began,
            voice_ms=speech.voice_ms + told.speech_ms,
            words_confidence=speech.words_confidence or told.confidence,
            language=speech.language or told.language,
        )
    else:
        speech = replace(speech, has_floor=True, turn=talk.turn + 1)
    return replace(talk, speech=speech, bot=bot, told=None, is_wary=False), actions


def weigh_words(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """They paused, and their words are known: is it their turn?"""
    speech, bot = talk.speech, talk.bot
    assert speech is not None
    assert speech.quiet_since is not None
    if bot is None or is_interruption(talk, policy):
        return take_floor(talk, at, policy)
    quiet = at - speech.quiet_since
    if not policy.interruption.enabled:
        # The bot's words end some time; a sound that never does must not keep theirs for ever.
        return take_floor(talk, at, policy) if quiet >= policy.turns.max_turn_ms else (talk, NOTHING_TO_DO)
    if bot.held_at is not None and quiet >= policy.interruption.resume_after_ms:
        return let_go(talk, at)
    return talk, NOTHING_TO_DO


def is_beside_the_point(talk: Talk, at: float, policy: Policy) -> bool:
    """Whether what was said over the bot, and does not interrupt it, is no answer to it either."""
    speech = talk.speech
    if speech is None or speech.quiet_since is None or not policy.interruption.enabled:
        return False
    return at - speech.quiet_since >= policy.interruption.resume_after_ms + AFTER_ALL_MS


def relieve(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """Let a bot go on that was held for nothing, or for too long."""
    bot = talk.bot
    if bot is None or bot.held_at is None:
        return talk, NOTHING_TO_DO
    if bot.resume_at is not None and at >= bot.resume_at:
        return let_go(talk, at)
    if at - bot.held_at >= policy.interruption.resume_after_ms + HELD_MS:
        return let_go(replace(talk, is_wary=True), at)
    return talk, NOTHING_TO_DO


def let_go(talk: Talk, at: float) -> tuple[Talk, Did]:
    bot = talk.bot
    if bot is None or bot.held_at is None:
        return talk, NOTHING_TO_DO
    return replace(talk, bot=Bot(bot.turn, since=at, before_ms=bot.before_ms)), (ResumeBot(),)


def heard_meanwhile(talk: Talk, at: float, policy: Policy) -> tuple[Talk, Did]:
    """The recogniser has told what they say while they still speak."""
    if is_interruption(talk, policy):
        return take_floor(talk, at, policy)
    talk, actions = let_go(talk, at)
    return (replace(talk, is_wary=True) if actions else talk), actions


def _ask_meanwhile(talk: Talk, event: VoiceWent, policy: Policy) -> tuple[Talk, Did]:
    """A bot that is held does not wait for a pause to learn whether they say something."""
    speech, bot = talk.speech, talk.bot
    if speech is None or bot is None or bot.held_at is None:
        return talk, NOTHING_TO_DO
    if speech.question is not None:
        if event.at - talk.asked_at < RECOGNISER_MS or not speech.is_long:
            return talk, NOTHING_TO_DO
        # Nobody tells whether it is words: so long a voice is.
        talk = replace(talk, speech=replace(speech, question=None))
        talk, actions = take_floor(talk, event.at, policy)
        return talk, (Forget(), *actions)
    if event.ms < speech.check_ms:
        return talk, NOTHING_TO_DO
    pause = talk.pause + 1
    speech = replace(speech, question=pause, check_ms=event.ms * 2)
    return replace(talk, speech=speech, pause=pause, asked_at=event.at, vain=talk.vain + 1), (Recognise(pause),)
