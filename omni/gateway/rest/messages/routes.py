"""`/v1/messages` to send; the messages of a conversation to read, and to react to."""

from __future__ import annotations

from aiohttp import web

from omni.gateway.inbox.media import media_at, send_file
from omni.gateway.rest.errors import conflict, contradiction, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.reading import entry_of, page_of, shown_of
from omni.gateway.rest.messages.sending import Line, Sending
from omni.gateway.rest.messages.shapes import (
    MessageQueued,
    MessageSend,
    MessageShown,
    MessagesQuery,
    ReactionSend,
)
from omni.gateway.rest.routing import Route, Wanted, route, stream
from omni.gateway.rest.shapes import Nothing, Page
from omni.model.conversations import conversation_id
from omni.model.message import Message, Reaction

TAG = "Messages"


class MessageRoutes:
    def __init__(self, kit: RestKit, sending: Sending) -> None:
        self._kit = kit
        self._sending = sending

    def routes(self) -> list[Route]:
        path = "/v1/conversations/{conversation_id}/messages"
        return [
            route(
                "POST", "/v1/messages", self.send_message, tag=TAG, summary="Send a message",
                body=MessageSend, answer=MessageQueued, status=202, errors=(404, 409, 413, 422),
            ),
            route(
                "GET", path, self.list_messages, tag=TAG, summary="List a conversation's messages",
                query=MessagesQuery, answer=Page[MessageShown], errors=(404,),
            ),
            route(
                "GET", f"{path}/{{message_id}}", self.get_message, tag=TAG, summary="Get a message",
                answer=MessageShown, errors=(404,),
            ),
            route(
                "POST", f"{path}/{{message_id}}/reactions", self.react, tag=TAG, summary="React to a message",
                body=ReactionSend, answer=MessageQueued, status=202, errors=(404, 409, 422),
            ),
            stream(
                f"{path}/{{message_id}}/media/{{part}}", self.get_media, tag=TAG, summary="Download a message's file",
                media="application/octet-stream", errors=(404, 416),
            ),
        ]  # fmt: skip

    async def send_message(self, wanted: Wanted[MessageSend, Nothing]) -> MessageQueued:
        """Into a conversation, or to somebody who is written to first: on SMS anything, on WhatsApp an approved
        template, or anything while their 24-hour window is open. The bot goes on answering unless `takes_over`."""
        body, sending = wanted.body, self._sending
        line = await sending.line(wanted.by, body)
        sending.check(line, is_template=body.template is not None)
        reply_to = await self._provider_id(line, body.reply_to) if body.reply_to is not None else None
        message, upload = await sending.message(wanted.by, line, body, reply_to)
        await sending.sent(upload)
        id_ = await sending.send(wanted.by, line, message, takes_over=body.takes_over)
        return MessageQueued(id=id_, conversation_id=conversation_id(line.conversation))

    async def list_messages(self, wanted: Wanted[Nothing, MessagesQuery]) -> Page[MessageShown]:
        """Newest first, over all calls of the conversation."""
        line = await self._line(wanted.org, wanted.path["conversation_id"])
        return await page_of(self._kit.store, line.conversation, wanted.query.cursor, wanted.query.limit)

    async def get_message(self, wanted: Wanted[Nothing, Nothing]) -> MessageShown:
        """How far it is, too. One that was just sent is there a moment later."""
        line = await self._line(wanted.org, wanted.path["conversation_id"])
        entry = await entry_of(self._kit.store, line.conversation, wanted.path["message_id"])
        [shown] = await shown_of(self._kit.store, line.conversation, [entry])
        return shown

    async def react(self, wanted: Wanted[ReactionSend, Nothing]) -> MessageQueued:
        """On WhatsApp; elsewhere there are no reactions."""
        line = await self._line(wanted.org, wanted.path["conversation_id"])
        if line.transport != "whatsapp":
            raise contradiction(None, f"{line.transport} has no reactions; answer in words")
        self._sending.check(line, is_template=False)
        target = await self._provider_id(line, wanted.path["message_id"])
        message = Message(parts=(Reaction(target=target, emoji=wanted.body.emoji or None),))
        id_ = await self._sending.send(wanted.by, line, message)
        return MessageQueued(id=id_, conversation_id=conversation_id(line.conversation))

    async def get_media(self, wanted: Wanted[Nothing, Nothing]) -> web.StreamResponse:
        """Part by part, from 0; ranges are honoured."""
        line = await self._line(wanted.org, wanted.path["conversation_id"])
        entry = await entry_of(self._kit.store, line.conversation, wanted.path["message_id"])
        part = wanted.path["part"]
        if not (part.isascii() and part.isdigit() and len(part) <= 3):
            raise missing("file of this message", "the message's parts have their urls")
        media = await media_at(self._kit.store, entry.call, entry.seq, int(part))
        return await send_file(wanted.request, self._kit.blobs, media)

    async def _line(self, org: str, id_: str) -> Line:
        return await self._sending.of_conversation(org, id_)

    async def _provider_id(self, line: Line, message_id: str) -> str:
        """What the provider calls a message. Raises ApiError 404, and 409 for one that it does not know yet."""
        entry = await entry_of(self._kit.store, line.conversation, message_id)
        [shown] = await shown_of(self._kit.store, line.conversation, [entry])
        if not shown.provider_ids:
            raise conflict("not_sent", f"the message {message_id} is {shown.status}; wait until it is sent")
        return shown.provider_ids[0]
