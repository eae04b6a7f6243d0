"""One agent's calls in this process: heard once, decoded once, handed to whoever follows."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator

from omni.bus.base import MISSED, Bus
from omni.live.follower import Follower
from omni.live.told import told_of

log = logging.getLogger("omni.live")


class Listening:
    """A task that hears one topic: `hear` is called with each body on the event loop."""

    def __init__(self, bus: Bus, topic: str, hear: Callable[[bytes], None]) -> None:
        self._bus = bus
        self._topic = topic
        self._hear = hear
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"listen to {topic}")

    async def begun(self) -> None:
        """Returns when everything that is broadcast from now on is heard. Raises BusError."""
        await asyncio.shield(self._begun)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._begun.cancel() and not self._begun.cancelled():
            self._begun.exception()  # whoever waited has it, or nobody did

    async def _run(self) -> None:
        try:
            async with self._bus.listen(self._topic) as bodies:
                self._begun.set_result(None)
                async for body in bodies:
                    self._hear(body)
        except Exception as error:
            if self._begun.done():
                log.exception("nothing is heard any more of %s", self._topic)
            else:
                self._begun.set_exception(error)


class Topic:
    """`on_miss` is called when broadcasts may have been lost."""

    def __init__(self, bus: Bus, name: str, org: str, agent: str, on_miss: Callable[[Topic], None]) -> None:
        self.org = org
        self.agent = agent
        self.everything: dict[Follower, float] = {}
        """Who follows all calls of the agent, and since when (epoch seconds)."""
        self._by_call: dict[str, set[Follower]] = {}
        self._by_conversation: dict[str, set[Follower]] = {}
        self._on_miss = on_miss
        self.listening = Listening(bus, name, self._hear)

    def __iter__(self) -> Iterator[Follower]:
        yield from self.everything
        for group in (*self._by_call.values(), *self._by_conversation.values()):
            yield from group

    def __bool__(self) -> bool:
        return bool(self.everything or self._by_call or self._by_conversation)

    def follow_all(self, follower: Follower, since: float) -> Callable[[], None]:
        """Returns what ends it; so do the other two."""
        self.everything[follower] = since

        def leave() -> None:
            del self.everything[follower]

        return leave

    def follow_call(self, follower: Follower, call: str) -> Callable[[], None]:
        return _join(self._by_call, call, follower)

    def follow_conversation(self, follower: Follower, conversation: str) -> Callable[[], None]:
        return _join(self._by_conversation, conversation, follower)

    def _hear(self, body: bytes) -> None:
        if body == MISSED:
            self._on_miss(self)
            return
        try:
            data = json.loads(body)
            followers = (
                *self.everything,
                *self._by_call.get(data["call"], ()),
                *self._by_conversation.get(data["conversation"], ()),
            )
            if not followers:
                return
            told = told_of(data)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("something told of the calls of %s/%s cannot be read: %r", self.org, self.agent, error)
            return
        for follower in followers:
            follower.put(told)


def _join(groups: dict[str, set[Follower]], name: str, follower: Follower) -> Callable[[], None]:
    groups.setdefault(name, set()).add(follower)

    def leave() -> None:
        groups[name].discard(follower)
        if not groups[name]:
            del groups[name]

    return leave
