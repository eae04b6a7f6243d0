"""The delivery worker's look at the agents: which configured channel something goes out on."""

from __future__ import annotations

from omni.model.channel import has_account, own_channel
from sessions.book import Book
from workers.line import Route


class Routes:
    def __init__(self, book: Book) -> None:
        self._book = book

    async def route(self, org: str, channel: str, agent: str) -> Route | None:
        """See `workers.line.Channels`."""
        owner = self._book.owner(org, channel) if has_account(channel) else self._book.get(org, agent)
        found = own_channel(owner.channels, channel) if owner is not None else None
        return Route(channel=found, org=org, agent=owner.slug) if owner is not None and found is not None else None
