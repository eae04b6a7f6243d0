"""What some mail makes of a call: one append, and the effects after it."""

from __future__ import annotations

from dataclasses import dataclass, field

from omni.live.told import Signal
from omni.model.delivery import Delivery
from omni.model.entry import Entry
from omni.store.base import Append
from sessions.document import document_of, snapshot_of
from sessions.fold import fold
from sessions.rules.turns import files_came
from sessions.state import CallState
from sessions.steps import Around, Effect, LiveTurn, Reply, Step


@dataclass(slots=True)
class Batch:
    """Steps that are appended together. `state` and `turn` are the call after the last of them."""

    state: CallState
    turn: LiveTurn | None
    entries: list[Entry] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    replies: list[tuple[Reply, CallState]] = field(default_factory=list)
    """What to tell whoever asked: each of the call as their own input left it."""
    keys: list[str] = field(default_factory=list)
    """Input keys that these steps settle."""
    deliveries: list[Delivery] = field(default_factory=list)
    told: list[Entry | Signal] = field(default_factory=list)
    """What whoever looks on is told of, in its order."""
    tells: bool = False
    """Whether webhooks are to be told of these entries."""

    def take(self, step: Step, around: Around) -> None:
        """Put one more step behind the others."""
        for fact in step.facts:
            entry = Entry(seq=self.state.seq + 1, ts=around.now, call=self.state.id, agent=self.state.agent, fact=fact)
            self.entries.append(entry)
            self.told.append(entry)
            self.state = fold(self.state, entry)
        self.effects += step.effects
        self.replies += [(effect, self.state) for effect in step.effects if isinstance(effect, Reply)]
        self.deliveries += step.asked
        self.turn = files_came(self.state, step.turn, around.now)

    def as_append(self, wake_at: float | None, *, with_snapshot: bool) -> Append:
        return Append(
            call=document_of(self.state, wake_at),
            entries=self.entries,
            keys=self.keys,
            deliveries=self.deliveries,
            snapshot=snapshot_of(self.state) if with_snapshot else None,
            tells=self.tells,
        )
