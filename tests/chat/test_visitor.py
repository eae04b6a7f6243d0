"""A visitor's conversation: their contact is made once, and what they do arrives in order."""

from __future__ import annotations

import asyncio
from typing import Any

from omni.live.visitor import Visitor, Visits
from omni.model.contact import IdentityKind
from omni.model.inbound import Opening
from omni.model.message import Message
from tests.chat.conftest import OpenChat
from tests.chat.pages import Chat
from tests.server.shop import until

ADA = Visitor("default", "desk", "v-ada", "Ada")


def visits(chat: Chat) -> Visits:
    from omni.live.hub import Hub

    found = chat.engines
    return Visits(found.store, found.bus, Hub(found.bus, found.store, "desk"), chat.settings.partitions)


async def test_a_contact_is_made_once_however_many_come_at_once(open_chat: OpenChat, engine: dict[str, Any]) -> None:
    door = visits(await open_chat(engine=engine))
    entered = await asyncio.gather(*(door.enter(ADA) for _ in range(8)))
    assert len({visit.contact.id for visit in entered}) == 1
    contact = entered[0].contact
    assert [(i.kind, i.value) for i in contact.identities] == [(IdentityKind.VISITOR, "v-ada")]
    assert (contact.home, contact.name) == ("chat:default:v-ada", "Ada")
    assert entered[0].conversation == f"default/desk/chat/{contact.id}"


async def test_one_person_talks_to_several_agents_and_organisations_apart(open_chat: OpenChat) -> None:
    door = visits(await open_chat())
    one = await door.enter(ADA)
    other = await door.enter(Visitor("default", "sales", "v-ada"))
    stranger = await door.enter(Visitor("acme", "desk", "v-ada"))
    assert one.contact == other.contact
    assert one.conversation != other.conversation
    assert stranger.contact.id != one.contact.id


async def test_what_a_visitor_does_acts_in_order_and_once(open_chat: OpenChat) -> None:
    chat = await open_chat()
    visit = await visits(chat).enter(ADA)
    opening = Opening(metadata={"user": "42"}, language="es")
    await visit.arrive(opening)
    call = await until(visit.newest_call)
    for n in range(20):
        await visit.set_context(call.id, "page", f"page {n}")
        await visit.say(Message.of(f"message {n}"), f"m{n}", opening)
        await visit.say(Message.of("again"), f"m{n}", opening)
    await visit.end(call.id, "client_hangup")
    await until(lambda: chat.facts("call.ended"))
    facts = [entry.fact for entry in await chat.log(call)]
    told = [f.text for f in facts if f.type in ("user.message", "context.added")]  # type: ignore[union-attr]
    assert told == [words for n in range(20) for words in (f"page {n}", f"message {n}")]
    assert facts[0].metadata == {"user": "42"}  # type: ignore[union-attr]
    assert facts[0].language == "es"  # type: ignore[union-attr]
