"""What the webhook does with news of calls."""

from __future__ import annotations

from typing import Protocol

from channels.whatsapp.calling.news import CallNews


class Reception(Protocol):
    async def take(self, news: CallNews) -> None:
        """Returns when it survives this process, or needs not. The same news again do nothing more. Raises BusError
        and StoreError."""
