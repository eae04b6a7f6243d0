"""What a worker that died left undone, seen by the one that opens its call next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omni.model.call import Call
from omni.model.entry import BotSaid, HumanSaid
from omni.model.inbound import ToCall
from omni.store.base import Loaded
from sessions.document import document_of, state_of
from sessions.mail import Mail
from sessions.outbox import Outbox
from sessions.party import Party
from sessions.place import Place
from sessions.rules.ending import next_wake
from sessions.rules.turns import is_silent
from sessions.rules.user import media_jobs
from sessions.state import CallState
from sessions.steps import Around, Dispatch, Effect, Withdraw
from sessions.world import World


@dataclass(frozen=True, slots=True)
class Reread:
    """A call as its log has it. A husk has ended, and only its document did not say so."""

    state: CallState
    around: Around
    loaded: Loaded

    @property
    def is_husk(self) -> bool:
        return not self.state.is_open or self.state.seq == 0

    @property
    def snapshot_seq(self) -> int:
        return self.loaded.snapshot.seq if self.loaded.snapshot is not None else 0


class Recovery:
    """Of one conversation. `is_due`: whoever had the call before (another worker, or we before a failure) may have left
    effects undone that are in the log."""

    def __init__(self, world: World, place: Place, party: Party, outbox: Outbox) -> None:
        self._world = world
        self._place = place
        self._party = party
        self._outbox = outbox
        self.is_due = False

    async def read(self) -> Reread | None:
        """The place's open call from its log, with everything beside the log brought up to it."""
        loaded = await self._world.store.open_call(self._place.conversation)
        if loaded is None:
            return None
        state = state_of(loaded)
        await self._party.recall(state.contact)
        found = Reread(state, self._party.around(state), loaded)
        await self._catch_up(found)
        if found.is_husk:
            await self._close(state)
        return found

    def left_undone(self, found: Reread, mails: Sequence[Mail]) -> list[Effect]:
        """The effects to run again, when there may be any: mail that comes again says so, too."""
        if not self.is_due and not any(mail.is_redelivered for mail in mails):
            return []
        self.is_due = True
        return _undone(found.loaded, found.state, found.around)

    async def look_back(self, state: CallState | None, mails: Sequence[Mail]) -> None:
        """What came again may have been the last that an earlier call did. `state` is the open call, if one is."""
        again = [mail.happening for mail in mails if mail.is_redelivered]
        ended = {happening.call for happening in again if isinstance(happening, ToCall)}
        if state is not None:
            ended.discard(state.id)
        elif again or self.is_due:
            last: Call | None = await self._world.store.last_call(self._place.conversation)
            ended |= {last.id} if last is not None else set()
        for call in ended:
            loaded = await self._world.store.load_call(call)
            if loaded is not None and not loaded.call.is_open:
                was = state_of(loaded)
                await self._outbox.run(call, _undone(loaded, was, self._party.around(was)))

    async def _catch_up(self, found: Reread) -> None:
        """The log is ahead of the document: write the document and the missing deliveries, and have them sent."""
        state, loaded = found.state, found.loaded
        late = [entry.fact for entry in loaded.entries if entry.seq > loaded.call.last_seq]
        if not late:
            return
        deliveries = [
            fact.delivery for fact in late if isinstance(fact, BotSaid | HumanSaid) and fact.delivery is not None
        ]
        await self._world.store.save_call(document_of(state, next_wake(state, found.around)), deliveries)
        await self._outbox.send(state.id, deliveries)

    async def _close(self, state: CallState) -> None:
        """The log says that the call is over (or never began), the document not yet: let the document follow."""
        ended_at, reason = state.ended_at or self._world.clock(), state.reason or "lost"
        closed = state.model_copy(update={"ended_at": ended_at, "reason": reason})
        await self._world.store.save_call(document_of(closed, None))


def _undone(loaded: Loaded, state: CallState, around: Around) -> list[Effect]:
    """Every effect that may not have reached the bus. The delivery worker knows what was sent, and the media worker's
    answers act once."""
    effects: list[Effect] = [Withdraw()] if is_silent(state, around) else []
    effects += [Dispatch(delivery) for delivery in loaded.unsent]
    awaited = {file.message_id for file in state.awaited}
    for line in state.lines:
        if line.ref in awaited and line.content is not None:
            effects += media_jobs(state, around, line.ref, line.content)
    return effects
