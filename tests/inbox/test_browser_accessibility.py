"""axe-core over everything that the inbox shows: nothing grave, in either theme, wide or on a phone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from channels.whatsapp.simulator.faults import FaultRule
from tests.brains.llm_server import LlmServer, calls, says
from tests.inbox import axe
from tests.inbox.colleagues import Colleague
from tests.inbox.conftest import Hire
from tests.inbox.windows import OpenWindow, Window, program, windows
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, Shop, agent_of

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]

HUMAN = {"when": "(?i)human", "say": "One moment.", "handoff": True}
BYE = {"when": "(?i)bye", "say": "Goodbye!", "end": True}
BRUNO, CARLA = "447700900123", "34600100200"
FIXTURES = Path(__file__).resolve().parents[1] / "whatsapp" / "fixtures"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fe"
    "a735818e0000000049454e44ae426082"
)
DAYS = 24 * 3600


@pytest.fixture
async def open_window() -> AsyncIterator[OpenWindow]:
    async with windows(program()) as open_one:
        yield open_one


@pytest.fixture(scope="module")
def source() -> str:
    return axe.script().read_text(encoding="utf-8")


async def at(window: Window, path: str, wanted: str) -> Page:
    """The window at a path, once it shows what is wanted (a selector)."""
    await window.goes(path)
    await expect(window.page.locator(wanted).first).to_be_visible()
    return window.page


def every_message() -> list[dict[str, Any]]:
    """The platform's own examples of whatever a person may send."""
    found = []
    for file in sorted(FIXTURES.glob("*.json")):
        try:
            values = [
                change["value"] for entry in json.loads(file.read_bytes())["entry"] for change in entry["changes"]
            ]
            messages = [message for value in values for message in value.get("messages", [])]
        except (KeyError, TypeError, AttributeError):
            continue
        for message in messages:
            if isinstance(message, dict) and message.get("type") not in (None, "reaction", "edit", "revoke", "system"):
                kept = ("type", message["type"], "errors", "referral")
                found.append({key: message[key] for key in kept if key in message})
    assert len(found) > 25
    return found


async def test_every_kind_of_message_and_what_is_done_to_it(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any], source: str, llm: LlmServer
) -> None:
    tool = {"name": "order_status", "description": "Where an order is.", "url": "http://127.0.0.1:9/orders"}
    shop = await open_shop(
        embedded, agent_of(brain="llm", script=[], tools=[tool], llm={"retries": 0}), llm_base_url=llm.base_url
    )
    tess = await hire(shop)
    llm.will(calls(("order_status", '{"order": "1042"}')), says("**On its way**: https://example.com/1042"))
    first = shop.say("where is *my* order?", name="Ada Lovelace")
    (answer,) = await shop.arrived(1)
    shop.does({"type": "reaction", "message_id": answer.id, "emoji": "👍"})
    shop.does({"type": "edit", "message_id": first, "text": "where is my order, please?"})
    shop.say("this one", reply_to=answer.id)
    gone = shop.say("never mind")
    shop.does({"type": "revoke", "message_id": gone})
    await shop.quiet()
    row = await tess.row()
    assert (await tess.post(f"/conversations/{row['id']}/take")).status == 202
    photo = shop.simulator.media.put(
        shop.settings.agents[0].channels[0].id.partition(":")[2], "image/png", PNG, filename="chair.png", owner="user"
    )
    shop.does({"type": "image", "media_id": photo.id, "caption": "The chair"})
    for body in every_message():
        shop.does({"type": "raw", "message": body})
    shop.simulator.faults.add(FaultRule(kind="permanent"))
    await tess.send(row["id"], {"text": "This does not arrive"})
    await tess.told(row["id"], "delivery.failed")
    await tess.send(row["id"], {"text": "This does"})
    await tess.post(f"/conversations/{row['id']}/notes", {"text": "Difficult, but *kind*"})
    await tess.post(f"/conversations/{row['id']}/labels", {"add": ["refund"]})
    await shop.quiet()
    window = await open_window(shop, tess, reduced_motion="reduce")
    page = await at(window, f"#/c/{row['id']}", "omni-thread .msg")
    log = page.locator("omni-thread .log")
    grave = await axe.findings_everywhere(page, source, "the end of a conversation")
    await log.evaluate("(log) => log.scrollTo(0, 0)")
    await expect(page.locator("omni-thread .thread-top .spinner")).to_have_count(0, timeout=20_000)
    grave += await axe.findings_everywhere(page, source, "its beginning")
    for folded in await page.locator("omni-thread details").all():
        await folded.evaluate("(one) => { one.open = true; }")
    grave += await axe.findings_everywhere(page, source, "its folded steps")
    assert not grave, "\n".join(grave)
    assert window.complaints == []


async def busy_desk(shop: Shop, tess: Colleague) -> dict[str, Any]:
    """Conversations that differ, and things a team keeps. Returns the row of one that a person has."""
    shop.say("hello", ADA, name="Ada")
    shop.say("a human please", BRUNO, name="Bruno")
    shop.say("bye", CARLA, name="Carla")
    await shop.quiet()
    await tess.row(lambda one: one["contact"]["name"] == "Carla", "?state=ended")
    await tess.row(lambda one: one["handler"] == "nobody")
    row = await tess.row(lambda one: one["contact"]["name"] == "Ada")
    assert (await tess.post("/canned", {"name": "hours", "text": "We open at nine.", "shared": True})).status == 201
    assert (await tess.post("/views", {"name": "Mine on WhatsApp", "filter": {}})).status == 201
    for name, colour in (("refund", "red"), ("vip", "purple"), ("late", "yellow"), ("new", "green"), ("b2b", "blue")):
        assert (await tess.post("/labels", {"name": name, "colour": colour})).status == 201
    labels = {"add": ["refund", "vip", "late", "new", "b2b"]}
    assert (await tess.post(f"/conversations/{row['id']}/labels", labels)).status == 200
    assert (await tess.post(f"/conversations/{row['id']}/take")).status == 202
    return await tess.row(lambda one: one["id"] == row["id"] and one["handler"] == "human")


@pytest.fixture
async def shop(open_shop: OpenShop, embedded: dict[str, Any]) -> Shop:
    # The account is named, so that templates can be asked for.
    agent = agent_of(name="Front desk", script=[HUMAN, BYE, ECHO], channel={"waba_id": "318450992714406"})
    return await open_shop(embedded, agent)


async def test_the_list_its_search_and_its_menus(shop: Shop, hire: Hire, open_window: OpenWindow, source: str) -> None:
    boss = await hire(shop, "boss", role="admin")
    window = await open_window(shop, boss, reduced_motion="reduce")
    page = await at(window, "", "h1")
    grave = await axe.findings_everywhere(page, source, "an empty list")
    await busy_desk(shop, boss)
    await expect(page.get_by_role("option", name="Ada")).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "the list")
    await page.get_by_role("button", name="Filter", exact=True).click()
    grave += await axe.findings_everywhere(page, source, "filters")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Account: Boss").click()
    grave += await axe.findings_everywhere(page, source, "the person's menu")
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await page.keyboard.type("hello")
    await expect(page.locator(".search-results mark").first).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "search")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("listbox", name="Commands")).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "commands")
    await page.keyboard.press("Escape")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "the sheet of keys")
    await page.keyboard.press("Escape")
    await page.context.set_offline(True)
    await shop.server.stop()
    await expect(page.get_by_text("No connection.")).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "without a connection")
    assert not grave, "\n".join(grave)


async def test_what_an_operator_writes_and_decides(
    shop: Shop, hire: Hire, open_window: OpenWindow, source: str
) -> None:
    boss = await hire(shop, "boss", role="admin")
    await hire(shop, "sam")
    row = await busy_desk(shop, boss)
    window = await open_window(shop, boss, reduced_motion="reduce")
    page = await at(window, f"#/c/{row['id']}", "omni-thread .msg")
    thread = page.locator("omni-thread")
    await thread.get_by_role("textbox").fill("Half a sentence")
    grave = await axe.findings_everywhere(page, source, "the reply box")
    await thread.get_by_role("button", name="Emoji").click()
    grave += await axe.findings_everywhere(page, source, "emoji")
    await page.keyboard.press("Escape")
    await thread.get_by_role("textbox").fill("/")
    await expect(thread.get_by_text("We open at nine.")).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "canned replies")
    await thread.get_by_role("textbox").fill("")
    await thread.get_by_role("tab", name="Note").click()
    grave += await axe.findings_everywhere(page, source, "a note")
    await thread.get_by_role("tab", name="Reply").click()
    await page.evaluate("document.activeElement.blur()")
    for key, what in (("h", "hand back"), ("s", "snooze"), ("a", "assign"), ("l", "labels")):
        await page.keyboard.press(key)
        await expect(page.locator("dialog[open], [role=menu]").first).to_be_visible()
        grave += await axe.findings_everywhere(page, source, what)
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog[open], [role=menu]")).to_have_count(0)
    await page.keyboard.press("s")
    await page.get_by_role("menuitem", name="Choose a time…").click()
    grave += await axe.findings_everywhere(page, source, "snooze until")
    await page.keyboard.press("Escape")
    await page.locator("omni-panel [aria-haspopup=menu]").first.click()
    await page.get_by_role("menuitem", name="Merge with").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "merge")
    await page.keyboard.press("Escape")
    await page.set_viewport_size({"width": 390, "height": 844})
    await thread.get_by_role("button", name="Details").last.click()
    await expect(page.locator("omni-panel")).to_be_visible()
    grave += await axe.findings(page, source)
    assert not grave, "\n".join(grave)
    assert window.complaints == []


async def test_templates_where_the_window_has_closed(
    shop: Shop, hire: Hire, open_window: OpenWindow, source: str
) -> None:
    tess = await hire(shop)
    shop.say("hello", name="Ada", timestamp=int(shop.simulator.now() - 3 * DAYS))
    await shop.logged("user.message")
    row = await tess.row()
    window = await open_window(shop, tess, reduced_motion="reduce")
    page = await at(window, f"#/c/{row['id']}", "omni-thread .composer-closed button")
    grave = await axe.findings_everywhere(page, source, "a closed window")
    await page.locator("omni-thread .composer-closed button").click()
    await page.get_by_role("button", name="conversation_follow_up").wait_for()
    grave += await axe.findings_everywhere(page, source, "templates")
    await page.get_by_role("button", name="conversation_follow_up").click()
    grave += await axe.findings_everywhere(page, source, "a template's blanks")
    assert not grave, "\n".join(grave)
    assert window.complaints == []


async def test_overview_and_settings(shop: Shop, hire: Hire, open_window: OpenWindow, source: str) -> None:
    boss = await hire(shop, "boss", role="admin")
    await busy_desk(shop, boss)
    window = await open_window(shop, boss, reduced_motion="reduce")
    page = await at(window, "#/overview", "[data-figure]")
    await expect(page.locator('[data-figure="conversations"] dd').first).to_have_text("3")
    grave = await axe.findings_everywhere(page, source, "overview")
    for tab in ("profile", "canned", "views", "labels", "agents", "operators", "audit"):
        await at(window, f"#/settings/{tab}", ".settings-body :is(form, .things, table, button):visible")
        grave += await axe.findings_everywhere(page, source, f"settings, {tab}")
    for tab, name in (("canned", "New reply"), ("labels", "New label"), ("operators", "Add an operator")):
        await at(window, f"#/settings/{tab}", ".settings-body")
        await page.get_by_text(name).first.click()
        await expect(page.get_by_role("form", name=name)).to_be_visible()
        grave += await axe.findings_everywhere(page, source, f"settings, {name}")
    assert not grave, "\n".join(grave)
    assert window.complaints == []


async def test_signing_in(shop: Shop, hire: Hire, open_window: OpenWindow, source: str) -> None:
    window = await open_window(shop, reduced_motion="reduce")
    await window.goes("")
    await window.page.get_by_text("operators add").wait_for()
    grave = await axe.findings_everywhere(window.page, source, "before anybody may sign in")
    await hire(shop)
    page = await at(window, "", "#gate input")
    await page.reload()
    await page.get_by_label("Email").fill("nobody@default.example")
    await page.get_by_label("Password").fill("wrong horse battery")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    grave += await axe.findings_everywhere(page, source, "signing in")
    assert not grave, "\n".join(grave)
