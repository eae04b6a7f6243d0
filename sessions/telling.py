"""What a call tells the world while it goes on: its new entries, signals, and answers to those who asked."""

from __future__ import annotations

from collections.abc import Sequence

from omni.live.told import Answered, Signal, Told
from omni.model.entry import Entry
from omni.model.inbound import AnyInput, Ask
from sessions.briefing import prompt_of
from sessions.history import lines_for
from sessions.place import Place
from sessions.preparing import opening
from sessions.state import CallState
from sessions.steps import Around, Happening, Reply
from sessions.world import World

NO_SUCH_CALL = "call_not_found"


class Telling:
    """One call's voice. Best effort: whoever misses something reads the log."""

    def __init__(self, world: World, place: Place) -> None:
        self._world = world
        self._place = place

    async def entries(self, state: CallState, entries: Sequence[Entry], around: Around) -> None:
        preparing = opening(state, entries, around)
        if preparing is not None:  # between the start of the session and what was said in it
            await self._world.tell(self._told(state, entries=tuple(entries[:1]), signals=(preparing,)))
            entries = entries[1:]
        if entries:
            await self._world.tell(self._told(state, entries=tuple(entries)))

    async def signal(self, state: CallState, signal: Signal) -> None:
        await self._world.tell(self._told(state, signals=(signal,)))

    async def outcome(self, reply: Reply, state: CallState, around: Around) -> None:
        """The memory as it is, for whoever read or changed it."""
        messages = history_of(state, around, self._world)
        data = {"messages": messages, "count": len(messages)} if reply.shows_history else {"count": len(messages)}
        await self._world.answer(reply.ask.desk, Answered.model_validate({"id": reply.ask.id, "data": data}))

    async def no_such_call(self, happening: Happening) -> None:
        """Nothing came of it: the call has ended."""
        ask = ask_of(happening)
        if ask is not None:
            await self._world.answer(ask.desk, Answered(id=ask.id, error=NO_SUCH_CALL))

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


def ask_of(happening: Happening | AnyInput) -> Ask | None:
    """Who waits for an input's outcome, if anybody does."""
    return getattr(happening, "ask", None)


def history_of(state: CallState, around: Around, world: World) -> list[dict[str, object]]:
    """The conversation as models read it: the rendered prompt first, in the OpenAI chat shape."""
    prompt = prompt_of(state, around.agent, world.render, around.now)
    system = [{"role": "system", "content": prompt}] if prompt else []
    return [*system, *(line.wire() for line in lines_for(state, ()))]
