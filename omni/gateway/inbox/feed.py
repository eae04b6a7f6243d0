"""One organisation's conversations in this process, for as long as somebody has its inbox open here.

Whatever is told of a conversation marks its row; many times a second the marked rows are read and pushed to every
page. What may have been missed is never passed over in silence: the pages are told to ask again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from pydantic import JsonValue

from omni.bus.base import MISSED, BusError
from omni.gateway.inbox.conversations import agents_of
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.naming import conversation_id
from omni.gateway.inbox.presence import REFRESH_SECONDS, Presence
from omni.gateway.inbox.telling import rows_of
from omni.gateway.inbox.watch import Watch
from omni.gateway.streams.sockets import encoded
from omni.live.hub import SlowFollowerError
from omni.live.inbox import (
    CaseChanged,
    Here,
    InboxNews,
    Left,
    OperatorsChanged,
    WhoIsHere,
    inbox_topic,
    load_news,
    tell_inbox,
)
from omni.live.listening import Listening
from omni.live.told import Told
from omni.store.base import StoreError
from omni.store.inbox import InboxFilter

log = logging.getLogger("omni.inbox")

COALESCE_SECONDS: Final = 0.05
AT_ONCE: Final = 200
"""Rows that are read and pushed together."""

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0


class Page(Protocol):
    """One open page. `name` is unique among all processes' pages, `operator` whose it is."""

    name: str
    operator: str

    def put_encoded(self, frame: bytes) -> None: ...

    def shown(self) -> Mapping[str, bool]:
        """The conversations it has open, and whether its operator types there."""


class Feed:
    def __init__(self, kit: Kit, org: str) -> None:
        self._kit = kit
        self._org = org
        self._pages: dict[Page, None] = {}
        self._watches: dict[str, dict[Watch, Page]] = {}
        self._presence = Presence()
        self._marked: dict[str, None] = {}
        self._is_stale = False
        self._news = asyncio.Event()
        self._waking: dict[str, float] = {}
        self._agents: list[JsonValue] = []
        self._following: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._ear: Listening | None = None
        self._leave_misses: Callable[[], None] | None = None
        self._refreshed_at = 0.0
        self._looked_at = 0.0

    # the life of it

    async def start(self) -> None:
        """Returns once everything that is told from now on is heard. Raises BusError and StoreError."""
        kit = self._kit
        self._ear = Listening(kit.bus, inbox_topic(self._org), self._hear_news)
        await self._ear.begun()
        self._leave_misses = kit.hub.hear_misses(self._note_miss)
        self._agents = agents_of(kit.book.everyone(), self._org)
        await self._follow_agents()
        await self._remember_snoozed()
        self._tasks = [
            asyncio.create_task(self._push_for_ever(), name=f"push rows of {self._org}"),
            asyncio.create_task(self._look_for_ever(), name=f"look after the inbox of {self._org}"),
        ]
        await tell_inbox(kit.bus, self._org, WhoIsHere())

    async def stop(self) -> None:
        if self._leave_misses is not None:
            self._leave_misses()
        if self._ear is not None:
            await self._ear.stop()
        tasks = [*self._tasks, *self._following.values()]
        for task in tasks:
            task.cancel()
        while pending := [task for task in tasks if not task.done()]:
            await asyncio.wait(pending, timeout=1.0)
            for task in pending:
                task.cancel()

    # pages

    def join(self, page: Page) -> None:
        self._pages[page] = None

    def leave(self, page: Page) -> None:
        self._pages.pop(page, None)

    def watch(self, watch: Watch, page: Page) -> None:
        self._watches.setdefault(watch.conversation, {})[watch] = page

    def unwatch(self, watch: Watch) -> None:
        watches = self._watches.get(watch.conversation, {})
        watches.pop(watch, None)
        if not watches:
            self._watches.pop(watch.conversation, None)

    def present(self, conversation: str) -> list[JsonValue]:
        return self._presence.shown(conversation, self._kit.clock())

    async def say_here(self, page: Page, conversation: str) -> None:
        """Tell every process that the page has a conversation open, or no longer."""
        shown = page.shown()
        news: InboxNews = Left(page=page.name, conversation=conversation)
        if conversation in shown:
            news = Here(page=page.name, operator=page.operator, conversation=conversation, typing=shown[conversation])
        await tell_inbox(self._kit.bus, self._org, news)

    def _push(self, frame: Mapping[str, Any]) -> None:
        body = encoded(frame)
        for page in self._pages:
            page.put_encoded(body)

    def _push_about(self, conversation: str, frame: Mapping[str, Any]) -> None:
        """To the pages that have it open."""
        body = encoded({**frame, "conversation": conversation_id(conversation)})
        for page in dict.fromkeys(self._watches.get(conversation, {}).values()):
            page.put_encoded(body)

    # what is heard

    def _hear(self, told: Told) -> None:
        if told.entries:
            self._mark(told.conversation)
        for watches in (self._watches.get(told.conversation, {}), self._of_call(told)):
            for watch in watches:
                watch.hear(told)

    def _of_call(self, told: Told) -> Sequence[Watch]:
        """A delivery knows its call for good; of a conversation only whom it is with by now."""
        if not told.signals or told.conversation in self._watches:
            return ()
        return [watch for watches in self._watches.values() for watch in watches if watch.call == told.call]

    def _hear_news(self, body: bytes) -> None:
        now = self._kit.clock()
        if body == MISSED:
            self._stale()
            return
        news = load_news(body)
        match news:
            case CaseChanged():
                self._mark(news.conversation)
                for watch in self._watches.get(news.conversation, {}):
                    watch.nudge()
            case Here():
                self._hear_here(news, now)
            case Left():
                if self._presence.left(news, now):
                    self._tell_presence(news.conversation)
            case WhoIsHere():
                self._refreshed_at = 0.0  # the next look says it
            case OperatorsChanged():
                self._push({"type": "operators"})
            case None:
                log.warning("something told of the inbox of %s cannot be read", self._org)

    def _hear_here(self, news: Here, now: float) -> None:
        did_type = self._presence.types(news.conversation, news.operator, now)
        if not self._presence.here(news, now):
            return
        self._tell_presence(news.conversation)
        types = self._presence.types(news.conversation, news.operator, now)
        if types is not did_type:
            typing = {"type": "typing", "who": "human", "by": news.operator, "on": types}
            self._push_about(news.conversation, typing)

    def _tell_presence(self, conversation: str) -> None:
        self._push_about(conversation, {"type": "presence", "operators": self.present(conversation)})

    def _note_miss(self, org: str, _: str) -> None:
        if org == self._org:
            self._stale()

    def _stale(self) -> None:
        """Something was missed: the pages ask for their lists again, and open conversations are read on."""
        self._is_stale = True
        self._news.set()
        for watches in self._watches.values():
            for watch in watches:
                watch.nudge(looks=True)

    def _mark(self, conversation: str) -> None:
        self._marked[conversation] = None
        self._news.set()

    # rows

    async def _push_for_ever(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            self._news.clear()
            if self._is_stale:
                self._is_stale = False
                self._push({"type": "stale"})
            while self._marked:
                some = list(self._marked)[:AT_ONCE]
                try:
                    await self._push_rows(some)
                except StoreError as error:
                    log.warning("rows of the inbox cannot be read for now: %s", error)
                    self._stale()
                    await asyncio.sleep(RETRY_SECONDS)
                    break
                except Exception:  # a row that cannot be shown must not keep the others from being shown
                    log.exception("rows of the inbox of %s are not pushed; their pages ask for them", self._org)
                    for conversation in some:
                        self._marked.pop(conversation, None)
                    self._stale()

    async def _push_rows(self, conversations: Sequence[str]) -> None:
        for conversation in conversations:
            self._marked.pop(conversation, None)
        try:
            listed = await self._kit.store.listed(conversations)
            own = [each for each in listed if each.call.org == self._org]
            rows = await rows_of(self._kit.store, own, self._kit.clock())
        except BaseException:
            self._marked = {**dict.fromkeys(conversations), **self._marked}
            raise
        for each in own:
            self._remember(each.call.conversation, each.case.snoozed_until if each.case is not None else None)
        if rows:
            self._push({"type": "rows", "rows": rows})
        there = {each.call.conversation for each in own}
        gone = [conversation_id(one) for one in conversations if one not in there]
        if gone:
            self._push({"type": "gone", "ids": gone})

    def _remember(self, conversation: str, until: float | None) -> None:
        """Nothing is told of a conversation at the moment it wakes: we look at the clock."""
        if until is not None and until > self._kit.clock():
            self._waking[conversation] = until
        else:
            self._waking.pop(conversation, None)

    async def _remember_snoozed(self) -> None:
        before: str | None = None
        while True:
            where = InboxFilter(org=self._org, now=self._kit.clock(), state="snoozed", before=before)
            page = await self._kit.store.conversation_list(where, limit=500)
            for each in page.rows:
                if each.case is not None:
                    self._remember(each.call.conversation, each.case.snoozed_until)
            before = page.next
            if before is None:
                return

    # agents come and go, pages are forgotten, conversations wake

    async def _look_for_ever(self) -> None:
        self._looked_at = self._kit.clock()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Exception:
                log.exception("the inbox of %s is not looked after this second", self._org)

    async def _look(self) -> None:
        now, before = self._kit.clock(), self._looked_at
        self._looked_at = now
        agents = agents_of(self._kit.book.everyone(), self._org)
        if agents != self._agents:
            self._agents = agents
            self._push({"type": "agents", "agents": agents})
        await self._follow_agents()
        for conversation in self._presence.forget(now, before):
            self._tell_presence(conversation)
        for conversation in [one for one, until in self._waking.items() if until <= now]:
            del self._waking[conversation]
            self._mark(conversation)
        if now - self._refreshed_at >= REFRESH_SECONDS:
            self._refreshed_at = now
            for page in list(self._pages):
                for conversation in list(page.shown()):
                    await self.say_here(page, conversation)

    async def _follow_agents(self) -> None:
        """Follow the agents that there are, and those only. Returns once all are heard, or could not be for now."""
        wanted = {agent.slug for agent in self._kit.book.everyone() if agent.org == self._org}
        begun = []
        for slug in wanted - self._following.keys():
            has_begun = asyncio.Event()
            self._following[slug] = asyncio.create_task(
                self._follow(slug, has_begun), name=f"follow the calls of {self._org}/{slug}"
            )
            begun.append(has_begun)
        for has_begun in begun:
            await has_begun.wait()
        for slug in self._following.keys() - wanted:
            task = self._following.pop(slug)
            task.cancel()
            await asyncio.wait([task])

    async def _follow(self, slug: str, has_begun: asyncio.Event) -> None:
        try:
            while True:
                try:
                    async with self._kit.hub.follow_agent(self._org, slug) as news:
                        if has_begun.is_set():  # not the first time: something was told in between
                            self._stale()
                        has_begun.set()
                        async for told in news:
                            self._hear(told)
                    return  # the process stops
                except (SlowFollowerError, StoreError, BusError) as error:
                    log.warning("the inbox of %s follows %s again: %s", self._org, slug, error)
                except Exception:
                    log.exception("the inbox of %s follows %s again", self._org, slug)
                has_begun.set()
                self._stale()
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            has_begun.set()
