"""Conversations on our phone numbers, found and listed by what was said last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from omni.gateway.agentphone.errors import missing
from omni.gateway.agentphone.number_shapes import Number, number_of
from omni.gateway.agentphone.reading import Talk
from omni.gateway.rest.kit import RestKit
from omni.model.call import Call
from omni.model.channel import has_account, own_channel
from omni.model.conversations import conversation_of
from omni.store.inbox import InboxFilter, Listed

TRANSPORTS: Final = ("sms", "whatsapp")
FARTHEST: Final = 5_000
"""Conversations that a list goes through at most: what comes behind them is not counted."""
PAGE: Final = 500


class Talks:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit

    async def listed(
        self, org: str, *, agent: str | None = None, channels: Sequence[str] | None = None
    ) -> list[Listed]:
        """The latest activity first."""
        found: list[Listed] = []
        states: tuple[Literal["ended"] | None, ...] = (None, "ended")
        for state in states:
            before: str | None = None
            while len(found) < FARTHEST:
                where = InboxFilter(
                    org=org, now=self._kit.clock(), state=state, transports=TRANSPORTS,
                    agents=(agent,) if agent is not None else (), before=before,
                )  # fmt: skip
                page = await self._kit.store.conversation_list(where, limit=PAGE)
                found += [row for row in page.rows if channels is None or row.call.channel in channels]
                before = page.next
                if before is None:
                    break
        newest = {row.call.conversation: row for row in found}
        return sorted(newest.values(), key=lambda row: (-_active(row.call), row.call.conversation))

    async def of_number(self, number: Number) -> list[Listed]:
        return await self.listed(number.org, channels=[channel.id for channel in number.channels])

    async def find(self, org: str, id_: str) -> Listed:
        """Raises Refusal 404."""
        key = conversation_of(id_)
        found = await self._kit.store.listed([key]) if key is not None else []
        if not found or found[0].call.org != org:
            raise missing("there is no such conversation; GET /v1/conversations lists them")
        return found[0]

    async def talks(self, calls: Sequence[Call]) -> list[Talk]:
        people = await self._kit.store.contacts([call.contact for call in calls])
        return [Talk(call, people.get(call.contact), self._ours(call)) for call in calls]

    def _ours(self, call: Call) -> str:
        """Our number; of a channel that is gone the provider's name of it."""
        book = self._kit.book
        owner = book.owner(call.org, call.channel) if has_account(call.channel) else book.get(call.org, call.agent)
        channel = own_channel(owner.channels, call.channel) if owner is not None else None
        return (number_of(channel) if channel is not None else None) or call.channel.partition(":")[2]


def _active(call: Call) -> float:
    return call.last_at or call.started_at


PublicUrl = Callable[[], str]
