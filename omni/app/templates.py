"""The inbox's look at the templates of WhatsApp numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from channels.base import RefusedError
from channels.whatsapp.adapter import WhatsAppAdapter
from omni.gateway.inbox.kit import TemplatesError
from omni.model.channel import WhatsAppChannel, has_account, own_channel
from omni.model.message import Template
from omni.model.template import ApprovedTemplate
from sessions.book import Book


class WhatsAppTemplates:
    """See `omni.gateway.inbox.kit.TemplateSource`."""

    def __init__(self, book: Book, adapter: WhatsAppAdapter) -> None:
        self._book = book
        self._adapter = adapter

    async def approved(self, org: str, agent: str, channel: str) -> Sequence[ApprovedTemplate]:
        owner = self._book.owner(org, channel) if has_account(channel) else self._book.get(org, agent)
        found = own_channel(owner.channels, channel) if owner is not None else None
        if not isinstance(found, WhatsAppChannel):
            return ()
        try:
            return await self._adapter.templates(found)
        except RefusedError as error:
            raise TemplatesError(error.reason) from None

    def filled(self, template: ApprovedTemplate, values: Mapping[str, str]) -> Template:
        return self._adapter.fill(template, dict(values))
