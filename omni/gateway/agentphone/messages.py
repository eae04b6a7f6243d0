"""`/v1/messages`: send and react; the messages of a number."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import JsonValue

from omni.gateway.agentphone.answers import answer
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.errors import Refusal, missing, not_here, wrong
from omni.gateway.agentphone.message_shapes import MessageBody, ReactionBody
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.reading import Span, Talk, TimeQuery, at_of, newest, shown_message
from omni.gateway.agentphone.senders import Senders
from omni.gateway.agentphone.talks import PublicUrl, Talks
from omni.gateway.inbox.limits import limits_of
from omni.gateway.rest.errors import ApiError
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.reading import entry_of, shown_of
from omni.gateway.rest.messages.sending import Line, Sending
from omni.gateway.rest.messages.shapes import Content, MediaRef, MessageSend, MessageShown
from omni.gateway.rest.routing import Caller
from omni.model.conversations import conversation_id
from omni.model.message import MediaKind, Message, Reaction
from omni.store.inbox import Listed

SEEN_SECONDS: Final = 2.0
"""How long a send waits until its message is in the conversation; it is on its way in any case."""
LOOK_SECONDS: Final = 0.01
MOST_SEARCHED: Final = 300
"""Conversations among which a message is looked for, from the latest back."""

_EMOJI: Final = {"love": "❤️", "like": "👍", "dislike": "👎", "laugh": "😂", "emphasize": "‼️", "question": "❓"}
_KINDS: Final = {
    "jpg": MediaKind.IMAGE, "jpeg": MediaKind.IMAGE, "png": MediaKind.IMAGE, "gif": MediaKind.IMAGE,
    "webp": MediaKind.IMAGE, "mp4": MediaKind.VIDEO, "mov": MediaKind.VIDEO, "3gp": MediaKind.VIDEO,
    "mp3": MediaKind.AUDIO, "ogg": MediaKind.AUDIO, "m4a": MediaKind.AUDIO, "wav": MediaKind.AUDIO,
}  # fmt: skip


class MessageOperations:
    def __init__(self, kit: RestKit, sending: Sending, numbers: Numbers, talks: Talks, url: PublicUrl) -> None:
        self._kit = kit
        self._sending = sending
        self._numbers = numbers
        self._senders = Senders(kit, numbers)
        self._talks = talks
        self._url = url

    def operations(self) -> list[Operation]:
        return [
            Operation("POST", "/v1/messages", self.send),
            Operation("POST", "/v1/messages/{message}/reactions", self.react),
            Operation("GET", "/v1/numbers/{number}/messages", self.of_number),
        ]

    async def send(self, asked: Asked) -> web.Response:
        body = asked.body(MessageBody)
        if body.recipients is not None:
            raise not_here("groups are started on iMessage only, which this server does not have; write to one person")
        sender = await self._senders.sender(asked.org, body)
        line = await self._sending.line(
            asked.by, MessageSend(agent_id=sender.agent, channel_id=sender.channel.id, to=sender.to, text="-")
        )
        reply_to, is_unresolved = await self._answered(line, body.reply_to_message_id)
        self._sending.check(line, is_template=False)
        sent = await self.deliver(asked.by, line, body.body, body.media, reply_to)
        channel = "mms" if line.transport == "sms" and body.media else line.transport
        return answer(
            {
                "id": sent,
                "status": "sent",
                "channel": channel,
                "from_number": sender.number.number,
                "to_number": sender.to,
                "conversation_id": conversation_id(line.conversation),
                "media_urls": [*body.media],
                "reply_to_message_id": body.reply_to_message_id,
                "reply_parent_unresolved": is_unresolved if body.reply_to_message_id is not None else None,
            }
        )

    async def deliver(
        self, by: Caller, line: Line, text: str | None, media: Sequence[str], reply_to: str | None = None
    ) -> str:
        """One message a file, the text with the first; a long text in several. Returns the id of the first once all are
        in the conversation."""
        first, *more = pieces(text or "", limits_of(line.transport).text)
        contents = [
            Content(text=(first or None) if place == 0 else None, media=MediaRef(url=link, kind=_kind(link)))
            for place, link in enumerate(media)
        ] or [Content(text=first)]
        contents += [Content(text=piece) for piece in more]
        messages = [
            (await self._sending.message(by, line, content, reply_to if place == 0 else None))[0]
            for place, content in enumerate(contents)
        ]
        ids = [
            await self._sending.send(replace(by, act=f"{by.act}-{place}" if place else by.act), line, message)
            for place, message in enumerate(messages)
        ]
        await self._seen(line.org, ids[-1])
        return ids[0]

    async def react(self, asked: Asked) -> web.Response:
        body, id_ = asked.body(ReactionBody), asked.named("message")
        row, message = await self._message(asked.org, id_)
        transport = row.call.transport
        if transport != "whatsapp":
            raise wrong(f"{transport} has no reactions; answer in words", "reaction")
        line = await self._sending.of_conversation(asked.org, conversation_id(row.call.conversation))
        self._sending.check(line, is_template=False)
        if not message.provider_ids:
            raise Refusal(409, f"the message {id_} is {message.status}; wait until it is sent")
        emoji = _EMOJI.get(body.reaction, body.reaction)
        sent = await self._sending.send(
            asked.by, line, Message(parts=(Reaction(target=message.provider_ids[0], emoji=emoji),))
        )
        return answer({"id": sent, "reaction_type": body.reaction, "message_id": id_, "channel": transport})

    async def of_number(self, asked: Asked) -> web.Response:
        query, number = asked.query(TimeQuery), await self._numbers.get(asked.org, asked.named("number"))
        span = Span.of(query)
        found: list[tuple[int, MessageShown, Talk]] = []
        has_more = False
        rows = (await self._talks.of_number(number))[:MOST_SEARCHED]
        for talk in await self._talks.talks([row.call for row in rows]):
            messages, goes_on = await newest(self._kit, talk.call.conversation, span, query.limit)
            has_more |= goes_on
            found += [(at_of(each), each, talk) for each in messages if each.type == "message"]
        found.sort(key=lambda each: (-each[0], each[1].id))
        end = min(query.limit, len(found))
        while 0 < end < len(found) and found[end][0] == found[end - 1][0]:
            end += 1
        data: list[JsonValue] = [shown_message(message, talk, self._url) for _, message, talk in found[:end]]
        return answer({"data": data, "hasMore": has_more or end < len(found)})

    async def _answered(self, line: Line, id_: str | None) -> tuple[str | None, bool]:
        """What the provider calls the message that is answered, and whether it cannot be shown as such. Raises Refusal
        404."""
        if id_ is None:
            return None, False
        nobody = missing(f"the reply target {id_[:80]!r} does not exist in this conversation; nothing was sent")
        if line.call is None:
            raise nobody
        try:
            entry = await entry_of(self._kit.store, line.conversation, id_)
        except ApiError:
            raise nobody from None
        [shown] = await shown_of(self._kit.store, line.conversation, [entry])
        if line.transport != "whatsapp" or not shown.provider_ids:
            return None, True
        return shown.provider_ids[0], False

    async def _message(self, org: str, id_: str) -> tuple[Listed, MessageShown]:
        """Raises Refusal 404."""
        for row in (await self._talks.listed(org))[:MOST_SEARCHED]:
            try:
                entry = await entry_of(self._kit.store, row.call.conversation, id_)
            except ApiError:
                continue
            [shown] = await shown_of(self._kit.store, row.call.conversation, [entry])
            return row, shown
        raise missing(f"there is no message {id_[:80]!r}; GET a conversation's messages")

    async def _seen(self, org: str, id_: str) -> None:
        """Returns once the conversation has it, or after a while."""
        deadline = asyncio.get_running_loop().time() + SEEN_SECONDS
        while not await self._kit.store.acted_on([f"rest:{org}:{id_}"]):
            if asyncio.get_running_loop().time() >= deadline:
                return
            await asyncio.sleep(LOOK_SECONDS)


def pieces(text: str, most: int) -> list[str]:
    """A text in parts of at most so many characters, cut between words where there are any; one part at least."""
    found: list[str] = []
    rest = text.strip()
    while len(rest) > most:
        cut = max(rest.rfind(sign, most // 2, most + 1) for sign in (" ", "\n"))
        cut = cut if cut > 0 else most
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*found, rest]


def _kind(link: str) -> MediaKind:
    return _KINDS.get(urlsplit(link).path.rpartition(".")[2].lower(), MediaKind.DOCUMENT)
