"""A channel as it is asked for (with its secrets) and shown (without)."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue, RootModel

from omni.gateway.rest.shapes import AgentId, Paging, Shown
from omni.model.agent import Agent
from omni.model.channel import Channel, PhoneChannel, SipChannel, SmsChannel, WhatsAppChannel

_SECRETS: Final = frozenset(
    {
        "access_token",
        "app_secret",
        "verify_token",
        "previous_app_secret",
        "auth_token",
        "previous_auth_token",
        "signing_key",
    }
)


class ChannelBody(RootModel[Channel]):
    """A channel with its credentials, which are never shown again."""


class ChannelQuery(Paging):
    """By agent and id."""

    agent_id: AgentId | None = None
    kind: Literal["whatsapp", "sms", "chat", "phone", "sip", "webrtc", "mic"] | None = None


class ChannelShown(Shown):
    """`ref` is the number or address people reach it at, where there is one. `settings` has all that is no secret."""

    id: str
    object: Literal["channel"] = "channel"
    kind: str
    agent_id: str
    ref: str | None = Field(examples=["+14155559999"])
    settings: dict[str, JsonValue]


def ref_of(channel: Channel) -> str | None:
    match channel:
        case PhoneChannel() | SmsChannel():
            return channel.number
        case WhatsAppChannel():
            return channel.phone
        case SipChannel():
            return channel.uri
        case _:
            return None


def shown_channel(agent: Agent, channel: Channel) -> ChannelShown:
    settings = channel.model_dump(mode="json", exclude={"kind", *_SECRETS}, exclude_none=True)
    return ChannelShown(id=channel.id, kind=channel.kind, agent_id=agent.slug, ref=ref_of(channel), settings=settings)
