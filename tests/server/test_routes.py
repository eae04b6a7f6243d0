"""Which channel a delivery goes out on: an account's is its present owner's, one without an account is each agent's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from omni.app.routes import Routes
from omni.bus.sqlite import SqliteBus
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.channel import Channel, ChatChannel, WebRtcChannel, WhatsAppChannel
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from sessions.book import Book
from workers.clock import SystemClock
from workers.line import Lines, Route


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    store, bus = (kind(SqliteFile(tmp_path / "omni.db", sync="normal")) for kind in (SqliteStore, SqliteBus))
    await store.open()
    await bus.open()
    yield Book(store, bus)
    await bus.close()
    await store.close()


def number(digits: str) -> WhatsAppChannel:
    secret = SecretStr("s")
    return WhatsAppChannel(phone_number_id=digits, access_token=secret, app_secret=secret, verify_token=secret)


async def save(book: Book, slug: str, *channels: Channel, org: str = "default") -> None:
    await book.save(Agent(slug=slug, org=org, channels=channels))


async def test_each_agent_chats_on_its_own_channel(book: Book) -> None:
    mine, theirs = (ChatChannel(overrides=Overrides(language=language)) for language in ("es", "de"))
    await save(book, "desk", mine)
    await save(book, "sales", theirs)
    routes = Routes(book)
    assert await routes.route("default", "chat", "desk") == Route(mine, "default", "desk")
    assert await routes.route("default", "chat", "sales") == Route(theirs, "default", "sales")


async def test_an_agent_need_not_declare_a_channel_without_an_account(book: Book) -> None:
    await save(book, "desk")
    routes = Routes(book)
    assert await routes.route("default", "chat", "desk") == Route(ChatChannel(), "default", "desk")
    assert await routes.route("default", "webrtc", "desk") == Route(WebRtcChannel(), "default", "desk")
    assert await routes.route("default", "chat", "nobody") is None
    assert await routes.route("elsewhere", "chat", "desk") is None
    assert await routes.route("default", "whatsapp:100", "desk") is None


async def test_a_number_is_sent_on_by_the_agent_that_has_it_now(book: Book) -> None:
    await save(book, "old", number("100"))
    routes = Routes(book)
    assert await routes.route("default", "whatsapp:100", "old") == Route(number("100"), "default", "old")
    await save(book, "new", number("100"))
    assert await routes.route("default", "whatsapp:100", "old") == Route(number("100"), "default", "new")
    assert await routes.route("elsewhere", "whatsapp:100", "old") is None


def test_agents_that_chat_do_not_wait_for_each_other() -> None:
    lines = Lines(8, SystemClock())
    desk, sales = (Route(ChatChannel(), "default", slug) for slug in ("desk", "sales"))
    assert lines.of(desk) is lines.of(Route(ChatChannel(), "default", "desk"))
    assert lines.of(desk) is not lines.of(sales)
    assert lines.of(desk).token is not lines.of(sales).token
    assert lines.of(desk) is not lines.of(Route(ChatChannel(), "elsewhere", "desk"))


def test_a_numbers_line_stays_when_the_number_moves() -> None:
    lines = Lines(8, SystemClock())
    assert lines.of(Route(number("100"), "default", "old")) is lines.of(Route(number("100"), "default", "new"))
