"""A conversation whose page reads more slowly than it is told: it is sent everything all the same, once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from channels.chat.admission import Admitted, Session
from channels.chat.files import Files
from channels.chat.plain import PlainTalk
from channels.chat.resumable import ResumableTalk
from channels.chat.talk import Services, Talk
from omni.access.seal import Sealer
from omni.app.engines import Engines, engines
from omni.live.follower import QUEUE
from omni.live.hub import Hub
from omni.live.told import Told
from omni.live.visitor import Visits
from omni.model.queues import every_queue
from omni.settings import Settings
from tests.chat.entries import asked, ended, said
from tests.chat.pages import agent_of, texts
from tests.live.line import begin, started
from tests.server.shop import until


class SlowPage:
    """Takes frames only while `reads` is set."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.closed: list[int] = []

    async def send(self, frame: dict[str, Any]) -> None:
        await self.reads.wait()
        self.frames.append(frame)

    async def hang_up(self, code: int, reason: str) -> None:
        self.closed.append(code)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Engines, Services]]:
    settings = Settings(store_url=f"sqlite:///{tmp_path}/omni.db", sqlite_sync="normal", partitions=1)
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(engines(settings))
        await found.bus.declare(every_queue(1))
        hub = Hub(found.bus, found.store, "desk_1", compare_every=3600.0)
        await hub.start()
        stack.push_async_callback(hub.stop)
        visits = Visits(found.store, found.bus, hub, 1)
        files = Files(found.blobs, Sealer("secret"))
        yield found, Services(visits, found.store, files, lambda *_: False, lambda: "http://omni")


async def talk_with(page: SlowPage, services: Services, kind: Any) -> Talk:
    claim = Session(org="default", agent="desk", visitor="v-1", until=9e9)
    admitted = Admitted(claim, agent_of(), stays=True, session="cts_", identity="vis_")
    more = (None,) if kind is ResumableTalk else ()
    talk: Talk = kind(services, admitted, page.send, page.hang_up, *more)
    await talk.begin()
    return talk


@pytest.mark.parametrize("kind", [PlainTalk, ResumableTalk])
async def test_an_idle_page_keeps_nothing_of_what_it_was_told(opened: tuple[Engines, Services], kind: Any) -> None:
    found, services = opened
    page = SlowPage()
    page.reads.set()
    talk = await talk_with(page, services, kind)
    visit = (await talk.line()).visit
    call = begin(found.bus, found.store, "chat-idle", visit.contact.id, channel="chat", conversation=visit.conversation)
    await call.go_on(started(), said("b1", "first", turn=None))
    await until(lambda: "first" in str(page.frames))
    await until(lambda: not any(isinstance(one, Told) and one.call == "chat-idle" for one in gc.get_objects()))
    await talk.close()


@pytest.mark.parametrize("kind", [PlainTalk, ResumableTalk])
async def test_a_page_that_reads_slowly_misses_nothing(opened: tuple[Engines, Services], kind: Any) -> None:
    found, services = opened
    page = SlowPage()
    page.reads.set()
    talk = await talk_with(page, services, kind)
    visit = (await talk.line()).visit
    call = begin(found.bus, found.store, "chat-1", visit.contact.id, channel="chat", conversation=visit.conversation)
    page.reads.clear()
    await call.go_on(started(), said("b1", "first", turn=None))
    for _ in range(QUEUE + 50):
        await visit.typing("chat-1", on=True)
    await call.go_on(asked("m1"), said("b2", "second"), ended("u1"))
    page.reads.set()
    await until(lambda: "second" in str(page.frames))
    await call.go_on(said("b3", "third", turn=None))
    await until(lambda: "third" in str(page.frames))
    await talk.close()
    heard = [frame["text"] for frame in page.frames if frame["event"] == "chat.done"] or texts(page.frames)
    assert [text for text in heard if text != "hello"] == ["first", "second", "third"]
    assert page.closed == []
