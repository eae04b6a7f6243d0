"""The inbox's list in a real browser: people see who waits, find whom they look for, and lose nothing on the way."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from omni.access.operators.passwords import Passwords
from omni.access.operators.sessions import Sessions
from omni.gateway.inbox.guard import COOKIE
from omni.model.call import Call, conversation_key
from omni.model.entry import CallStarted, Entry
from omni.store.base import Append
from tests.inbox.conftest import Hire
from tests.inbox.windows import OpenWindow, Window, program, windows
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, NUMBER, Shop, agent_of, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

HUMAN = {"when": "(?i)human", "say": "One moment.", "handoff": True}
BRUNO = "447700900123"
CARLA = "34600100200"
EVIL = "<img src=x onerror=\"document.title='hacked'\">"
OVERRIDE = "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe"
LONG = "W" * 4000
PHONE = {"width": 360, "height": 740}
MOST_ELEMENTS = 60
ROW_HEIGHT = 78


@pytest.fixture
async def open_window() -> AsyncIterator[OpenWindow]:
    async with windows(program()) as open_one:
        yield open_one


@pytest.fixture
async def shop(open_shop: OpenShop, embedded: dict[str, Any]) -> Shop:
    return await open_shop(embedded, agent_of(name="Front desk", script=[HUMAN, ECHO]))


def rows(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Conversations").get_by_role("option")


def row(page: Page, name: str) -> Locator:
    return rows(page).filter(has=page.locator(".row-name", has_text=name))


async def names(page: Page) -> list[str]:
    """As they stand on the screen, which is not the order of the elements."""
    script = (
        "all => all.sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map(a => a.querySelector('.row-name').innerText)"
    )
    found: list[str] = await rows(page).evaluate_all(script)
    return found


async def at_list(window: Window, path: str = "") -> Page:
    await window.goes(path)
    await expect(window.page.get_by_role("heading", level=1)).to_be_visible()
    return window.page


def said(text: str, by: str = "bot") -> Callable[[dict[str, Any]], bool]:
    """Whether a row's last words have this text in them."""
    return lambda row: text in row["last"]["text"] and row["last"]["from"] == by


async def is_wide_as_its_window(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def fill(shop: Shop, number: int) -> None:
    """So many open conversations, one a second, the newest first by number."""
    now = time.time() - 10_000
    for n in range(number):
        call = f"wa-many{n}"
        started = CallStarted.model_validate(
            {
                "from": f"+3460{n:07d}",
                "direction": "inbound",
                "to": NUMBER,
                "channel": f"whatsapp:{NUMBER}",
                "contact": f"ct_many{n}",
            }
        )
        document = Call(
            id=call,
            agent="echo",
            channel=f"whatsapp:{NUMBER}",
            transport="whatsapp",
            conversation=conversation_key("default", "echo", f"whatsapp:{NUMBER}", f"ct_many{n}"),
            contact=f"ct_many{n}",
            home="0",
            name=f"Person {n}",
            started_at=now + n,
            last_seq=1,
            last_text=f"Message {n}",
            last_from="user",
            last_at=now + n,
            last_user_at=now + n,
        )
        await shop.engines.store.append(
            Append(document, [Entry(seq=1, ts=now + n, call=call, agent="echo", fact=started)])
        )


async def test_a_message_brings_its_conversation_to_the_top_by_itself(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    window = await open_window(shop, await hire(shop))
    page = await at_list(window)
    await expect(page.get_by_role("heading", name="No open conversations")).to_be_visible()
    shop.say("hello", ADA, name="Ada")
    await expect(row(page, "Ada")).to_contain_text("You said: hello")
    shop.say("good day", BRUNO, name="Bruno")
    await expect(row(page, "Bruno")).to_contain_text("You said: good day")
    assert await names(page) == ["Bruno", "Ada"]
    shop.say("again", ADA)
    await expect(row(page, "Ada")).to_contain_text("You said: again")
    assert await names(page) == ["Ada", "Bruno"]
    await expect(row(page, "Ada")).to_have_attribute(
        "aria-label", re.compile("^Ada, WhatsApp, 2 unread messages, the bot")
    )
    await expect(page.get_by_role("link", name="All open, 2")).to_have_attribute("aria-current", "page")
    assert window.complaints == []


async def test_a_notice_goes_once_its_conversation_is_opened_here_or_taken_elsewhere(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    tess = await hire(shop, "tess")
    page = await at_list(await open_window(shop, await hire(shop, "bo")))
    for who, name in ((ADA, "Ada"), (BRUNO, "Bruno")):
        shop.say("a human please", who, name=name)
        await expect(page.locator(".toast", has_text=f"{name} waits for a person")).to_be_visible()
    await row(page, "Ada").click()
    await expect(page.locator(".toast", has_text="Ada")).to_have_count(0)
    [waiting] = [one for one in await tess.rows() if one["contact"]["name"] == "Bruno"]
    assert (await tess.post(f"/conversations/{waiting['id']}/take")).status == 202
    await expect(page.locator(".toast")).to_have_count(0)


async def test_somebody_who_waits_is_told_once_and_not_to_whom_looks_at_it(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    tess, bo = await hire(shop, "tess"), await hire(shop, "bo")
    window, other = await open_window(shop, tess), await open_window(shop, bo)
    shop.say("hello", ADA, name="Ada")
    page, looking = await at_list(window), await at_list(other)
    await row(looking, "Ada").click()
    await expect(looking).to_have_url(re.compile("#/c/cv_"))
    shop.say("a human please", ADA)
    notice = page.locator(".toast", has_text="Ada waits for a person")
    await expect(notice).to_be_visible()
    await expect(page).to_have_title("(1) Inbox")
    await expect(page.get_by_role("status").last).to_contain_text("Ada waits for a person")
    await expect(row(page, "Ada").locator(".row-waiting")).to_be_visible()
    await expect(row(looking, "Ada").locator(".row-waiting")).to_be_visible()
    await expect(looking.locator(".toast")).to_have_count(0)
    await notice.get_by_role("button", name="Open").click()
    await expect(page).to_have_url(re.compile("#/c/cv_"))
    await expect(row(page, "Ada")).to_have_attribute("aria-selected", "true")
    (item,) = await tess.rows()
    assert (await tess.post(f"/conversations/{item['id']}/take")).status == 202
    await expect(page).to_have_title("Inbox")
    await expect(row(looking, "Ada").locator(".row-who")).to_contain_text("Tess")
    await expect(row(page, "Ada").locator(".row-who")).to_contain_text("You")
    assert window.complaints == other.complaints == []


async def test_a_view_is_in_its_link_and_can_be_kept_for_the_team(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    boss = await hire(shop, "boss", role="admin")
    shop.say("hello", ADA, name="Ada")
    shop.say("a human please", BRUNO, name="Bruno")
    await boss.row(lambda one: one["handler"] == "nobody")
    window = await open_window(shop, boss)
    page = await at_list(window)
    await expect(rows(page)).to_have_count(2)
    await page.get_by_role("link", name="Needs a person, 1").click()
    await expect(page).to_have_url(re.compile(r"#/\?view=waiting$"))
    assert await names(page) == ["Bruno"]
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_role("menuitemcheckbox", name="WhatsApp").click()
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile(r"#/\?view=waiting&transport=whatsapp$"))
    await expect(page.get_by_role("button", name="Filter", exact=True)).to_be_focused()
    link = page.url
    await page.get_by_role("button", name="Filter", exact=True).click()
    await page.get_by_role("menuitem", name="Save this view…").click()
    await page.get_by_role("dialog").get_by_label("Name").fill(EVIL[:60])
    await page.get_by_role("dialog").get_by_label("For the whole team").check()
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(EVIL[:60])
    tess = await open_window(shop, await hire(shop, "tess"))
    theirs = await at_list(tess, link.partition("/inbox")[2])
    await expect(rows(theirs)).to_have_count(1)
    await expect(theirs.get_by_role("link", name=EVIL[:60])).to_have_attribute("aria-current", "page")
    await theirs.get_by_role("button", name="Remove the filter WhatsApp").click()
    await expect(theirs.get_by_role("heading", level=1)).to_have_text("Needs a person")
    assert window.complaints == tess.complaints == []


async def test_people_and_words_are_found_and_opened_by_keys(shop: Shop, hire: Hire, open_window: OpenWindow) -> None:
    tess = await hire(shop)
    shop.say("my zeppelin is late", ADA, name="Ada Lovelace")
    shop.say("hello", BRUNO, name="Zeno")
    await tess.row(said("hello"))
    await tess.row(said("zeppelin"))
    window = await open_window(shop, tess)
    page = await at_list(window)
    await expect(rows(page)).to_have_count(2)
    await page.keyboard.press("/")
    await page.keyboard.type("zep")
    found = page.get_by_role("listbox", name="Search people and messages")
    await expect(found.get_by_role("group", name="Messages").get_by_role("option").first).to_contain_text("zeppelin")
    await expect(found.locator("mark").first).to_have_text("zep")
    await page.get_by_role("combobox").fill("zeno")
    await expect(found.get_by_role("group", name="People").get_by_role("option")).to_contain_text("Zeno")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("#/c/cv_"))
    await page.get_by_role("combobox").first.fill("nothing of that kind")
    await expect(found).to_contain_text("Nothing found")
    await page.get_by_role("combobox").first.press("Escape")
    await expect(rows(page)).to_have_count(2)
    assert window.complaints == []


async def test_the_list_is_worked_with_keys_alone(shop: Shop, hire: Hire, open_window: OpenWindow) -> None:
    tess = await hire(shop)
    for who, name in ((ADA, "Ada"), (BRUNO, "Bruno"), (CARLA, "Carla")):
        shop.say(f"I am {name}", who, name=name)
        await tess.row(said(name))
    window = await open_window(shop, tess)
    page = await at_list(window)
    await expect(rows(page)).to_have_count(3)
    await page.keyboard.press("j")
    await expect(row(page, "Carla")).to_be_focused()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(row(page, "Ada")).to_be_focused()
    await page.keyboard.press("k")
    await expect(row(page, "Bruno")).to_be_focused()
    assert await rows(page).evaluate_all("all => all.filter(a => a.tabIndex === 0).length") == 1
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("#/c/cv_"))
    await expect(row(page, "Bruno")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile("#/$"))
    await page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(sheet).to_contain_text("Next conversation")
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("carl")
    await expect(page.get_by_role("listbox", name="Commands").get_by_role("option")).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(row(page, "Carla")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("go to snoozed")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Nothing is snoozed")).to_be_visible()
    assert window.complaints == []


async def test_hostile_names_and_words_stay_text_in_their_place(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    tess = await hire(shop)
    shop.say(f"human {EVIL}", ADA, name=EVIL)
    shop.say(OVERRIDE, BRUNO, name=OVERRIDE)
    shop.say(LONG, CARLA, name=LONG[:500])
    for text in ("One moment.", OVERRIDE, "WWW"):
        await tess.row(said(text))
    window = await open_window(shop, tess, **PHONE)
    page = await at_list(window)
    await expect(rows(page)).to_have_count(3)
    await expect(row(page, EVIL)).to_be_visible()
    assert await is_wide_as_its_window(page)
    boxes = [await one.bounding_box() for one in await rows(page).all()]
    assert {(box["height"], box["width"]) for box in boxes if box} == {(ROW_HEIGHT, PHONE["width"])}
    for part in (".row-name", ".row-words"):
        edges = await rows(page).locator(part).evaluate_all("all => all.map(a => getComputedStyle(a).unicodeBidi)")
        assert set(edges) == {"isolate"}
    assert await page.locator("#list img, #list script").count() == 0
    assert await page.title() == "(1) Inbox"
    assert window.complaints == []


async def test_a_page_that_lost_the_server_comes_back_with_each_conversation_once(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    tess = await hire(shop)
    shop.say("one", ADA, name="Ada")
    await tess.row(said("one"))
    window = await open_window(shop, tess)
    page = await at_list(window)
    await expect(row(page, "Ada")).to_contain_text("one")
    await page.context.set_offline(True)
    await expect(page.get_by_text("No connection.")).to_be_visible()
    shop.say("two", ADA)
    shop.say("hello", BRUNO, name="Bruno")
    await tess.row(said("hello"))
    await page.context.set_offline(False)
    await expect(row(page, "Bruno")).to_contain_text("hello")
    await expect(row(page, "Ada")).to_contain_text("two")
    await expect(page.get_by_text("No connection.")).to_be_hidden()
    await shop.restart()
    shop.say("three", ADA)
    await expect(row(page, "Ada")).to_contain_text("three", timeout=30_000)
    assert await names(page) == ["Ada", "Bruno"]
    await expect(page.get_by_role("link", name="All open, 2")).to_be_visible()
    assert [one for one in window.complaints if "WebSocket" not in one] == []


async def test_what_ended_meanwhile_is_gone_after_a_reconnect(shop: Shop, hire: Hire, open_window: OpenWindow) -> None:
    tess = await hire(shop)
    shop.say("one", ADA, name="Ada")
    shop.say("one", BRUNO, name="Bruno")
    ada = await tess.row(lambda one: one["contact"]["name"] == "Ada")
    window = await open_window(shop, tess)
    page = await at_list(window)
    await expect(rows(page)).to_have_count(2)
    await page.context.set_offline(True)
    await expect(page.get_by_text("No connection.")).to_be_visible()
    assert (await tess.post(f"/conversations/{ada['id']}/end")).status == 202
    await tess.row(lambda one: one["id"] == ada["id"], "?state=ended")
    await page.context.set_offline(False)
    await expect(rows(page)).to_have_count(1)
    await page.get_by_role("link", name="Ended").click()
    await expect(row(page, "Ada")).to_be_visible()
    assert [one for one in window.complaints if "WebSocket" not in one] == []


async def test_many_conversations_are_a_few_elements_and_keep_their_place_when_others_come(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    await fill(shop, 700)
    window = await open_window(shop, await hire(shop))
    page = await at_list(window)
    await expect(page.get_by_role("link", name="All open, 700")).to_be_visible()
    await expect(rows(page).first).to_have_attribute("aria-setsize", "700")
    place = page.locator(".rows")
    await place.evaluate(f"place => place.scrollTop = 300 * {ROW_HEIGHT}")
    await expect(row(page, "Person 399")).to_be_visible()
    assert await rows(page).count() <= MOST_ELEMENTS
    before = await row(page, "Person 395").bounding_box()
    shop.say("hello", ADA, name="Ada")
    await expect(page.get_by_role("button", name="1 new above")).to_be_visible()
    assert await row(page, "Person 395").bounding_box() == before
    await expect(row(page, "Person 395")).to_have_attribute("aria-posinset", "306")
    await row(page, "Person 395").focus()
    await page.keyboard.press("End")
    await expect(row(page, "Person 0")).to_be_focused()
    await page.keyboard.press("Home")
    await expect(row(page, "Ada")).to_be_focused()
    await expect(page.get_by_role("button", name="1 new above")).to_be_hidden()
    assert await rows(page).count() <= MOST_ELEMENTS
    assert window.complaints == []


async def test_on_a_phone_the_list_and_a_conversation_take_turns(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    tess = await hire(shop)
    shop.say("hello", ADA, name="Ada")
    await tess.row(said("hello"))
    window = await open_window(shop, tess, **PHONE, has_touch=True, is_mobile=True)
    page = await at_list(window)
    await row(page, "Ada").tap()
    await expect(page.locator("#list")).to_be_hidden()
    await expect(page.get_by_role("main")).to_be_visible()
    assert await is_wide_as_its_window(page)
    await page.go_back()
    await expect(row(page, "Ada")).to_be_focused()
    await expect(page.get_by_role("main")).to_be_hidden()
    await page.get_by_role("button", name="Open the menu").first.tap()
    await page.get_by_role("link", name="Snoozed").tap()
    await expect(page.get_by_role("heading", name="Nothing is snoozed")).to_be_visible()
    await expect(page.get_by_role("navigation")).to_be_hidden()
    assert await is_wide_as_its_window(page)
    assert window.complaints == []


async def test_the_language_changes_at_once_and_stays(shop: Shop, hire: Hire, open_window: OpenWindow) -> None:
    tess = await hire(shop)
    shop.say("hello", ADA, name="Ada")
    await tess.row(said("hello"))
    window = await open_window(shop, tess)
    page = await at_list(window)
    await expect(row(page, "Ada")).to_have_attribute("aria-label", re.compile("the bot has it"))
    await page.get_by_role("button", name="Account: Tess").click()
    await page.get_by_role("menuitemcheckbox", name="Español").click()
    await expect(page.get_by_role("link", name=re.compile("^Pospuestas"))).to_be_visible()
    listed = page.get_by_role("listbox", name="Conversaciones").get_by_role("option")
    await expect(listed).to_have_attribute("aria-label", re.compile("la lleva el bot"))
    await expect(page.locator("html")).to_have_attribute("lang", "es")
    await until(lambda: _speaks(tess, "es"))
    elsewhere = await open_window(shop, tess, locale="de-DE")
    await elsewhere.goes("")
    await expect(elsewhere.page.get_by_role("link", name=re.compile("^Pospuestas"))).to_be_visible()
    assert window.complaints == []


async def _speaks(colleague: Any, language: str) -> bool:
    return bool((await colleague.get("/me"))["language"] == language)


async def test_a_session_that_ends_is_begun_again_without_leaving(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    tess = await hire(shop)
    store = shop.engines.store
    operator = await store.operator(tess.id)
    assert operator is not None
    operator = await store.save_operator(
        operator.model_copy(update={"password_hash": await Passwords().hash("correct horse battery")})
    )
    window = await open_window(shop)
    page = window.page
    await window.goes("#/?view=mine")
    await page.get_by_label("Email").fill("tess@default.example")
    await page.get_by_label("Password").fill("wrong horse battery")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    await page.get_by_label("Password").fill("correct horse battery")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Nothing is yours right now")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("half a wor")
    cookies = {cookie["name"]: cookie["value"] for cookie in await page.context.cookies()}
    sessions = Sessions(store)
    found = await sessions.find(cookies[COOKIE])
    assert found is not None
    await sessions.end(found[0])
    dialog = page.get_by_role("dialog", name="Sign in again")
    await expect(dialog).to_be_visible(timeout=20_000)
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_visible()
    await expect(dialog.get_by_label("Email")).to_have_value("tess@default.example")
    await dialog.get_by_label("Password").fill("correct horse battery")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("combobox")).to_have_value("half a wor")
    await page.get_by_role("combobox").fill("")
    await page.get_by_role("link", name=re.compile("^All open")).click()
    shop.say("hello", ADA, name="Ada")
    await expect(row(page, "Ada")).to_contain_text("hello", timeout=20_000)
    assert [one for one in window.complaints if "WebSocket" not in one] == []


async def test_a_one_time_link_leaves_the_address_bar_and_signs_in_once(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    boss = await hire(shop, "boss", role="admin")
    added = await boss.post("/operators", {"email": "new@default.example", "name": "New", "role": "agent"})
    fragment = added.body["link"].partition("#")[2]
    window = await open_window(shop)
    page = await at_list(window, f"#{fragment}")
    await expect(page.get_by_role("button", name="Account: New")).to_be_visible()
    assert fragment not in page.url
    assert await page.evaluate("performance.getEntriesByType('resource').some(e => e.name.includes('link='))") is False
    stranger = await open_window(shop)
    await stranger.goes(f"#{fragment}")
    await expect(stranger.page.get_by_role("heading", name="Sign in to the inbox")).to_be_visible()
    await expect(stranger.page.get_by_role("alert")).to_be_visible()
    assert fragment not in stranger.page.url


async def test_an_admin_pauses_an_agent_and_everybody_sees_it(shop: Shop, hire: Hire, open_window: OpenWindow) -> None:
    admin = await open_window(shop, await hire(shop, "boss", role="admin"))
    agent = await open_window(shop, await hire(shop, "tess"))
    page, other = await at_list(admin), await at_list(agent)
    await other.get_by_role("button", name="Account: Tess").click()
    await expect(other.get_by_role("menuitem", name="Pause Front desk")).to_have_count(0)
    await other.keyboard.press("Escape")
    await page.get_by_role("button", name="Account: Boss").click()
    await page.get_by_role("menuitem", name="Pause Front desk").click()
    await page.get_by_role("dialog").get_by_role("button", name="Pause the bot").click()
    await expect(other.get_by_text("Front desk is paused: it answers nobody")).to_be_visible()
    await expect(other.get_by_role("button", name="Resume Front desk")).to_have_count(0)
    await page.get_by_role("button", name="Resume Front desk").click()
    await expect(other.get_by_text("Front desk is paused: it answers nobody")).to_be_hidden()
    assert admin.complaints == agent.complaints == []


async def test_who_writes_to_a_paused_bot_needs_a_person_until_somebody_answers(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    boss = await hire(shop, "boss", role="admin")
    shop.say("hello", ADA, name="Ada")
    await shop.answers(1)
    window = await open_window(shop, boss)
    page = await at_list(window)
    await page.get_by_role("link", name="Needs a person").click()
    await expect(rows(page)).to_have_count(0)
    assert (await boss.post("/agents/echo/pause")).status == 202
    await expect(page.get_by_text("Front desk is paused: it answers nobody")).to_be_visible()
    shop.say("anybody there?", ADA)
    await expect(page.get_by_text("Ada waits for a person", exact=True)).to_be_visible()
    assert await names(page) == ["Ada"]
    await expect(page.get_by_role("link", name="Needs a person, 1")).to_be_visible()
    assert (await boss.post("/agents/echo/resume")).status == 202
    await expect(page.get_by_text("Front desk is paused: it answers nobody")).to_be_hidden()
    assert await names(page) == ["Ada"], "what was written meanwhile is still not answered"
    shop.say("and now?", ADA)
    await shop.answers(2)
    await expect(rows(page)).to_have_count(0)
