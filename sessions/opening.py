"""The first entries of a new call: who speaks with whom, what was said before, and the greeting."""

from __future__ import annotations

from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.call import SOUND, TRANSPORT_PREFIX, Call
from omni.model.contact import Contact, address_of
from omni.model.entry import CallConfigured, CallStarted, Fact
from omni.model.inbound import (
    FromPerson,
    Opening,
    Pause,
    PersonArrived,
    PersonNotice,
    SendMessage,
    UserMessage,
    WriteTo,
)
from sessions.batch import Batch
from sessions.briefing import vars_of
from sessions.party import Party
from sessions.past import recall
from sessions.place import Place
from sessions.rules.speech import greet
from sessions.rules.spoken import came
from sessions.rules.turns import is_silent
from sessions.state import CallState
from sessions.steps import CallCame, Happening, Step
from sessions.world import World


class NoAgentError(Exception):
    """Nobody answers in this place; the text says how to mend it."""


async def open_call(world: World, place: Place, party: Party, happening: Happening) -> Batch | None:
    """A new call, when the happening may open one. Raises NoAgentError and StoreUnavailableError."""
    contact = party.contact
    if contact is None or not _opens(happening, is_spoken=place.transport in SOUND):
        return None
    agent = world.agents.get(place.org, place.agent)
    if agent is None:
        await world.agents.refresh()  # the message may have overtaken the news of its agent
        agent = world.agents.get(place.org, place.agent)
    if agent is None:
        raise NoAgentError(f"there is no agent {place.agent!r} (any more): create it, and replay this")
    sound = happening if isinstance(happening, CallCame) else None
    state = CallState(
        id=sound.call if sound else world.new_call_id(TRANSPORT_PREFIX.get(place.transport, place.transport)),
        org=place.org,
        agent=place.agent,
        channel=place.channel,
        transport=place.transport,
        conversation=place.conversation,
        contact=contact.id,
        home=place.home,
    )
    earlier = await world.store.last_call(place.conversation)
    recap = sound.recap if sound is not None else await _recap(world, agent, contact, place, earlier)
    batch = Batch(state, None)
    around = party.around(state)
    facts: list[Fact] = [
        came(state, sound, contact, recap)
        if sound is not None
        else _started(place, contact, happening, earlier, recap, around.now)
    ]
    if isinstance(happening, WriteTo | CallCame) and happening.overrides not in (None, Overrides()):
        facts.append(CallConfigured(overrides=happening.overrides))
    batch.take(Step(tuple(facts)), around)
    if _is_greeted(place, around.agent, happening) and around.spoken is None and not is_silent(batch.state, around):
        greeting = around.agent.greeting_in(batch.state.language)
        if greeting:
            values = vars_of(batch.state, around.agent, around.now)
            batch.take(greet(batch.state, world.render(greeting, values), around), around)
    return batch


def _opens(happening: Happening, *, is_spoken: bool) -> bool:
    """A call with sound begins with its sound, and with nothing else."""
    match happening:
        case FromPerson() | SendMessage() | WriteTo():
            return not is_spoken
        case CallCame():
            return True
        case Pause():
            return happening.reopens and not is_spoken
        case PersonNotice():
            return happening.opens_window
        case _:
            return False


def _is_greeted(place: Place, agent: Agent, happening: Happening) -> bool:
    """A visitor of the web chat is greeted only by an agent that wants it; elsewhere whoever writes first is."""
    if place.transport == "chat":
        return agent.greeting_in_chat and isinstance(happening, PersonArrived | UserMessage)
    return isinstance(happening, UserMessage) and happening.mode == "live"


def _started(
    place: Place, contact: Contact, happening: Happening, earlier: Call | None, recap: str | None, now: float
) -> CallStarted:
    person = address_of(contact.identities) or contact.id
    is_outbound = isinstance(happening, SendMessage | WriteTo | Pause)
    opening = (happening.opening if isinstance(happening, PersonArrived | UserMessage | WriteTo) else None) or Opening()
    # The greeting, too, is sent in the service window that the user's first message opens.
    wrote_at = min(happening.sent_at, now) if isinstance(happening, UserMessage) else 0
    return CallStarted.model_validate(
        {
            "direction": "outbound" if is_outbound else "inbound",
            "from": place.business if is_outbound else person,
            "to": person if is_outbound else place.business,
            "channel": place.channel,
            "contact": contact.id,
            "name": contact.name,
            "last_user_at": max(earlier.last_user_at if earlier else 0, wrote_at),
            "recap": recap,
            "metadata": {"group": place.group} if place.group else opening.metadata,
            "language": opening.language,
        }
    )


async def _recap(world: World, agent: Agent, contact: Contact, place: Place, earlier: Call | None) -> str | None:
    if earlier is None and (agent.history != "all_channels" or place.group is not None):
        return None  # nobody spoke here before: no need to look
    return await recall(world.store, agent, place, contact.id)
