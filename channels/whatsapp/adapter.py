"""The WhatsApp channel as the workers see it (`channels.base.Adapter`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from aiohttp.abc import AbstractResolver

from channels.base import Accepted, Action, Download, Piece, RefusedError
from channels.whatsapp.graph import GRAPH_URL, Graph, request_path
from channels.whatsapp.media import MediaSource
from channels.whatsapp.numbers import alternate
from channels.whatsapp.outgoing import Request, pieces_of, template_pieces
from channels.whatsapp.people import identities_of, phone_of, user_of
from channels.whatsapp.reading import identifier, items, label, mapping
from channels.whatsapp.templates import Templates, message_of
from channels.whatsapp.uploads import Uploads
from channels.whatsapp.versions import concern
from omni.blobs.base import Blobs
from omni.model.channel import Channel, WhatsAppChannel
from omni.model.delivery import Delivery
from omni.model.message import Media, Template
from omni.model.template import ApprovedTemplate

_NOT_ALLOW_LISTED = 131030
_MEDIA_CODES = frozenset({100, 131008, 131009, 131052, 131053})
"""Refusals after which an uploaded file's id is not used again."""


class WhatsAppAdapter:
    """Sends, fetches and probes through one Graph API, for every WhatsApp number of the process."""

    kind = "whatsapp"

    def __init__(
        self,
        blobs: Blobs,
        *,
        graph_url: str = GRAPH_URL,
        clock: Callable[[], float] = time.time,
        media_hosts: tuple[str, ...] = (),
        resolver: AbstractResolver | None = None,
        timeout: float = 30,
    ) -> None:
        """`media_hosts` are allowed for downloads beside WhatsApp's own; `timeout` is a request's, in seconds."""
        self._clock = clock
        self._graph = Graph(graph_url, timeout=timeout)
        self._media = MediaSource(self._graph, hosts=media_hosts, resolver=resolver)
        self._uploads = Uploads(self._graph, blobs, clock)
        self._templates = Templates(self._graph)

    async def open(self) -> None:
        await self._graph.open()
        await self._media.open()

    async def close(self) -> None:
        await self._media.close()
        await self._graph.close()

    def pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece]:
        return pieces_of(delivery)

    def closed_window_pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece] | None:
        named = _whatsapp(channel).closed_window_template
        return template_pieces(delivery, named) if named else None

    async def send(self, channel: Channel, delivery: Delivery, index: int, piece: Piece) -> Accepted:
        number = _whatsapp(channel)
        request: Request = piece.payload
        body = request.body
        if request.upload is not None:
            kind = body["type"]
            media_id = await self._uploads.id_of(number, request.upload)
            body = {**body, kind: {"id": media_id, **body[kind]}}
        try:
            answer = await self._post(number, body)
        except RefusedError as refused:
            if request.upload is not None and refused.provider_code in _MEDIA_CODES:
                self._uploads.forget(number, request.upload)
            other = alternate(body["to"]) if "to" in body and body["recipient_type"] == "individual" else None
            if refused.provider_code != _NOT_ALLOW_LISTED or other is None:
                raise
            # A test number compares its list letter by letter: the other spelling may be the one on it.
            answer = await self._post(number, {**body, "to": other})
        return _accepted(answer)

    async def show_typing(self, channel: Channel, provider_id: str, *, typing: bool) -> None:
        number = _whatsapp(channel)
        if not number.read_receipts or provider_id.startswith("sha256:"):
            return  # not wanted, or a message that came without an id of its own
        body: dict[str, Any] = {"messaging_product": "whatsapp", "status": "read", "message_id": provider_id}
        if typing:
            body["typing_indicator"] = {"type": "text"}
        await self._graph.call(number, "POST", _messages(number), body=body)

    async def probe(self, channel: Channel) -> str:
        number = _whatsapp(channel)
        answer = await self._graph.call(
            number,
            "GET",
            request_path(number.phone_number_id),
            params={"fields": "id,display_phone_number,verified_name"},
        )
        name, phone = label(answer.get("verified_name"), 80), label(answer.get("display_phone_number"), 40)
        who = f"{name or 'a number without a name'} ({phone or number.phone_number_id})"
        worry = concern(number.graph_version, datetime.fromtimestamp(self._clock(), UTC).date())
        return f"{who}. {worry}" if worry else who

    async def templates(self, channel: Channel) -> list[ApprovedTemplate]:
        """What may be sent although the service window is closed. Raises RefusedError."""
        return await self._templates.of(_whatsapp(channel))

    def fill(self, template: ApprovedTemplate, values: dict[str, str]) -> Template:
        """Raises ValueError with a sentence."""
        return message_of(template, values)

    def fetch(self, channel: Channel, media: Media) -> AbstractAsyncContextManager[Download]:
        return self._media.fetch(_whatsapp(channel), media)

    async def _post(self, number: WhatsAppChannel, body: dict[str, Any]) -> Any:
        return await self._graph.call(number, "POST", _messages(number), body=body, may_act=True)


def _messages(number: WhatsAppChannel) -> str:
    return request_path(number.phone_number_id, "messages")


def _accepted(answer: Any) -> Accepted:
    first = next((mapping(message) for message in items(answer.get("messages"))), mapping(None))
    provider_id = identifier(first.get("id"))
    if provider_id is None:
        raise RefusedError(
            "WhatsApp answered 200 without a message id.", action=Action.RETRY, code="no_answer", is_unclear=True
        )
    contact = next((mapping(one) for one in items(answer.get("contacts"))), mapping(None))
    return Accepted(provider_id, identities_of(phone_of(contact.get("wa_id")), user_of(contact.get("user_id")), None))


def _whatsapp(channel: Channel) -> WhatsAppChannel:
    if not isinstance(channel, WhatsAppChannel):
        raise TypeError(f"the WhatsApp adapter was given the channel {channel.id!r}")
    return channel
