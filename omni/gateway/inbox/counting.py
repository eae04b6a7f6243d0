"""How many of the customer's messages somebody has read, who has read so far."""

from __future__ import annotations

from typing import Final

from omni.model.call import Call
from omni.model.entry import UserSaid
from omni.store.base import Store

STEP: Final = 500
"""Entries that are read at once."""


async def user_messages_up_to(store: Store, call: Call, seq: int) -> int:
    """The customer's messages in a call up to an entry. Raises StoreError."""
    later, after = 0, seq
    while after < call.last_seq:
        entries = await store.entries(call.id, after=after, limit=min(STEP, call.last_seq - after))
        if not entries:
            break
        later += sum(isinstance(entry.fact, UserSaid) for entry in entries)
        after = entries[-1].seq
    return max(0, call.user_messages - later)
