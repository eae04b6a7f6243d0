"""A message on its way: to whom, whether it may go, and what goes onto the bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from omni.bus.base import Outgoing
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.limits import limits_of
from omni.gateway.inbox.templates import template_of
from omni.gateway.inbox.uploads import Upload, Uploads
from omni.gateway.inbox.writing import FileRef, check_file
from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.errors import ApiError, conflict, contradiction, invalid, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.shapes import Content, MessageSend
from omni.gateway.rest.routing import Caller
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.call import SOUND, Call, conversation_key
from omni.model.channel import Channel, SmsChannel, WhatsAppChannel
from omni.model.contact import Contact, Identity, Sender, known_by
from omni.model.conversations import conversation_of
from omni.model.inbound import Opening, SendMessage, WriteTo, pack
from omni.model.message import Media, MediaKind, Message, Text
from omni.model.numbers import digits
from omni.model.queues import commands_for
from omni.store.base import VersionConflictError

RACES: Final = 20
_CAPTIONED: Final = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.DOCUMENT})


@dataclass(frozen=True, slots=True)
class Line:
    """Where a message goes: an agent's channel and a person; `call` is the newest of their conversation. A group's
    messages have no `contact`."""

    org: str
    agent: str
    channel: str
    conversation: str
    call: Call | None
    contact: Contact | None
    number: str | None = None

    @property
    def transport(self) -> str:
        return self.channel.partition(":")[0]


class Sending:
    def __init__(self, kit: RestKit, agents: Agents, uploads: Uploads) -> None:
        self._kit = kit
        self._agents = agents
        self._uploads = uploads

    # to whom

    async def line(self, by: Caller, body: MessageSend) -> Line:
        """Raises ApiError 400, 404, 409 or 422."""
        if body.conversation_id is not None:
            return await self.of_conversation(by.org, body.conversation_id)
        agent = await self._agents.find(by.org, body.agent_id or "")
        channel = text_channel(agent, body.channel_id)
        if body.contact_id is not None:
            contact = await self._kit.store.contact(body.contact_id) if body.contact_id.isascii() else None
            if contact is None or contact.org != by.org:
                raise missing("person", "GET /v1/contacts lists them; they may have been merged with another")
            return await self._between(agent, channel, contact, None)
        number = digits(body.to or "")
        return await self._between(agent, channel, await self._met(by.org, channel, number), number)

    async def of_conversation(self, org: str, id_: str) -> Line:
        """Raises ApiError 404."""
        key = conversation_of(id_)
        call = await self._kit.store.last_call(key) if key is not None else None
        if call is None or call.org != org:
            raise missing("conversation", "GET /v1/conversations lists them")
        contact = await self._kit.store.contact(call.contact)
        return Line(org, call.agent, call.channel, call.conversation, call, contact)

    async def _between(self, agent: Agent, channel: Channel, contact: Contact, number: str | None) -> Line:
        key = conversation_key(agent.org, agent.slug, channel.id, contact.id)
        call = await self._kit.store.last_call(key)
        return Line(agent.org, agent.slug, channel.id, key, call, contact, number)

    async def _met(self, org: str, channel: Channel, number: str) -> Contact:
        """The person with a number, who is written down when nobody has it. Raises StoreError."""
        kit, identities = self._kit, known_by(number)
        for _ in range(RACES):
            known = await kit.store.find_contacts(org, identities)
            if known:
                return known[0]
            home = f"{channel.kind}:{org}:{identities[-1].value}"
            new = Contact(id=kit.new_id("ct"), org=org, home=home, identities=identities)
            try:
                return await kit.store.save_contact(new)
            except VersionConflictError:
                continue  # somebody with this number wrote in this moment
        raise VersionConflictError("the person with this number changes all the time; try again")

    # whether it may go

    async def message(
        self, by: Caller, line: Line, body: Content, reply_to: str | None
    ) -> tuple[Message, Upload | None]:
        """What is said, as the channel takes it. Raises ApiError and InboxError."""
        limits = limits_of(line.transport)
        if body.template is not None:
            template = await template_of(self._kit.templates, line.org, line.agent, line.channel, body.template)
            return Message(parts=(template,)), None
        if body.interactive is not None:
            return Message(parts=(body.interactive,), reply_to=reply_to), None
        text = (body.text or "").strip()
        if body.media is None:
            if not text:
                raise invalid("text", "it is empty; say something")
            if len(text) > limits.text:
                raise invalid("text", f"it has {len(text)} characters, and this channel takes {limits.text}")
            return Message(parts=(Text(text=text),), reply_to=reply_to), None
        upload: Upload | None = None
        if body.media.file is not None:
            actor = Actor(id=by.name, name=by.key.name, org=by.org, role="admin", key=by.key)
            [(media, upload)] = await self._uploads.media_of([FileRef(id=body.media.file)], actor)
            check_file(media, limits)
        else:
            media = Media(kind=body.media.kind, link=body.media.url, filename=body.media.filename)
            if media.kind not in limits.files:
                raise invalid("media.kind", f"this channel takes no {media.kind.value}; send text")
        if text and (media.kind not in _CAPTIONED or len(text) > limits.caption):
            raise contradiction(
                "text", f"beside {media.kind.value} it has at most {limits.caption} characters, or none"
            )
        return Message(parts=(media.model_copy(update={"caption": text or None}),), reply_to=reply_to), upload

    def check(self, line: Line, *, is_template: bool) -> None:
        """Raises ApiError 409 for what would not be sent."""
        if line.transport in SOUND:
            raise not_in_writing()
        if line.contact is not None and line.contact.has_stopped(line.transport):
            raise conflict("opted_out", "they wrote STOP: nothing may be sent to them until they write START")
        if is_template or line.transport != "whatsapp":
            return
        closes = line.call.window_closes_at if line.call is not None else 0.0
        if closes is not None and closes <= self._kit.clock():
            raise conflict(
                "window_closed",
                "they last wrote more than 24 hours ago, so only an approved template may be sent; give template",
            )

    # onto the bus

    async def send(
        self,
        by: Caller,
        line: Line,
        message: Message,
        *,
        takes_over: bool = False,
        opening: Opening | None = None,
        overrides: Overrides | None = None,
    ) -> str:
        """Returns the message's id. The same request does it once, whatever happens. Raises BusError."""
        kit = self._kit
        id_ = f"msg_{by.act.removeprefix('req_')}"
        key = f"rest:{line.org}:{id_}"
        if line.call is not None and overrides is None and opening is None:
            head = {**kit.commands.head(line.call), "key": key}
            await kit.commands.issue(
                SendMessage(**head, by=by.name, message=message, takes_over=takes_over, message_id=id_)
            )
            return id_
        contact = line.contact
        if contact is None:
            raise ApiError(409, "changed", "the person of this conversation is gone; look for them again")
        dialled = known_by(line.number) if line.number is not None else ()
        rest: tuple[Identity, ...] = tuple(one for one in reversed(contact.identities) if one not in dialled)
        item = WriteTo(
            key=key,
            org=line.org,
            agent=line.agent,
            channel=line.channel,
            at=kit.clock(),
            person=Sender(identities=(*dialled, *rest), routing=contact.home),
            by=by.name,
            message=message,
            takes_over=takes_over,
            message_id=id_,
            opening=opening,
            overrides=overrides,
        )
        await kit.bus.publish([Outgoing(commands_for(contact.home, kit.partitions).name, pack((item,)), item.key)])
        return id_

    async def sent(self, upload: Upload | None) -> None:
        if upload is not None:
            await self._uploads.sent([upload])


def text_channel(agent: Agent, wanted: str | None) -> Channel:
    """The agent's channel that a stranger can be written to on. Raises ApiError 404 or 422."""
    if wanted is not None:
        found = next((one for one in agent.channels if one.id == wanted), None)
        if found is None:
            raise missing("channel of this agent", f"GET /v1/agents/{agent.slug}/channels lists them")
        if found.kind in SOUND:
            raise not_in_writing()
        if not isinstance(found, SmsChannel | WhatsAppChannel):
            raise contradiction("channel_id", "nobody can be written to first there; they open the chat themselves")
        return found
    able = [one for one in agent.channels if isinstance(one, SmsChannel | WhatsAppChannel)]
    if len(able) != 1:
        what = "several channels; say which" if able else "no channel to write on; connect WhatsApp or SMS"
        raise contradiction("channel_id", f"the agent {agent.slug} has {what}")
    return able[0]


def not_in_writing() -> ApiError:
    return ApiError(
        422,
        "not_in_writing",
        "people are spoken with there, and nothing can be written; call them with POST /v1/calls, or give the "
        "channel_id of a WhatsApp or SMS channel",
        "channel_id",
    )
