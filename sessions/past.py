"""What a turn follows: who speaks with whom, and what was said before, with when and by whom."""

from __future__ import annotations

from collections.abc import Sequence

from omni.model.agent import Agent
from omni.model.channel import WhatsAppChannel, own_channel
from omni.store.base import Store
from sessions.brains.base import Setting, Spoken
from sessions.document import state_of
from sessions.state import CallState
from sessions.steps import Around

EARLIER_CALLS = 3
"""So many are looked through when this one is too short."""


def setting_of(state: CallState, around: Around, answers: Sequence[str]) -> Setting:
    """Where the turn that answers these messages takes place."""
    return Setting(
        org=state.org,
        transport=state.transport,
        channel=state.channel,
        conversation=state.conversation,
        direction=state.direction,
        person=state.person or "",
        business=business_of(around.agent, state.channel),
        contact=around.contact,
        metadata=state.metadata,
        asked=tuple(answers),
        asked_at=state.last_user_text_at,
    )


def business_of(agent: Agent | None, channel_id: str) -> str:
    """Our side's number on a channel, or the provider's id of it."""
    channel = own_channel(agent.channels, channel_id) if agent is not None else None
    number = channel.phone if isinstance(channel, WhatsAppChannel) else None
    return number or channel_id.partition(":")[2]


def spoken_in(state: CallState, answers: Sequence[str] = ()) -> list[Spoken]:
    """What people and bots said in a call, oldest first, without the messages of `answers`."""
    return [
        Spoken(
            by="user" if line.role == "user" else "us",
            text=line.text,
            at=line.at or state.started_at,
            id=line.ref,
            transport=state.transport,
        )
        for line in state.lines
        if line.role in ("user", "assistant") and line.tool is None and line.text and line.ref not in answers
    ]


async def spoken_before(store: Store, state: CallState, answers: Sequence[str], limit: int) -> Sequence[Spoken]:
    """The newest `limit` things said, oldest first. A call that begins without a memory of earlier ones (its `recap`)
    has none here either. Raises StoreError."""
    if limit <= 0:
        return ()
    found = spoken_in(state, answers)[-limit:]
    if len(found) >= limit or state.recap is None:
        return found
    for call in await store.calls_of_conversation(state.conversation, before=state.id, limit=EARLIER_CALLS):
        loaded = await store.load_call(call.id)
        if loaded is not None:
            found = spoken_in(state_of(loaded))[-(limit - len(found)) :] + found
        if len(found) >= limit:
            break
    return found
