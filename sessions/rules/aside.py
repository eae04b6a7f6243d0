"""One person on two channels at once: what they write while they speak with the same agent, and what the bot writes to
them beside what it says."""

from __future__ import annotations

from typing import Final

from omni.model.entry import ReplyRejected, UserSaid, UserWrote
from omni.model.inbound import PersonWrote, UserMessage, WriteTo
from sessions.rules.speech import say
from sessions.rules.turns import is_silent
from sessions.state import CallState
from sessions.steps import Around, Bring, LiveTurn, Step

MAX_BROUGHT: Final = 4_000
"""Characters of a message that are brought into a call; the whole is where it was written."""


def joins(state: CallState, heard: UserMessage, around: Around) -> bool:
    """Whether a message goes into the call that its author is in. What is said in a group is the group's."""
    return around.spoken is not None and not state.has_sound and heard.group is None and heard.mode == "live"


def brought(said: UserSaid, heard: UserMessage, state: CallState, around: Around) -> tuple[Bring, ...]:
    call = around.spoken
    if call is None or not said.text.strip():
        return ()
    wrote = PersonWrote(
        key=f"{heard.key}@{call.id}",
        org=call.org,
        agent=call.agent,
        channel=call.channel,
        at=around.now,
        call=call.id,
        home=call.home,
        message_id=said.id,
        on=state.channel,
        beside=state.id,
        text=said.text[:MAX_BROUGHT],
        sent_at=heard.sent_at,
    )
    return (Bring(wrote),)


def wrote_aside(state: CallState, turn: LiveTurn | None, wrote: PersonWrote) -> Step:
    """The caller has written somewhere else: the brain knows from its next turn on."""
    fact = UserWrote(id=wrote.message_id, text=wrote.text, channel=wrote.on, beside=wrote.beside, at=wrote.sent_at)
    return Step((fact,), (), turn)


def bot_writes(state: CallState, turn: LiveTurn | None, write: WriteTo, around: Around) -> Step:
    """The bot writes from another conversation with the same person. Where it must be silent, nothing is sent."""
    if is_silent(state, around):
        return Step((ReplyRejected(id=write.message_id or write.key, in_reply_to="", expected=None),), (), turn)
    said = say(state, None, write.message, around, id_=write.message_id)
    return Step(said.facts, said.effects, turn, said.deliveries)
