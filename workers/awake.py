"""The conversations that a session worker has in memory: found by their place or their call, woken, and forgotten when
there are too many."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from omni.telemetry import metrics
from sessions.actor import Conversation
from sessions.place import Place
from sessions.world import World

log = logging.getLogger("omni.session")

MAX_AWAKE: Final = 4_000
"""Calls at work at a time; while there are so many, the bus holds back what follows."""

LOOKS: Final = 16
"""Busy calls passed over to find one that makes room."""


class Awake:
    """`hot_calls` bounds the calls kept while nothing happens; those at work stay whatever their number."""

    def __init__(self, world: World, hot_calls: int) -> None:
        self._world = world
        self._hot_calls = hot_calls
        self._actors: OrderedDict[str, Conversation] = OrderedDict()
        self._calls: dict[str, Conversation] = {}
        self._running: dict[asyncio.Task[None], Conversation] = {}
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._actors)

    @property
    def is_crowded(self) -> bool:
        """True while there is no room for more brains at work."""
        return len(self._running) >= MAX_AWAKE

    def of_agent(self, org: str, agent: str) -> Iterable[Conversation]:
        return [actor for actor in self._actors.values() if (actor.place.org, actor.place.agent) == (org, agent)]

    def is_beginning(self, contact: str) -> bool:
        """Whether a call with this person is about to be written down: nobody finds it in the store yet."""
        return any(actor.call_id is None and actor.place.party == contact for actor in self._running.values())

    def at(self, place: Place) -> Conversation:
        """The conversation of a place; it is made if there is none."""
        key = place.conversation
        actor = self._actors.get(key)
        if actor is None:
            self._make_room()
            actor = self._actors[key] = Conversation(self._world, place)
        else:
            self._actors.move_to_end(key)
        return actor

    def of_call(self, call: str) -> Conversation | None:
        """The actor that has a call in memory, as far as that is known."""
        actor = self._calls.get(call)
        if actor is not None and actor.call_id == call and self._actors.get(actor.place.conversation) is actor:
            return actor
        actor = next((actor for actor in self._actors.values() if actor.call_id == call), None)
        if actor is not None:
            self.know(call, actor)
        return actor

    def know(self, call: str, actor: Conversation) -> None:
        """Remember who has the call, or will have it."""
        self._calls[call] = actor
        while len(self._calls) > 2 * self._hot_calls + LOOKS:
            del self._calls[next(iter(self._calls))]

    def wake(self, actor: Conversation) -> None:
        """Let it work on its mail."""
        if actor.task is None and not self._is_stopping:
            actor.task = asyncio.create_task(actor.run(), name=f"call of {actor.place.conversation}")
            self._running[actor.task] = actor
            actor.task.add_done_callback(self._rested)

    def _rested(self, task: asyncio.Task[None]) -> None:
        actor = self._running.pop(task)
        actor.task = None
        if actor.call_id is not None:
            self.know(actor.call_id, actor)
        if task.cancelled():
            return
        if task.exception() is not None:
            log.error("an actor broke and starts again", exc_info=task.exception())
        if actor.is_busy:
            self.wake(actor)

    def _make_room(self) -> None:
        """For one more: a call that is busy stays."""
        metrics.OPEN_ACTORS.set(len(self._actors) + 1)
        excess = len(self._actors) + 1 - self._hot_calls
        for _ in range(min(len(self._actors), excess + LOOKS)):
            if excess <= 0:
                return
            key, actor = next(iter(self._actors.items()))
            if actor.task is None and not actor.is_busy:
                del self._actors[key]
                excess -= 1
            else:
                self._actors.move_to_end(key)

    def rest(self) -> None:
        """Wake nobody from here on."""
        self._is_stopping = True

    def at_work(self) -> list[asyncio.Task[None]]:
        """What is worth waiting for: not those that only a connected program can bring on."""
        return [task for task, actor in self._running.items() if not actor.waits_for_program]

    async def stop(self) -> None:
        """Cut what is at work, and hand back what is not done."""
        await asyncio.gather(*(actor.stop() for actor in self._actors.values()))
        self._actors.clear()
