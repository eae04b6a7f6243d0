"""Calls that are written and told by hand: what a session worker does, one step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from omni.bus.base import Bus
from omni.live.hub import Hub
from omni.live.teller import Teller
from omni.live.told import Signal, Told
from omni.model.call import Call, conversation_key
from omni.model.entry import CallEnded, CallStarted, CallSummary, Custom, Entry, Fact
from omni.store.base import Append, Store

PATIENCE = 20.0
ORG = "default"
AGENT = "desk"


@dataclass
class Line:
    """A call, as its worker has it."""

    call: Call
    store: Store
    teller: Teller

    async def append(self, *facts: Fact) -> Told:
        """Write entries, and tell nobody yet."""
        before = self.call
        entries = tuple(
            Entry(seq=before.last_seq + n, ts=1_000.0 + before.last_seq + n, call=before.id, agent=AGENT, fact=fact)
            for n, fact in enumerate(facts, start=1)
        )
        self.call = before.model_copy(
            update={"last_seq": entries[-1].seq, "is_open": not isinstance(facts[-1], CallSummary)}
        )
        await self.store.append(Append(self.call, entries))
        return self.news(entries=entries)

    def news(self, entries: tuple[Entry, ...] = (), *signals: Signal) -> Told:
        call = self.call
        return Told(
            org=call.org,
            agent=call.agent,
            call=call.id,
            conversation=call.conversation,
            channel=call.channel,
            home=call.home,
            person="49170",
            entries=entries,
            signals=signals,
        )

    async def tell(self, told: Told) -> None:
        await self.teller.tell(told)

    async def go_on(self, *facts: Fact) -> None:
        """Write entries and tell them; one without a meaning if none is given."""
        await self.tell(await self.append(*(facts or (Custom(name="note"),))))

    @property
    def ending(self) -> tuple[Fact, ...]:
        return CallEnded(reason="idle", duration=1.0), CallSummary(reason="idle")

    async def end(self) -> None:
        await self.go_on(*self.ending)


OpenLine = Callable[..., Awaitable[Line]]
OpenHub = Callable[..., Awaitable[Hub]]


def begin(bus: Bus, store: Store, call_id: str, party: str = "ct_1", **more: Any) -> Line:
    """A call without an entry yet."""
    call = Call(
        **{
            "id": call_id,
            "org": ORG,
            "agent": AGENT,
            "channel": "whatsapp:100",
            "transport": "whatsapp",
            "conversation": conversation_key(ORG, AGENT, "whatsapp:100", party),
            "contact": party,
            "home": "wa_id:49170",
            "started_at": 1_000.0,
            **more,
        }
    )
    return Line(call, store, Teller(bus))


def started() -> CallStarted:
    return CallStarted.model_validate(
        {"direction": "inbound", "from": "49170", "to": "100", "channel": "whatsapp:100", "contact": "ct_1"}
    )


async def following(news: AsyncIterator[Told]) -> Told:
    async with asyncio.timeout(PATIENCE):
        return await anext(news)


async def seqs(news: AsyncIterator[Told], last: int, call: str | None = None) -> list[int]:
    """The numbers of the entries that come (of one call), up to `last`."""
    found: list[int] = []
    while not found or found[-1] < last:
        told = await following(news)
        if call is None or told.call == call:
            found += [entry.seq for entry in told.entries]
    return found
