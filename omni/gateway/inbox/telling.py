"""Rows and items with what belongs to them from the store: people, deliveries, files that came later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from omni.gateway.inbox.cursors import cursor_of
from omni.gateway.inbox.items import Item, case_item, delivery_in, item_of
from omni.gateway.inbox.naming import conversation_id
from omni.gateway.inbox.rows import Row, row_of
from omni.gateway.inbox.thread import Line
from omni.model.delivery import Delivery
from omni.model.entry import Entry, MediaStored, UserSaid
from omni.model.message import Media
from omni.store.base import Store
from omni.store.inbox import Listed

AHEAD: Final = 300
"""Entries behind a message among which its files are looked for."""

FEW: Final = 8
"""So many deliveries are read one by one; of more, all of their call are read."""


async def rows_of(store: Store, listed: Sequence[Listed], now: float) -> list[Row]:
    """Raises StoreError."""
    people = await store.contacts([each.call.contact for each in listed])
    return [row_of(each, people.get(each.call.contact), now) for each in listed]


async def items_of(store: Store, conversation: str, lines: Sequence[Line]) -> list[Item]:
    """The lines of a conversation as items, each with its cursor. Raises StoreError."""
    entries = [line.what for line in lines if isinstance(line.what, Entry)]
    deliveries = await deliveries_of(store, entries)
    stored = await files_of(store, entries)
    id_ = conversation_id(conversation)
    return [
        {
            **(item_of(line.what, id_, stored, deliveries) if isinstance(line.what, Entry) else case_item(line.what)),
            "cursor": cursor_of(conversation, line.place),
        }
        for line in lines
    ]


async def deliveries_of(store: Store, entries: Iterable[Entry]) -> dict[str, Delivery]:
    """The deliveries that entries' messages go out by, as they are now, by id."""
    wanted: dict[str, list[str]] = {}
    for entry in entries:
        delivery = delivery_in(entry.fact)
        if delivery is not None:
            wanted.setdefault(entry.call, []).append(delivery.id)
    found: dict[str, Delivery] = {}
    for call, ids in wanted.items():
        if len(ids) <= FEW:
            each = await asyncio.gather(*(store.delivery(id_) for id_ in ids))
            found |= {delivery.id: delivery for delivery in each if delivery is not None}
        else:
            found |= {delivery.id: delivery for delivery in await store.deliveries(call)}
    return found


async def files_of(store: Store, entries: Sequence[Entry]) -> dict[tuple[str, int], Media]:
    """Files of messages among `entries` that were fetched since."""
    stored = {
        (entry.fact.id, entry.fact.part): entry.fact.media for entry in entries if isinstance(entry.fact, MediaStored)
    }
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, UserSaid):
            missing = [part for part in fact.message.pending_media if (fact.id, part) not in stored]
            if missing:
                stored |= await stored_files(store, entry, fact.id)
    return stored


async def stored_files(store: Store, entry: Entry, message_id: str) -> dict[tuple[str, int], Media]:
    """The files of one message that were fetched after it was written down."""
    later = await store.entries(entry.call, after=entry.seq, limit=AHEAD)
    return {
        (message_id, each.fact.part): each.fact.media
        for each in later
        if isinstance(each.fact, MediaStored) and each.fact.id == message_id
    }
