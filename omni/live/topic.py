"""One agent's calls in this process: heard once, decoded once, handed to whoever follows."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

from omni.bus.base import MISSED, Bus
from omni.live.follower import Follower
from omni.live.listening import Listening
from omni.live.told import told_of

log = logging.getLogger("omni.live")


class Topic:
    """`on_miss` is called when broadcasts may have been lost."""

    def __init__(self, bus: Bus, name: str, org: str, agent: str, on_miss: Callable[[Topic], None]) -> None:
        self.org = org
        self.agent = agent
        self.everything: dict[Follower, None] = {}
        """Who follows all calls of the agent, in the order they came."""
        self._by_call: dict[str, dict[Follower, None]] = {}
        self._by_conversation: dict[str, dict[Follower, None]] = {}
        self._on_miss = on_miss
        self.listening = Listening(bus, name, self._hear)

    def __iter__(self) -> Iterator[Follower]:
        yield from self.everything
        for group in (*self._by_call.values(), *self._by_conversation.values()):
            yield from group

    def __bool__(self) -> bool:
        return bool(self.everything or self._by_call or self._by_conversation)

    def follow_all(self, follower: Follower) -> Callable[[], None]:
        """Returns what ends it; so do the other two."""
        self.everything[follower] = None

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


def _join(groups: dict[str, dict[Follower, None]], name: str, follower: Follower) -> Callable[[], None]:
    groups.setdefault(name, {})[follower] = None

    def leave() -> None:
        del groups[name][follower]
        if not groups[name]:
            del groups[name]

    return leave
