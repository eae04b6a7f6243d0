"""From the log to deliveries: a call's events are written down for every endpoint that is to be told of them.

The log itself says what is still to be told (`omni.store.webhooks`), and what is told has an id that follows from it.
So this may be done twice, by two processes at once, and be cut at any instant.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from omni.model.call import SOUND, Call
from omni.model.conversations import conversation_id
from omni.model.entry import CallEnded, CallRinging, CallStarted, Entry
from omni.model.transcript import Line, Transcript
from omni.model.webhook import WebhookDelivery, WebhookEndpoint, listeners
from omni.store.base import Store
from sessions.brains.base import Spoken
from sessions.webhooks.envelopes import delivery_of
from sessions.webhooks.events import Event, events_of
from sessions.webhooks.scene import Scene, spoken_in
from workers.clock import Clock

log = logging.getLogger("omni.webhooks")

AT_ONCE: Final = 500
"""Entries that are told in one go."""
LOOK_BACK: Final = 200
"""So many entries before an event are looked through for what was said."""

Business = Callable[[Call], str]
"""Our side's number or name in a call."""


def by_channel(call: Call) -> str:
    """The account in the channel's id, which of SMS is the number."""
    return call.channel.partition(":")[2] or call.agent


class Telling:
    """`tell` is what the worker does for a call; it raises StoreError and may be repeated."""

    def __init__(self, store: Store, clock: Clock, business: Business = by_channel) -> None:
        self._store = store
        self._clock = clock
        self._business = business

    async def tell(self, call_id: str) -> int:
        """Write down what the call's log says is still to be told; returns how many deliveries are new."""
        new = 0
        while entries := await self._store.untold(call_id, limit=AT_ONCE):
            deliveries = await self._deliveries(call_id, entries)
            added = await self._store.tell(call_id, entries[-1].seq, deliveries, now=self._clock.now())
            if added and await self._store.call(call_id) is None:  # the person was erased while this was written down
                await self._store.erase_webhooks([call_id])
                return new
            new += added
        return new

    async def _deliveries(self, call_id: str, entries: Sequence[Entry]) -> list[WebhookDelivery]:
        events = events_of(entries)
        call = await self._store.call(call_id) if events else None
        if call is None:
            return []
        endpoints = listeners(tuple(await self._store.webhooks(call.org)), call.org, call.agent)
        if not endpoints:
            return []
        scene = await self._scene(call, entries, max(endpoint.context_limit for endpoint in endpoints))
        return [
            delivery
            for event in events
            for endpoint in endpoints
            if (delivery := _delivery(event, endpoint, scene)) is not None
        ]

    async def _scene(self, call: Call, entries: Sequence[Entry], wanted: int) -> Scene:
        first, last = entries[0].seq, entries[-1].seq
        after = max(0, first - 1 - LOOK_BACK)
        near = await self._store.entries(call.id, after=after, limit=last - after)
        began = near[0] if near and near[0].seq == 1 else next(iter(await self._store.entries(call.id, limit=1)), None)
        started = began.fact if began is not None and isinstance(began.fact, CallStarted | CallRinging) else None
        earlier: list[Spoken] = []
        # A call that begins without a memory of earlier ones has none here either.
        if started is not None and started.recap is not None:
            spoken = len(spoken_in(near, call.transport, before=first))
            if spoken < wanted:
                earlier = await self._earlier(call)
        person = "" if started is None else started.from_ if started.direction == "inbound" else started.to
        case = await self._store.case(call.conversation)
        metadata = {} if started is None else started.metadata
        return Scene(
            call=call,
            conversation=conversation_id(call.conversation),
            contact=await self._store.contact(call.contact),
            person=person,
            business=self._business(call),
            metadata=metadata,
            memory=case.memory if case is not None else None,
            entries=near,
            earlier=earlier,
            lines=await self._lines(call, entries),
        )

    async def _lines(self, call: Call, entries: Sequence[Entry]) -> Sequence[Line]:
        """All that was said, for whoever is told that a spoken call is over."""
        if call.transport not in SOUND or not any(isinstance(entry.fact, CallEnded) for entry in entries):
            return ()
        transcript, after = Transcript(), 0
        while found := await self._store.entries(call.id, after=after, limit=AT_ONCE):
            transcript.add(found)
            after = found[-1].seq
        return transcript.lines

    async def _earlier(self, call: Call) -> list[Spoken]:
        """What was said last in the conversation's call before this one."""
        found = await self._store.calls_of_conversation(call.conversation, before=call.id, limit=1)
        if not found:
            return []
        before = found[0]
        entries = await self._store.entries(before.id, after=max(0, before.last_seq - LOOK_BACK), limit=LOOK_BACK)
        return spoken_in(entries, before.transport)


def _delivery(event: Event, endpoint: WebhookEndpoint, scene: Scene) -> WebhookDelivery | None:
    """One event that cannot be put into words must not hold up all that follow it."""
    try:
        return delivery_of(event, endpoint, scene)
    except Exception:
        log.exception("an event cannot be told", extra={"call": event.call, "endpoint": endpoint.id})
        return None
