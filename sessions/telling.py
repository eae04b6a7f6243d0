"""What a call tells the world while it goes on: its new entries, and signals."""

from __future__ import annotations

from collections.abc import Sequence

from omni.live.told import Signal, Told
from omni.model.entry import Entry
from sessions.place import Place
from sessions.preparing import opening
from sessions.state import CallState
from sessions.steps import Around
from sessions.world import World


class Telling:
    """One call's voice. Best effort: whoever misses something reads the log."""

    def __init__(self, world: World, place: Place) -> None:
        self._world = world
        self._place = place

    async def news(self, state: CallState, told: Sequence[Entry | Signal], around: Around) -> None:
        """In their order: a telling has entries first and signals after them."""
        entries: list[Entry] = []
        signals: list[Signal] = []
        for each in told:
            if isinstance(each, Entry):
                if signals:
                    await self._world.tell(self._told(state, entries=tuple(entries), signals=tuple(signals)))
                    entries, signals = [], []
                entries.append(each)
                preparing = opening(state, (each,), around)
                if preparing is not None:  # between the start of the session and what was said in it
                    signals.append(preparing)
            else:
                signals.append(each)
        if entries or signals:
            await self._world.tell(self._told(state, entries=tuple(entries), signals=tuple(signals)))

    async def signal(self, state: CallState, signal: Signal) -> None:
        await self._world.tell(self._told(state, signals=(signal,)))

    def _told(self, state: CallState, *, entries: tuple[Entry, ...] = (), signals: tuple[Signal, ...] = ()) -> Told:
        return Told.model_construct(
            org=state.org,
            agent=state.agent,
            call=state.id,
            conversation=self._place.conversation,
            channel=state.channel,
            home=state.home,
            person=state.person,
            entries=entries,
            signals=signals,
        )
