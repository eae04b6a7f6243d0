"""The hosted page and the widget in a real browser: people talk, lose their network, come back, and miss nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import services
from aiohttp import web
from servers import chromium

from omni.model.message import Message
from tests.chat.browser import Tab, browser
from tests.chat.conftest import NO_BROWSER, OpenChat
from tests.chat.pages import Chat, agent_of
from tests.server.shop import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

ROOT = "document.querySelector('omni-chat').shadowRoot"
EVIL = (
    "<img src=x onerror=\"document.title='hacked'\"> <script>document.title='hacked'</script> [x](javascript:alert(1))"
)
RULES = [
    {"when": "evil", "say": EVIL},
    {
        "when": "markdown",
        "say": "**bold** and *slanted*\n\n- `one`\n- [two](https://example.com/2)\n\n```\n<b>code</b>\n```",
    },
    {"when": "menu", "show": {"type": "buttons", "body": "What next?", "buttons": [{"id": "o", "title": "My order"}]}},
    {"when": "human", "say": "One moment.", "handoff": True},
    {"when": "bye", "say": "Goodbye!", "end": True},
    {"when": "(?s).*", "say": "You said: {{ text }}"},
]


@pytest.fixture(scope="session")
def program() -> str:
    found = chromium.find()
    if found is None:
        if services.IN_CI:
            pytest.fail(NO_BROWSER, pytrace=False)
        pytest.skip(NO_BROWSER)
    return found


@pytest.fixture
async def tab(program: str, tmp_path: Path) -> AsyncIterator[Tab]:
    async with browser(program, tmp_path / "browser") as tab:
        await tab.looks(width=390, height=844)
        yield tab


class Person:
    """Somebody at the page."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def says(self, text: str) -> None:
        await self.tab.run(f"{ROOT}.querySelector('textarea').focus()")
        await self.tab.type(text)
        await self.tab.press("Enter")

    async def reads(self, who: str = "bot") -> list[str]:
        script = f"[...{ROOT}.querySelectorAll('.m.{who}')].map((m) => m.querySelector('.b').innerText.trim())"
        found: list[str] = await self.tab.run(script)
        return found

    async def sees(self, text: str) -> None:
        """Waits until the text is on the page."""
        await self.tab.until(f"{ROOT}.querySelector('.log').innerText.includes({json.dumps(text)})")

    async def has(self, selector: str) -> Any:
        return await self.tab.until(f"{ROOT}.querySelector({json.dumps(selector)})?.innerText")

    async def is_online(self) -> None:
        await self.tab.until("omniChat.getState().status === 'online'")


async def at_page(chat: Chat, tab: Tab, path: str = "/chat/desk") -> Person:
    await tab.open(chat.url + path)
    person = Person(tab)
    await person.is_online()
    return person


async def test_a_person_talks_loses_the_network_and_misses_nothing(open_chat: OpenChat, tab: Tab) -> None:
    chat = await open_chat(agent_of(script=RULES, greeting="Hello!", greeting_in_chat=True))
    person = await at_page(chat, tab)
    await person.sees("Hello!")
    await person.says("one")
    await person.sees("You said: one")
    await tab.offline(on=True)
    assert "offline" in await person.has(".bar:not([hidden])")
    await person.says("two")
    await person.says("three")
    assert await person.reads("wait") == ["two", "three"]
    (call,) = await chat.calls()
    await chat.commands.send(call, "ada", Message.of("Meanwhile: are you there?"), takes_over=False)
    await until(lambda: chat.facts("supervisor.said"))
    await tab.offline(on=False)
    await person.is_online()
    await tab.until(f"{ROOT}.querySelector('.m.bot:last-child')?.innerText.includes('three')")
    assert await person.reads("wait") == []
    assert await person.reads("user") == ["one", "two", "three"]
    assert await person.reads("human") == ["Meanwhile: are you there?"]
    assert " ".join(await person.reads()).replace("You said: ", "").split() == ["Hello!", "one", "two", "three"]
    assert [fact.text for fact in await chat.facts("user.message")] == ["one", "two", "three"]
    assert tab.console == []


async def test_a_server_that_restarts_is_waited_for(open_chat: OpenChat, tab: Tab) -> None:
    chat = await open_chat(agent_of(script=RULES))
    person = await at_page(chat, tab)
    await person.says("one")
    await person.sees("You said: one")
    port = chat.server.port
    await chat.server.stop()
    assert "Reconnecting" in await person.has(".bar:not([hidden])")
    await person.says("two")
    chat.server = type(chat.server)(chat.settings.model_copy(update={"port": port}))
    await chat.server.start()
    await person.sees("You said: two")
    assert await person.reads("user") == ["one", "two"]
    assert await person.reads() == ["You said: one", "You said: two"]
    assert [fact.text for fact in await chat.facts("user.message")] == ["one", "two"]


async def test_what_was_written_offline_survives_a_reload(open_chat: OpenChat, tab: Tab) -> None:
    chat = await open_chat(agent_of(script=RULES))
    person = await at_page(chat, tab)
    await person.says("one")
    await person.sees("You said: one")
    await tab.offline(on=True)
    await person.says("two")
    await tab.until(f"{ROOT}.querySelector('.wait')")
    await tab.offline(on=False)
    person = await at_page(chat, tab, "/chat/desk?again")
    await person.sees("You said: two")
    assert await person.reads("user") == ["one", "two"]
    assert await person.reads() == ["You said: one", "You said: two"]


async def test_what_a_message_says_is_never_html(open_chat: OpenChat, tab: Tab) -> None:
    chat = await open_chat(agent_of(script=RULES, name=EVIL))
    person = await at_page(chat, tab)
    await person.says(f"evil {EVIL}")
    await person.has(".m.bot")
    (shown,) = await person.reads()
    assert shown == EVIL
    assert await tab.run(f"{ROOT}.querySelectorAll('.log img, .log script, .log a').length") == 0
    assert await tab.run("document.title") != "hacked"
    assert await tab.run("document.querySelectorAll('img').length") == 0
    assert tab.console == []


async def test_markdown_is_shown_as_what_it_means(open_chat: OpenChat, tab: Tab) -> None:
    chat = await open_chat(agent_of(script=RULES))
    person = await at_page(chat, tab)
    await person.says("markdown")
    await person.sees("bold and slanted")
    shape = await tab.run(
        f"[...{ROOT}.querySelectorAll('.m.bot .b :not(p)')].map((e) => `${{e.localName}}: ${{e.textContent.trim()}}`)"
    )
    assert shape == [
        "strong: bold",
        "em: slanted",
        "ul: onetwo",
        "li: one",
        "code: one",
        "li: two",
        "a: two",
        "pre: <b>code</b>",
        "code: <b>code</b>",
    ]
    assert await tab.run(f"{ROOT}.querySelector('.b a').rel.includes('noopener')")


async def test_buttons_files_and_colleagues(open_chat: OpenChat, tab: Tab) -> None:
    chat = await open_chat(agent_of(script=RULES))
    person = await at_page(chat, tab)
    await person.says("menu")
    await person.has(".pick button")
    await tab.run(f"{ROOT}.querySelector('.pick button').click()")
    await person.sees("You said: My order")
    await tab.run("omniChat.attach(new File(['hello'], 'note.txt', {type: 'text/plain'}))")
    await tab.until(f"!{ROOT}.querySelector('.go').disabled")
    await person.says("my notes")
    await person.sees("[document note.txt]")
    await person.says("human")
    await person.sees("A colleague will be with you soon.")
    (call,) = await chat.calls()
    await chat.commands.send(call, "ada@shop.example", Message.of("Ada here."))
    await person.sees("Ada here.")
    await tab.until(f"{ROOT}.querySelector('.state').textContent === 'A colleague is here.'")
    await chat.commands.end(call, "ada@shop.example")
    await person.sees("The conversation has ended")


async def test_the_page_is_usable_without_a_mouse_and_without_eyes(open_chat: OpenChat, tab: Tab) -> None:
    async def shop(_: web.Request) -> web.Response:
        head = '<!doctype html><title>Shop</title><link rel="icon" href="data:,"><h1>Shop</h1>'
        page = f'{head}<script src="{chat.url}/widget.js" data-agent="desk"></script>'
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", shop)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    elsewhere = f"http://127.0.0.1:{runner.addresses[0][1]}"
    chat = await open_chat(agent_of(script=RULES, allowed_origins=[elsewhere]))
    try:
        await tab.open(f"{elsewhere}/")
        await tab.run(f"{ROOT}.querySelector('.fab').focus()")
        await tab.press("Enter")
        person = Person(tab)
        await person.is_online()
        focused = f"{ROOT}.activeElement.localName"
        assert await tab.run(focused) == "textarea"
        tree = await tab.call("Accessibility.getFullAXTree")
        names = {(node["role"]["value"], node["name"]["value"]) for node in tree["nodes"] if "name" in node}
        assert {
            ("dialog", "The Desk"),
            ("log", "Messages"),
            ("textbox", "Write a message…"),
            ("button", "Send"),
            ("button", "Attach a file"),
            ("button", "Close chat"),
        } <= names
        await person.says("hello")
        await person.sees("You said: hello")
        await tab.until(f"{ROOT}.querySelector('[aria-live=polite]').textContent.includes('You said: hello')")
        stops = []
        for _ in range(6):
            await tab.press("Tab")
            stops.append(await tab.run(f"{ROOT}.activeElement?.ariaLabel"))
        assert stops[:4] == ["Close chat", "Messages", "Attach a file", "Write a message…"]
        assert None not in stops
        await tab.press("Escape")
        assert await tab.run(f"{ROOT}.querySelector('.panel').hidden")
        assert await tab.run(f"{ROOT}.activeElement.className") == "fab"
        assert tab.console == []
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("dark", "attribute", "expected"), [(True, "", True), (False, "", False), (True, "light", False)]
)
async def test_the_page_is_light_or_dark_as_wished(
    open_chat: OpenChat, tab: Tab, *, dark: bool, attribute: str, expected: bool
) -> None:
    chat = await open_chat(agent_of(script=RULES))
    await tab.looks(width=1280, height=800, dark=dark)
    await at_page(chat, tab)
    if attribute:
        await tab.run(f"omniChat.setAttribute('theme', '{attribute}')")
    shade = f"getComputedStyle({ROOT}.querySelector('.panel')).backgroundColor.match(/\\d+/g)[0] < 128"
    await tab.until(f"({shade}) === {json.dumps(expected)}")
    await tab.run("omniChat.style.setProperty('--vw-panel-bg', 'rgb(1, 2, 3)')")
    assert await tab.run(f"getComputedStyle({ROOT}.querySelector('.panel')).backgroundColor") == "rgb(1, 2, 3)"


async def test_a_page_from_right_to_left_is_mirrored(open_chat: OpenChat, tab: Tab) -> None:
    chat = await open_chat(agent_of(script=[{"when": ".*", "say": "مرحبا"}]))
    person = await at_page(chat, tab)
    await person.says("hello")
    await person.sees("مرحبا")
    box = f"{ROOT}.querySelector('.m.user .b').getBoundingClientRect()"
    place = f"{box}.left + {box}.right"
    assert await tab.run(place) > 390
    await tab.run("document.documentElement.dir = 'rtl'")
    assert await tab.run(place) < 390
    direction = f"getComputedStyle({ROOT}.querySelector('.m.bot .b')).direction"
    assert await tab.run(direction) == "rtl"
    await tab.run("document.documentElement.dir = 'ltr'")
    assert await tab.run(direction) == "rtl"
