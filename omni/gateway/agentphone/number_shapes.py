"""A phone number: one or more channels with one E.164 number, what is noted of it, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from omni.gateway.agentphone.answers import Fields, moment, moment_or_none
from omni.gateway.agentphone.countries import country_of
from omni.model.base import Value
from omni.model.channel import Channel, PhoneChannel, SmsChannel, WhatsAppChannel
from omni.model.numbers import digits, number_id

KIND_ORDER: Final = ("sms", "whatsapp", "phone")


class Card(Value):
    """The contact card of a number."""

    first_name: str
    last_name: str
    display_name: str | None = None
    avatar_url: str | None = None


class Record(Value):
    """`claim` holds the lease. `channels` are those it has while no agent has it."""

    number: str
    org: str
    claim: str
    created_at: float
    external_id: str | None = None
    expires_at: float | None = None
    card: Card | None = None
    channels: tuple[Channel, ...] = Field(default=())


@dataclass(frozen=True, slots=True)
class Number:
    """`agent` is the one whose channels these are; None for one that is attached to nobody."""

    number: str
    org: str
    status: Literal["active", "released"]
    created_at: float
    channels: tuple[Channel, ...] = ()
    agent: str | None = None
    record: Record | None = None

    @property
    def id(self) -> str:
        return number_id(self.number)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind in KIND_ORDER if any(channel.kind == kind for channel in self.channels)]


def number_of(channel: Channel) -> str | None:
    """E.164; None for a channel without a number of its own."""
    match channel:
        case PhoneChannel() | SmsChannel():
            return channel.number
        case WhatsAppChannel(phone=phone) if phone is not None and 7 <= len(digits(phone)) <= 15:
            return "+" + digits(phone)
        case _:
            return None


def by_number(channels: Iterable[Channel]) -> dict[str, tuple[Channel, ...]]:
    found: dict[str, tuple[Channel, ...]] = {}
    for channel in channels:
        number = number_of(channel)
        if number is not None:
            found[number] = (*found.get(number, ()), channel)
    return found


def shown_on_agent(number: Number) -> Fields:
    return {"id": number.id, "phoneNumber": number.number, "status": number.status, "type": type_of(number)}


def type_of(number: Number) -> str:
    return "whatsapp" if number.kinds == ["whatsapp"] else "sms"


def shown_number(number: Number) -> Fields:
    record, kinds = number.record, number.kinds
    return {
        "id": number.id,
        "phoneNumber": number.number,
        "country": country_of(number.number),
        "status": number.status,
        "createdAt": moment(number.created_at),
        "purchasedAt": moment(number.created_at),
        "agentId": number.agent,
        "type": type_of(number),
        "outboundSms": "enabled" if "sms" in kinds else None,
        "inboundCallsEnabled": "phone" in kinds,
        "readReceiptsEnabled": "whatsapp" in kinds,
        "whatsappEnabled": "whatsapp" in kinds,
        "dailyNewContacts": None,
        "externalId": record.external_id if record is not None else None,
        "expiresAt": moment_or_none(record.expires_at) if record is not None else None,
        "rcsFallbackForAlias": None,
        "omni": {"channels": [channel.id for channel in number.channels]},
    }
