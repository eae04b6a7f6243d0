"""What a restored server must not do again.

A backup of a running server has messages that wait to be sent and questions that wait for an answer. The old server
may have sent and answered them a moment later, so they are withdrawn: what was queued is cancelled, and a turn that was
owed is forgone, as when a person takes over. Whoever writes next is answered as ever.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omni.model.delivery import Delivery, DeliveryState
from omni.model.entry import Entry
from omni.store.base import Append, Store
from sessions.document import document_of, state_of
from sessions.fold import fold_all
from sessions.rules.turns import forgo

WHY: Final = "it waited when the backup was made, and may have been acted on since"
_PIECE: Final = 200


@dataclass(frozen=True, slots=True)
class Settled:
    """How many messages were withdrawn, turns forgone, and messages of the embedded bus put to the dead letters."""

    withdrawn: int = 0
    forgone: int = 0
    put_aside: int = 0


async def settle(store: Store, unsent: Sequence[str], calls: Sequence[str], *, put_aside: int = 0) -> Settled:
    now = time.time()

    def withdraw(delivery: Delivery) -> Delivery | None:
        if delivery.is_settled:
            return None
        return delivery.model_copy(update={"state": DeliveryState.CANCELLED, "updated_at": now})

    for start in range(0, len(unsent), _PIECE):
        await store.change_deliveries(dict.fromkeys(unsent[start : start + _PIECE], withdraw))
    forgone = 0
    for call in calls:
        forgone += await _forgo(store, call, now)
    return Settled(len(unsent), forgone, put_aside)


async def _forgo(store: Store, call_id: str, now: float) -> bool:
    loaded = await store.load_call(call_id)
    if loaded is None:
        return False
    state = state_of(loaded)
    facts = forgo(state, None, WHY).facts if state.is_open and not state.has_sound else ()
    if not facts:
        return False
    entries = [
        Entry(seq=state.seq + n, ts=now, call=state.id, agent=state.agent, fact=fact)
        for n, fact in enumerate(facts, start=1)
    ]
    await store.append(Append(document_of(fold_all(state, entries), loaded.call.wake_at), entries))
    return True
