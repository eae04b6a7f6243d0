"""Whole journeys through the inbox: what a customer on WhatsApp or in the web chat gets of them, and what never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from playwright.async_api import Locator, Page, expect

from omni.access.operators.passwords import Passwords
from omni.access.operators.sessions import Sessions
from omni.app.engines import engines
from omni.gateway.inbox.guard import COOKIE
from omni.settings import Settings
from tests.brains.llm_server import LlmServer, says
from tests.inbox.colleagues import Colleague, colleague_of
from tests.inbox.conftest import Hire
from tests.inbox.windows import OpenWindow, Window, program, windows
from tests.server.conftest import OpenShop
from tests.server.shop import Shop, agent_of, until
from tests.server.test_server_processes import town

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

WABA = {"waba_id": "318450992714406"}
DAYS = 24 * 3600
PASSWORD = "correct horse battery"


@pytest.fixture
async def open_window() -> AsyncIterator[OpenWindow]:
    async with windows(program()) as open_one:
        yield open_one


def thread(page: Page) -> Locator:
    return page.locator("omni-thread")


def bubbles(page: Page, who: str) -> Locator:
    return thread(page).locator(f".rows .msg.from-{who} .content")


async def opens(window: Window, row: dict[str, Any]) -> Page:
    await window.goes(f"#/c/{row['id']}")
    await expect(thread(window.page).locator(".rows .msg").first).to_be_visible()
    return window.page


async def writes(page: Page, text: str) -> None:
    box = thread(page).get_by_role("textbox")
    await box.fill(text)
    await box.press("Enter")


async def cannot_be_undone(page: Page) -> None:
    """What waits to be undone goes now, as when the page is left."""
    await page.evaluate("dispatchEvent(new Event('pagehide'))")


async def test_a_template_reaches_somebody_who_wrote_days_ago(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, agent_of(script=[], channel=WABA))
    shop.say("hello", name="Ada", timestamp=int(shop.simulator.now() - 3 * DAYS))
    await shop.logged("user.message")
    tess = await hire(shop)
    window = await open_window(shop, tess)
    page = await opens(window, await tess.row())
    await expect(thread(page).get_by_role("textbox")).to_have_count(0)
    await expect(thread(page).locator(".window")).to_have_text("Window closed")
    await thread(page).get_by_role("button", name="Choose a template").click()
    await page.get_by_role("button", name="conversation_follow_up").click()
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await page.get_by_label("Value for 1").fill("Ada {{2}} <b>")
    await page.get_by_role("dialog").get_by_role("button", name="Send").click()
    await cannot_be_undone(page)
    (sent,) = await shop.arrived(1)
    assert sent.body["template"]["name"] == "conversation_follow_up"
    assert sent.body["template"]["components"][0]["parameters"][0]["text"] == "Ada {{2}} <b>"
    await expect(bubbles(page, "human")).to_contain_text("Hello Ada {{2}} <b>, we have news about your question.")
    assert window.complaints == []


async def test_a_reply_that_met_an_ended_session_is_sent_once_after_signing_in_again(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    tess = await hire(shop)
    store = shop.engines.store
    operator = await store.operator(tess.id)
    assert operator is not None
    changed = operator.model_copy(update={"password_hash": await Passwords().hash(PASSWORD)})
    operator = await store.save_operator(changed)
    cookie, _ = await Sessions(store).begin(operator)
    tess.headers["Cookie"] = f"{COOKIE}={cookie}"
    tess.headers["X-CSRF-Token"] = (await tess.get("/me"))["csrf"]
    window = await open_window(shop, tess)
    page = await opens(window, await tess.row())
    found = await Sessions(store).find(cookie)
    assert found is not None
    await writes(page, "Written in the last minute")
    await thread(page).get_by_role("textbox").fill("and half of another")
    await Sessions(store).end(found[0])
    await until(lambda: _is_out(tess))
    await cannot_be_undone(page)
    dialog = page.get_by_role("dialog", name="Sign in again")
    await expect(dialog).to_be_visible(timeout=20_000)
    assert len(shop.simulator.sent()) == 1
    await dialog.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    assert (await shop.answers(2))[1] == "Written in the last minute"
    await expect(thread(page).get_by_role("textbox")).to_have_value("and half of another")
    await expect(bubbles(page, "human")).to_have_text(["Written in the last minute"])
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2
    assert [one for one in window.complaints if "WebSocket" not in one] == []


async def _is_out(colleague: Colleague) -> bool:
    return (await colleague.ask("GET", "/me")).status == 401


async def at_chat(shop: Shop, window: Window) -> Page:
    await window.page.goto(f"{shop.url}/chat/echo")
    await expect(window.page.get_by_role("textbox")).to_be_enabled()
    return window.page


async def visitor_says(page: Page, text: str) -> None:
    await page.get_by_role("textbox").fill(text)
    await page.get_by_role("textbox").press("Enter")


async def test_a_visitor_of_the_chat_reads_the_person_who_took_over_and_none_of_the_teams_notes(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any], llm: LlmServer
) -> None:
    agent = agent_of(brain="llm", script=[], llm={"retries": 0})
    agent = agent.model_copy(update={"channels": (*agent.channels, *agent_of(channels=[{"kind": "chat"}]).channels)})
    shop = await open_shop(embedded, agent, llm_base_url=llm.base_url)
    tess = await hire(shop)
    theirs = await open_window(shop, width=390, height=844)
    visitor = await at_chat(shop, theirs)
    llm.will(says("The answer of the bot ", "is forty-", finish=None, then="hang"))
    await visitor_says(visitor, "how many are there?")
    await expect(visitor.get_by_text("The answer of the bot")).to_be_visible()
    row = await tess.row()
    assert row["transport"] == "chat"
    window = await open_window(shop, tess)
    page = await opens(window, row)
    await page.keyboard.press("t")
    await expect(thread(page).locator(".holder")).to_have_text("You have it")
    await asyncio.wait_for(llm.gone.wait(), 20)  # what was being written is broken off at the model
    await page.keyboard.press("n")
    await writes(page, "a difficult visitor")
    await expect(thread(page).locator(".rows .msg.from-note")).to_contain_text("a difficult visitor")
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await writes(page, "Tess here: nine")
    await cannot_be_undone(page)
    await expect(visitor.get_by_text("Tess here: nine", exact=True)).to_be_visible()
    await visitor_says(visitor, "are you a robot?")
    await expect(bubbles(page, "user").last).to_have_text("are you a robot?")
    await visitor.reload()
    await expect(visitor.get_by_text("are you a robot?", exact=True)).to_be_visible()
    read = await visitor.locator("omni-chat").inner_text()
    assert "is forty-" not in read.partition("Tess here: nine")[2]
    assert "difficult" not in read + await visitor.content()
    assert len(llm.requests) == 1
    assert shop.simulator.sent() == []
    assert window.complaints == theirs.complaints == []


async def test_a_server_that_is_killed_loses_and_doubles_nothing_of_what_stood_in_open_pages(
    tmp_path: Path, embedded: dict[str, Any], open_window: OpenWindow
) -> None:
    async with town(tmp_path, embedded, ("all",), script=[{"when": "one", "say": "Hello"}]) as (simulator, roles):
        await roles.start("all")
        url = f"http://127.0.0.1:{roles.ports['all']}"
        async with engines(Settings(**embedded)) as opened:
            shop = cast("Shop", SimpleNamespace(engines=opened, url=url))
            tess: Colleague = await colleague_of(shop, "tess", "agent")
            try:
                simulator.user_says("one", wa_id="12025550171")
                await simulator.wait_sent(1, timeout=30)
                window = await open_window(shop, tess)
                page = await opens(window, await tess.row())
                await page.keyboard.press("t")
                await expect(thread(page).locator(".holder")).to_have_text("You have it")

                await writes(page, "sent in the moment of the crash")
                await cannot_be_undone(page)
                process = roles.processes["all"]
                process.kill()
                await process.wait()
                await writes(page, "sent while it was down")
                await cannot_be_undone(page)
                await thread(page).get_by_role("textbox").fill("half a sent")
                simulator.user_says("two", wa_id="12025550171")
                await expect(page.get_by_text("Connection lost.")).to_be_visible()
                await roles.start("all")

                await expect(bubbles(page, "user")).to_have_text(["one", "two"], timeout=30_000)
                await expect(thread(page).get_by_role("textbox")).to_have_value("half a sent")
                mine = ["sent in the moment of the crash", "sent while it was down"]
                await expect(thread(page).locator(".from-human [data-state=read]")).to_have_count(2, timeout=30_000)
                assert sorted(await bubbles(page, "human").all_inner_texts()) == sorted(mine)
                await page.reload()
                await expect(bubbles(page, "human")).to_have_count(2)
                await expect(thread(page).get_by_role("textbox")).to_have_value("half a sent")
                await until(lambda: len(simulator.sent()) >= 3)
                texts = [sent.body["text"]["body"] for sent in simulator.sent()]
                assert sorted(texts) == sorted(["Hello", *mine])
            finally:
                await tess.leave()
