"""What a worker that died left undone, seen by the one that opens its call next."""

from __future__ import annotations

from omni.model.entry import BotSaid, HumanSaid
from omni.store.base import Loaded
from sessions.document import document_of
from sessions.outbox import Outbox
from sessions.rules.ending import next_wake
from sessions.rules.turns import is_silent
from sessions.rules.user import media_jobs
from sessions.state import CallState
from sessions.steps import Around, Dispatch, Effect, Withdraw
from sessions.world import World


async def close_husk(world: World, state: CallState) -> None:
    """The log says that the call is over (or never began), the document not yet: let the document follow."""
    ended_at, reason = state.ended_at or world.clock(), state.reason or "lost"
    await world.store.save_call(document_of(state.model_copy(update={"ended_at": ended_at, "reason": reason}), None))


async def catch_up(world: World, outbox: Outbox, loaded: Loaded, state: CallState, around: Around) -> None:
    """The log is ahead of the document: write the document and the missing deliveries, and have them sent."""
    late = [entry.fact for entry in loaded.entries if entry.seq > loaded.call.last_seq]
    if not late:
        return
    deliveries = [fact.delivery for fact in late if isinstance(fact, BotSaid | HumanSaid) and fact.delivery is not None]
    wake_at = next_wake(state, around)
    await world.store.save_call(document_of(state, wake_at), deliveries)
    await outbox.send(state.id, deliveries)


def left_undone(loaded: Loaded, state: CallState, around: Around) -> list[Effect]:
    """Every effect that may not have reached the bus. The delivery worker knows what was sent, and the media worker's
    answers act once."""
    effects: list[Effect] = [Withdraw()] if is_silent(state, around) else []
    effects += [Dispatch(delivery) for delivery in loaded.unsent]
    awaited = {file.message_id for file in state.awaited}
    for line in state.lines:
        if line.ref in awaited and line.content is not None:
            effects += media_jobs(state, around, line.ref, line.content)
    return effects
