"""From which of our numbers a message goes, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omni.gateway.agentphone.errors import missing, not_here, unfit, wrong
from omni.gateway.agentphone.message_shapes import MessageBody
from omni.gateway.agentphone.number_shapes import Number
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.rest.kit import RestKit
from omni.model.channel import SmsChannel, WhatsAppChannel
from omni.model.contact import known_by
from omni.model.numbers import digits, is_e164

Written = SmsChannel | WhatsAppChannel
NATIONAL: Final = 10
"""Digits of a number of +1 as people write it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """`to` is E.164."""

    number: Number
    agent: str
    channel: Written
    to: str


class Senders:
    def __init__(self, kit: RestKit, numbers: Numbers) -> None:
        self._kit = kit
        self._numbers = numbers

    async def sender(self, org: str, body: MessageBody) -> Sender:
        """Raises Refusal."""
        number = await self._number(org, body)
        to = dialled(body.to_number or "", number.number if number is not None else "+1")
        if number is None:
            number = await self._usual(org, to)
        if number.agent is None:
            raise wrong(f"the number {number.id} is attached to no agent; attach it first", "number_id")
        return Sender(number, number.agent, await self._channel(number, to, body.channel), to)

    async def _number(self, org: str, body: MessageBody) -> Number | None:
        """As the request names it; None when it does not."""
        if body.from_number is not None:
            wanted = "+" + digits(body.from_number)
            found = next((one for one in await self._numbers.all(org) if one.number == wanted), None)
            if found is None:
                raise missing(f"from_number: {wanted} is none of your numbers", code="PHONE_NUMBER_NOT_FOUND")
            return found
        if body.number_id is not None:
            found = await self._numbers.get(org, body.number_id)
            if found.status == "released":
                raise missing(f"the number {found.id} was released", code="PHONE_NUMBER_NOT_FOUND")
            return found
        if body.agent_id is not None:
            if await self._kit.store.agent(org, body.agent_id) is None:
                raise missing(f"there is no agent {body.agent_id[:80]!r}; GET /v1/agents lists them")
            able = [one for one in await self._numbers.of_agent(org, body.agent_id) if _written(one)]
            if not able:
                raise wrong(f"the agent {body.agent_id} has no number to send from; attach one", "agent_id")
            return min(able, key=lambda one: (one.created_at, one.number))
        return None

    async def _usual(self, org: str, to: str) -> Number:
        """The number that last talked with them, else the only one."""
        able = [one for one in await self._numbers.all(org) if one.agent is not None and _written(one)]
        people = await self._kit.store.find_contacts(org, known_by(digits(to)))
        keys = await self._kit.store.conversations_of([person.id for person in people])
        listed = await self._kit.store.listed([key for found in keys.values() for key in found])
        for row in sorted(listed, key=lambda row: -(row.call.last_at or row.call.started_at)):
            for number in able:
                if any(channel.id == row.call.channel for channel in number.channels):
                    return number
        if len(able) == 1:
            return able[0]
        raise wrong("it is not clear from which number; give agent_id, number_id or from_number")

    async def _channel(self, number: Number, to: str, wanted: str | None) -> Written:
        """The one that is asked for, else the one they last used, else texts."""
        able = _written(number)
        kind = "sms" if wanted == "mms" else wanted
        fitting = [channel for channel in able if kind in (None, channel.kind)]
        if not fitting:
            raise wrong(f"the number {number.id} does not send {wanted or 'messages'}", "channel")
        if len(fitting) > 1:
            people = await self._kit.store.find_contacts(number.org, known_by(digits(to)))
            keys = await self._kit.store.conversations_of([person.id for person in people])
            listed = await self._kit.store.listed([key for found in keys.values() for key in found])
            for row in sorted(listed, key=lambda row: -(row.call.last_at or row.call.started_at)):
                for channel in fitting:
                    if channel.id == row.call.channel:
                        return channel
        return fitting[0]


def _written(number: Number) -> list[Written]:
    found = [channel for channel in number.channels if isinstance(channel, Written)]
    return sorted(found, key=lambda channel: channel.kind)  # sms before whatsapp


def dialled(text: str, ours: str) -> str:
    """A number in any spelling as E.164; one without a country code is of our number's, where that is +1.

    Raises Refusal 422, 404 for a group and 501 for an e-mail address."""
    if text.startswith("grp_"):
        raise missing("there is no such group")
    if "@" in text:
        raise not_here("e-mail addresses are written to on iMessage, which this server does not have")
    found = digits(text)
    if not text.strip().startswith("+") and ours.startswith("+1"):
        found = "1" + found if len(found) == NATIONAL else found
        is_full = len(found) == NATIONAL + 1 and found.startswith("1")
    else:
        is_full = text.strip().startswith("+")
    if not is_full or not is_e164("+" + found):
        raise unfit("to_number", f"{text[:40]!r} is not a full phone number; write +12025550142")
    return "+" + found
