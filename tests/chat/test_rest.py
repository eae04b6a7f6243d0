"""The chat over plain HTTP: a session, messages that act once, and everything new after a cursor."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.model.message import Message
from tests.chat.conftest import OpenChat
from tests.chat.pages import Chat, agent_of, texts


class Http:
    """A page without a WebSocket."""

    def __init__(self, chat: Chat, session: str = "") -> None:
        self.chat = chat
        self.session = session
        self.cursor: str | None = None

    async def call(self, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Origin": self.chat.url, **request.pop("headers", {})}
        if self.session:
            headers["Authorization"] = f"Bearer {self.session}"
        async with self.chat.http.request(
            method, f"{self.chat.url}/chat/api/{path}", headers=headers, **request
        ) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, await answer.json()

    async def open(self, **hello: Any) -> dict[str, Any]:
        status, body = await self.call("POST", "session", json={"agent": "desk", **hello})
        assert status == 200, body
        self.session = body["session"]
        return body

    async def says(self, id_: str, text: str) -> tuple[int, dict[str, Any]]:
        return await self.call("POST", "messages", json={"id": id_, "text": text})

    async def events(self, wait: float = 20) -> list[dict[str, Any]]:
        status, body = await self.call("GET", "events", params={"wait": str(wait), "after": self.cursor or ""})
        assert status == 200, body
        self.cursor = body["cursor"]
        found: list[dict[str, Any]] = body["events"]
        return found

    async def hears(self, *wanted: str) -> list[str]:
        """Polls until all these texts are there; returns every text there was."""
        heard: list[str] = []
        async with asyncio.timeout(20):
            while not set(wanted) <= set(heard):
                heard += texts(await self.events())
        return heard


async def test_a_conversation_over_http(open_chat: OpenChat, engine: dict[str, Any]) -> None:
    page = Http(await open_chat(engine=engine))
    opened = await page.open()
    assert opened["agent"] == {"slug": "desk", "name": "The Desk"}
    assert await page.says("m1", "hello") == (202, {"id": "m1"})
    assert await page.hears("You said: hello") == ["hello", "You said: hello"]
    await page.says("m1", "hello")
    await page.says("m2", "more")
    assert await page.hears("You said: more") == ["more", "You said: more"]
    assert await page.events(wait=0) == []


async def test_events_wait_for_something_new(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = Http(chat)
    await page.open()
    await page.says("m1", "hello")
    await page.hears("You said: hello")
    (call,) = await chat.calls()
    polling = asyncio.create_task(page.events())
    await chat.commands.send(call, "ada", Message.of("Ada here."))
    assert "Ada here." in str(await polling)


async def test_a_session_of_the_socket_is_one_over_http(open_chat: OpenChat) -> None:
    chat = await open_chat()
    own = await chat.visitor()
    await own.says("m1", "by socket")
    await own.hears("bot")
    page = Http(chat, own.session or "")
    assert texts(await page.events(wait=0)) == ["by socket", "You said: by socket"]
    await page.says("m2", "by http")
    assert (await own.hears("bot"))["text"] == "You said: by http"


async def test_a_session_greets_once(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(greeting="Hello!", greeting_in_chat=True))
    page = Http(chat)
    visitor = (await page.open())["visitor"]
    assert await page.hears("Hello!") == ["Hello!"]
    again = Http(chat)
    assert (await again.open(visitor=visitor))["visitor"] == visitor
    assert texts(await again.events(wait=0)) == ["Hello!"]
    assert len(await chat.calls()) == 1


async def test_the_context_and_the_end(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = Http(chat)
    await page.open()
    early = await page.call("POST", "context", json={"key": "cart", "value": 2})
    assert (early[0], "after the first message" in early[1]["error"]) == (409, True)
    await page.says("m1", "hi")
    await page.hears("You said: hi")
    assert await page.call("POST", "context", json={"key": "cart", "value": 2}) == (202, {})
    assert await page.call("POST", "end") == (202, {})
    while "chat.ended" not in [frame["event"] for frame in await page.events()]:
        pass
    (context,) = await chat.facts("context.added")
    assert (context.key, context.text, context.by) == ("cart", "2", "page")
    assert (await chat.facts("call.ended"))[0].reason == "client_hangup"


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "words"),
    [
        ("POST", "messages", {"json": {"text": "hi"}}, 400, '"id" of its own'),
        ("POST", "messages", {"json": {"id": "m1", "text": "x" * 9000}}, 400, "8 kB"),
        ("POST", "messages", {"json": {"id": "m1"}}, 400, "empty"),
        ("POST", "messages", {"json": {"id": 1, "text": "a"}}, 400, "id: "),
        ("POST", "messages", {"json": ["hi"]}, 400, "JSON object"),
        ("POST", "messages", {"data": b"\xff\xfe"}, 400, "not JSON"),
        ("POST", "messages", {"data": b"x" * 200_000}, 413, "128 kB"),
        ("GET", "events", {"params": {"after": "yesterday"}}, 400, "cursor"),
        ("GET", "events", {"params": {"wait": "long"}}, 400, "number of seconds"),
        ("POST", "context", {"json": {"value": 1}}, 400, "key: "),
    ],
)
async def test_bad_requests_are_told_what_is_wrong(
    open_chat: OpenChat, method: str, path: str, request_: dict[str, Any], status: int, words: str
) -> None:
    page = Http(await open_chat())
    await page.open()
    given, body = await page.call(method, path, **request_)
    assert given == status
    assert words in body["error"]


@pytest.mark.parametrize("session", ["", "cts_not.ours"])
@pytest.mark.parametrize(("method", "path"), [("POST", "messages"), ("GET", "events"), ("POST", "files")])
async def test_without_a_session_there_is_nothing(open_chat: OpenChat, session: str, method: str, path: str) -> None:
    assert (await Http(await open_chat(), session).call(method, path))[0] == 401


async def test_a_session_is_refused_like_a_socket(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = Http(chat)
    assert (await page.call("POST", "session", json={"agent": "ghost"}))[0] == 404
    evil = {"Origin": "https://evil.example"}
    assert (await page.call("POST", "session", json={"agent": "desk"}, headers=evil))[0] == 403
    assert (await page.call("POST", "session", json={"token": "cht_no"}))[0] == 401
    for _ in range(10):  # the evil page was the first
        last = await page.call("POST", "session", json={"agent": "desk"})
    assert last[0] == 429


async def test_pages_of_other_origins_may_ask(open_chat: OpenChat) -> None:
    chat = await open_chat()
    for path in ("session", "messages", "events", "files", "context", "end"):
        async with chat.http.options(f"{chat.url}/chat/api/{path}") as answer:
            assert answer.status == 204
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
