"""Following calls: one listener a topic for the whole process, and entries that were missed are read from the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeVar

from pydantic import ValidationError

from omni.bus.base import MISSED, Bus
from omni.live.follower import CallFollower, ConversationFollower, Follower, SlowFollowerError, header_of
from omni.live.healing import compare, find_new_calls
from omni.live.listening import Listening
from omni.live.told import Answered, Told, calls_topic, desk_topic
from omni.live.topic import Topic
from omni.model.entry import CallSummary
from omni.model.ids import NewId, new_id
from omni.model.inbound import Ask
from omni.store.base import Store, StoreError

__all__ = ["Hub", "SlowFollowerError"]

log = logging.getLogger("omni.live")

COMPARE_SECONDS: Final = 10.0
"""How often followed calls are compared with the store: the last broadcast of a call may be the one that got lost."""

FollowerT = TypeVar("FollowerT", bound=Follower)
Join = Callable[[Topic], Callable[[], None]]


class Hub:
    """The process's ear. `desk` names this process for `Ask`s.

    Entries of a call reach a follower in order, none twice and none missing from the first one on. To follow raises
    BusError when the engine is away, and reading on StoreError, which may be tried again; a follower that is
    QUEUE news behind is dropped with SlowFollowerError. When the hub stops, everybody's news end.
    """

    def __init__(
        self,
        bus: Bus,
        store: Store,
        desk: str,
        *,
        compare_every: float = COMPARE_SECONDS,
        clock: Callable[[], float] = time.time,
        make_id: NewId = new_id,
    ) -> None:
        self._bus = bus
        self._store = store
        self.desk = desk
        self._compare_every = compare_every
        self._clock = clock
        self._new_id = make_id
        self._topics: dict[str, Topic] = {}
        self._missed: set[Topic] = set()
        self._hears_misses: dict[Callable[[str, str], None], None] = {}
        self._has_missed = asyncio.Event()
        self._asked: dict[str, asyncio.Future[Answered]] = {}
        self._desk_ear: Listening | None = None
        self._comparing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises BusError."""
        self._desk_ear = Listening(self._bus, desk_topic(self.desk), self._hear_answer)
        self._comparing = asyncio.create_task(self._compare(), name="compare followed calls with the store")
        try:
            await self._desk_ear.begun()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        topics, self._topics = list(self._topics.values()), {}
        for topic in topics:
            for follower in topic:
                follower.end()
            await topic.listening.stop()
        if self._desk_ear is not None:
            await self._desk_ear.stop()
        if self._comparing is not None:
            self._comparing.cancel()
            await asyncio.wait([self._comparing])

    def follow_agent(self, org: str, agent: str) -> AbstractAsyncContextManager[AsyncIterator[Told]]:
        """All calls of an agent from now on."""
        follower = Follower(self._store, since=self._clock())
        return self._follow(org, agent, follower, lambda topic: topic.follow_all(follower))

    @asynccontextmanager
    async def follow_call(self, call: str, *, after: int = 0) -> AsyncIterator[AsyncIterator[Told]]:
        """A call from entry `after` + 1 on: first what the log has, then (after one Told without entries and signals)
        what comes. Ends after the log is sealed. Raises KeyError when there is no such call."""
        header = await header_of(self._store, call)
        if header is None:
            raise KeyError(call)
        after, is_sealed = await self._place(call, after)
        follower = CallFollower(self._store, header, after, is_sealed=is_sealed)
        async with self._follow(header.org, header.agent, follower, lambda topic: topic.follow_call(follower, call)):
            yield follower

    @asynccontextmanager
    async def follow_conversation(self, org: str, agent: str, conversation: str) -> AsyncIterator[AsyncIterator[Told]]:
        """All calls of one conversation from now on: one call may end, and the next begin."""
        follower = ConversationFollower(self._store, conversation)
        async with self._follow(org, agent, follower, lambda topic: topic.follow_conversation(follower, conversation)):
            call = await self._store.last_call(conversation)
            if call is not None:
                follower.begin_at(call)
            yield follower

    def hear_misses(self, note: Callable[[str, str], None]) -> Callable[[], None]:
        """`note` is called with the organisation and agent of whose calls something may not have been heard. Entries
        come all the same, a little later; signals are gone. Returns what ends it."""
        self._hears_misses[note] = None

        def leave() -> None:
            del self._hears_misses[note]

        return leave

    async def ask(self, send: Callable[[Ask], Awaitable[None]], timeout: float) -> Answered:
        """Send an input that has the given `Ask` in it, and wait for its outcome. Raises TimeoutError, and what `send`
        raises.

            await hub.ask(lambda ask: commands.issue(Configure(..., ask=ask)), timeout=5)
        """
        ask = Ask(desk=self.desk, id=self._new_id("ask"))
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._asked[ask.id] = answer
        try:
            await send(ask)
            async with asyncio.timeout(timeout):
                return await answer
        finally:
            del self._asked[ask.id]

    def _hear_answer(self, body: bytes) -> None:
        if body == MISSED:
            return  # whoever waits runs into its timeout
        try:
            answered = Answered.model_validate_json(body)
        except ValidationError as error:
            log.warning("an answer cannot be read: %s", error)
            return
        waiting = self._asked.get(answered.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answered)

    @asynccontextmanager
    async def _follow(self, org: str, agent: str, follower: FollowerT, join: Join) -> AsyncIterator[FollowerT]:
        name = calls_topic(org, agent)
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._bus, name, org, agent, self._note_miss)
        leave = join(topic)
        try:
            await topic.listening.begun()
            yield follower
        finally:
            leave()
            if not topic and self._topics.get(name) is topic:
                del self._topics[name]
                await topic.listening.stop()

    async def _place(self, call: str, after: int) -> tuple[int, bool]:
        """Where to go on (the log's end, for a cursor that is beyond it), and whether nothing more can come there."""
        found = await self._store.entries(call, after=after - 1, limit=1) if after > 0 else []
        if after > 0 and not found:
            after = (await self._store.last_seqs([call])).get(call, 0)
            found = await self._store.entries(call, after=after - 1, limit=1)
        return after, bool(found) and found[0].seq == after and isinstance(found[0].fact, CallSummary)

    # broadcasts that got lost

    def _note_miss(self, topic: Topic) -> None:
        self._missed.add(topic)
        self._has_missed.set()
        for note in list(self._hears_misses):
            note(topic.org, topic.agent)

    async def _compare(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._compare_every):
                    await self._has_missed.wait()
            missed, self._missed = self._missed, set()
            self._has_missed.clear()
            try:
                await compare(self._store, [follower for topic in self._topics.values() for follower in topic])
                for topic in missed:
                    await find_new_calls(self._store, topic.org, topic.agent, list(topic.everything))
            except StoreError as error:
                self._missed |= missed
                log.warning("followed calls cannot be compared with the store for now: %s", error)
            except Exception:
                self._missed |= missed
                log.exception("followed calls cannot be compared with the store; the next round tries again")
