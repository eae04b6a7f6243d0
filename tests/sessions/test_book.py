"""The agents at hand: as they are now, whoever changed them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omni.bus.sqlite import SqliteBus
from omni.model.agent import Agent
from omni.model.channel import ChatChannel
from omni.sqlite import SqliteFile
from omni.store.base import StoreUnavailableError
from omni.store.sqlite import SqliteStore
from sessions.book import Book, announce


def agent(slug: str, number: str | None = None, **more: Any) -> Agent:
    line = {"kind": "whatsapp", "phone_number_id": number, "access_token": "t", "app_secret": "s", "verify_token": "v"}
    return Agent.model_validate({"slug": slug, "channels": [line] if number else [], **more})


class FailingStore(SqliteStore):
    """The real store, which cannot be reached while `is_away`. `reads` counts how often all agents were read."""

    is_away = False
    reads = 0

    async def agents(self, org: str | None = None) -> list[Agent]:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailableError("the store is away")
        return await super().agents(org)


class Shelf:
    """Two processes' books over one store and one bus."""

    def __init__(self, path: Path) -> None:
        self.store = FailingStore(SqliteFile(path, sync="normal"))
        self.bus = SqliteBus(SqliteFile(path, sync="normal"))
        self.heard: list[set[str]] = []
        self.changed = asyncio.Event()
        self.ours = Book(self.store, self.bus, refresh=60)
        self.theirs = Book(self.store, self.bus, self._note, refresh=60)

    def _note(self, agents: tuple[Agent, ...]) -> None:
        self.heard.append({agent.slug for agent in agents})
        self.changed.set()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    shelf = Shelf(tmp_path / "omni.db")
    await shelf.store.open()
    await shelf.bus.open()
    yield shelf
    await shelf.ours.stop()
    await shelf.theirs.stop()
    await shelf.bus.close()
    await shelf.store.close()


async def test_agents_are_found_by_slug_and_by_channel(shelf: Shelf) -> None:
    desk = agent("desk", "100")
    await shelf.ours.save(desk)
    assert shelf.ours.get("default", "desk") == desk
    assert shelf.ours.owner("default", "whatsapp:100") == desk
    assert shelf.ours.get("other-org", "desk") is None
    assert shelf.ours.owner("default", "whatsapp:200") is None
    assert shelf.ours.everyone() == (desk,)


async def test_a_channel_without_an_account_has_no_owner(shelf: Shelf) -> None:
    for slug in ("desk", "sales"):
        await shelf.ours.save(Agent(slug=slug, channels=(ChatChannel(),)))
    assert shelf.ours.owner("default", "chat") is None


async def test_change_reaches_every_process(shelf: Shelf) -> None:
    await shelf.theirs.start()
    assert shelf.heard == []
    await asyncio.sleep(0)  # its listener begins
    async with asyncio.timeout(10):
        while shelf.theirs.get("default", "desk") is None:
            await shelf.ours.save(agent("desk"))
            await announce(shelf.bus, "default", "desk")
            await asyncio.sleep(0.001)
    assert shelf.heard == [{"desk"}], "told once, when something changed"


async def test_change_that_nobody_announced_is_found_by_looking(shelf: Shelf) -> None:
    book = Book(shelf.store, shelf.bus, shelf._note, refresh=0.01)
    await book.start()
    await shelf.store.save_agent(agent("desk"))
    async with asyncio.timeout(10):
        await shelf.changed.wait()
    await book.stop()
    assert book.get("default", "desk") is not None


async def test_agents_that_change_are_read_by_themselves_not_all_of_them_each_time(shelf: Shelf) -> None:
    await shelf.theirs.start()
    await asyncio.sleep(0)  # its listener begins
    before = shelf.store.reads
    slugs = [f"agent-{number}" for number in range(30)]
    async with asyncio.timeout(10):
        for slug in slugs:
            await shelf.ours.save(agent(slug))
        while missing := [slug for slug in slugs if shelf.theirs.get("default", slug) is None]:
            await announce(shelf.bus, "default", missing[0])
            await asyncio.sleep(0.001)
    assert shelf.store.reads == before


async def test_agent_that_lost_its_channel_is_known_to_every_process(shelf: Shelf) -> None:
    await shelf.ours.save(agent("old", "100"))
    await shelf.theirs.start()
    await asyncio.sleep(0)  # its listener begins
    async with asyncio.timeout(10):
        while (old := shelf.theirs.get("default", "old")) is None or old.channels:
            await shelf.ours.save(agent("new", "100"))
            await asyncio.sleep(0.001)
    owner = shelf.theirs.owner("default", "whatsapp:100")
    assert owner is not None
    assert owner.slug == "new"


async def test_channel_that_moves_belongs_to_its_new_agent(shelf: Shelf) -> None:
    await shelf.ours.save(agent("old", "100"))
    await shelf.ours.save(agent("new", "100"))
    owner = shelf.ours.owner("default", "whatsapp:100")
    assert owner is not None
    assert owner.slug == "new"


async def test_last_known_agents_stay_while_the_store_is_away(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    book = Book(shelf.store, shelf.bus, refresh=0.005)
    await shelf.store.save_agent(agent("desk"))
    await book.start()
    shelf.store.is_away = True
    async with asyncio.timeout(10):
        while "cannot be read" not in caplog.text:
            await asyncio.sleep(0.001)
    assert book.get("default", "desk") is not None
    shelf.store.is_away = False
    await shelf.store.save_agent(agent("more"))
    async with asyncio.timeout(10):
        while book.get("default", "more") is None:
            await asyncio.sleep(0.001)
    await book.stop()


async def test_removed_agent_is_forgotten(shelf: Shelf) -> None:
    await shelf.ours.save(agent("desk", "100"))
    await shelf.store.remove_agent("default", "desk")
    await shelf.ours.refresh()
    assert shelf.ours.get("default", "desk") is None
    assert shelf.ours.owner("default", "whatsapp:100") is None


async def test_book_that_never_started_stops(shelf: Shelf) -> None:
    await shelf.ours.stop()
    await shelf.ours.stop()
