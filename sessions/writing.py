"""A brain writes to the person of its conversation on another channel of the same agent: beside a call, above all.

`where` holds the rules and is pure; `write_beside` asks the store, and puts the message on the bus.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from omni.bus.base import BusError, Outgoing
from omni.model.agent import Agent
from omni.model.call import Call, conversation_key
from omni.model.channel import SmsChannel, WhatsAppChannel
from omni.model.contact import Contact, IdentityKind, Sender
from omni.model.inbound import WriteTo, pack
from omni.model.message import Message
from omni.model.queues import commands_for
from omni.store.base import StoreError
from sessions.brains.base import ToolOutcome
from sessions.state import WHERE, CallState
from sessions.world import World

log = logging.getLogger("omni.session")

MAX_TEXT: Final = 4_000
BY: Final = "bot"

Writable = WhatsAppChannel | SmsChannel

_NUMBERS: Final = (IdentityKind.WA_ID, IdentityKind.E164, IdentityKind.PHONE)
_USER_IDS: Final = (IdentityKind.BSUID, IdentityKind.PARENT_BSUID)


def where(
    agent: Agent, contact: Contact, here: str, kinds: Sequence[str], newest: Mapping[str, Call | None], now: float
) -> Writable | str:
    """The channel to write on, of the first of these kinds that will do; or why there is none, for a model to read.

    `here` is the conversation's own channel, `newest` the person's newest call on each.
    """
    found = [one for one in agent.channels if isinstance(one, Writable) and one.id != here]
    able = sorted((one for one in found if one.kind in kinds), key=lambda one: kinds.index(one.kind))
    problems = []
    for channel in able:
        why = _why_not(channel, contact, newest.get(channel.id), now)
        if why is None:
            return channel
        problems.append(why)
    if problems:
        return " ".join(dict.fromkeys(problems))
    names = " or ".join(WHERE[kind] for kind in kinds)
    return f"They cannot be written to {names}: there is no other such channel than this conversation."


def _why_not(channel: Writable, contact: Contact, newest: Call | None, now: float) -> str | None:
    if newest is not None and newest.is_open and newest.handler != "bot":
        return f"A colleague has the conversation with them {WHERE[channel.kind]}, and you must not write there."
    if contact.has_stopped(channel.kind):
        return f"They asked to get no messages {WHERE[channel.kind]}."
    if channel.kind == "sms":
        return None if contact.first(*_NUMBERS) is not None else "There is no number of theirs to write an SMS to."
    if contact.first(*_NUMBERS, *_USER_IDS) is None:
        return "There is no number of theirs to write to on WhatsApp."
    closes = newest.window_closes_at if newest is not None else 0.0
    if closes is not None and closes <= now:
        return "They have not written on WhatsApp in the last 24 hours: until they do, nothing may be sent there."
    return None


async def write_beside(
    world: World, state: CallState, agent: Agent, arguments: JsonValue, kinds: Sequence[str] = ("whatsapp", "sms")
) -> ToolOutcome:
    """Send `{"text", "channel"?}`. Never raises for what cannot be sent: that is an error a model can read."""
    given = arguments if isinstance(arguments, dict) else {}
    text, wanted = given.get("text"), given.get("channel")
    if not isinstance(text, str) or not text.strip():
        return _failed("There is no `text` to send.")
    if len(text) > MAX_TEXT:
        return _failed(f"The text has {len(text):,} characters, and a message at most {MAX_TEXT:,}.")
    if wanted is not None and wanted not in kinds:
        return _failed(f"`channel` is one of {', '.join(kinds)}, or left out.")
    try:
        contact = await world.store.contact(state.contact)
        if contact is None:
            return _failed("The person is not known any more.")
        newest = {
            one.id: await world.store.last_call(conversation_key(state.org, agent.slug, one.id, contact.id))
            for one in agent.channels
            if isinstance(one, Writable)
        }
        chosen = [str(wanted)] if wanted is not None else kinds
        channel = where(agent, contact, state.channel, chosen, newest, world.clock())
        if isinstance(channel, str):
            return _failed(channel)
        await _send(world, state, contact, channel, text.strip())
    except (StoreError, BusError) as error:
        log.warning("a message could not be sent beside a call: %s", error, extra={"call": state.id})
        return _failed("It cannot be sent now; try again in a moment.")
    return ToolOutcome({"status": "on its way", "channel": channel.kind})


async def _send(world: World, state: CallState, contact: Contact, channel: Writable, text: str) -> None:
    item = WriteTo(
        key=world.new_id("cmd"),
        org=state.org,
        agent=state.agent,
        channel=channel.id,
        at=world.clock(),
        person=Sender(identities=tuple(reversed(contact.identities)), routing=contact.home),
        by=BY,
        message=Message.of(text),
        is_bots=True,
    )
    queue = commands_for(contact.home, world.partitions)
    await world.bus.publish([Outgoing(queue.name, pack((item,)), item.key)])


def _failed(sentence: str) -> ToolOutcome:
    return ToolOutcome(sentence, is_error=True)
