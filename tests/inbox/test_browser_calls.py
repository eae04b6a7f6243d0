"""Calls with sound in a real browser: how they are recognised in the list, what is seen of them as they go on, and what
an operator can do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from omni.gateway.inbox.naming import conversation_id
from omni.live.speech import BotWord, Hearing
from omni.model.entry import BotFinished, BotSaid
from tests.inbox import axe
from tests.inbox.conftest import Hire
from tests.inbox.ringing import BO, MORE, TALK, Line, line, rang, said, started
from tests.inbox.test_api_calls import WAV, _once
from tests.inbox.windows import OpenWindow, Window, program, windows
from tests.server.conftest import OpenShop

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

CLOCK = re.compile(r"[0-9]+:[0-9]{2}")


@pytest.fixture
async def open_window() -> AsyncIterator[OpenWindow]:
    async with windows(program()) as open_one:
        yield open_one


async def opened(window: Window, call: Line) -> Locator:
    await window.goes(f"#/c/{conversation_id(call.call.conversation)}")
    thread = window.page.locator("omni-thread")
    await expect(thread.locator(".head h1")).to_be_visible(timeout=20_000)
    return thread


async def test_a_live_call_is_seen_as_it_goes_on(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, services: dict[str, Any]
) -> None:
    shop = await open_shop(services)
    tess = await hire(shop)
    call = await line(shop, "CA1", *TALK, name="Ada Lovelace")
    window = await open_window(shop, tess)
    thread = await opened(window, call)
    await expect(thread.locator(".line .long")).to_have_text(re.compile(r"On the phone · 2:\d\d"))
    await expect(window.page.locator(".row-line")).to_have_text(CLOCK)
    users = thread.locator(".msg.from-user:not(.is-live) .words")
    assert await users.all_inner_texts() == [
        "Hi, I would like a cake for Sunday.", "Lemon, please. Can I talk to somebody about the writing on it?",
    ]  # fmt: skip
    cut = thread.locator(".msg.from-bot").nth(1)
    await expect(cut.locator(".words")).to_have_text("With pleasure. We have lemon,")
    await expect(cut.locator("s")).to_have_text("carrot and chocolate, and on Sundays")
    await expect(thread.locator(".event", has_text="The caller pressed 1")).to_be_visible()
    await call.tells(signals=(Hearing(turn=3, message="u4", text="It should say", confidence=0.6),))
    await expect(thread.locator(".msg.is-live.from-user")).to_contain_text("It should say")
    await call.adds(said("u4", "It should say Happy Birthday.", turn=3))
    await expect(thread.locator(".msg.is-live.from-user")).to_have_count(0)
    await call.adds(BotSaid(id="m4", text="That will be lovely for her.", turn=3))
    for index, word in enumerate(("That", "will")):
        await call.tells(signals=(BotWord(message="m4", word=word, index=index, start=0.0, end=0.3),))
    await expect(thread.locator(".unheard")).to_have_text("be lovely for her.")
    await call.adds(BotFinished(id="m4", text="That will be lovely for her.", duration_ms=1_500))
    await expect(thread.locator(".unheard")).to_have_count(0)
    await expect(thread.locator("textarea")).to_have_attribute("placeholder", "Type what the caller is to hear")
    await call.ends("hangup", *MORE)
    await expect(thread.locator(".holder")).to_have_text("The call has ended")
    await expect(thread.locator(".line")).to_be_hidden()
    await expect(thread.locator(".composer-closed")).to_contain_text("nothing more can be said")
    assert window.complaints == []


async def test_what_an_operator_does_reaches_the_call(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    call = await line(shop, "CA1", *TALK[:4])
    window = await open_window(shop, tess)
    thread = await opened(window, call)
    page = window.page

    async def chooses(name: str) -> None:
        await thread.locator("[data-act=more]").click()
        await page.get_by_role("menuitem", name=name).click()

    async with page.expect_response(lambda answer: answer.url.endswith("/hold")) as hold:
        await chooses("Put on hold")
    assert (await hold.value).status == 202
    async with page.expect_response(lambda answer: answer.url.endswith("/mute")) as mute:
        await chooses("Stop listening")
    assert (await mute.value).status == 202
    await chooses("Forward the caller")
    await page.get_by_label("Number to forward to").fill("+1 (202) 555-0199")
    async with page.expect_response(lambda answer: answer.url.endswith("/forward")) as forward:
        await page.get_by_role("button", name="Forward", exact=True).click()
    answer = await forward.value
    assert (answer.status, answer.request.post_data_json["to"]) == (202, "+12025550199")
    await chooses("Press keys")
    await page.get_by_label("Keys to press").fill("12#")
    async with page.expect_response(lambda answer: answer.url.endswith("/keys")) as keys:
        await page.keyboard.press("Enter")
    assert (await keys.value).status == 202
    await thread.locator("[data-act=hang_up]").click()
    async with page.expect_response(lambda answer: answer.url.endswith("/hang-up")) as hang_up:
        await page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
    assert (await hang_up.value).status == 202
    assert window.complaints == []


async def test_rings_missed_calls_and_recordings_are_told_in_words(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    blob = await shop.engines.blobs.put("call-1", _once(WAV), mime="audio/wav", max_bytes=10_000)
    rings = await line(shop, "CA1", rang(), is_ringing=True)
    missed = await line(shop, "CA2", rang(), who=BO)
    await missed.ends("no_answer")
    busy = await line(shop, "CA3", rang("outbound"), who="+12025550173", direction="outbound")
    await busy.ends("busy")
    kept = await line(shop, "CA4", rang(), started(), *TALK[2:4], who="+12025550174")
    await kept.ends(recording=blob.key)
    window = await open_window(shop, tess)
    thread = await opened(window, rings)
    await expect(thread.locator(".line .long")).to_have_text("Ringing")
    await expect(window.page.locator(".row-line")).to_have_text("Ringing")
    await expect(thread.locator("[data-act=take]")).to_have_count(0)
    await expect(thread.locator(".composer-closed")).to_contain_text("Nobody has answered yet")
    thread = await opened(window, missed)
    await expect(thread.locator(".event.is-edge")).to_contain_text("Nobody answered")
    thread = await opened(window, busy)
    await expect(thread.locator(".event.is-edge")).to_contain_text("The line was busy")
    await window.goes("#/?view=ended")
    await expect(window.page.locator(".row-words", has_text="Missed call")).to_have_count(1)
    await expect(window.page.locator(".row-words", has_text="The line was busy")).to_have_count(1)
    thread = await opened(window, kept)
    player = thread.get_by_role("group", name="Recording of the call")
    async with window.page.expect_response(lambda answer: answer.url.endswith("/recordings/CA4")) as sound:
        await player.get_by_role("button", name="Play").click()
    assert (await sound.value).status in (200, 206)
    assert window.complaints == []


async def test_a_call_is_for_everybody(
    open_shop: OpenShop, hire: Hire, open_window: OpenWindow, embedded: dict[str, Any]
) -> None:
    source = axe.script().read_text(encoding="utf-8")
    shop = await open_shop(embedded)
    tess = await hire(shop)
    blob = await shop.engines.blobs.put("call-1", _once(WAV), mime="audio/wav", max_bytes=10_000)
    live = await line(shop, "CA1", *TALK, name="Ada Lovelace")
    done = await line(shop, "CA2", *TALK, *MORE, who=BO, name="Bo")
    await done.ends(recording=blob.key)
    window = await open_window(shop, tess)
    for call, what in ((live, "a live call"), (done, "a call that is over")):
        thread = await opened(window, call)
        await expect(thread.locator(".event[data-type='call.dtmf_received']")).to_be_visible()
        await window.page.set_viewport_size({"width": 360, "height": 740})
        assert await window.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert await axe.findings_everywhere(window.page, source, what) == []
    assert window.complaints == []
