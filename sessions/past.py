"""What a turn follows: who speaks with whom, and what was said before, with when and by whom."""

from __future__ import annotations

from collections.abc import Sequence

from omni.model.agent import Agent
from omni.model.call import Call, conversation_key
from omni.model.channel import WhatsAppChannel, own_channel
from omni.store.base import CallFilter, Store
from sessions.brains.base import Setting, Spoken
from sessions.document import state_of
from sessions.history import recap_of
from sessions.place import Place
from sessions.state import CallState
from sessions.steps import Around

EARLIER_CALLS = 3
"""So many are looked through when this one is too short."""
LOOKED_AT = 12
"""The newest calls of a person; of these, those in which anything was said."""


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
            by="us" if line.role == "assistant" else "user",
            text=line.content.text if line.transport and line.content is not None else line.text,
            at=line.at or state.started_at,
            id=line.ref,
            transport=line.transport or state.transport,
        )
        for line in state.lines
        if (line.role in ("user", "assistant") or line.transport is not None)
        and line.tool is None
        and line.text
        and line.ref not in answers
    ]


async def spoken_before(
    store: Store, agent: Agent, state: CallState, answers: Sequence[str], limit: int
) -> Sequence[Spoken]:
    """The newest `limit` things said, oldest first. A call that begins without a memory of earlier ones (its `recap`)
    has none here either. Raises StoreError."""
    if limit <= 0:
        return ()
    found = spoken_in(state, answers)[-limit:]
    if len(found) >= limit or state.recap is None:
        return found
    place = Place(state.conversation, state.org, state.agent, state.channel, state.home)
    earlier: list[Spoken] = []
    for call in await _earlier(store, agent, place, state.contact, but=state.id):
        earlier += spoken_in(call)
    earlier.sort(key=lambda each: each.at)
    return [*earlier[-(limit - len(found)) :], *found]


async def recall(store: Store, agent: Agent, place: Place, contact: str) -> str | None:
    """What was said before a call that is about to begin, as far as the agent's `history` goes: in the person's calls
    on this channel or on all of them, those that go on included; in a group never what they said alone, and the other
    way round. Raises StoreError."""
    return recap_of(*await _earlier(store, agent, place, contact), on=place.transport)


async def _earlier(
    store: Store, agent: Agent, place: Place, contact: str, *, but: str | None = None
) -> list[CallState]:
    """The newest calls in which anything was said."""
    if agent.history == "none":
        return []
    if place.group is not None:
        calls = await store.calls_of_conversation(place.conversation, limit=LOOKED_AT)
    elif agent.history == "same_channel":
        calls = []
        for channel in _as_one(agent, place.channel):
            key = conversation_key(place.org, place.agent, channel, contact)  # also of a second call at once
            calls += await store.calls_of_conversation(key, limit=LOOKED_AT)
        calls.sort(key=_newest, reverse=True)
    else:
        calls = await store.calls(CallFilter(org=place.org, agent=place.agent, contact=contact), limit=LOOKED_AT)
        calls = sorted((call for call in calls if Place.of(call).group is None), key=_newest, reverse=True)
    wanted = [call for call in calls if call.id != but and call.bot_messages + call.user_messages + call.human_messages]
    loaded = [await store.load_call(call.id) for call in wanted[:EARLIER_CALLS]]
    return [state_of(each) for each in loaded if each is not None]


def _as_one(agent: Agent, channel_id: str) -> tuple[str, ...]:
    """What is one channel to people: they write and speak with the same WhatsApp number."""
    channel = own_channel(agent.channels, channel_id)
    return (channel.id, channel.calls_id) if isinstance(channel, WhatsAppChannel) and channel.calls else (channel_id,)


def _newest(call: Call) -> float:
    return call.last_at or call.started_at
