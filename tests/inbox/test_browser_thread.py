"""A conversation in a real browser: what operators see of it, and what they do with it, reaches whom it should."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, WebSocketRoute, expect

from tests.brains.llm_server import LlmServer, says
from tests.chat.conftest import OpenChat, open_chat
from tests.chat.pages import agent_of as chat_agent
from tests.inbox.colleagues import Colleague
from tests.inbox.conftest import Hire
from tests.inbox.windows import OpenWindow, Window, program, windows
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, agent_of, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

__all__ = ["open_chat"]

DAY = 86_400
SLOW = {"when": "slow", "say": "Too late", "wait_ms": 60_000}
EVIL = (
    "<img src=x onerror=\"document.title='hacked'\"> <script>document.title='hacked'</script> "
    "[x](javascript:alert(1)) javascript://a.example/alert(2) \u202eevil\u202d {{contact.name}}"
)
FIXTURES = Path(__file__).resolve().parents[1] / "whatsapp" / "fixtures"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fe"
    "a735818e0000000049454e44ae426082"
)


@pytest.fixture
async def open_window() -> AsyncIterator[OpenWindow]:
    async with windows(program()) as open_one:
        yield open_one


class Desk:
    """An operator at an open conversation."""

    def __init__(self, window: Window, row: dict[str, Any]) -> None:
        self.window = window
        self.row = row

    @property
    def page(self) -> Page:
        return self.window.page

    @property
    def thread(self) -> Locator:
        return self.page.locator("omni-thread")

    @property
    def box(self) -> Locator:
        return self.thread.get_by_role("textbox")

    def bubbles(self, who: str = "") -> Locator:
        return self.thread.locator(f".rows .msg{f'.from-{who}' if who else ''}")

    async def opens(self) -> Desk:
        await self.window.goes(f"#/c/{self.row['id']}")
        await expect(self.bubbles().first).to_be_visible()
        return self

    async def writes(self, text: str) -> None:
        await self.box.fill(text)
        await self.box.press("Enter")

    async def reads(self, who: str = "") -> list[str]:
        found = await self.bubbles(who).locator(".content").all_text_contents()
        return [text.strip() for text in found]

    async def sees(self, text: str) -> None:
        await expect(self.thread.locator(".log")).to_contain_text(text)

    async def sends_at_once(self) -> None:
        """Without waiting for the time in which a message can be undone."""
        await self.page.evaluate("dispatchEvent(new Event('pagehide'))")


async def sit_down(shop: Any, one: Colleague, open_window: OpenWindow, **more: Any) -> Desk:
    return await Desk(await open_window(shop, one, **more), await one.row()).opens()


async def test_a_takeover_while_the_bot_generates_silences_it_for_good(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, agent_of(script=[SLOW, ECHO]))
    tess = await hire(shop)
    shop.say("slow")
    await until(lambda: shop.events("typing"))
    desk = await sit_down(shop, tess, open_window)
    await desk.writes("Tess here")
    await expect(desk.thread.locator(".holder")).to_have_text("You have it")  # before the message has gone
    assert shop.simulator.sent() == []
    await desk.sends_at_once()
    assert await shop.answers(1) == ["Tess here"]
    shop.say("are you a robot?")
    await desk.sees("are you a robot?")
    await shop.quiet()
    assert await shop.answers(1) == ["Tess here"]
    assert await desk.reads("bot") == []
    await expect(desk.bubbles("human").locator("[data-state=read]")).to_be_visible()
    assert await desk.reads("human") == ["Tess here"]
    assert desk.window.complaints == []


async def test_whoever_takes_over_by_the_button_types_into_the_reply(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("hello")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    await desk.thread.get_by_role("button", name="Take over").click()
    await expect(desk.box).to_be_focused()
    await desk.page.keyboard.type("he has it")  # h and e are keys that hand back and resolve
    await expect(desk.box).to_have_value("he has it")
    await expect(desk.thread.locator(".event[data-type='handoff.active']")).to_be_visible()
    await desk.thread.locator("[data-act=release]").click()
    await desk.page.keyboard.press("Control+Enter")
    await expect(desk.thread.get_by_role("button", name="Take over")).to_be_focused()
    assert desk.window.complaints == []


async def test_two_operators_see_each_other_and_one_steals(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("hello")
    await shop.answers(1)
    tess, sam = await hire(shop), await hire(shop, "sam")
    hers = await sit_down(shop, tess, open_window)
    his = await sit_down(shop, sam, open_window)
    await expect(hers.thread.locator(".presence")).to_contain_text("Sam is looking")
    await hers.page.keyboard.press("t")
    await expect(hers.thread.locator(".holder")).to_have_text("You have it")
    await expect(his.thread.locator(".collision")).to_contain_text("Tess has this conversation")
    await hers.box.press_sequentially("One mom")
    await expect(his.thread.locator(".collision")).to_contain_text("Tess has this conversation and is writing")

    await his.writes("Mine!")
    asked = his.page.get_by_role("dialog", name="Tess has this conversation")
    await asked.get_by_role("button", name="Cancel").click()
    await expect(his.box).to_have_value("Mine!")
    assert await his.reads("human") == []
    await his.box.press("Enter")
    await asked.get_by_role("button", name="Steal").click()
    await expect(his.thread.locator(".holder")).to_have_text("You have it")
    await expect(hers.thread.locator(".collision")).to_contain_text("Sam has this conversation")
    await expect(hers.box).to_have_value("One mom")
    await his.sends_at_once()
    assert (await shop.answers(2))[1] == "Mine!"
    assert hers.window.complaints == his.window.complaints == []


async def test_handed_back_with_a_note_the_bot_knows_it_and_what_was_said(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any], llm: LlmServer
) -> None:
    shop = await open_shop(embedded, agent_of(brain="llm", script=[]), llm_base_url=llm.base_url)
    shop.say("hello")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    await desk.page.keyboard.press("t")
    await expect(desk.thread.locator(".holder")).to_have_text("You have it")
    shop.say("a table for nine, please")
    await desk.writes("Table 4 is yours")
    await desk.sends_at_once()
    await shop.answers(2)
    await desk.page.evaluate("document.activeElement.blur()")
    await desk.page.keyboard.press("h")
    await desk.page.get_by_label("A note for the bot").fill("They pay on Friday")
    await desk.page.keyboard.press("Control+Enter")
    await expect(desk.thread.locator(".event[data-type='handoff.released']")).to_contain_text("They pay on Friday")
    shop.say("thank you")
    await until(lambda: "thank you" in str(llm.requests[-1]["messages"][-1]))
    read = str(llm.requests[-1]["messages"])
    assert "They pay on Friday" in read
    assert "Table 4 is yours" in read
    assert "a table for nine, please" in read
    assert desk.window.complaints == []


async def test_what_was_typed_and_sent_offline_is_kept_and_arrives_once(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    await desk.page.keyboard.press("t")
    await expect(desk.thread.locator(".holder")).to_have_text("You have it")
    await desk.page.context.set_offline(True)
    await shop.restart()  # nobody is connected any more
    await desk.writes("written in a tunnel")
    await desk.sends_at_once()
    await desk.box.fill("half a sent")
    shop.say("two")
    await shop.logged("user.message", 2)
    await desk.page.context.set_offline(False)
    await desk.sees("two")
    assert "written in a tunnel" in await shop.answers(2)
    await expect(desk.bubbles("human").locator("[data-state=read]")).to_be_visible()
    await expect(desk.box).to_have_value("half a sent")
    await desk.page.reload()
    await expect(desk.box).to_have_value("half a sent")
    await desk.sees("two")
    assert await desk.reads("user") == ["one", "two"]
    assert await desk.reads("human") == ["written in a tunnel"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2


async def test_a_reload_in_the_moment_of_sending_sends_once(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    await desk.writes("before I go")
    await desk.page.reload()
    assert (await shop.answers(2))[1] == "before I go"
    await expect(desk.bubbles("human").locator("[data-state=read]")).to_be_visible()
    assert await desk.reads("human") == ["before I go"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2


async def test_undone_in_time_nothing_is_sent(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    await desk.writes("I did not mean this")
    await desk.thread.get_by_role("button", name="Undo").click()
    await expect(desk.box).to_have_value("I did not mean this")
    await expect(desk.bubbles("human")).to_have_count(0)
    await desk.box.fill("but this")
    await desk.box.press("Enter")
    await desk.sends_at_once()
    assert (await shop.answers(2))[1] == "but this"
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2
    assert await desk.reads("human") == ["but this"]


async def test_a_message_goes_out_by_itself_once_it_cannot_be_undone(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    began = time.monotonic()
    await desk.writes("by itself")
    assert (await shop.answers(2))[1] == "by itself"
    assert time.monotonic() - began > 4.5
    await expect(desk.thread.get_by_role("button", name="Undo")).to_have_count(0)


async def test_notes_are_for_colleagues_only(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    await desk.box.fill("a reply that stays where it is")
    await desk.box.press("Escape")
    await desk.page.keyboard.press("n")
    await desk.writes("difficult person")
    await expect(desk.bubbles("note")).to_contain_text("difficult person")
    await expect(desk.box).to_have_value("")
    await desk.page.keyboard.press("Escape")
    await desk.page.keyboard.press("r")
    await expect(desk.box).to_have_value("a reply that stays where it is")
    await desk.sends_at_once()
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
    assert "difficult" not in str([sent.body for sent in shop.simulator.sent()])
    await expect(desk.thread.locator(".holder")).to_contain_text("has it")
    assert (await shop.call()).handler == "bot"


async def test_nothing_that_people_write_becomes_a_page(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, agent_of(name=EVIL[:60]))
    shop.say(EVIL, name=EVIL[:60])
    await shop.answers(1)
    shop.does({"type": "button_reply", "button_id": "x", "title": EVIL[:20]})
    shop.does({"type": "location", "latitude": 1, "longitude": 2, "place": EVIL, "address": EVIL})
    shop.does({"type": "contacts", "contacts": [{"name": {"formatted_name": EVIL}, "phones": [{"phone": EVIL}]}]})
    shop.does({"type": "form_reply", "response": {EVIL: EVIL}})
    shop.does({"type": "unsupported", "kind": "<b>poll</b>"})
    await shop.logged("user.message", 6)
    desk = await sit_down(shop, await hire(shop), open_window)
    await desk.writes(EVIL)
    await desk.sends_at_once()
    await expect(desk.bubbles("human")).to_have_count(1)
    await desk.page.keyboard.press("Escape")
    await desk.page.keyboard.press("n")
    await desk.writes(EVIL)
    await expect(desk.bubbles("note")).to_have_count(1)
    await expect(desk.bubbles("user")).to_have_count(6)
    assert (await desk.reads("user"))[0] == EVIL
    assert (await desk.reads("note")) == [EVIL]
    strange = "omni-thread :is(img, script, iframe, object, embed), omni-panel :is(img, script), a[href^='javascript']"
    assert await desk.page.locator(strange).count() == 0
    links = await desk.thread.locator("a").evaluate_all("(all) => all.map((a) => [new URL(a.href).protocol, a.rel])")
    assert {protocol for protocol, _ in links} <= {"https:", "http:"}
    assert all("noreferrer" in rel for _, rel in links)
    assert "hacked" not in await desk.page.title()
    wide = await desk.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide
    assert desk.window.complaints == []


async def test_every_kind_of_message_is_shown(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, agent_of(script=[]))
    for file in sorted(FIXTURES.glob("*.json")):
        for message in messages_in(json.loads(file.read_bytes())):
            if message.get("type") in (None, "reaction", "edit", "revoke", "system"):
                continue
            kept = ("type", message["type"], "errors", "referral")
            body = {key: message[key] for key in kept if key in message}
            shop.does({"type": "raw", "message": body})
    await shop.quiet()
    said = len(await shop.logged("user.message"))
    desk = await sit_down(shop, await hire(shop), open_window)
    while await desk.thread.locator(".thread-top .spinner").count():
        await desk.thread.locator(".log").evaluate("(log) => log.scrollTo(0, 0)")
        await asyncio.sleep(0.02)
    await expect(desk.bubbles("user")).to_have_count(said)
    shown = await desk.reads("user")
    count = "(all) => all.map((one) => one.childNodes.length)"
    contents = await desk.bubbles("user").locator(".content").evaluate_all(count)
    kinds = {part.type for fact in await shop.logged("user.message") for part in fact.message.parts}
    assert kinds == {"text", "media", "choice", "contacts", "location", "order", "unsupported"}
    assert all(text or number for text, number in zip(shown, contents, strict=True))
    assert "undefined" not in " ".join(shown)
    assert desk.window.complaints == []


def messages_in(body: Any) -> list[dict[str, Any]]:
    """The message objects of a webhook's body."""
    try:
        values = [change["value"] for entry in body["entry"] for change in entry["changes"]]
        return [message for value in values for message in value.get("messages", []) if isinstance(message, dict)]
    except (KeyError, TypeError, AttributeError):
        return []


async def test_when_the_window_is_closed_a_template_is_sent(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    account = "318450992714406"
    shop = await open_shop(embedded, agent_of(channel={"waba_id": account}), simulator={"waba_id": account})
    shop.say("long ago", timestamp=int(time.time() - 2 * DAY), name="Ada")
    await shop.logged("user.message")
    desk = await sit_down(shop, await hire(shop), open_window)
    await expect(desk.thread.locator(".window")).to_have_text("Window closed")
    await expect(desk.thread.locator(".composer-closed")).to_contain_text("Only an approved template can be sent")
    await expect(desk.box).to_have_count(0)
    await desk.thread.get_by_role("button", name="Choose a template").click()
    picker = desk.page.get_by_role("dialog", name="Send a template")
    await picker.get_by_role("searchbox").fill("follow")
    await picker.get_by_role("button", name="conversation_follow_up").click()
    send = picker.get_by_role("button", name="Send", exact=True)
    await expect(send).to_be_disabled()
    await picker.get_by_label("Value for 1").fill("Ada")
    await expect(picker.locator(".template-preview")).to_contain_text("Hello Ada, we have news about your question.")
    await send.click()
    await expect(desk.bubbles("human")).to_contain_text("Hello Ada, we have news")
    await desk.sends_at_once()
    sent = (await shop.arrived())[-1]
    assert (sent.type, sent.body["template"]["name"]) == ("template", "conversation_follow_up")
    await expect(desk.bubbles("human").locator("[data-state=read]")).to_be_visible()
    await expect(desk.bubbles("human")).to_have_count(1)
    await expect(desk.thread.locator(".holder")).to_have_text("You have it")
    assert desk.window.complaints == []


async def test_the_bots_words_are_seen_as_they_are_written_and_go_when_it_is_silenced(
    open_chat: OpenChat, hire: Hire, open_window: OpenWindow, llm: LlmServer
) -> None:
    chat = await open_chat(chat_agent(brain="llm", script=[]), llm_base_url=llm.base_url)
    visitor = await chat.visitor()
    await visitor.says("m1", "hello")
    await visitor.hears("bot")
    desk = await sit_down(chat, await hire(chat), open_window)
    await expect(desk.bubbles("bot")).to_have_count(1)
    await visitor.send("typing", on=True)
    await expect(desk.thread.locator(".typing[data-who=user]")).to_be_visible()
    llm.will(says("*It* is being written", " and", finish=None, then="hang"))
    await visitor.says("m2", "and now?")
    being_written = desk.thread.locator(".tail .is-live .words")
    await expect(being_written).to_contain_text("It is being written")
    await expect(desk.thread.locator(".typing[data-who=user]")).to_have_count(0)
    await desk.page.keyboard.press("t")
    await expect(being_written).to_have_count(0)
    await expect(desk.thread.locator(".holder")).to_have_text("You have it")
    await desk.writes("A person here")
    await desk.sends_at_once()
    assert (await visitor.hears("human"))["text"] == "A person here"
    await expect(desk.bubbles("human")).to_have_count(1)
    assert len(await desk.reads("bot")) == 1
    assert desk.window.complaints == []


async def test_reactions_edits_and_quotes_find_their_message(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, agent_of(script=[ECHO]))
    first = shop.say("where is it?")
    (answer,) = await shop.arrived(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    shop.does({"type": "reaction", "message_id": answer.id, "emoji": "👍"})
    await expect(desk.bubbles("bot").first.locator(".reactions")).to_have_text("👍")
    shop.does({"type": "edit", "message_id": first, "text": "where is my *order*?"})
    await expect(desk.bubbles("user").first.locator("strong")).to_have_text("order")
    await expect(desk.bubbles("user").first.locator(".meta")).to_contain_text("edited")
    shop.say("this one", reply_to=answer.id)
    await expect(desk.bubbles("user").last.locator(".quoted")).to_contain_text("You said: where is it?")
    await desk.bubbles("user").last.locator(".quoted").click()
    await expect(desk.bubbles("bot").first).to_be_focused()
    await expect(desk.bubbles("bot")).to_have_count(2)  # its answer would move what the pointer is over

    await desk.bubbles("user").first.hover()
    await desk.thread.get_by_role("button", name="React", exact=True).click()
    await desk.thread.get_by_role("button", name="React with ❤️").click()
    await expect(desk.bubbles("user").first.locator(".reactions")).to_have_text("❤️")
    await desk.bubbles("user").last.hover()
    await desk.thread.get_by_role("button", name="Quote", exact=True).click()
    await desk.writes("That one")
    await desk.sends_at_once()
    (sent,) = [one for one in await shop.arrived(4) if one.type == "text" and one.body["text"]["body"] == "That one"]
    assert sent.body["context"]["message_id"]
    assert desk.window.complaints == []


async def test_files_go_up_and_out_with_their_caption_and_lies_are_refused(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    chooser = desk.thread.locator("input[type=file]")
    await chooser.set_input_files({"name": "empty.png", "mimeType": "image/png", "buffer": b""})
    await expect(desk.thread.locator(".attachment .problem")).to_be_visible()
    await expect(desk.thread.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await desk.thread.get_by_role("button", name="Remove empty.png").click()
    await chooser.set_input_files({"name": "chair.png", "mimeType": "image/png", "buffer": PNG})
    await desk.box.fill("The chair")
    await expect(desk.thread.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    await desk.box.press("Enter")
    await desk.sends_at_once()
    sent = (await shop.arrived(2))[1]
    assert (sent.type, sent.body["image"]["caption"]) == ("image", "The chair")
    picture = desk.bubbles("human").locator("img.picture")
    await until(lambda: picture.evaluate("(image) => image.naturalWidth"))
    await picture.click()
    await expect(desk.page.locator("dialog.lightbox")).to_be_visible()
    await desk.page.keyboard.press("Escape")
    await expect(desk.page.locator("dialog.lightbox")).to_have_count(0)
    assert desk.window.complaints == []


async def test_history_is_loaded_upwards_and_the_place_is_kept(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, agent_of(script=[]))
    for number in range(150):
        shop.say(f"message {number}")
    await shop.logged("user.message", 150)
    desk = await sit_down(shop, await hire(shop), open_window)
    log = desk.thread.locator(".log")
    await desk.sees("message 149")
    await until(lambda: log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4"))
    await expect(desk.thread.locator(".pill")).to_be_hidden()
    await log.hover()
    await desk.page.mouse.wheel(0, -900)
    await expect(desk.thread.locator(".pill")).to_be_visible()
    shop.say("while you read")
    await expect(desk.thread.locator(".pill")).to_have_text("1 new message")
    while await desk.thread.locator(".thread-top .spinner").count():
        await log.evaluate("(log) => log.scrollTo(0, 0)")
        await asyncio.sleep(0.02)
    texts = await desk.reads("user")
    assert texts == [f"message {number}" for number in range(150)] + ["while you read"]
    await desk.thread.locator(".pill").click()
    await until(lambda: log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4"))
    shop.say("and on")
    await desk.sees("and on")
    await until(lambda: log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4"))


async def test_a_viewer_reads_and_cannot_write(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop, "vera", role="viewer"), open_window)
    await expect(desk.thread.locator(".composer-closed")).to_contain_text("You can read this conversation")
    await expect(desk.box).to_have_count(0)
    for key in "the":
        await desk.page.keyboard.press(key)
    assert await desk.thread.locator(".buttons .btn").count() == 0
    assert (await shop.call()).handler == "bot"
    assert not [refusal for refusal in desk.window.refusals if "403" in refusal]


async def test_the_person_beside_the_conversation_is_named_and_paused(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("one")
    await shop.answers(1)
    desk = await sit_down(shop, await hire(shop), open_window)
    panel = desk.page.locator("omni-panel")
    await panel.locator(".person-name").click()
    await panel.get_by_label("Change the name").fill("Grace Hopper")
    await desk.page.keyboard.press("Enter")
    await expect(desk.thread.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    await panel.get_by_label("Pause the bot for this person").check()
    await expect(panel.get_by_text("Bot paused")).to_be_visible()
    shop.say("nobody answers this")
    await shop.logged("user.message", 2)
    await panel.get_by_label("Pause the bot for this person").uncheck()
    await expect(panel.get_by_text("Bot paused")).to_be_hidden()
    shop.say("but this")
    assert (await shop.answers(2))[1] == "You said: but this"
    assert ADA in await panel.inner_text()
    assert desk.window.complaints == []


async def test_a_thread_whose_cursor_is_worth_nothing_any_more_is_read_again_and_goes_on(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    """As after an upgrade, or when the store was put back to yesterday's."""
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    desk = await sit_down(shop, tess, open_window)
    spoilt: list[str] = []

    def through(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def said(body: str | bytes) -> None:
            frame = json.loads(body)
            if frame["type"] == "open" and not spoilt:
                spoilt.append(frame["after"])
                frame["after"] = "of-another-release"
            server.send(json.dumps(frame))

        socket.on_message(said)

    await desk.page.route_web_socket("**/v1/inbox/live", through)
    await desk.page.reload()
    await until(lambda: spoilt)
    shop.say("can you hear me?")
    await desk.sees("You said: can you hear me?")
    assert (await desk.reads("user")) == ["hello", "can you hear me?"]
