"""The first entries of a new call: who speaks with whom, what was said before, and the greeting."""

from __future__ import annotations

from omni.model.agent import Agent
from omni.model.call import TRANSPORT_PREFIX, Call
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
from omni.store.base import CallFilter
from sessions.batch import Batch
from sessions.briefing import vars_of
from sessions.document import state_of
from sessions.history import recap_of
from sessions.party import Party
from sessions.place import Place
from sessions.rules.speech import greet
from sessions.rules.turns import is_silent
from sessions.state import CallState
from sessions.steps import Happening, Step
from sessions.world import World


class NoAgentError(Exception):
    """Nobody answers in this place; the text says how to mend it."""


async def open_call(world: World, place: Place, party: Party, happening: Happening) -> Batch | None:
    """A new call, when the happening may open one. Raises NoAgentError and StoreUnavailableError."""
    contact = party.contact
    if contact is None or not _opens(happening):
        return None
    agent = world.agents.get(place.org, place.agent)
    if agent is None:
        await world.agents.refresh()  # the message may have overtaken the news of its agent
        agent = world.agents.get(place.org, place.agent)
    if agent is None:
        raise NoAgentError(f"there is no agent {place.agent!r} (any more): create it, and replay this")
    state = CallState(
        id=world.new_call_id(TRANSPORT_PREFIX.get(place.transport, place.transport)),
        org=place.org,
        agent=place.agent,
        channel=place.channel,
        transport=place.transport,
        conversation=place.conversation,
        contact=contact.id,
        home=place.home,
    )
    earlier = await world.store.last_call(place.conversation)
    recap = await _recap(world, agent, contact, place, earlier)
    batch = Batch(state, None)
    around = party.around(state)
    facts: list[Fact] = [_started(place, contact, happening, earlier, recap, around.now)]
    if isinstance(happening, WriteTo) and happening.overrides is not None:
        facts.append(CallConfigured(overrides=happening.overrides))
    batch.take(Step(tuple(facts)), around)
    if _is_greeted(place, around.agent, happening) and not is_silent(batch.state, around):
        greeting = around.agent.greeting_in(batch.state.language)
        if greeting:
            values = vars_of(batch.state, around.agent, around.now)
            batch.take(greet(batch.state, world.render(greeting, values), around), around)
    return batch


def _opens(happening: Happening) -> bool:
    match happening:
        case FromPerson() | SendMessage() | WriteTo():
            return True
        case Pause():
            return happening.reopens
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
    """What was said in the person's call before this one; in a group never what they said alone."""
    if agent.history == "none":
        return None
    if agent.history == "all_channels" and place.group is None:
        found = await world.store.calls(CallFilter(org=place.org, agent=place.agent, contact=contact.id), limit=1)
        earlier = found[0] if found else None
    if earlier is None:
        return None
    loaded = await world.store.load_call(earlier.id)
    return recap_of(state_of(loaded)) if loaded is not None else None
